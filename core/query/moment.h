/*
 * Times as runs have them: ISO 8601 in the forms that occur. Pure.
 */
#ifndef RUNSFS_QUERY_MOMENT_H
#define RUNSFS_QUERY_MOMENT_H

#include "core/base/text.h"

/* Microseconds since 1970 in UTC of "2025-10-16" or "2025-10-16T12:00[:30[.123456]][Z|+02:00]" (a space in
 * the place of the T, +0200 and +02 too); UTC where no zone is given. 0, or -EINVAL for what is no time. */
int moment_parse(struct slice text, int64_t *microseconds);
/* Whole seconds of microseconds, rounded down. */
int64_t moment_seconds(int64_t microseconds);

#endif
