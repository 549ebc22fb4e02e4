/*
 * String literals. Most bytes of a large file are plain text in strings, so scanning looks at eight at a
 * time; only what stops it (quote, backslash, control character, anything beyond ASCII) is looked at one by
 * one.
 */
#include "core/json/string_literal.h"

#include <errno.h>
#include <string.h>

#define EACH_BYTE(value) (0x0101010101010101u * (value))

/* Is any of the eight bytes a quote, a backslash, below 0x20 or above 0x7f? Never misses one. */
static bool word_has_special(uint64_t word)
{
    uint64_t quotes = word ^ EACH_BYTE('"');
    uint64_t backslashes = word ^ EACH_BYTE('\\');
    uint64_t found = ((quotes - EACH_BYTE(1)) & ~quotes) | ((backslashes - EACH_BYTE(1)) & ~backslashes) |
                     ((word - EACH_BYTE(0x20)) & ~word) | word;

    return found & EACH_BYTE(0x80);
}

static bool is_special(unsigned char byte)
{
    return byte == '"' || byte == '\\' || byte < 0x20 || byte > 0x7f;
}

/* The position of the first special byte from position on, or the text's length. */
static size_t skip_plain(struct slice text, size_t position)
{
    while (position + sizeof(uint64_t) <= text.length) {
        uint64_t word;

        memcpy(&word, text.bytes + position, sizeof(word));
        if (word_has_special(word))
            break;
        position += sizeof(word);
    }
    while (position < text.length && !is_special((unsigned char)text.bytes[position]))
        position++;
    return position;
}

/* The value of four hexadecimal digits, or -1. */
static int32_t parse_hexadecimal(const char *digits)
{
    int32_t value = 0;

    for (int i = 0; i < 4; i++) {
        char digit = digits[i];

        value <<= 4;
        if (digit >= '0' && digit <= '9')
            value |= digit - '0';
        else if (digit >= 'a' && digit <= 'f')
            value |= digit - 'a' + 10;
        else if (digit >= 'A' && digit <= 'F')
            value |= digit - 'A' + 10;
        else
            return -1;
    }
    return value;
}

/* The length of the escape whose backslash stands at position: 2, 6, or 0 where it is none. */
static size_t escape_length(struct slice text, size_t position)
{
    size_t available = text.length - position;

    if (available < 2 || text.bytes[position + 1] == '\0')
        return 0;
    if (text.bytes[position + 1] == 'u')
        return available >= 6 && parse_hexadecimal(text.bytes + position + 2) >= 0 ? 6 : 0;
    return strchr("\"\\/bfnrt", text.bytes[position + 1]) ? 2 : 0;
}

static int scan_failed(struct json_string *string, size_t position, const char *error)
{
    string->error = error;
    string->error_position = position;
    return -EBADMSG;
}

int json_string_scan(struct slice text, struct json_string *string)
{
    size_t position = 1;

    *string = (struct json_string){0};
    for (;;) {
        size_t size;

        position = skip_plain(text, position);
        if (position == text.length)
            return scan_failed(string, 0, "a string without an end");
        unsigned char byte = (unsigned char)text.bytes[position];
        if (byte == '"')
            break;
        if (byte < 0x20)
            return scan_failed(string, position, "a control character in a string");
        if (byte == '\\') {
            size = escape_length(text, position);
            if (size == 0)
                return scan_failed(string, position, "an escape that JSON does not have");
            string->has_escapes = true;
        } else {
            uint32_t code_point;

            size = utf8_decode((struct slice){text.bytes + position, text.length - position}, false,
                               &code_point);
            if (size == 0)
                return scan_failed(string, position, "not UTF-8");
        }
        position += size;
    }
    string->inner = (struct slice){text.bytes + 1, position - 1};
    string->length = position + 1;
    return 0;
}

/* The code point of the \u escape at position; a low surrogate that follows a high one is taken with it. */
static uint32_t decode_unicode_escape(struct slice inner, size_t *position)
{
    uint32_t unit = (uint32_t)parse_hexadecimal(inner.bytes + *position + 2);

    *position += 6;
    if (unit < 0xd800 || unit > 0xdbff || inner.length - *position < 6 || inner.bytes[*position] != '\\' ||
        inner.bytes[*position + 1] != 'u')
        return unit;
    uint32_t low = (uint32_t)parse_hexadecimal(inner.bytes + *position + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return unit;
    *position += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static char decode_short_escape(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default: /* quote, backslash and slash stand for themselves */
        return letter;
    }
}

int json_string_decode(struct slice inner, struct buffer *decoded)
{
    size_t position = 0;

    buffer_clear(decoded);
    /* No escape is shorter than what it stands for. */
    if (buffer_reserve(decoded, inner.length) < 0)
        return -ENOMEM;
    while (position < inner.length) {
        const char *start = inner.bytes + position;
        const char *backslash = memchr(start, '\\', inner.length - position);
        size_t plain = backslash ? (size_t)(backslash - start) : inner.length - position;

        buffer_append(decoded, start, plain);
        position += plain;
        if (!backslash)
            break;
        if (inner.bytes[position + 1] == 'u') {
            utf8_append(decoded, decode_unicode_escape(inner, &position));
        } else {
            buffer_append_byte(decoded, decode_short_escape(inner.bytes[position + 1]));
            position += 2;
        }
    }
    return 0;
}
