/*
 * The one escape by which a value becomes a name in a view (spec section 1): `%XX` for '/', NUL, control
 * characters (0x00 to 0x1f, 0x7f), bytes that are not UTF-8, '%', and a leading '.'. An empty value is the
 * name "%" (which no escaped value can be). A name over 255 bytes is cut (never inside a UTF-8 sequence or an
 * escape) and ends in '~' and 16 hexadecimal digits of text_hash of the value.
 */
#ifndef RUNSFS_BASE_ESCAPE_H
#define RUNSFS_BASE_ESCAPE_H

#include "core/base/limits.h"
#include "core/base/text.h"

/* Writes the name of value, NUL-terminated, to name; returns its length in bytes. */
size_t escape_value(struct slice value, char name[LIMIT_NAME_BYTES + 1]);
/* The value that a name stands for, appended to value; -EINVAL for a '%' that is not followed by two
 * hexadecimal digits. A name that was cut can't be turned back: compare names, not values. */
int escape_decode(struct slice name, struct buffer *value);

/* Undoes the octal escapes (`\\040`) that /proc/self/mountinfo has in paths, in place. */
void escape_undo_octal(char *text);

#endif
