/*
 * A pull reader of JSON that accepts exactly what Python's json.loads(bytes.decode("utf-8-sig")) accepts:
 * strict UTF-8 with an optional BOM; NaN, Infinity, -Infinity; lone \u surrogates; no control characters in
 * strings; no leading zeros; integers of at most 4300 digits; nesting of at most LIMIT_JSON_DEPTH.
 *
 * Why not cJSON for this: it can't tell 1 from 1.0 or 2^53 from 2^53 + 1, ends strings at \u0000, refuses NaN
 * and lone surrogates, and takes the first of duplicate members; and a tree of a 64 MB file is gigabytes.
 * This reader builds nothing: the caller pulls tokens and keeps what it wants.
 */
#ifndef RUNSFS_JSON_READER_H
#define RUNSFS_JSON_READER_H

#include "core/base/text.h"

enum json_token {
    JSON_END, /* the whole text was read, and nothing but white space follows */
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_MEMBER, /* a member's name; its value's token follows */
    JSON_STRING,
    JSON_INTEGER, /* a number without fraction and exponent */
    JSON_FLOAT,   /* any other number, NaN and the infinities among them */
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_ERROR, /* see reader->error; every later call gives it again */
};

struct json_reader {
    struct slice input;
    size_t position;    /* bytes read so far; after an error, where it is */
    size_t token_start; /* where the current token begins in input; it ends at position */
    unsigned depth;
    const char *error;     /* what is wrong, for people; NULL while nothing is */
    struct slice text;     /* of MEMBER and STRING: the decoded text (WTF-8), good until the next call */
    struct buffer decoded; /* holds text where the string had escapes */
    unsigned char *stack;  /* internal: the closing bracket of each level */
    unsigned char state;   /* internal */
    bool is_skipping;      /* internal: strings are checked, but text is not set */
};

/* Begins to read input, which must outlive the reader. End with json_reader_finish. */
void json_reader_init(struct json_reader *reader, struct slice input);
void json_reader_finish(struct json_reader *reader);
enum json_token json_next(struct json_reader *reader);
/* Having just got the token of a value (not its end): reads to that value's end, in one step for scalars.
 * Sets raw to the value's bytes in input. 0, or -EBADMSG with reader->error set. */
int json_skip_value(struct json_reader *reader, enum json_token token, struct slice *raw);
/* Reads the whole next value (of a MEMBER just got, or the text's own) without decoding its strings, which
 * costs no memory however long they are. raw as above; it may be NULL in both. 0, or -EBADMSG with
 * reader->error set. */
int json_skip_next(struct json_reader *reader, struct slice *raw);
/* Having just got a MEMBER: is its name this one? */
bool json_member_is(const struct json_reader *reader, const char *name);
/* The line and column (both from 1, columns in bytes, a BOM not counted) of a position, for messages. */
void json_position(struct slice input, size_t position, unsigned *line, unsigned *column);
/* The value of an integer token's lexeme where it is 0 to LIMIT_COUNT ("-0" is 0); false for all else. */
bool json_count(struct slice lexeme, uint64_t *count);

#endif
