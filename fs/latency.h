/*
 * Latency: what it costs to wake somebody, while requests come one after another.
 *
 * A caller that waits for each answer leaves its processor idle, and so does the worker that waits for the
 * next request. An idle processor of a virtual machine is given back to the host, and to wake it takes 20 to
 * 50 microseconds, several times the work of a short request. So while a storm of requests lasts
 *
 * - idle processors are asked to stay awake (PM QoS: /dev/cpu_dma_latency, which the kernel takes back by
 * itself when the daemon ends in whatever way), where the daemon may, and the processors' idle driver is the
 * one for guests that would otherwise halt;
 * - the worker looks for the next request for some microseconds before it sleeps, as long as that is worth
 * it.
 *
 * A storm has at least STORM_REQUESTS requests a millisecond for some milliseconds; it is over when there
 * were few for a moment. Single commands never begin one.
 */
#ifndef RUNSFS_FS_LATENCY_H
#define RUNSFS_FS_LATENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct latency {
    _Atomic(bool) storm;
    bool may_ask;   /* for processors that stay awake */
    int request_fd; /* while it is asked; else -1 */
    unsigned busy_ticks, quiet_ticks;
};

/* wanted is false where the user does not want it (-o low_latency=off). */
void latency_init(struct latency *latency, bool wanted);
/* Every millisecond while there are requests, by one thread: how many there were since the last call. */
void latency_tick(struct latency *latency, uint64_t requests);
/* No storm any more. */
void latency_calm(struct latency *latency);

#endif
