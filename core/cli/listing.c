/*
 * Runs as a table, as the manifest's entries or as paths: see listing.h.
 */
#include "core/cli/listing.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include "core/cli/table.h"
#include "core/query/moment.h"

static const struct table_column columns[] = {
    {"RUN", false, 8},     {"FRAMEWORK", false, 8}, {"STATUS", false, 8}, {"START", false, 19},
    {"DURATION", true, 0}, {"TOKENS IN", true, 0},  {"OUT", true, 0},
};

/* Green for what is well, yellow for what is not decided, red for what is known to be wrong. */
const char *listing_status_color(struct slice status)
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

static void append_table(const struct run_list *list, struct buffer *out)
{
    struct table *table = table_create(columns, sizeof(columns) / sizeof(*columns));
    struct buffer cell = {0};
    for (size_t i = 0; i < list->count; i++) {
        const struct run *run = list->runs[i];
        table_add(table, run->name, NULL);
        table_add(table, run_framework(run), NULL);
        table_add(table, run->fields.status, listing_status_color(run->fields.status));
        add_time(table, run->fields.start_time, &cell);
        add_duration(table, &run->fields, &cell);
        add_count(table, run->fields.tokens_in, &cell);
        add_count(table, run->fields.tokens_out, &cell);
    }
    table_print(table, cli_terminal_width(), cli_wants_color(), out);
    buffer_free(&cell);
    table_destroy(table);
}

static void append_paths(const struct run_list *list, char end, struct buffer *out)
{
    for (size_t i = 0; i < list->count; i++) {
        entry_append_path(out, list->runs[i]);
        buffer_append_byte(out, end);
    }
}

static void append_json(const struct run_list *list, struct buffer *out)
{
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buffer_append_text(out, i == 0 ? "\n  " : ",\n  ");
        entry_append(out, list->runs[i], 1);
    }
    buffer_append_text(out, list->count > 0 ? "\n]\n" : "]\n");
}

enum cli_status listing_print(const struct run_list *list, unsigned set)
{
    struct buffer out = {0};
    if (set & CLI_OPTION_JSON)
        append_json(list, &out);
    else if (set & (CLI_OPTION_PATHS | CLI_OPTION_NUL))
        append_paths(list, set & CLI_OPTION_NUL ? '\0' : '\n', &out);
    else
        append_table(list, &out);
    enum cli_status printed = cli_print(&out);
    buffer_free(&out);
    return printed == CLI_OK && list->count == 0 ? CLI_FINDING : printed;
}
