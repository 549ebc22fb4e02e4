/*
 * Which files of a run Git keeps: the tracked files of the spec, by their names directly in the run
 * directory.
 */
#ifndef RUNSFS_RUN_TRACKED_H
#define RUNSFS_RUN_TRACKED_H

#include <stdbool.h>

/* The patterns, each a glob in which `*` matches no leading dot; ends with NULL. */
extern const char *const tracked_patterns[];

/* Is a regular file or link of that name, directly in a run directory, tracked? */
bool tracked_name(const char *name);

#endif
