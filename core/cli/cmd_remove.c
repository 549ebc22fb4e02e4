/*
 * `runs remove RUN...`: deletes runs and their entries, having asked; or excludes them, with --keep-files.
 */
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include "core/cli/exclude.h"
#include "core/cli/pick.h"
#include "core/cli/removal.h"
#include "core/cli/tree.h"
#include "core/cli/usage.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct target {
    char *path;       /* below the source */
    char *framework;  /* the directory that it stands in, below the source; "." where that is the source */
    const char *name; /* the last part of path */
    struct usage usage;
};

struct targets {
    const char *source_path;
    int source_fd; /* opened for reading; the source stays the one that was looked at */
    struct target *list;
    size_t count;
};

static void target_set(struct target *target, const struct run *run)
{
    struct buffer path = {0};
    entry_append_path(&path, run);
    const char *slash = strrchr(path.bytes, '/');
    target->path = path.bytes;
    target->framework =
        slash ? memory_copy_text(path.bytes, (size_t)(slash - path.bytes)) : memory_copy_text(".", 1);
    target->name = slash ? slash + 1 : path.bytes;
}

static bool is_target(const struct targets *targets, const struct target *target)
{
    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(targets->list[i].path, target->path) == 0)
            return true;
    return false;
}

static void target_free(struct target *target)
{
    free(target->path);
    free(target->framework);
    usage_free(&target->usage);
}

/* Finds every run that is named: none is touched where one of them is not to be found. */
static enum cli_status pick_targets(struct targets *targets, const struct cli_options *options)
{
    enum cli_status status = CLI_OK;
    struct keeper *keeper = open_source(targets->source_path, true, false);
    if (!keeper)
        return CLI_ERROR;
    struct index *index = keeper_lock(keeper);
    for (int i = 0; status == CLI_OK && i < options->argument_count; i++) {
        struct run *run;
        struct target target = {0};
        status = pick_run(index, options->arguments[i], &run);
        if (status != CLI_OK)
            break;
        target_set(&target, run);
        if (is_target(targets, &target))
            target_free(&target);
        else
            targets->list[targets->count++] = target;
    }
    keeper_unlock(keeper);
    if (status == CLI_OK) {
        targets->source_fd =
            openat(source_root_fd(keeper_source(keeper)), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (targets->source_fd < 0) {
            cli_error("%s: %s; give a directory of runs that you may read", targets->source_path,
                      strerrordesc_np(errno));
            status = CLI_ERROR;
        }
    }
    keeper_close(keeper);
    return status;
}

/* What goes, and that nothing is mounted in it, which is to stay. */
static enum cli_status measure_targets(struct targets *targets)
{
    enum cli_status status = CLI_OK;
    struct config *config = open_config(targets->source_fd, targets->source_path);
    if (!config)
        return CLI_ERROR;
    for (size_t i = 0; status == CLI_OK && i < targets->count; i++) {
        struct target *target = &targets->list[i];
        int error = usage_measure(targets->source_fd, target->path, config, &target->usage);
        if (error)
            cli_error("%s: %s; nothing was removed", target->path, strerrordesc_np(-error));
        else if (target->usage.mount_path)
            cli_error("%s: something is mounted there; unmount it and run this again: nothing was removed",
                      target->usage.mount_path);
        if (error || target->usage.mount_path)
            status = CLI_ERROR;
    }
    config_unref(config);
    return status;
}

/* "chatdev/0a1b: 512 MB in 1.23k files" */
static void append_target(struct buffer *out, const struct target *target)
{
    const struct usage *usage = &target->usage;
    display_append(out, slice_of(target->path));
    buffer_append_text(out, ": ");
    display_append_size(out, usage->tracked.disk_bytes + usage->ignored.disk_bytes);
    buffer_append_text(out, " in ");
    display_append_count(out, usage->tracked.files + usage->ignored.files);
    buffer_append_text(out, usage->tracked.files + usage->ignored.files == 1 ? " file" : " files");
}

static bool answers_yes(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, stdin);
    bool is_yes =
        length > 0 && (strcmp(line, "y\n") == 0 || strcmp(line, "Y\n") == 0 || strcmp(line, "yes\n") == 0);
    free(line);
    return is_yes;
}

/* Asks whoever sits at the terminal. */
static bool is_wanted(const struct targets *targets)
{
    struct buffer question = {0};
    for (size_t i = 0; i < targets->count; i++) {
        append_target(&question, &targets->list[i]);
        buffer_append_byte(&question, '\n');
    }
    if (targets->count == 1)
        buffer_append_text(&question, "Remove this run for good? [y/N] ");
    else
        buffer_append_format(&question, "Remove these %zu runs for good? [y/N] ", targets->count);
    fwrite(question.bytes, 1, question.length, stderr);
    buffer_free(&question);
    return answers_yes();
}

static enum cli_status remove_target(const struct targets *targets, const struct target *target)
{
    struct buffer where = {0}, line = {0};
    CLEANUP_FD int framework_fd = tree_open(targets->source_fd, target->framework, true);
    int error = framework_fd;
    if (framework_fd >= 0) {
        removal_finish(framework_fd);
        error = removal_run(framework_fd, target->name, &where);
    }
    enum cli_status status = CLI_OK;
    if (error == 0) {
        append_target(&line, target);
        buffer_append_text(&line, ", removed\n");
        status = cli_print(&line);
    } else if (where.length > 0) {
        cli_error(
            "%s/%s: %s; the run is gone from its place, but this is left of it: mend that and remove it",
            target->framework, where.bytes, strerrordesc_np(-error));
        status = CLI_ERROR;
    } else {
        cli_error("%s: %s; it is as it was", target->path, strerrordesc_np(-error));
        status = CLI_ERROR;
    }
    buffer_free(&line);
    buffer_free(&where);
    return status;
}

