/*
 * Threads for one piece of work that is worth all cores: started for it, joined at its end. There is no pool:
 * what runs all the time should not have to share one, and a daemon is idle most of its life.
 */
#ifndef RUNSFS_BASE_TEAM_H
#define RUNSFS_BASE_TEAM_H

#include "core/base/limits.h"
#include <pthread.h>
#include <stddef.h>

struct team {
    pthread_t threads[LIMIT_TEAM_THREADS];
    unsigned count;
};

/* How many threads, the caller's included, are worth starting for so many items if each is to have at least
 * items_each of them: from 1 to the number of cores that this process may use. */
unsigned team_worth(size_t items, size_t items_each);
/* Starts up to count threads that call work(context), with all signals blocked. Where fewer can be had, fewer
 * there are, and none is no error: the caller must be able to do the work himself. */
void team_start(struct team *team, unsigned count, void *(*work)(void *context), void *context);
void team_join(struct team *team);

#endif
