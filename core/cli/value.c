/*
 * Values in a manifest's text: see value.h.
 */
#include "core/cli/value.h"
#include "core/json/writer.h"

/* Of a value no more than this is shown. */
#define SHOWN_BYTES 120

bool value_read_members(struct json_reader *reader, enum json_token token, const char *const *names,
                        size_t count, struct value *values)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (struct value){JSON_END, SLICE_ABSENT};
    if (token != JSON_OBJECT_BEGIN) {
        json_skip_value(reader, token, NULL);
        return false;
    }
    while (json_next(reader) == JSON_MEMBER) {
        size_t place = 0;
        while (place < count && !json_member_is(reader, names[place]))
            place++;
        struct value value;
        value.token = json_next(reader);
        if (json_skip_value(reader, value.token, &value.raw) != 0)
            break;
        if (place < count)
            values[place] = value;
    }
    return true;
}

static bool is_scalar(const struct value *value)
{
    return value->token != JSON_END && value->token != JSON_OBJECT_BEGIN && value->token != JSON_ARRAY_BEGIN;
}

bool value_is(const struct value *value, struct slice spelling)
{
    if (!is_scalar(value))
        return false;
    if (slice_equal(value->raw, spelling))
        return true;
    struct buffer respelled = {0};
    json_append_value(&respelled, value->raw, 0);
    bool same = slice_equal(buffer_slice(&respelled), spelling);
    buffer_free(&respelled);
    return same;
}

bool value_text(const struct value *value, struct buffer *text)
{
    if (value->token != JSON_STRING)
        return false;
    struct json_reader reader;
    json_reader_init(&reader, value->raw);
    json_next(&reader);
    buffer_append_slice(text, reader.text);
    json_reader_finish(&reader);
    return true;
}

static void append_cut(struct slice literal, struct buffer *out)
{
    size_t length = literal.length > SHOWN_BYTES ? SHOWN_BYTES : literal.length;
    buffer_append(out, literal.bytes, length);
    if (length < literal.length)
        buffer_append_text(out, "...");
}

void value_append_short(const struct value *value, struct buffer *out)
{
    struct buffer literal = {0};
    json_append_value(&literal, value->raw, 0);
    append_cut(buffer_slice(&literal), out);
    buffer_free(&literal);
}

void value_append_quoted(struct slice text, struct buffer *out)
{
    struct buffer literal = {0};
    json_append_string(&literal, text);
    append_cut(buffer_slice(&literal), out);
    buffer_free(&literal);
}

void value_describe(const struct value *value, struct buffer *out)
{
    if (value->token == JSON_END) {
        buffer_append_text(out, "is missing");
        return;
    }
    buffer_append_text(out, "stands ");
    if (value->token == JSON_OBJECT_BEGIN)
        buffer_append_text(out, "an object");
    else if (value->token == JSON_ARRAY_BEGIN)
        buffer_append_text(out, "an array");
    else
        value_append_short(value, out);
}
