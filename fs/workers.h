/*
 * Workers: the threads that take requests from the kernel and run the handlers.
 *
 * Not libfuse's loop, because of what a request costs: most are answered in some microseconds, and to wake
 * somebody for it costs several times as much (docs/performance.md). So here
 *
 * - one thread reads at a time and answers what is short by itself, without waking a second one;
 * - while there are many requests it does not sleep at once (latency.h);
 * - what moves many bytes, or waits for the disk, is answered with the turn given away first;
 * - where requests queue up, more threads read;
 * - below at/ one thread at a time, which the others leave their requests there to (parking.h);
 * - an overseer sees to it that nobody's slow request holds up the others: a turn that was not given away
 *   is taken from its holder after two ticks. It sleeps while there are no requests.
 */
#ifndef RUNSFS_FS_WORKERS_H
#define RUNSFS_FS_WORKERS_H

#include "fs/fs.h"

/* Serves until the session ends (unmounted, or workers_stop); returns when no handler runs any more. 0 or
 * -errno where no thread can be started. low_latency: see latency.h. SIGUSR1 must have a handler that does
 * nothing. */
int workers_run(struct fs *fs, unsigned max_threads, bool low_latency);
/* Ends the session; workers_run returns soon after. From any thread; safe to call at any time. */
void workers_stop(struct fs *fs);
/* Before workers_run, and after it. */
void workers_create(struct fs *fs);
void workers_destroy(struct fs *fs);

#endif