/* Is the source one that a mount shows, which keeps its manifest by itself? */
static bool is_mounted(const char *source_path)
{
    char *on_disk = find_source_on_disk(source_path);
    bool is = on_disk && strcmp(on_disk, source_path) != 0;
    free(on_disk);
    return is;
}

static enum cli_status renew_manifest(const struct targets *targets)
{
    /* Who may remove a run there need not have the right to write the manifest, nor to see all runs. */
    if (is_mounted(targets->source_path))
        return CLI_OK;
    struct keeper *keeper = open_source(targets->source_path, false, false);
    if (!keeper)
        return CLI_ERROR;
    enum cli_status status = write_manifest(keeper, targets->source_path);
    keeper_close(keeper);
    return status;
}

/* The manifest is written also after an error: what is gone is to be gone from there too. */
static enum cli_status remove_targets(const struct targets *targets)
{
    enum cli_status status = CLI_OK;
    for (size_t i = 0; i < targets->count; i++)
        if (remove_target(targets, &targets->list[i]) != CLI_OK)
            status = CLI_ERROR;
    return renew_manifest(targets) == CLI_OK ? status : CLI_ERROR;
}

static enum cli_status exclude_targets(const struct targets *targets)
{
    struct buffer lines = {0};
    const char **paths = memory_alloc_zeroed(targets->count, sizeof(*paths));
    for (size_t i = 0; i < targets->count; i++) {
        paths[i] = targets->list[i].path;
        display_append(&lines, slice_of(paths[i]));
        buffer_append_text(&lines, ": excluded, its files stay\n");
    }
    enum cli_status status = exclude_paths(targets->source_fd, targets->source_path, paths, targets->count);
    if (status == CLI_OK)
        status = renew_manifest(targets);
    if (status == CLI_OK)
        status = cli_print(&lines);
    free(paths);
    buffer_free(&lines);
    return status;
}

static enum cli_status remove_named(struct targets *targets, const struct cli_options *options)
{
    enum cli_status status = pick_targets(targets, options);
    /* What --keep-files does can be undone; it asks nobody. */
    if (status == CLI_OK && (options->set & CLI_OPTION_KEEP_FILES))
        return exclude_targets(targets);
    if (status == CLI_OK && !(options->set & CLI_OPTION_YES) && !isatty(STDIN_FILENO)) {
        cli_error("remove: there is nobody to ask; give --yes to have it done all the same");
        return CLI_ERROR;
    }
    if (status == CLI_OK)
        status = measure_targets(targets);
    if (status != CLI_OK)
        return status;
    if (!(options->set & CLI_OPTION_YES) && !is_wanted(targets)) {
        cli_error("nothing was removed");
        return CLI_FINDING;
    }
    return remove_targets(targets);
}

static enum cli_status run_remove(const struct cli_options *options)
{
    enum cli_status status = CLI_ERROR;
    struct targets targets = {.source_path = find_source(options->directory), .source_fd = -1};
    if (targets.source_path) {
        targets.list = memory_alloc_zeroed((size_t)options->argument_count, sizeof(*targets.list));
        status = remove_named(&targets, options);
    }
    for (size_t i = 0; i < targets.count; i++)
        target_free(&targets.list[i]);
    free(targets.list);
    if (targets.source_fd >= 0)
        close(targets.source_fd);
    free((char *)targets.source_path);
    return status;
}

const struct command command_remove = {
    .name = "remove",
    .summary = "deletes runs and their entries (asks first)",
    .help =
        "usage: runs remove [-C DIR] [--yes] RUN...\n"
        "       runs remove [-C DIR] --keep-files RUN...\n"
        "\n"
        "Deletes runs, all files of them, and their entries in the manifest. It says what that would be and\n"
        "asks first; without a terminal it does nothing unless told --yes. RUN is a run id or as much of "
        "its\n"
        "beginning as tells it from the others, or that after FRAMEWORK/. Where one of several can't be "
        "found\n"
        "or is ambiguous, none is removed. What is mounted in a run, or linked from it, is never touched.\n"
        "\n"
        "    runs remove 0a1b2c                     asks: chatdev/0a1b2c3d: 512 MB in 1.23k files\n"
        "    runs remove --yes 0a1b chatdev/7f      two of them, without asking\n"
        "    runs remove --keep-files 0a1b          leaves its files: lists it under exclude in runsfs.json\n"
        "    runs find -0 status=failed | xargs -0r runs remove --yes    every run that failed\n"
        "\n"
        "A run is there whole or gone, at every moment. What a killed removal leaves (a directory named\n"
        ".removed.<random>.runsfs) the next one in that framework deletes. With a mount or without one "
        "makes\n"
        "no difference. Exit status: 0; 1 where there is no such run, or the answer was no; 2 for an "
        "error.\n",
    .accepts = CLI_OPTION_YES | CLI_OPTION_KEEP_FILES,
    .argument = CLI_ARGUMENT_RUNS,
    .run = run_remove,
};
