/*
 * `runs log`: what the commits changed of the runs, the newest first, each as soon as it is found.
 */
#include "core/base/memory.h"
#include "core/cli/display.h"
#include "core/cli/git_source.h"
#include "core/cli/listing.h"
#include "core/cli/pick.h"
#include "core/git/abbreviate.h"
#include "core/git/history.h"
#include "core/json/writer.h"
#include "core/query/moment.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_WIDTH 19 /* 2025-10-16 12:00:00 */
#define GAP_WIDTH 2
/* Columns that a run's path takes in a table, at most, so that the change beside it is still seen. */
#define PATH_WIDTH 60

struct log {
    const struct git_source *source;
    size_t digits;  /* of a short id */
    unsigned width; /* of the terminal; 0 where there is none: then every line is whole */
    bool is_json, has_color;
    unsigned path_width; /* the longest so far */
    size_t change_count; /* that were printed */
    struct buffer out, line;
};

static void append_utc(struct buffer *out, int64_t time_s, const char *format)
{
    char text[64];
    struct tm utc;
    time_t seconds = (time_t)time_s;
    if (gmtime_r(&seconds, &utc) && strftime(text, sizeof(text), format, &utc))
        buffer_append_text(out, text);
}

/* ---- for people ---- */

static void append_status(struct log *log, struct slice status)
{
    const char *color = log->has_color ? listing_status_color(status) : NULL;
    if (color)
        buffer_append_format(&log->line, "\033[%sm", color);
    display_append(&log->line, status);
    if (color)
        buffer_append_text(&log->line, "\033[0m");
}

static void append_state(struct log *log, const struct history_state *state)
{
    buffer_append_text(&log->line, " (");
    append_status(log, state->status);
    buffer_append_format(&log->line, ", %" PRIu64 " in, %" PRIu64 " out)", state->tokens_in,
                         state->tokens_out);
}

static void append_tokens(struct log *log, const char *what, uint64_t before, uint64_t after,
                          const char **between)
{
    if (before == after)
        return;
    buffer_append_format(&log->line, "%s%" PRIu64 " -> %" PRIu64 " %s", *between, before, after, what);
    *between = ", ";
}

/* "pending -> verified, 0 -> 287761 in": whatever is not as it was. */
static void append_differences(struct log *log, const struct history_change *change, const char *between)
{
    const struct history_state *before = &change->before, *after = &change->after;
    if (!slice_equal(before->status, after->status)) {
        buffer_append_text(&log->line, between);
        append_status(log, before->status);
        buffer_append_text(&log->line, " -> ");
        append_status(log, after->status);
        between = ", ";
    }
    append_tokens(log, "in", before->tokens_in, after->tokens_in, &between);
    append_tokens(log, "out", before->tokens_out, after->tokens_out, &between);
}

static void append_change(struct log *log, const struct history_change *change)
{
    switch (change->kind) {
    case HISTORY_ADDED:
        buffer_append_text(&log->line, "added");
        append_state(log, &change->after);
        break;
    case HISTORY_REMOVED:
        buffer_append_text(&log->line, "removed");
        break;
    case HISTORY_RENAMED:
        buffer_append_text(&log->line, "renamed from ");
        display_append(&log->line, slice_of(change->old_path));
        append_differences(log, change, ", ");
        break;
    case HISTORY_CHANGED:
        append_differences(log, change, "");
        break;
    }
}

static void append_blanks(struct buffer *out, unsigned count)
{
    buffer_append_format(out, "%*s", (int)count, "");
}

/* Columns of a path once it is harmless. */
static unsigned path_width(const char *path)
{
    struct buffer text = {0};
    display_append(&text, slice_of(path));
    unsigned width = display_width(buffer_slice(&text));
    buffer_free(&text);
    return width;
}

/* Appends the path in the width of its column, cut where it is longer. */
static void append_path_cell(struct log *log, const char *path)
{
    struct buffer text = {0};
    display_append(&text, slice_of(path));
    struct slice shown = buffer_slice(&text);
    unsigned width = display_width(shown);
    if (width > log->path_width) {
        shown.length = display_cut(shown, log->path_width - 1);
        buffer_append_slice(&log->out, shown);
        width = display_width(shown);
        buffer_append_byte(&log->out, '~');
        width++;
    } else {
        buffer_append_slice(&log->out, shown);
    }
    append_blanks(&log->out, log->path_width - width + GAP_WIDTH);
    buffer_free(&text);
}

