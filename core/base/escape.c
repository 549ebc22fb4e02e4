/*
 * Values as names in a view: the escape and its inverse. Every unit (an escape, an ASCII character, a UTF-8
 * sequence) is written whole or not at all, so a cut name is still valid UTF-8 and still decodes.
 */
#include "core/base/escape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* '~' and 16 hexadecimal digits. */
#define HASH_SUFFIX_BYTES 17

static bool is_escaped(uint32_t code_point, bool is_first)
{
    return code_point < 0x20 || code_point == 0x7f || code_point == '/' || code_point == '%' ||
           (is_first && code_point == '.');
}

/* Writes the unit at the start of rest to unit; returns its length and sets how much of rest it stands for.
 */
static size_t encode_unit(struct slice rest, bool is_first, char unit[4], size_t *consumed)
{
    static const char digits[] = "0123456789ABCDEF";
    uint32_t code_point;
    size_t size = utf8_decode(rest, false, &code_point);

    if (size && !is_escaped(code_point, is_first)) {
        memcpy(unit, rest.bytes, size);
        *consumed = size;
        return size;
    }
    unsigned char byte = (unsigned char)rest.bytes[0];
    unit[0] = '%';
    unit[1] = digits[byte >> 4];
    unit[2] = digits[byte & 15];
    *consumed = 1;
    return 3;
}

size_t escape_value(struct slice value, char name[LIMIT_NAME_BYTES + 1])
{
    size_t position = 0;
    size_t length = 0;
    size_t cut_length = 0; /* the longest run of whole units that leaves room for the hash */

    if (value.length == 0) {
        memcpy(name, "%", 2);
        return 1;
    }
    while (position < value.length) {
        char unit[4];
        size_t consumed;
        struct slice rest = {value.bytes + position, value.length - position};
        size_t size = encode_unit(rest, position == 0, unit, &consumed);

        if (length + size > LIMIT_NAME_BYTES) {
            snprintf(name + cut_length, HASH_SUFFIX_BYTES + 1, "~%016" PRIx64, text_hash(value));
            return cut_length + HASH_SUFFIX_BYTES;
        }
        memcpy(name + length, unit, size);
        length += size;
        position += consumed;
        if (length <= LIMIT_NAME_BYTES - HASH_SUFFIX_BYTES)
            cut_length = length;
    }
    name[length] = '\0';
    return length;
}

static int hexadecimal_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

int escape_decode(struct slice name, struct buffer *value)
{
    size_t length_before = value->length;

    if (name.length == 1 && name.bytes[0] == '%') {
        buffer_append(value, "", 0);
        return 0;
    }
    for (size_t i = 0; i < name.length; i++) {
        if (name.bytes[i] != '%') {
            buffer_append_byte(value, name.bytes[i]);
            continue;
        }
        int high = i + 2 < name.length ? hexadecimal_value(name.bytes[i + 1]) : -1;
        int low = i + 2 < name.length ? hexadecimal_value(name.bytes[i + 2]) : -1;
        if (high < 0 || low < 0) {
            value->length = length_before;
            if (value->bytes)
                value->bytes[length_before] = '\0';
            return -EINVAL;
        }
        buffer_append_byte(value, (char)(high << 4 | low));
        i += 2;
    }
    return 0;
}

void escape_undo_octal(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned code;
        if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
            *to = (char)code;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}
