/*
 * `runs list`: every run, in the manifest's order, as the files say it now.
 */
#include "core/cli/cli.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include "core/query/moment.h"
#include "core/cli/table.h"
#include <stdlib.h>

static const struct table_column columns[] = {
    {"RUN", false, 8},     {"FRAMEWORK", false, 8}, {"STATUS", false, 8}, {"START", false, 19},
    {"DURATION", true, 0}, {"TOKENS IN", true, 0},  {"OUT", true, 0},
};

/* Green for what is well, yellow for what is not decided, red for what is known to be wrong. */
static const char *color_of_status(struct slice status)
{
    static const struct {
        struct slice status;
        const char *color;
    } colors[] = {
        {SLICE_CONSTANT("verified"), "32"},    {SLICE_CONSTANT("pending"), "33"},
        {SLICE_CONSTANT("discrepancy"), "31"}, {SLICE_CONSTANT("failed"), "31"},
        {SLICE_CONSTANT("error"), "31"},
    };
    for (size_t i = 0; i < sizeof(colors) / sizeof(*colors); i++)
        if (slice_equal(status, colors[i].status))
            return colors[i].color;
    return NULL;
}

/* cell is overwritten. */
static void add_time(struct table *table, struct slice time, struct buffer *cell)
{
    buffer_clear(cell);
    if (time.bytes)
        display_append_time(cell, time);
    else
        buffer_append_byte(cell, '-');
    table_add(table, buffer_slice(cell), NULL);
}

static void add_duration(struct table *table, const struct run_fields *fields, struct buffer *cell)
{
    int64_t start, end;
    buffer_clear(cell);
    if (moment_parse(fields->start_time, &start) == 0 && moment_parse(fields->end_time, &end) == 0)
        display_append_duration(cell, moment_seconds(end - start));
    else
        buffer_append_byte(cell, '-');
    table_add(table, buffer_slice(cell), NULL);
}

static void add_count(struct table *table, uint64_t count, struct buffer *cell)
{
    buffer_clear(cell);
    display_append_count(cell, count);
    table_add(table, buffer_slice(cell), NULL);
}

static void append_table(struct index *index, struct buffer *out)
{
    struct table *table = table_create(columns, sizeof(columns) / sizeof(*columns));
    struct buffer cell = {0};
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        table_add(table, run->name, NULL);
        table_add(table, run_framework(run), NULL);
        table_add(table, run->fields.status, color_of_status(run->fields.status));
        add_time(table, run->fields.start_time, &cell);
        add_duration(table, &run->fields, &cell);
        add_count(table, run->fields.tokens_in, &cell);
        add_count(table, run->fields.tokens_out, &cell);
    }
    table_print(table, cli_terminal_width(), cli_wants_color(), out);
    buffer_free(&cell);
    table_destroy(table);
}

static void append_paths(struct index *index, char end, struct buffer *out)
{
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        entry_append_path(out, run);
        buffer_append_byte(out, end);
    }
}

static void append_json(struct index *index, struct buffer *out)
{
    buffer_append_byte(out, '[');
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        buffer_append_text(out, run == index_first(index) ? "\n  " : ",\n  ");
        entry_append(out, run, 1);
    }
    buffer_append_text(out, index_count(index) > 0 ? "\n]\n" : "]\n");
}

static enum cli_status list(struct keeper *keeper, unsigned set)
{
    struct buffer out = {0};
    struct index *index = keeper_lock(keeper);
    enum cli_status matched = index_count(index) > 0 ? CLI_OK : CLI_FINDING;
    if (set & CLI_OPTION_JSON)
        append_json(index, &out);
    else if (set & (CLI_OPTION_PATHS | CLI_OPTION_NUL))
        append_paths(index, set & CLI_OPTION_NUL ? '\0' : '\n', &out);
    else
        append_table(index, &out);
    keeper_unlock(keeper);
    enum cli_status printed = cli_print(&out);
    buffer_free(&out);
    return printed == CLI_OK ? matched : printed;
}

static enum cli_status run_list(const struct cli_options *options)
{
    enum cli_status status = CLI_ERROR;
    if ((options->set & CLI_OPTION_JSON) && (options->set & (CLI_OPTION_PATHS | CLI_OPTION_NUL))) {
        cli_error("--json and --paths exclude each other; give one of them");
        return CLI_ERROR;
    }
    char *source_path = find_source(options->directory);
    struct keeper *keeper = source_path ? open_source(source_path, true, false) : NULL;
    if (keeper) {
        status = list(keeper, options->set);
        keeper_close(keeper);
    }
    free(source_path);
    return status;
}

const struct command command_list = {
    .name = "list",
    .summary = "all runs: a table, or --json, --paths, -0",
    .help =
        "usage: runs list [-C DIR] [--json | --paths | -0]\n"
        "\n"
        "Lists every run, in the manifest's order (start time, run id), as its files say it now.\n"
        "\n"
        "    runs list                              a table\n"
        "    runs list --json | jq '.[].run_id'     the manifest's entries, as an array\n"
        "    runs list --paths                      <framework>/<run-id>, one a line\n"
        "    runs list -0 | xargs -0 du -sh         the same, each ended by a NUL: for names of any kind\n"
        "    runs list -C ~/experiment/runs         of another source than the one around you\n"
        "\n"
        "The table is for people: counts are rounded, times are in UTC, what does not fit the terminal is\n"
        "cut. Exit status: 0; 1 where there is no run; 2 for an error.\n",
    .accepts = CLI_OPTION_JSON | CLI_OPTION_PATHS | CLI_OPTION_NUL,
    .run = run_list,
};
