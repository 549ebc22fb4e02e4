/*
 * Starting and joining threads: see workers.h.
 */
#include "core/base/workers.h"
#include <sched.h>
#include <signal.h>

unsigned workers_worth(size_t items, size_t items_each)
{
    cpu_set_t cores;
    unsigned count = 1;
    /* Fails where there are more cores than the set has room for. */
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
        count = LIMIT_WORKERS;
    else if (CPU_COUNT(&cores) > 1)
        count = (unsigned)CPU_COUNT(&cores);
    if (count > LIMIT_WORKERS)
        count = LIMIT_WORKERS;
    size_t worth = items / items_each;
    return worth >= count ? count : worth > 1 ? (unsigned)worth : 1;
}

void workers_start(struct workers *workers, unsigned count, void *(*work)(void *context), void *context)
{
    sigset_t all, before;
    workers->count = 0;
    /* Signals are for the threads that expect them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (workers->count < count && workers->count < LIMIT_WORKERS &&
           pthread_create(&workers->threads[workers->count], NULL, work, context) == 0)
        workers->count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void workers_join(struct workers *workers)
{
    while (workers->count > 0)
        pthread_join(workers->threads[--workers->count], NULL);
}
