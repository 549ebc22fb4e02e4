/*
 * Acting as the owner of a repository: a daemon that is root does with it what its owner may, and what it
 * makes there is the owner's. Per thread, by the raw system calls: glibc's wrappers would change all threads.
 */
#ifndef RUNSFS_FS_OWNER_H
#define RUNSFS_FS_OWNER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define OWNER_GROUPS 64

struct owner {
    uid_t uid;
    gid_t gid;
    gid_t groups[OWNER_GROUPS];
    size_t group_count;
    char home[PATH_MAX]; /* "" where he has none */
};

/* Who that is, by the user database; gid is his group where that knows nothing. */
void owner_set(struct owner *owner, uid_t uid, gid_t gid);
/* Until owner_restore on the same thread. Only for a process that is root; nothing where the owner is. */
void owner_assume(const struct owner *owner);
void owner_restore(const struct owner *owner);

#endif
