/*
 * The string literals of JSON, for the reader alone: checking one and finding its end, and unfolding its
 * escapes.
 */
#ifndef RUNSFS_JSON_STRING_LITERAL_H
#define RUNSFS_JSON_STRING_LITERAL_H

#include "core/base/text.h"

struct json_string {
    struct slice inner;    /* between the quotes, as it stands there */
    size_t length;         /* of the literal with its quotes */
    bool has_escapes;      /* without any, inner is the text */
    const char *error;     /* where scanning failed: what is wrong ... */
    size_t error_position; /* ... and where in the text scanned */
};

/* Scans the literal at the start of text, which is its opening quote. 0, or -EBADMSG with error and its
 * position. */
int json_string_scan(struct slice text, struct json_string *string);
/* Sets decoded to the text (WTF-8) of the inner of a literal that was scanned. 0 or -ENOMEM. */
int json_string_decode(struct slice inner, struct buffer *decoded);

#endif
