/*
 * JSON as Python's json.dump(..., indent=2) spells it: strings, and whole values laid out anew.
 */
#include "core/json/writer.h"

#include "core/json/reader.h"

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void append_unit(struct buffer *out, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\',
                      'u',
                      digits[unit >> 12 & 15],
                      digits[unit >> 8 & 15],
                      digits[unit >> 4 & 15],
                      digits[unit & 15]};

    buffer_append(out, escape, sizeof(escape));
}

static void append_escaped(struct buffer *out, uint32_t code_point)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\',
    };

    if (code_point < sizeof(letters) && letters[code_point]) {
        buffer_append(out, (char[]){'\\', letters[code_point]}, 2);
    } else if (code_point < 0x10000) {
        append_unit(out, code_point);
    } else {
        append_unit(out, 0xd800 + ((code_point - 0x10000) >> 10));
        append_unit(out, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
    }
}

void json_append_string(struct buffer *out, struct slice text)
{
    size_t position = 0;

    buffer_append_byte(out, '"');
    while (position < text.length) {
        size_t start = position;
        uint32_t code_point;

        while (position < text.length && is_plain((unsigned char)text.bytes[position]))
            position++;
        buffer_append(out, text.bytes + start, position - start);
        if (position == text.length)
            break;
        struct slice rest = {text.bytes + position, text.length - position};
        size_t size = utf8_decode(rest, true, &code_point);
        if (size == 0) {
            /* Not WTF-8: as os.fsdecode would have the byte, so that what is written is JSON whatever comes.
             */
            code_point = 0xdc00u + (unsigned char)rest.bytes[0];
            size = 1;
        }
        append_escaped(out, code_point);
        position += size;
    }
    buffer_append_byte(out, '"');
}

void json_append_string_or_null(struct buffer *out, struct slice text)
{
    if (text.bytes)
        json_append_string(out, text);
    else
        buffer_append_text(out, "null");
}

static void append_line_start(struct buffer *out, unsigned depth)
{
    buffer_append_byte(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        buffer_append(out, "  ", 2);
}

/* The lexeme of the current token, as it stands in the input. */
static struct slice lexeme(const struct json_reader *reader)
{
    return (struct slice){reader->input.bytes + reader->token_start, reader->position - reader->token_start};
}

/* Appends one token; before it, where it begins a member or an element, the comma and the line it stands on.
 */
static void append_token(struct buffer *out, const struct json_reader *reader, enum json_token token,
                         enum json_token before, unsigned depth)
{
    bool is_end = token == JSON_OBJECT_END || token == JSON_ARRAY_END;
    bool is_first = before == JSON_OBJECT_BEGIN || before == JSON_ARRAY_BEGIN;

    if (before == JSON_MEMBER) {
        buffer_append(out, ": ", 2);
    } else if (before != JSON_END && !(is_end && is_first)) {
        if (!is_end && !is_first)
            buffer_append_byte(out, ',');
        append_line_start(out, depth);
    }
    if (token == JSON_MEMBER || token == JSON_STRING)
        json_append_string(out, reader->text);
    else
        buffer_append_slice(out, lexeme(reader));
}

void json_append_value(struct buffer *out, struct slice raw, unsigned depth)
{
    struct json_reader reader;
    enum json_token before = JSON_END; /* nothing yet */

    json_reader_init(&reader, raw);
    for (;;) {
        unsigned depth_before = reader.depth;
        enum json_token token = json_next(&reader);

        if (token == JSON_END || token == JSON_ERROR)
            break;
        /* What opens a level stands on its parent's, what closes one as well. */
        unsigned own_depth = reader.depth < depth_before ? reader.depth : depth_before;
        append_token(out, &reader, token, before, depth + own_depth);
        before = token;
    }
    json_reader_finish(&reader);
}
