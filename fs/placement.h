/*
 * On which processor a worker runs: for short requests the one on which their caller waits.
 *
 * A caller that waits for each answer leaves its processor idle meanwhile. A worker on the same one takes
 * over by a switch; a worker on another has to be woken there, and to wake the caller back. Left to itself
 * the kernel always chooses the other one, since that is idle at the moment of waking.
 *
 * Where a process runs is read from /proc now and then (it costs about as much as a request); a wrong guess
 * costs time, never more.
 */
#ifndef RUNSFS_FS_PLACEMENT_H
#define RUNSFS_FS_PLACEMENT_H

#include <stdbool.h>
#include <sys/types.h>

struct placement {
    pid_t caller;        /* of the last requests */
    unsigned since_look; /* requests since it was looked where it runs */
    int processor;       /* the worker is bound to it; -1: to none */
};

/* The calling thread owns its placement. */
void placement_init(struct placement *placement);
/* A short request of this caller (a thread id; 0 where it is unknown) has come. */
void placement_follow(struct placement *placement, pid_t caller);
/* A long request has come, which is better served beside its caller. */
void placement_anywhere(struct placement *placement);

#endif
