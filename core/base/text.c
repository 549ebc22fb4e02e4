/*
 * Slices (borrowed bytes) and buffers (owned bytes that grow), and the one hash of texts.
 */
#include "core/base/text.h"

#include "core/base/log.h"
#include "core/base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slice slice_of(const char *nul_terminated)
{
    return (struct slice){nul_terminated, nul_terminated ? strlen(nul_terminated) : 0};
}

bool slice_equal(struct slice a, struct slice b)
{
    if (!a.bytes || !b.bytes)
        return a.bytes == b.bytes;
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.bytes, b.bytes, common) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

struct slice slice_copy(struct slice original)
{
    if (!original.bytes)
        return SLICE_ABSENT;
    return (struct slice){memory_copy_text(original.bytes, original.length), original.length};
}

void slice_free(struct slice *owned)
{
    free((char *)owned->bytes);
    *owned = SLICE_ABSENT;
}

/* The capacity for `additional` more bytes and the NUL behind them, grown by half at least so that appending
 * is linear; 0 where no size_t holds it. */
static size_t grown_capacity(const struct buffer *buffer, size_t additional)
{
    size_t needed;

    if (__builtin_add_overflow(buffer->length, additional, &needed) ||
        __builtin_add_overflow(needed, 1, &needed))
        return 0;
    size_t geometric = buffer->capacity + buffer->capacity / 2;
    if (needed < geometric)
        needed = geometric;
    return needed < 32 ? 32 : needed;
}

int buffer_reserve(struct buffer *buffer, size_t additional)
{
    if (additional < buffer->capacity - buffer->length)
        return 0;
    size_t capacity = grown_capacity(buffer, additional);
    char *bytes = capacity ? realloc(buffer->bytes, capacity) : NULL;
    if (!bytes)
        return -ENOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    buffer->bytes[buffer->length] = '\0';
    return 0;
}

/* Like buffer_reserve, but ends the process where memory is out. */
static void require_room(struct buffer *buffer, size_t additional)
{
    if (buffer_reserve(buffer, additional) == 0)
        return;
    log_error("out of memory: a text of %zu bytes could not grow by %zu", buffer->length, additional);
    abort();
}

void buffer_append(struct buffer *buffer, const char *bytes, size_t length)
{
    require_room(buffer, length);
    if (length)
        memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
}

void buffer_append_text(struct buffer *buffer, const char *nul_terminated)
{
    buffer_append(buffer, nul_terminated, strlen(nul_terminated));
}

void buffer_append_slice(struct buffer *buffer, struct slice slice)
{
    buffer_append(buffer, slice.bytes, slice.length);
}

void buffer_append_byte(struct buffer *buffer, char byte)
{
    require_room(buffer, 1);
    buffer->bytes[buffer->length++] = byte;
    buffer->bytes[buffer->length] = '\0';
}

void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int length;

    require_room(buffer, 0);
    va_start(arguments, format);
    length = vsnprintf(buffer->bytes + buffer->length, buffer->capacity - buffer->length, format, arguments);
    va_end(arguments);
    if (length < 0) {
        log_error("a text could not be formatted: %s", format);
        abort();
    }
    if ((size_t)length >= buffer->capacity - buffer->length) {
        require_room(buffer, (size_t)length);
        va_start(arguments, format);
        vsnprintf(buffer->bytes + buffer->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    buffer->length += (size_t)length;
}

struct slice buffer_slice(const struct buffer *buffer)
{
    return (struct slice){buffer->bytes ? buffer->bytes : "", buffer->length};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->bytes)
        buffer->bytes[0] = '\0';
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

uint64_t text_hash(struct slice text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < text.length; i++) {
        hash ^= (unsigned char)text.bytes[i];
        hash *= 0x100000001b3u;
    }
    return hash;
}
