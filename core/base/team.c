/*
 * Starting and joining threads: see team.h.
 */
#include "core/base/team.h"
#include <sched.h>
#include <signal.h>

unsigned team_worth(size_t items, size_t items_each)
{
    cpu_set_t cores;
    unsigned count = 1;
    /* Fails where there are more cores than the set has room for. */
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
        count = LIMIT_TEAM_THREADS;
    else if (CPU_COUNT(&cores) > 1)
        count = (unsigned)CPU_COUNT(&cores);
    if (count > LIMIT_TEAM_THREADS)
        count = LIMIT_TEAM_THREADS;
    size_t worth = items / items_each;
    return worth >= count ? count : worth > 1 ? (unsigned)worth : 1;
}

void team_start(struct team *team, unsigned count, void *(*work)(void *context), void *context)
{
    sigset_t all, before;
    team->count = 0;
    /* Signals are for the threads that expect them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (team->count < count && team->count < LIMIT_TEAM_THREADS &&
           pthread_create(&team->threads[team->count], NULL, work, context) == 0)
        team->count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void team_join(struct team *team)
{
    while (team->count > 0)
        pthread_join(team->threads[--team->count], NULL);
}