/* The commit stands in the first line of its changes; further ones have blanks there. */
static void append_row(struct log *log, const struct history_commit *commit, const char *id,
                       const struct history_change *change, bool is_first)
{
    if (!is_first)
        append_blanks(&log->out, (unsigned)strlen(id) + TIME_WIDTH + 2 * GAP_WIDTH);
    else {
        buffer_append_format(&log->out, "%s%s%s  ", log->has_color ? "\033[33m" : "", id,
                             log->has_color ? "\033[0m" : "");
        append_utc(&log->out, commit->time_s, "%Y-%m-%d %H:%M:%S  ");
    }
    append_path_cell(log, change->path);
    buffer_append_slice(&log->out, buffer_slice(&log->line));
    buffer_append_byte(&log->out, '\n');
}

static void append_line(struct log *log, const struct history_commit *commit, const char *id,
                        const struct history_change *change)
{
    buffer_append_format(&log->out, "%s ", id);
    append_utc(&log->out, commit->time_s, "%Y-%m-%dT%H:%M:%SZ ");
    display_append(&log->out, slice_of(change->path));
    buffer_append_byte(&log->out, ' ');
    buffer_append_slice(&log->out, buffer_slice(&log->line));
    buffer_append_byte(&log->out, '\n');
}

static void widen(struct log *log, const struct history_commit *commit)
{
    unsigned most = log->width / 2 < PATH_WIDTH ? log->width / 2 : PATH_WIDTH;
    for (size_t i = 0; i < commit->change_count && log->path_width < most; i++) {
        unsigned width = path_width(commit->changes[i].path);
        if (width > log->path_width)
            log->path_width = width < most ? width : most;
    }
}

static void append_lines(struct log *log, const struct history_commit *commit)
{
    char id[OBJECT_ID_DIGITS + 1];
    object_id_abbreviate(log->source->repository, &commit->id, log->digits, id);
    if (log->width)
        widen(log, commit);
    for (size_t i = 0; i < commit->change_count; i++) {
        buffer_clear(&log->line);
        append_change(log, &commit->changes[i]);
        if (log->width)
            append_row(log, commit, id, &commit->changes[i], i == 0);
        else
            append_line(log, commit, id, &commit->changes[i]);
    }
}

/* ---- for programs ---- */

static void append_json_path(struct buffer *out, const char *path)
{
    struct buffer text = {0};
    if (!path) {
        buffer_append_text(out, "null");
        return;
    }
    utf8_append_file_name(&text, slice_of(path));
    json_append_string(out, buffer_slice(&text));
    buffer_free(&text);
}

static void append_json_state(struct buffer *out, const struct history_state *state)
{
    if (!state->is_run) {
        buffer_append_text(out, "null");
        return;
    }
    buffer_append_text(out, "{\n      \"verification_status\": ");
    json_append_string(out, state->status);
    buffer_append_format(
        out, ",\n      \"total_tokens_in\": %" PRIu64 ",\n      \"total_tokens_out\": %" PRIu64 "\n    }",
        state->tokens_in, state->tokens_out);
}

static void append_json(struct log *log, const struct history_commit *commit)
{
    static const char *const kinds[] = {[HISTORY_ADDED] = "added",
                                        [HISTORY_REMOVED] = "removed",
                                        [HISTORY_RENAMED] = "renamed",
                                        [HISTORY_CHANGED] = "changed"};
    struct buffer *out = &log->out;
    char id[OBJECT_ID_DIGITS + 1];
    object_id_format(&commit->id, id);
    for (size_t i = 0; i < commit->change_count; i++) {
        const struct history_change *change = &commit->changes[i];
        buffer_append_format(out, "%s\n  {\n    \"commit\": \"%s\",\n    \"time\": \"",
                             log->change_count + i ? "," : "", id);
        append_utc(out, commit->time_s, "%Y-%m-%dT%H:%M:%SZ");
        buffer_append_text(out, "\",\n    \"path\": ");
        append_json_path(out, change->path);
        buffer_append_format(out, ",\n    \"change\": \"%s\",\n    \"renamed_from\": ", kinds[change->kind]);
        append_json_path(out, change->old_path);
        buffer_append_text(out, ",\n    \"before\": ");
        append_json_state(out, &change->before);
        buffer_append_text(out, ",\n    \"after\": ");
        append_json_state(out, &change->after);
        buffer_append_text(out, "\n  }");
    }
}

/* ---- which run ---- */

static bool wants_path(const char *path, void *context)
{
    return path_choice_fits(context, path);
}

static void take_path(const char *path, void *context)
{
    path_choice_add(context, path);
}

