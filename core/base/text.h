/*
 * Text as counted bytes. A slice is a borrowed view; a buffer grows and owns. JSON strings may hold NUL and
 * lone surrogates (kept as their three-byte form, "WTF-8"), so nothing here ends at a NUL.
 */
#ifndef RUNSFS_BASE_TEXT_H
#define RUNSFS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes; bytes == NULL is "absent", which an empty string is not. */
struct slice {
    const char *bytes;
    size_t length;
};

#define SLICE_LITERAL(text) ((struct slice){(text), sizeof(text) - 1})
/* The same where C wants a constant: in the initializers of static objects. */
#define SLICE_CONSTANT(text)     \
    {                            \
        (text), sizeof(text) - 1 \
    }
#define SLICE_ABSENT ((struct slice){NULL, 0})

struct slice slice_of(const char *nul_terminated);
/* The same bytes, or both absent; absent and empty differ. */
bool slice_equal(struct slice a, struct slice b);
/* Order of bytes, which for UTF-8 (and WTF-8) is the order of code points; absent sorts as empty. */
int slice_compare(struct slice a, struct slice b);
/* An owned copy (NUL-terminated besides); absent stays absent. Freed with slice_free. */
struct slice slice_copy(struct slice original);
void slice_free(struct slice *owned);

/* Bytes that grow; {0} is an empty buffer. Always NUL-terminated behind length once anything was appended. */
struct buffer {
    char *bytes;
    size_t length;
    size_t capacity;
};

/* Room for `additional` more bytes and the NUL behind them, for texts whose size the outside decides: 0 or
 * -ENOMEM. Everything else that appends makes its own room and ends the process where memory is out. */
int buffer_reserve(struct buffer *buffer, size_t additional);
void buffer_append(struct buffer *buffer, const char *bytes, size_t length);
void buffer_append_text(struct buffer *buffer, const char *nul_terminated);
void buffer_append_slice(struct buffer *buffer, struct slice slice);
void buffer_append_byte(struct buffer *buffer, char byte);
void buffer_append_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What the buffer holds, good until it is changed; never absent. */
struct slice buffer_slice(const struct buffer *buffer);
void buffer_clear(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

/* One code point of strict UTF-8 (no surrogates, no overlong forms) at the start of text: returns its length
 * in bytes (1 to 4) and sets code_point, or 0 where the bytes are not UTF-8. wtf8 admits surrogates as well.
 */
size_t utf8_decode(struct slice text, bool wtf8, uint32_t *code_point);
/* Appends the UTF-8 (for surrogates WTF-8) form of a code point. */
void utf8_append(struct buffer *buffer, uint32_t code_point);
/* A file name as Python's os.fsdecode has it: bytes that are not UTF-8 become U+DC80 to U+DCFF. Appended as
 * WTF-8. */
void utf8_append_file_name(struct buffer *buffer, struct slice name);
/* And back, as os.fsencode has it: the file name that a text (WTF-8) means, in name in place of what was there;
 * false where no name on disk reads like that. A NUL stays one. */
bool utf8_take_file_name(struct slice text, struct buffer *name);

/* FNV-1a, 64 bits, of the bytes: for hash tables and the `~hash` of long names, never for trust. */
uint64_t text_hash(struct slice text);

#endif
