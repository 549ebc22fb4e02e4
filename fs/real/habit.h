/*
 * Habits: whether a process that lists directories wants to know more of the files in them than their names.
 *
 * A listing can bring the attributes of every file along (READDIRPLUS). For who looks at each file next that
 * saves a request a file; for who wants the names alone (find, a glob, a completion) it doubles the time. The
 * kernel can't know, so the first listing of a process brings names, and as soon as the process looks up a
 * file after a listing, its listings bring all. Directories always come whole: who walks a tree goes into
 * them.
 *
 * This is about speed alone: a slot that two processes share makes one of them slower, never wrong.
 */
#ifndef RUNSFS_FS_HABIT_H
#define RUNSFS_FS_HABIT_H

#include <stdbool.h>
#include <sys/types.h>

/* The caller lists a directory: does he want the attributes of the files too? */
bool habit_listing(pid_t caller);
/* The caller looked up a file. */
void habit_looked_up(pid_t caller);

#endif
