/*
 * `runs du`: what each run takes on disk, its tracked files apart from the rest. All cores look at runs.
 */
#include "core/base/memory.h"
#include "core/base/progress.h"
#include "core/base/team.h"
#include "core/cli/cli.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include "core/cli/table.h"
#include "core/cli/usage.h"
#include "core/json/writer.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A thread is not worth its start for fewer. */
#define RUNS_PER_THREAD 4

struct measured_run {
    struct slice name, framework; /* owned */
    char *path;
    struct usage usage;
    int error; /* the run itself can't be opened; -ENOENT: it is gone */
};

struct measured_list {
    int source_fd;
    struct config *config;
    struct measured_run *runs;
    size_t count;
    atomic_size_t next;
    struct usage total;
};

static void list_runs(struct keeper *keeper, struct measured_list *list)
{
    struct index *index = keeper_lock(keeper);
    list->runs = memory_alloc_zeroed(index_count(index) + 1, sizeof(*list->runs));
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        struct measured_run *measured = &list->runs[list->count++];
        struct buffer path = {0};
        entry_append_path(&path, run);
        measured->name = slice_copy(run->name);
        measured->framework = slice_copy(run_framework(run));
        measured->path = path.bytes;
    }
    keeper_unlock(keeper);
}

static bool measure_next(struct measured_list *list)
{
    size_t next = atomic_fetch_add(&list->next, 1);
    if (next >= list->count)
        return false;
    struct measured_run *run = &list->runs[next];
    run->error = usage_measure(list->source_fd, run->path, list->config, &run->usage);
    return true;
}

static void *work(void *context)
{
    while (measure_next(context))
        continue;
    return NULL;
}

static void measure(struct measured_list *list)
{
    struct team team;
    struct progress progress;
    progress_begin(&progress, "runs");
    team_start(&team, team_worth(list->count, RUNS_PER_THREAD) - 1, work, list);
    while (measure_next(list))
        progress_update(&progress, atomic_load(&list->next), list->count);
    team_join(&team);
    progress_end(&progress);
    for (size_t i = 0; i < list->count; i++)
        usage_add(&list->total, &list->runs[i].usage);
}

static void list_free(struct measured_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        slice_free(&list->runs[i].name);
        slice_free(&list->runs[i].framework);
        free(list->runs[i].path);
        usage_free(&list->runs[i].usage);
    }
    free(list->runs);
    usage_free(&list->total);
    config_unref(list->config);
}

/* ---- for people ---- */

static const struct table_column columns[] = {
    {"RUN", false, 8},  {"FRAMEWORK", false, 8}, {"TRACKED", true, 0},
    {"FILES", true, 0}, {"IGNORED", true, 0},    {"FILES", true, 0},
};

static uint64_t size_of(const struct usage_amount *amount, bool is_apparent)
{
    return is_apparent ? amount->apparent_bytes : amount->disk_bytes;
}

static void add_amount(struct table *table, const struct usage_amount *amount, bool is_apparent)
{
    struct buffer cell = {0};
    display_append_size(&cell, size_of(amount, is_apparent));
    table_add(table, buffer_slice(&cell), NULL);
    buffer_clear(&cell);
    display_append_count(&cell, amount->files);
    table_add(table, buffer_slice(&cell), NULL);
    buffer_free(&cell);
}

static void append_table(const struct measured_list *list, bool is_apparent, struct buffer *out)
{
    struct table *table = table_create(columns, sizeof(columns) / sizeof(*columns));
    struct buffer total = {0};
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct measured_run *run = &list->runs[i];
        if (run->error == -ENOENT)
            continue;
        count++;
        table_add(table, run->name, NULL);
        table_add(table, run->framework, NULL);
        add_amount(table, &run->usage.tracked, is_apparent);
        add_amount(table, &run->usage.ignored, is_apparent);
    }
    buffer_append_format(&total, "%zu %s", count, count == 1 ? "run" : "runs");
    table_add(table, buffer_slice(&total), NULL);
    table_add(table, SLICE_LITERAL(""), NULL);
    add_amount(table, &list->total.tracked, is_apparent);
    add_amount(table, &list->total.ignored, is_apparent);
    table_print(table, cli_terminal_width(), cli_wants_color(), out);
    buffer_free(&total);
    table_destroy(table);
}

/* ---- for programs ---- */

static void append_amounts(struct buffer *out, const struct usage *usage, bool is_apparent)
{
    buffer_append_format(out,
                         "\"tracked_bytes\": %" PRIu64 ", \"tracked_files\": %" PRIu64
                         ", \"ignored_bytes\": %" PRIu64 ", \"ignored_files\": %" PRIu64,
                         size_of(&usage->tracked, is_apparent), usage->tracked.files,
                         size_of(&usage->ignored, is_apparent), usage->ignored.files);
}

