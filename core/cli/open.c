/*
 * Opening the source for a command, its configuration, and writing its manifest, with the errors that a user
 * can act on.
 */
#include "core/cli/cli.h"
#include "core/base/memory.h"
#include <dirent.h>
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
    struct keeper_options options = {
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

/* A directory of the source that can't be listed, the first there is; NULL for none. The caller frees it. */
static char *find_unlisted(int source_fd)
{
    char *found = NULL;
    int fd = openat(source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list && fd >= 0)
        close(fd);
    for (struct dirent *entry; list && !found && (entry = readdir(list));) {
        CLEANUP_FD int directory_fd =
            openat(source_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (directory_fd < 0 && (errno == EACCES || errno == EPERM))
            found = memory_copy_text(entry->d_name, strlen(entry->d_name));
    }
    if (list)
        closedir(list);
    return found;
}

static void tell_of_failure(struct keeper *keeper, const char *source_path, int error)
{
    const char *name = keeper_manifest_name(keeper);
    /* By what the engine sees its runs would be lost from the manifest: then it does not write one. */
    char *unlisted = error == -EACCES ? find_unlisted(source_root_fd(keeper_source(keeper))) : NULL;
    if (unlisted)
        cli_error("%s/%s: can't be listed, and %s, which would lose its runs, stays as it was; run this as "
                  "somebody who may list it",
                  source_path, unlisted, name);
    else
        cli_error("%s/%s: can't be written (%s); it stays as it was: mend that and run this again",
                  source_path, name, strerrordesc_np(-error));
    free(unlisted);
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
