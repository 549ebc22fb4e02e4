/*
 * `runs commit [RUN...]`: a commit for each completed run that the branch does not have as it is, or for some
 * at a time where they are very many.
 */
#include "core/base/memory.h"
#include "core/base/progress.h"
#include "core/cli/git_source.h"
#include "core/cli/cli.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include "core/cli/mounts.h"
#include "core/cli/pick.h"
#include "core/git/commit.h"
#include "core/json/writer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So long somebody else may be at work on the repository. */
#define PATIENCE_MS 10000
#define SHORT_ID_DIGITS 7

struct candidate {
    char *path; /* below the source */
    struct slice end_time, name;
};

struct candidates {
    struct candidate *list;
    size_t count;
};

struct work {
    char *source_path;
    struct keeper *keeper;
    struct config *config;
    struct repository *repository;
    struct committer *committer;
    struct candidates candidates;
    bool as_json;
    size_t made_count;
    struct buffer json;
};

/* ---- the source ---- */

struct own_mount {
    uint64_t id;
    char *source;
};

static bool take_source(const struct runsfs_mount *mount, void *context)
{
    struct own_mount *own = context;
    if (mount->id == own->id)
        own->source = memory_copy_text(mount->source, strlen(mount->source));
    return own->source;
}

/* The source itself, where path is runs/ in a mount of it: no repository is seen through the mount. Takes
 * path over. */
static char *source_on_disk(char *path)
{
    CLEANUP_FD int fd = open(path, O_PATH | O_CLOEXEC);
    struct own_mount own = {.id = fd < 0 ? 0 : mount_id_of(fd)};
    if (!own.id || !mounts_each(take_source, &own))
        return path;
    free(path);
    return own.source;
}

/* ---- which runs ---- */

static bool is_completed(const struct run *run)
{
    return run->fields.end_time.bytes || !slice_equal(run->fields.status, SLICE_LITERAL("pending"));
}

static void add_candidate(struct candidates *candidates, const struct run *run)
{
    struct buffer path = {0};
    entry_append_path(&path, run);
    candidates->list[candidates->count++] =
        (struct candidate){path.bytes, slice_copy(run->fields.end_time), slice_copy(run->name)};
}

static enum cli_status pick_named(struct work *work, struct index *index, const struct cli_options *options)
{
    work->candidates.list = memory_alloc_zeroed((size_t)options->argument_count, sizeof(struct candidate));
    for (int i = 0; i < options->argument_count; i++) {
        struct run *run;
        enum cli_status status = pick_run(index, options->arguments[i], &run);
        if (status != CLI_OK)
            return status;
        if (!is_completed(run)) {
            cli_error("%s: is not completed (it has no end_time and is pending); commit it when it is",
                      options->arguments[i]);
            return CLI_FINDING;
        }
        add_candidate(&work->candidates, run);
    }
    return CLI_OK;
}

static void pick_all(struct work *work, struct index *index)
{
    work->candidates.list = memory_alloc_zeroed(index_count(index) + 1, sizeof(struct candidate));
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        if (is_completed(run) && !run->faults)
            add_candidate(&work->candidates, run);
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *first = a, *second = b;
    int order = slice_compare(first->end_time, second->end_time);
    if (order == 0)
        order = slice_compare(first->name, second->name);
    return order ? order : strcmp(first->path, second->path);
}

/* Has the manifest on disk, and the runs that are meant, the one that ended first before all others. */
static enum cli_status find_candidates(struct work *work, const struct cli_options *options)
{
    enum cli_status status = write_manifest(work->keeper, work->source_path);
    if (status != CLI_OK)
        return status;
    struct index *index = keeper_lock(work->keeper);
    work->config = config_ref((struct config *)keeper_config(work->keeper));
    if (options->argument_count > 0)
        status = pick_named(work, index, options);
    else
        pick_all(work, index);
    keeper_unlock(work->keeper);
    qsort(work->candidates.list, work->candidates.count, sizeof(struct candidate), compare_candidates);
    return status;
}

/* ---- commits ---- */

static enum cli_status refuse(const struct work *work)
{
    cli_error("%s: %s", work->source_path, repository_error());
    return CLI_ERROR;
}

static void warn(const char *line, void *context)
{
    (void)context;
    cli_error("%s", line);
}

static enum cli_status begin(struct work *work)
{
    repositories_begin(false);
    int error = repository_open(work->source_path, &work->repository);
    if (error != 0) {
        git_source_tell(work->source_path, error);
        return CLI_ERROR;
    }
    const struct committer_setup setup = {
        .repository = work->repository,
        .source_fd = source_root_fd(keeper_source(work->keeper)),
        .manifest_name = keeper_manifest_name(work->keeper),
        .warn = warn,
    };
    if (committer_create(&setup, &work->committer) != 0 || committer_check(work->committer) != 0)
        return refuse(work);
    return CLI_OK;
}

/* Leaves those alone of which the last commit has all. */
static void drop_committed(struct work *work)
{
    struct progress progress;
    struct candidates *candidates = &work->candidates;
    size_t kept = 0;
    progress_begin(&progress, "runs");
    for (size_t i = 0; i < candidates->count; i++) {
        progress_update(&progress, i, candidates->count);
        struct candidate candidate = candidates->list[i];
        if (committer_differs(work->committer, work->config, candidate.path) != 0) {
            candidates->list[i] = candidates->list[kept];
            candidates->list[kept++] = candidate;
        }
    }
    progress_end(&progress);
    for (size_t i = kept; i < candidates->count; i++) {
        free(candidates->list[i].path);
        slice_free(&candidates->list[i].end_time);
        slice_free(&candidates->list[i].name);
    }
    candidates->count = kept;
}

