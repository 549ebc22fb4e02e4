/*
 * A run as an entry of the manifest: see entry.h.
 */
#include "core/cli/entry.h"
#include "core/json/writer.h"
#include <inttypes.h>

const char *const entry_field_names[ENTRY_FIELD_COUNT] = {
    [ENTRY_RUN_ID] = "run_id",
    [ENTRY_FRAMEWORK] = "framework",
    [ENTRY_PATH] = "path",
    [ENTRY_START_TIME] = "start_time",
    [ENTRY_END_TIME] = "end_time",
    [ENTRY_STATUS] = "verification_status",
    [ENTRY_TOKENS_IN] = "total_tokens_in",
    [ENTRY_TOKENS_OUT] = "total_tokens_out",
};

void entry_append_path(struct buffer *out, const struct run *run)
{
    run_append_path(run, out);
}

/* A name (or a path, of which the parts then read as each would alone) as a JSON string. */
static void append_name(struct buffer *out, struct slice name)
{
    struct buffer text = {0};
    utf8_append_file_name(&text, name);
    json_append_string(out, buffer_slice(&text));
    buffer_free(&text);
}

static void append_path(struct buffer *out, const struct run *run)
{
    struct buffer path = {0};
    entry_append_path(&path, run);
    append_name(out, buffer_slice(&path));
    buffer_free(&path);
}

void entry_append_value(struct buffer *out, const struct run *run, enum entry_field field)
{
    switch (field) {
    case ENTRY_RUN_ID:
        append_name(out, run->name);
        break;
    case ENTRY_FRAMEWORK:
        append_name(out, run_framework(run));
        break;
    case ENTRY_PATH:
        append_path(out, run);
        break;
    case ENTRY_START_TIME:
        json_append_string_or_null(out, run->fields.start_time);
        break;
    case ENTRY_END_TIME:
        json_append_string_or_null(out, run->fields.end_time);
        break;
    case ENTRY_STATUS:
        json_append_string(out, run->fields.status);
        break;
    case ENTRY_TOKENS_IN:
        buffer_append_format(out, "%" PRIu64, run->fields.tokens_in);
        break;
    case ENTRY_TOKENS_OUT:
        buffer_append_format(out, "%" PRIu64, run->fields.tokens_out);
        break;
    case ENTRY_FIELD_COUNT:
        break;
    }
}

static void append_line(struct buffer *out, unsigned depth)
{
    buffer_append_format(out, "\n%*s", (int)(2 * depth), "");
}

void entry_append(struct buffer *out, const struct run *run, unsigned depth)
{
    buffer_append_byte(out, '{');
    for (enum entry_field field = 0; field < ENTRY_FIELD_COUNT; field++) {
        if (field > 0)
            buffer_append_byte(out, ',');
        append_line(out, depth + 1);
        buffer_append_format(out, "\"%s\": ", entry_field_names[field]);
        entry_append_value(out, run, field);
    }
    append_line(out, depth);
    buffer_append_byte(out, '}');
}
