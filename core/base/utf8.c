/*
 * UTF-8 as Python decodes it (RFC 3629: shortest form, no surrogates, at most U+10FFFF), and its extension by
 * lone surrogates ("WTF-8"), in which JSON strings and file names are kept.
 */
#include "core/base/text.h"

#include <string.h>

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t utf8_decode(struct slice text, bool wtf8, uint32_t *code_point)
{
    const unsigned char *bytes = (const unsigned char *)text.bytes;

    if (text.length < 1)
        return 0;
    unsigned char lead = bytes[0];
    if (lead < 0x80) {
        *code_point = lead;
        return 1;
    }
    /* 0x80 to 0xbf are continuations, 0xc0 and 0xc1 would begin an overlong form. */
    if (lead < 0xc2 || text.length < 2 || !is_continuation(bytes[1]))
        return 0;
    if (lead < 0xe0) {
        *code_point = (lead & 0x1fu) << 6 | (bytes[1] & 0x3fu);
        return 2;
    }
    if (text.length < 3 || !is_continuation(bytes[2]))
        return 0;
    if (lead < 0xf0) {
        uint32_t value = (lead & 0x0fu) << 12 | (bytes[1] & 0x3fu) << 6 | (bytes[2] & 0x3fu);

        if (value < 0x800 || (!wtf8 && value >= 0xd800 && value <= 0xdfff))
            return 0;
        *code_point = value;
        return 3;
    }
    if (lead > 0xf4 || text.length < 4 || !is_continuation(bytes[3]))
        return 0;
    uint32_t value =
        (lead & 0x07u) << 18 | (bytes[1] & 0x3fu) << 12 | (bytes[2] & 0x3fu) << 6 | (bytes[3] & 0x3fu);
    if (value < 0x10000 || value > 0x10ffff)
        return 0;
    *code_point = value;
    return 4;
}

void utf8_append(struct buffer *buffer, uint32_t code_point)
{
    char bytes[4];
    size_t length;

    if (code_point < 0x80) {
        bytes[0] = (char)code_point;
        length = 1;
    } else if (code_point < 0x800) {
        bytes[0] = (char)(0xc0 | code_point >> 6);
        length = 2;
    } else if (code_point < 0x10000) {
        bytes[0] = (char)(0xe0 | code_point >> 12);
        length = 3;
    } else {
        bytes[0] = (char)(0xf0 | code_point >> 18);
        length = 4;
    }
    for (size_t i = length - 1; i > 0; i--, code_point >>= 6)
        bytes[i] = (char)(0x80 | (code_point & 0x3f));
    buffer_append(buffer, bytes, length);
}

void utf8_append_file_name(struct buffer *buffer, struct slice name)
{
    while (name.length) {
        uint32_t code_point;
        size_t length = utf8_decode(name, false, &code_point);

        if (length) {
            buffer_append(buffer, name.bytes, length);
        } else {
            utf8_append(buffer, 0xdc00u + (unsigned char)name.bytes[0]);
            length = 1;
        }
        name.bytes += length;
        name.length -= length;
    }
}

bool utf8_take_file_name(struct slice text, struct buffer *name)
{
    struct buffer again = {0};

    buffer_clear(name);
    if (!memchr(text.bytes, 0xed, text.length)) { /* no surrogates: they all begin so */
        buffer_append_slice(name, text);
        return true;
    }
    for (size_t i = 0; i < text.length;) {
        uint32_t code_point;
        struct slice rest = {text.bytes + i, text.length - i};
        size_t length = utf8_decode(rest, true, &code_point);

        if (length == 0)
            return false;
        if (code_point >= 0xdc80 && code_point <= 0xdcff)
            buffer_append_byte(name, (char)(code_point - 0xdc00));
        else
            buffer_append(name, rest.bytes, length);
        i += length;
    }
    /* Escapes that together are UTF-8, or another surrogate, would not be written like that. */
    utf8_append_file_name(&again, buffer_slice(name));
    bool is_name = slice_equal(buffer_slice(&again), text);
    buffer_free(&again);
    return is_name;
}