static void append_member(struct buffer *out, const char *name, const char *text)
{
    struct buffer json = {0};
    utf8_append_file_name(&json, slice_of(text));
    buffer_append_format(out, "    \"%s\": ", name);
    json_append_string(out, buffer_slice(&json));
    buffer_free(&json);
}

static enum cli_status report(struct work *work, const struct run_to_commit *run, const struct object_id *id)
{
    char digits[OBJECT_ID_DIGITS + 1];
    struct buffer line = {0};
    enum cli_status status = CLI_OK;
    object_id_format(id, digits);
    if (work->as_json) {
        buffer_append_text(&work->json, work->made_count ? ",\n  {\n" : "[\n  {\n");
        append_member(&work->json, "commit", digits);
        buffer_append_text(&work->json, ",\n");
        append_member(&work->json, "path", run->path);
        buffer_append_text(&work->json, ",\n");
        append_member(&work->json, "message", run->text);
        buffer_append_text(&work->json, "\n  }");
    } else {
        buffer_append_format(&line, "%.*s ", SHORT_ID_DIGITS, digits);
        display_append(&line, slice_of(run->text));
        buffer_append_byte(&line, '\n');
        status = cli_print(&line);
    }
    buffer_free(&line);
    work->made_count++;
    return status;
}

/* Tells what became of each run. What is wrong with one is told of, and the others have their turn. */
static enum cli_status report_each(struct work *work, struct run_to_commit *runs, size_t count,
                                   const struct object_id *id)
{
    enum cli_status status = CLI_OK;
    for (size_t i = 0; i < count; i++) {
        if (runs[i].result == 1 && report(work, &runs[i], id) != CLI_OK)
            status = CLI_ERROR;
        if (runs[i].result < 0) {
            cli_error("%s: %s", work->source_path, runs[i].text);
            status = CLI_ERROR;
        }
        free(runs[i].text);
    }
    return status;
}

static enum cli_status commit_all(struct work *work)
{
    const struct candidates *candidates = &work->candidates;
    size_t batch = committer_batch(work->committer, candidates->count);
    struct run_to_commit *runs = memory_alloc_zeroed(batch, sizeof(*runs));
    enum cli_status status = CLI_OK;
    for (size_t at = 0, count; at < candidates->count; at += count) {
        struct object_id id;
        count = candidates->count - at < batch ? candidates->count - at : batch;
        for (size_t i = 0; i < count; i++)
            runs[i].path = candidates->list[at + i].path;
        int result = commit_runs(work->committer, work->config, runs, count, PATIENCE_MS, &id);
        if (result < 0)
            status = refuse(work);
        if (report_each(work, runs, count, &id) != CLI_OK)
            status = CLI_ERROR;
        if (result < 0)
            break;
    }
    free(runs);
    return status;
}

static enum cli_status conclude(struct work *work, enum cli_status status)
{
    if (work->as_json) {
        buffer_append_text(&work->json, work->made_count ? "\n]\n" : "[]\n");
        if (cli_print(&work->json) != CLI_OK)
            status = CLI_ERROR;
    } else if (status == CLI_OK && work->made_count == 0) {
        cli_error("nothing to commit: the branch has every completed run as it is");
    }
    return status == CLI_OK && work->made_count == 0 ? CLI_FINDING : status;
}

static enum cli_status run_commit(const struct cli_options *options)
{
    struct work work = {.as_json = options->set & CLI_OPTION_JSON};
    enum cli_status status = CLI_ERROR;
    work.source_path = find_source(options->directory);
    if (work.source_path) {
        work.source_path = source_on_disk(work.source_path);
        work.keeper = open_source(work.source_path, false, false);
    }
    if (work.keeper)
        status = begin(&work);
    if (work.keeper && status == CLI_OK)
        status = find_candidates(&work, options);
    if (work.keeper && status == CLI_OK) {
        drop_committed(&work);
        status = conclude(&work, commit_all(&work));
    }
    for (size_t i = 0; i < work.candidates.count; i++) {
        free(work.candidates.list[i].path);
        slice_free(&work.candidates.list[i].end_time);
        slice_free(&work.candidates.list[i].name);
    }
    free(work.candidates.list);
    buffer_free(&work.json);
    committer_free(work.committer);
    repository_close(work.repository);
    config_unref(work.config);
    if (work.keeper)
        keeper_close(work.keeper);
    free(work.source_path);
    return status;
}

const struct command command_commit = {
    .name = "commit",
    .summary = "commits completed runs to Git, one commit a run",
    .help =
        "usage: runs commit [-C DIR] [--json] [RUN...]\n"
        "\n"
        "Makes a Git commit for each completed run (one that has an end_time, or a status other than "
        "pending)\n"
        "whose tracked files are not in the last commit as they are: of these files and of the manifest, "
        "and\n"
        "of nothing else. What you have staged stays staged, and no other file is touched. The run that\n"
        "ended first is committed first. Where very many are due in a source of many runs, some at a time "
        "share\n"
        "a commit, whose message names each.\n"
        "\n"
        "    runs commit                            all that are completed\n"
        "    runs commit 0a1b chatdev/7f            these two\n"
        "    runs commit --json | jq -r '.[].commit'   the ids of the commits\n"
        "\n"
        "It does nothing while a merge, a rebase or the like is going on, off a branch, and where Git is to\n"
        "run hooks or to sign. The author is user.name and user.email of Git's configuration. To have a "
        "mount\n"
        "do it: runsfs -o autocommit. Exit status: 0; 1 where there was nothing to commit; 2 for an error.\n",
    .accepts = CLI_OPTION_JSON,
    .argument = CLI_ARGUMENT_RUNS_IF_ANY,
    .run = run_commit,
};
