/*
 * Requests below at/, of which one at a time is served: reading from Git takes its time, and all workers
 * waiting for their turn there would be none for anything else. A worker that meets one while another is in
 * at/ leaves it to that one, and goes on with what else there is.
 */
#ifndef RUNSFS_FS_PARKING_H
#define RUNSFS_FS_PARKING_H

#include "fs/fs.h"
#include <linux/fuse.h>

struct parked;

struct parking {
    pthread_mutex_t lock;
    bool is_taken; /* a worker is in at/ */
    struct parked *first, **end;
};

void parking_init(struct parking *parking);
/* Drops what is still there. */
void parking_finish(struct parking *parking);
/* Is it a request below at/, or for at/ itself? */
bool parking_concerns(struct fs *fs, const struct fuse_in_header *header);
/* True: the caller serves the request, and then all that parking_next gives. False: a copy of it is kept for
 * who is in at/. */
bool parking_enter(struct parking *parking, const struct fuse_buf *request);
/* The next request, whose mem the caller frees; false: there is none, and the caller has left at/. */
bool parking_next(struct parking *parking, struct fuse_buf *request);

#endif
