/*
 * Rendering, and the only place that knows the order of members in a manifest. Hundreds of entries are
 * rendered for one change, so an entry is put together from few, large pieces.
 */
#include "core/manifest/render.h"
#include "core/json/writer.h"
#include <inttypes.h>
#include <time.h>

static void append_literal(struct buffer *out, struct slice literal)
{
    buffer_append(out, literal.bytes, literal.length);
}
#define APPEND(out, literal) append_literal((out), SLICE_LITERAL(literal))

static void append_number(struct buffer *out, uint64_t number)
{
    char digits[20];
    size_t start = sizeof(digits);
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    buffer_append(out, digits + start, sizeof(digits) - start);
}

void render_line(struct buffer *out, unsigned depth)
{
    APPEND(out, "\n");
    for (unsigned i = 0; i < depth; i++)
        APPEND(out, "  ");
}

/* The name as a JSON string. */
static void append_name(struct buffer *out, const struct run *run)
{
    if (run->name_is_text) {
        json_append_string(out, run->name);
        return;
    }
    struct buffer text = {0};
    utf8_append_file_name(&text, run->name);
    json_append_string(out, buffer_slice(&text));
    buffer_free(&text);
}

/* `"place/name"` from two strings: the quotes where they meet make room for the '/'. Escapes go by code
 * points, and neither a place's text ends in nor a name's begins with half of a pair that only both make,
 * so this is what escaping the whole gives. */
static void append_path(struct buffer *out, const struct run *run)
{
    struct slice place = run->place->json;
    if (run->place->path.length == 0) {
        append_name(out, run);
        return;
    }
    buffer_append(out, place.bytes, place.length - 1);
    size_t meeting = out->length;
    append_name(out, run);
    out->bytes[meeting] = '/';
}

void render_entry(struct buffer *out, const struct run *run)
{
    const struct run_fields *fields = &run->fields;
    APPEND(out, ",\n    {\n      \"run_id\": ");
    append_name(out, run);
    APPEND(out, ",\n      \"framework\": ");
    buffer_append_slice(out, run->place->framework->json);
    APPEND(out, ",\n      \"path\": ");
    append_path(out, run);
    APPEND(out, ",\n      \"start_time\": ");
    json_append_string_or_null(out, fields->start_time);
    APPEND(out, ",\n      \"end_time\": ");
    json_append_string_or_null(out, fields->end_time);
    APPEND(out, ",\n      \"verification_status\": ");
    json_append_string(out, fields->status);
    APPEND(out, ",\n      \"total_tokens_in\": ");
    append_number(out, fields->tokens_in);
    APPEND(out, ",\n      \"total_tokens_out\": ");
    append_number(out, fields->tokens_out);
    struct slice extras = run_extras(run);
    if (extras.bytes) {
        APPEND(out, ",");
        render_line(out, RENDER_DEPTH_ENTRY);
        buffer_append_slice(out, extras);
    }
    APPEND(out, "\n    }");
}

static void append_frameworks(struct buffer *out, const struct framework_list *frameworks)
{
    APPEND(out, "{");
    for (size_t i = 0; i < frameworks->listed_count; i++) {
        if (i > 0)
            APPEND(out, ",");
        render_line(out, RENDER_DEPTH_TOP + 1);
        buffer_append_slice(out, frameworks->listed[i]->json);
        APPEND(out, ": ");
        append_number(out, frameworks->listed[i]->run_count);
    }
    if (frameworks->listed_count > 0)
        render_line(out, RENDER_DEPTH_TOP);
    APPEND(out, "}");
}

void render_header(struct buffer *out, struct slice last_updated, size_t run_count,
                   const struct framework_list *frameworks, size_t *from, size_t *to)
{
    APPEND(out, "{\n  \"version\": \"1.0\",\n  \"last_updated\": ");
    *from = out->length;
    if (last_updated.bytes)
        json_append_string(out, last_updated);
    else
        APPEND(out, "null");
    *to = out->length;
    APPEND(out, ",\n  \"total_runs\": ");
    append_number(out, run_count);
    APPEND(out, ",\n  \"frameworks\": ");
    append_frameworks(out, frameworks);
    APPEND(out, ",\n  \"runs\": [");
}

void render_trailer(struct buffer *out, size_t run_count, struct slice extras)
{
    if (run_count > 0)
        render_line(out, RENDER_DEPTH_TOP);
    APPEND(out, "]");
    if (extras.bytes) {
        APPEND(out, ",");
        render_line(out, RENDER_DEPTH_TOP);
        buffer_append_slice(out, extras);
    }
    APPEND(out, "\n}");
}

void render_time(struct buffer *out, struct timespec at)
{
    struct tm utc;
    char text[64];
    gmtime_r(&at.tv_sec, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    buffer_append_format(out, "%s.%06ldZ", text, at.tv_nsec / 1000);
}
