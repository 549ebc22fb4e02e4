/*
 * What changed in a run's tracked files since a revision: finding the run, now or then, and printing.
 */
#include "core/cli/show_difference.h"
#include "core/base/memory.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include "core/cli/git_source.h"
#include "core/cli/pick.h"
#include "core/cli/tree.h"
#include "core/git/difference.h"
#include "core/git/history.h"
#include "core/git/revision.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Printed when so much has come together. */
#define CHUNK_BYTES 65536

struct printing {
    struct buffer out;
    bool is_terminal, has_color;
    enum cli_status status;
};

/* Git's own colours. */
static const char *color_of(enum difference_part part)
{
    switch (part) {
    case DIFFERENCE_HEADER:
        return "1";
    case DIFFERENCE_HUNK:
        return "36";
    case DIFFERENCE_REMOVED:
        return "31";
    case DIFFERENCE_ADDED:
        return "32";
    default:
        return NULL;
    }
}

/* To a terminal as one line of a file is shown there: nothing in it steers that, tabs stay. */
static void append_shown(struct buffer *out, struct slice line)
{
    while (line.length > 0) {
        const char *tab = memchr(line.bytes, '\t', line.length);
        size_t length = tab ? (size_t)(tab - line.bytes) : line.length;
        display_append(out, (struct slice){line.bytes, length});
        if (tab)
            buffer_append_byte(out, '\t');
        length += tab != NULL;
        line.bytes += length;
        line.length -= length;
    }
}

static void print_part(enum difference_part part, struct slice text, void *context)
{
    struct printing *printing = context;
    struct buffer *out = &printing->out;
    const char *color = printing->has_color ? color_of(part) : NULL;
    if (!printing->is_terminal)
        buffer_append_slice(out, text);
    while (printing->is_terminal && text.length > 0) {
        const char *end = memchr(text.bytes, '\n', text.length);
        size_t length = end ? (size_t)(end - text.bytes) : text.length;
        if (color)
            buffer_append_format(out, "\033[%sm", color);
        append_shown(out, (struct slice){text.bytes, length});
        if (color)
            buffer_append_text(out, "\033[m");
        if (end)
            buffer_append_byte(out, '\n');
        length += end != NULL;
        text.bytes += length;
        text.length -= length;
    }
    if (out->length >= CHUNK_BYTES && printing->status == CLI_OK) {
        printing->status = cli_print(out);
        buffer_clear(out);
    }
}

/* ---- the run ---- */

static bool wants_path(const char *path, void *context)
{
    return path_choice_fits(context, path);
}

static void take_path(const char *path, void *context)
{
    path_choice_add(context, path);
}

static void take_present(struct path_choice *choice, struct index *index)
{
    struct buffer path = {0};
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        buffer_clear(&path);
        entry_append_path(&path, run);
        if (path_choice_fits(choice, path.bytes))
            path_choice_add(choice, path.bytes);
    }
    buffer_free(&path);
}

/* The run that is there; where none is, the one that was. *path, owned by the caller. */
static enum cli_status find_run(const struct git_source *source, struct keeper *keeper,
                                const struct object_id *old_tree, const char *text, char **path)
{
    struct path_choice *choice = path_choice_create(text);
    const struct path_search search = {wants_path, take_path, choice};
    const char *chosen;
    int error = 0;
    take_present(choice, keeper_lock(keeper));
    keeper_unlock(keeper);
    if (path_choice_count(choice) == 0)
        error = search_tree(source->deriver, old_tree, &search);
    enum cli_status status = error ? git_source_fail(source) : path_choice_end(choice, &chosen);
    if (status == CLI_OK)
        *path = memory_copy_text(chosen, strlen(chosen));
    else if (status == CLI_FINDING)
        cli_error("%s: no run's id begins so, now or in that revision; runs list has them all", text);
    path_choice_free(choice);
    return status;
}

/* ---- the command ---- */

static enum cli_status compare(const struct git_source *source, struct keeper *keeper,
                               const struct config *config, const struct object_id *old_tree,
                               const char *path)
{
    struct printing printing = {.is_terminal = cli_terminal_width() > 0, .has_color = cli_wants_color()};
    CLEANUP_FD int run_fd = tree_open(source_root_fd(keeper_source(keeper)), path, true);
    int error = run_fd < 0 && run_fd != -ENOENT ? run_fd : 0;
    if (error)
        cli_error("%s: can't be listed (%s); look at its permissions", path, strerrordesc_np(-error));
    else
        error = difference_of_run(source->repository, config, old_tree, path, run_fd < 0 ? -1 : run_fd,
                                  print_part, &printing);
    if (error < 0 && (run_fd >= 0 || run_fd == -ENOENT))
        cli_error("%s: can't be compared (%s)", path, repository_error());
    enum cli_status status = printing.status == CLI_OK ? cli_print(&printing.out) : printing.status;
    buffer_free(&printing.out);
    if (error < 0 || status != CLI_OK)
        return CLI_ERROR;
    return error == 0 ? CLI_OK : CLI_FINDING;
}

static enum cli_status resolve(const struct git_source *source, const char *revision, struct commit *commit)
{
    struct object_id id;
    bool is_fixed;
    int error = revision_resolve(source->repository, revision, &id, &is_fixed);
    if (error == 0)
        error = commit_read(source->repository, &id, commit);
    if (error == 0)
        return CLI_OK;
    cli_error("--diff %s: no such revision (%s); git log names some", revision, repository_error());
    return CLI_ERROR;
}

static enum cli_status show_since(const struct git_source *source, const struct cli_options *options)
{
    struct commit commit;
    char *path = NULL;
    if (resolve(source, options->revision, &commit) != CLI_OK)
        return CLI_ERROR;
    struct keeper *keeper = open_source(source->path, true, false);
    struct config *config = keeper ? open_config(source_root_fd(keeper_source(keeper)), source->path) : NULL;
    enum cli_status status =
        config ? find_run(source, keeper, &commit.tree, options->arguments[0], &path) : CLI_ERROR;
    if (status == CLI_OK)
        status = compare(source, keeper, config, &commit.tree, path);
    free(path);
    config_unref(config);
    if (keeper)
        keeper_close(keeper);
    return status;
}

enum cli_status show_difference(const struct cli_options *options)
{
    struct git_source source;
    if (options->set & CLI_OPTION_JSON) {
        cli_error("--json and --diff: give one of them at a time");
        return CLI_ERROR;
    }
    if (git_source_open(options->directory, &source) != CLI_OK)
        return CLI_ERROR;
    enum cli_status status = show_since(&source, options);
    git_source_close(&source);
    return status;
}