static void append_member(struct buffer *out, const char *member, struct slice name)
{
    struct buffer text = {0};
    utf8_append_file_name(&text, name);
    buffer_append_format(out, "\"%s\": ", member);
    json_append_string(out, buffer_slice(&text));
    buffer_append_text(out, ", ");
    buffer_free(&text);
}

static void append_json(const struct measured_list *list, bool is_apparent, struct buffer *out)
{
    const char *before = "\n    {";
    buffer_append_text(out, "{\n  \"runs\": [");
    for (size_t i = 0; i < list->count; i++) {
        const struct measured_run *run = &list->runs[i];
        if (run->error == -ENOENT)
            continue;
        buffer_append_text(out, before);
        append_member(out, "run_id", run->name);
        append_member(out, "framework", run->framework);
        append_member(out, "path", slice_of(run->path));
        append_amounts(out, &run->usage, is_apparent);
        buffer_append_byte(out, '}');
        before = ",\n    {";
    }
    buffer_append_text(out, before[0] == ',' ? "\n  ],\n  \"total\": {" : "],\n  \"total\": {");
    append_amounts(out, &list->total, is_apparent);
    buffer_append_text(out, "}\n}\n");
}

/* ---- the command ---- */

/* What is missing in the sums, in a line. */
static enum cli_status tell_of_faults(const struct measured_list *list)
{
    const char *path = NULL;
    int error = 0;
    size_t count = list->total.fault_count;
    for (size_t i = 0; i < list->count; i++) {
        const struct measured_run *run = &list->runs[i];
        bool is_closed = run->error != 0 && run->error != -ENOENT;
        count += is_closed;
        if (path || !(is_closed || run->usage.fault_path))
            continue;
        path = run->usage.fault_path ? run->usage.fault_path : run->path;
        error = run->usage.fault_path ? run->usage.fault : run->error;
    }
    if (count == 0)
        return CLI_OK;
    cli_error("%s: %s; the sizes are without %s%zu that can't be looked at", path, strerrordesc_np(-error),
              count == 1 ? "this " : "these ", count);
    return CLI_ERROR;
}

static enum cli_status du(struct keeper *keeper, const char *source_path, unsigned set)
{
    struct measured_list list = {.source_fd = source_root_fd(keeper_source(keeper))};
    list.config = open_config(list.source_fd, source_path);
    if (!list.config)
        return CLI_ERROR;
    struct buffer out = {0};
    bool is_apparent = set & CLI_OPTION_APPARENT_SIZE;
    list_runs(keeper, &list);
    measure(&list);
    if (set & CLI_OPTION_JSON)
        append_json(&list, is_apparent, &out);
    else
        append_table(&list, is_apparent, &out);
    enum cli_status status = cli_print(&out);
    enum cli_status complete = tell_of_faults(&list);
    if (status == CLI_OK)
        status = complete != CLI_OK ? complete : list.count > 0 ? CLI_OK : CLI_FINDING;
    list_free(&list);
    buffer_free(&out);
    return status;
}

static enum cli_status run_du(const struct cli_options *options)
{
    enum cli_status status = CLI_ERROR;
    char *source_path = find_source(options->directory);
    struct keeper *keeper = source_path ? open_source(source_path, true, false) : NULL;
    if (keeper) {
        status = du(keeper, source_path, options->set);
        keeper_close(keeper);
    }
    free(source_path);
    return status;
}

const struct command command_du = {
    .name = "du",
    .summary = "what each run takes on disk: tracked files, and all else",
    .help =
        "usage: runs du [-C DIR] [--apparent-size] [--json]\n"
        "\n"
        "Shows what each run takes on disk: the tracked files, which Git keeps, and everything else in it. "
        "A\n"
        "file with several names counts once in a run, and once in the sum over all of them. Links are not\n"
        "followed, and what is mounted in a run does not count.\n"
        "\n"
        "    runs du                                a table, in the manifest's order, with the sum\n"
        "    runs du --apparent-size                the lengths of files in place of blocks on disk\n"
        "    runs du --json | jq -r '.runs | sort_by(-.ignored_bytes)[:10][] | \"\\(.ignored_bytes) "
        "\\(.path)\"'\n"
        "                                           the ten largest, in bytes\n"
        "\n"
        "Exit status: 0; 1 where there is no run; 2 for an error, and where something can't be looked at.\n",
    .accepts = CLI_OPTION_JSON | CLI_OPTION_APPARENT_SIZE,
    .run = run_du,
};
