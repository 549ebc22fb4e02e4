/*
 * A progress bar for whoever waits at a terminal: on standard error, only where that is one, only once it has
 * taken over a second, and gone at the end without a trace.
 */
#ifndef RUNSFS_BASE_PROGRESS_H
#define RUNSFS_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *what; /* counted, in the plural; static text */
    bool is_terminal;
    bool is_shown;
    int64_t began_ms, drawn_ms; /* monotonic */
};

void progress_begin(struct progress *progress, const char *what);
/* To be called often; draws some times a second. */
void progress_update(struct progress *progress, size_t done, size_t total);
void progress_end(struct progress *progress);

#endif
