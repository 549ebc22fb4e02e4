/*
 * Habits: of which files a process that lists directories wants to know more than their names.
 *
 * A listing can bring the attributes of every file along (READDIRPLUS). For who looks at each file next that
 * saves a request a file; for who wants the names alone (find, a glob, a completion) it doubles the time, and
 * for who looks at one kind (grep --include) it is half in vain. The kernel can't know, so the first listing
 * of a process brings names; as soon as it looks up a file after a listing, its listings bring what is of
 * that file's kind, by the suffix of its name, and after a third kind all. Directories always come whole: who
 * walks a tree goes into them.
 *
 * This is about speed alone: a slot that two processes share makes one of them slower, never wrong.
 */
#ifndef RUNSFS_FS_HABIT_H
#define RUNSFS_FS_HABIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a process is known to look at; opaque. */
typedef uint64_t habit;

/* The caller lists a directory. */
habit habit_listing(pid_t caller);
/* Does he want the attributes of a file of that name too? */
bool habit_wants(habit habit, const char *name);
/* The caller looked up a file. */
void habit_looked_up(pid_t caller, const char *name);

#endif
