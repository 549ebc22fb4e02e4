/*
 * JSON as Python's json.dump(..., indent=2) writes it: printable ASCII only, anything else (U+007F too) as
 * \uXXXX in lower case, surrogate pairs beyond the BMP, short escapes for \b \f \n \r \t \" \\.
 */
#ifndef RUNSFS_JSON_WRITER_H
#define RUNSFS_JSON_WRITER_H

#include "core/base/text.h"

/* A string with its quotes; text is WTF-8. */
void json_append_string(struct buffer *out, struct slice text);
/* The string or `null` where absent. */
void json_append_string_or_null(struct buffer *out, struct slice text);
/* A value given as valid JSON text (one that json_skip_value passed), laid out anew as indent=2 would lay it
 * out when its own line stands at depth levels of indentation: members and elements on lines of their own,
 * "{}" and "[]" when empty. Numbers keep their spelling; strings are spelled as json_append_string does. */
void json_append_value(struct buffer *out, struct slice raw, unsigned depth);

#endif
