/*
 * A value in a manifest's text: raw, compared with what it should be, and described for people.
 */
#ifndef RUNSFS_CLI_VALUE_H
#define RUNSFS_CLI_VALUE_H

#include "core/json/reader.h"

struct value {
    enum json_token token; /* the first of it; JSON_END where there is no such member */
    struct slice raw;      /* in the text that was read */
};

/* Having just got the first token of a value: reads to its end. Where it is an object, its members of these
 * names are put into values (of duplicates the last), and all values are absent where there is none. False
 * for what is no object. */
bool value_read_members(struct json_reader *reader, enum json_token token, const char *const *names,
                        size_t count, struct value *values);
/* Is it the scalar with that spelling? Strings are compared by what they say. */
bool value_is(const struct value *value, struct slice spelling);
/* Appends the text (WTF-8) of a string; false for anything else. */
bool value_text(const struct value *value, struct buffer *text);

/* The following append printable ASCII. */
/* "stands 17", "stands an array", "is missing". */
void value_describe(const struct value *value, struct buffer *out);
/* The scalar, cut where it is long. */
void value_append_short(const struct value *value, struct buffer *out);
/* text (WTF-8) in quotes, cut likewise. */
void value_append_quoted(struct slice text, struct buffer *out);

#endif