/* The run of HEAD that is meant; where none is, the one of the history. *path, owned by the caller. */
static enum cli_status find_run(const struct git_source *source, const char *text, char **path)
{
    struct path_choice *choice = path_choice_create(text);
    const struct path_search search = {wants_path, take_path, choice};
    const char *chosen;
    enum cli_status status = CLI_OK;
    int error = search_head(source->deriver, &search);
    if (error == 0 && path_choice_count(choice) == 0)
        error = search_history(source->deriver, &search);
    status = error ? git_source_fail(source) : path_choice_end(choice, &chosen);
    if (status == CLI_OK)
        *path = memory_copy_text(chosen, strlen(chosen));
    else if (status == CLI_FINDING)
        cli_error("%s: no run in the history has an id that begins so; runs log has them all", text);
    path_choice_free(choice);
    return status;
}

/* ---- the command ---- */

static enum cli_status print_history(struct log *log, struct history *history)
{
    const struct history_commit *commit;
    enum cli_status status = CLI_OK;
    int error = 0;
    buffer_append_text(&log->out, log->is_json ? "[" : "");
    while (status == CLI_OK && (error = history_next(history, &commit)) == 0) {
        if (log->is_json)
            append_json(log, commit);
        else
            append_lines(log, commit);
        log->change_count += commit->change_count;
        status = cli_print(&log->out);
        buffer_clear(&log->out);
    }
    if (status != CLI_OK)
        return status;
    if (log->is_json)
        buffer_append_text(&log->out, log->change_count ? "\n]\n" : "]\n");
    status = cli_print(&log->out);
    if (error != -ENOENT)
        return git_source_fail(log->source);
    return status == CLI_OK && log->change_count == 0 ? CLI_FINDING : status;
}

static enum cli_status read_since(const struct cli_options *options, int64_t *since_s)
{
    int64_t microseconds;
    *since_s = INT64_MIN;
    if (!options->since)
        return CLI_OK;
    if (moment_parse(slice_of(options->since), &microseconds) != 0) {
        cli_error("--since %s: is no date; write it like 2025-10-16 or 2025-10-16T12:00", options->since);
        return CLI_ERROR;
    }
    /* Commits have whole seconds: the first that is not before it. */
    *since_s = moment_seconds(microseconds + 999999);
    return CLI_OK;
}

static enum cli_status print_log(const struct git_source *source, const struct cli_options *options,
                                 int64_t since_s)
{
    struct history *history = NULL;
    char *path = NULL;
    struct log log = {
        .source = source,
        .digits = abbreviation_digits(source->repository),
        .width = cli_terminal_width(),
        .is_json = options->set & CLI_OPTION_JSON,
        .has_color = cli_wants_color(),
    };
    enum cli_status status =
        options->argument_count ? find_run(source, options->arguments[0], &path) : CLI_OK;
    if (status == CLI_OK && history_open(source->deriver, since_s, path, &history) != 0)
        status = git_source_fail(source);
    if (status == CLI_OK)
        status = print_history(&log, history);
    history_close(history);
    buffer_free(&log.out);
    buffer_free(&log.line);
    free(path);
    return status;
}

static enum cli_status run_log(const struct cli_options *options)
{
    struct git_source source;
    int64_t since_s;
    enum cli_status status = read_since(options, &since_s);
    if (status == CLI_OK)
        status = git_source_open(options->directory, &source);
    if (status != CLI_OK)
        return status;
    status = print_log(&source, options, since_s);
    git_source_close(&source);
    return status;
}

const struct command command_log = {
    .name = "log",
    .summary = "what Git's history changed of the runs",
    .help =
        "usage: runs log [-C DIR] [--since DATE] [--json] [RUN]\n"
        "\n"
        "Lists what each commit in the history of HEAD changed of the runs, the newest first: runs that\n"
        "were added, removed or renamed, and changes of status and tokens. With RUN, a run id or as much\n"
        "of its beginning as tells it from the others, of that run alone and all names that it had; it\n"
        "need not be there any more.\n"
        "\n"
        "    runs log                               all there is\n"
        "    runs log 0a1b2c                        the life of one run\n"
        "    runs log --since 2025-10-16            commits from that day on, UTC\n"
        "    runs log --json | jq '.[] | select(.change == \"removed\").path'\n"
        "\n"
        "Of a merge that is told which is in none of its parents. Exit status: 0; 1 where there is\n"
        "nothing to tell, or no such run; 2 for an error, and where there are several such runs.\n",
    .accepts = CLI_OPTION_JSON | CLI_OPTION_SINCE,
    .argument = CLI_ARGUMENT_ONE_OR_ALL,
    .run = run_log,
};
