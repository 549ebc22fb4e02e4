/*
 * Opening the source for a command, its configuration, and writing its manifest, with the errors that a user
 * can act on.
 */
#include "core/cli/cli.h"
#include "core/base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Somebody else (a mount) may write the manifest at the same time; then his is looked at, and it is tried
 * again. */
#define WRITE_ATTEMPTS 10

struct keeper *open_source(const char *source_path, bool read_only, bool read_all)
{
    /* Runs that stand in the source itself have its name for their framework, and in a mount it is not
     * "runs". */
    CLEANUP_FREE char *behind = source_behind_mount(source_path);
    const char *slash = behind ? strrchr(behind, '/') : NULL;
    struct keeper_options options = {
        .source_name = slash ? slash + 1 : NULL,
        .read_only = read_only,
        .watch = WATCH_POLL,
        .show_progress = true,
        .cache = read_all ? KEEPER_CACHE_RENEW : KEEPER_CACHE_USE,
    };
    struct keeper *keeper;
    /* The engine takes a directory that it can't list for one without runs. */
    int error = faccessat(AT_FDCWD, source_path, R_OK | X_OK, AT_EACCESS) == 0 ? 0 : -errno;
    if (error == 0)
        error = keeper_open(source_path, &options, &keeper);
    if (error == 0 && keeper_config_is_broken(keeper) && !read_all) { /* `check` tells of it */
        keeper_close(keeper);
        error = -EBADMSG;
    }
    if (error == 0)
        return keeper;
    if (error == -EBADMSG) {
        CLEANUP_FD int fd = open(source_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        config_unref(open_config(fd, source_path));
        return NULL;
    }
    cli_error("%s: %s; give a directory of runs that you may read", source_path, strerrordesc_np(-error));
    return NULL;
}

struct config *open_config(int source_fd, const char *source_path)
{
    struct config *config;
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    size_t count;
    char text[sizeof(faults->reason) + 64];
    if (config_load(source_fd, &config, faults, &count) == 0)
        return config;
    config_fault_describe(&faults[0], text, sizeof(text));
    cli_error("%s/%s; mend that and run this again", source_path, text);
    return NULL;
}

static void tell_of_failure(struct keeper *keeper, const char *source_path, int error)
{
    const char *name = keeper_manifest_name(keeper);
    CLEANUP_FREE char *hiding = error == -EACCES ? keeper_hiding(keeper) : NULL;
    if (hiding)
        cli_error("%s/%s: can't be looked into, and %s, which would lose its runs, stays as it was; run this "
                  "as somebody who may",
                  source_path, hiding, name);
    else
        cli_error("%s/%s: can't be written (%s); it stays as it was: mend that and run this again",
                  source_path, name, strerrordesc_np(-error));
}

enum cli_status write_manifest(struct keeper *keeper, const char *source_path)
{
    const char *name = keeper_manifest_name(keeper);
    int error = -EAGAIN;
    if (keeper_manifest_finding(keeper, NULL) == MANIFEST_NOT_A_FILE) {
        cli_error("%s/%s: is no regular file; move it away and run this again", source_path, name);
        return CLI_ERROR;
    }
    for (int attempt = 0; error == -EAGAIN && attempt < WRITE_ATTEMPTS; attempt++)
        error = keeper_flush(keeper);
    if (error == 0)
        return CLI_OK;
    tell_of_failure(keeper, source_path, error);
    return CLI_ERROR;
}
