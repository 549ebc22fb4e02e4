/*
 * Acting as the caller. A daemon that runs as root creates, renames and removes under the identity of the
 * process that asked, so that the source itself decides what it may do and who owns what it makes. Per
 * thread, by the raw system calls: glibc's wrappers would change all threads.
 */
#ifndef RUNSFS_FS_CALLER_H
#define RUNSFS_FS_CALLER_H

#include "fs/fs.h"

/* Takes on uid, gid, supplementary groups and umask of the caller, until caller_restore on the same thread.
 * With a daemon that is not root: the umask alone. */
void caller_assume(struct fs *fs, fuse_req_t req);
void caller_restore(struct fs *fs);
/* For what only takes space (a write to an open file): the caller's fsuid alone, without which ext4 would
 * give him root's reserved blocks. Ended by caller_restore_for_space. */
void caller_assume_for_space(struct fs *fs, fuse_req_t req);
void caller_restore_for_space(struct fs *fs, fuse_req_t req);
/* May the caller reach this path below directory_fd (search permission on the way)? 0 or -EACCES, or another
 * errno. */
int caller_may_reach(struct fs *fs, fuse_req_t req, int directory_fd, const char *path);
/* Once at start: gives up the right to use what is reserved for root (blocks, quota), which no caller may use
 * through us. */
void caller_init(void);

#endif
