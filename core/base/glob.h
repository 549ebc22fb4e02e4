/*
 * Globs for one name: `*`, `?`, `[a-z]`, `[!a-z]` and `\` before a character that means itself. What
 * fnmatch(3) and Git take as well, less what depends on a locale: here everything is bytes, and matching
 * takes at most the product of both lengths, where fnmatch can be made to take for ever.
 */
#ifndef RUNSFS_BASE_GLOB_H
#define RUNSFS_BASE_GLOB_H

#include "core/base/text.h"

/* What is wrong with a pattern, for people, and where in it; NULL where it is well formed. */
const char *glob_fault(struct slice pattern, size_t *position);
/* Does the whole name match? A leading dot is a character like any other. A pattern that is not well formed
 * matches something or nothing. */
bool glob_match(struct slice pattern, struct slice name);
/* Has the pattern no wildcard, so that it matches just one name? */
bool glob_is_plain(struct slice pattern);
/* Appends the name that a plain pattern matches. */
void glob_unescape(struct buffer *name, struct slice pattern);
/* Appends the plain pattern that matches a name. */
void glob_escape(struct buffer *pattern, struct slice name);

#endif
