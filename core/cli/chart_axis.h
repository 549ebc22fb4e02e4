/*
 * The marks of an axis of time: round moments in UTC, with labels that have room beside each other. Pure.
 */
#ifndef RUNSFS_CLI_CHART_AXIS_H
#define RUNSFS_CLI_CHART_AXIS_H

#include "core/base/text.h"

/* Appends the marks from first_s to last_s (seconds since 1970), `"label" seconds` parted by ", ", for
 * gnuplot's `set xtics`: at most `most` of them (2 at least), as many as round distances allow. Labels are
 * at most 10 columns wide, and of two lines (by "\n") where the time of day counts. */
void chart_append_marks(struct buffer *out, int64_t first_s, int64_t last_s, unsigned most);

#endif
