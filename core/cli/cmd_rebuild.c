/*
 * `runs rebuild`: derives the manifest anew from all files, and writes it where it is not what they say.
 */
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/manifest/file.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Which manifest stands there; all zero for none. Writing makes it another file. To be asked before the
 * source is opened, which may write it already. */
static struct stat look_at_manifest(const char *source_path)
{
    struct stat info = {0};
    struct config *config;
    struct config_fault faults[CONFIG_FAULTS_AT_MOST]; /* open_source tells of them */
    size_t count;
    CLEANUP_FD int fd = open(source_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || config_load(fd, &config, faults, &count) != 0)
        return info;
    const char *name = config->manifest_name ? config->manifest_name : manifest_file_name(fd);
    if (fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        memset(&info, 0, sizeof(info));
    config_unref(config);
    return info;
}

static bool is_same_file(const struct stat *before, const struct stat *after)
{
    return before->st_ino == after->st_ino && before->st_ctim.tv_sec == after->st_ctim.tv_sec &&
           before->st_ctim.tv_nsec == after->st_ctim.tv_nsec;
}

static enum cli_status report(struct keeper *keeper, bool written)
{
    struct buffer out = {0};
    size_t run_count = index_count(keeper_lock(keeper));
    keeper_unlock(keeper);
    buffer_append_format(&out, "%s: %zu %s, %s\n", keeper_manifest_name(keeper), run_count,
                         run_count == 1 ? "run" : "runs",
                         written ? "written anew" : "true already, left as it was");
    enum cli_status status = cli_print(&out);
    buffer_free(&out);
    return status;
}

static enum cli_status run_rebuild(const struct cli_options *options)
{
    enum cli_status status = CLI_ERROR;
    char *source_path = find_source(options->directory);
    struct stat before = source_path ? look_at_manifest(source_path) : (struct stat){0};
    struct keeper *keeper = source_path ? open_source(source_path, false, true) : NULL;
    if (keeper) {
        status = write_manifest(keeper, source_path);
        struct stat after = look_at_manifest(source_path);
        if (status == CLI_OK)
            status = report(keeper, !is_same_file(&before, &after));
        keeper_close(keeper);
    }
    free(source_path);
    return status;
}

const struct command command_rebuild = {
    .name = "rebuild",
    .summary = "derives the manifest anew from all files",
    .help =
        "usage: runs rebuild [-C DIR]\n"
        "\n"
        "Reads the files of every run and writes the manifest that they make, in one step: at every moment\n"
        "the old one or the new one stands there, whole. What others added to it stays. Where it is true\n"
        "already, nothing is written.\n"
        "\n"
        "    runs rebuild                           the source around you\n"
        "    runs rebuild -C ~/experiment/runs      another one; also one that has no manifest yet\n"
        "    runs check && echo true                to look without writing\n"
        "\n"
        "A file that is no manifest at all is kept as <name>.broken. Exit status: 0; 2 for an error.\n",
    .run = run_rebuild,
};
