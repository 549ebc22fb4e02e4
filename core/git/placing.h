/*
 * Putting a finished file in another's place by Git's protocol: who has `<file>.lock` may replace `<file>`.
 *
 * Git makes the lock first and fills it then, so that a process that is killed meanwhile leaves a lock that
 * stops everybody. Here the file is finished under a name of its own, is held by flock(2), and becomes the
 * lock by link(2) alone: the lock stands for no longer than two renames take. Should somebody be killed
 * just then, the lock is the same file as the one of that name, on which nobody has a flock any more: that
 * tells whose it was, and the next commit takes it away.
 */
#ifndef RUNSFS_GIT_PLACING_H
#define RUNSFS_GIT_PLACING_H

#include "core/base/text.h"
#include <sys/stat.h>

struct placing {
    char *own;    /* the finished file */
    char *target; /* whose place it is to take */
    char *lock;   /* target with ".lock" */
    int fd;       /* of own; its flock is held. -1 for none */
    bool is_locked;
};

/* A name for a file that is not finished, in a directory of the repository on the filesystem of what it is
 * to replace; owned by the caller. */
char *placing_name(const char *directory);
/* The file own (its name is taken over) is finished: has it on disk, and holds it. 0 or -errno. */
int placing_begin(struct placing *placing, char *own, const char *target);
/* Takes the lock: 0; -EAGAIN where somebody has it; -errno. */
int placing_lock(struct placing *placing);
/* Takes the place, and gives the lock back. 0 or -errno. */
int placing_finish(struct placing *placing);
/* Gives back what is held; after placing_finish too. A zeroed placing may be ended. */
void placing_end(struct placing *placing);

/* Takes away what killed processes left in directory: files of such names, and those locks that are theirs
 * among the given ones (which may not be there). */
void placing_clean(const char *directory, const char *const *locks, size_t lock_count);

#endif
