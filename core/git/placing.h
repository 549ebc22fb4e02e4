/*
 * Putting a finished file in another's place by Git's protocol: who has `<file>.lock` may replace `<file>`.
 *
 * Git makes the lock first and fills it then, so that a process that is killed meanwhile leaves a lock that
 * stops everybody. Here the file is finished under a name of its own, is held by flock(2), and becomes the
 * lock by link(2): so the lock stands for some milliseconds at most, and who finds it can tell whose it is.
 * It is the same file as that of the own name (or, later, as the one whose place was taken), which Git's
 * never is; and where nobody has a flock on it any more, its owner was killed, and it is taken away.
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
/* Takes the place. The lock is held further. 0; -EAGAIN where somebody has taken the lock away; -errno. */
int placing_finish(struct placing *placing);
/* Gives back what is held. A zeroed placing may be ended, and one that was. */
void placing_end(struct placing *placing);

/* Takes away what killed processes left: the locks of these files, and unfinished files in directory. */
void placing_clean(const char *directory, const char *const *targets, size_t target_count);

#endif
