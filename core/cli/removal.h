/*
 * Removing a run directory, whole or not at all.
 */
#ifndef RUNSFS_CLI_REMOVAL_H
#define RUNSFS_CLI_REMOVAL_H

#include "core/base/text.h"

/* Removes the run directory `name` of the framework's directory open as framework_fd (for reading), with all
 * that is in it; never through a link, never what is mounted in it. First it is moved, in one step, to where
 * no run can be; then what is there is deleted. So at every moment it is there whole, or gone, and a crash
 * leaves no more than a directory `.removed.<random>.runsfs` beside the runs, which removal_finish knows.
 *
 * 0; -ENOENT where there is none; -EBUSY where it is a mount point, or something is mounted in it; any errno.
 * path (may be NULL) is then set to where below the framework it went wrong; appended. */
int removal_run(int framework_fd, const char *name, struct buffer *path);

/* Deletes what removals that were killed have left in a framework's directory. */
void removal_finish(int framework_fd);

#endif
