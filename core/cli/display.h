/*
 * Values as people read them: text that can't steer a terminal, its width in columns, counts with units,
 * times and durations. Pure.
 */
#ifndef RUNSFS_CLI_DISPLAY_H
#define RUNSFS_CLI_DISPLAY_H

#include "core/base/text.h"

/* Appends text with every control character and every byte that is not UTF-8 spelled as \xXX. */
void display_append(struct buffer *out, struct slice text);
/* Columns that such text takes on a terminal. */
unsigned display_width(struct slice text);
/* The length in bytes of the longest beginning of text that takes at most width columns. */
size_t display_cut(struct slice text, unsigned width);

/* "999", "1.00k", "288k", "1.23M": a count in three digits. */
void display_append_count(struct buffer *out, uint64_t count);
/* "999 B", "10.2 kB", "1.23 GB": a size in three digits, by units of 1000. */
void display_append_size(struct buffer *out, uint64_t bytes);
/* "2025-10-15 08:50:59" in UTC for a time as moment_parse reads it, the text itself for any other. */
void display_append_time(struct buffer *out, struct slice text);
/* "23s", "34m 23s", "1h 02m", "3d 04h"; rounded down; negative where it is. */
void display_append_duration(struct buffer *out, int64_t seconds);

#endif
