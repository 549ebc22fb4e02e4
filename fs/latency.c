/*
 * When a storm begins and ends, and what is asked of the kernel meanwhile: see latency.h.
 */
#include "fs/latency.h"
#include "core/base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STORM_REQUESTS 10
#define TICKS_BEFORE_STORM 3
#define CALM_REQUESTS 2
#define TICKS_BEFORE_CALM 20
/* More processors than these are not kept from sleeping for one mount's sake. */
#define PROCESSORS_TO_KEEP_AWAKE 16

/* The driver by which guests halt at once (Documentation/virt/guest-halt-polling.rst). Bare metal has shallow
 * states of its own to choose from. */
static bool halts_when_idle(void)
{
    char name[32] = "";
    int fd = open("/sys/devices/system/cpu/cpuidle/current_driver", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, name, sizeof(name) - 1);
    close(fd);
    return length > 0 && strncmp(name, "haltpoll", strlen("haltpoll")) == 0;
}

void latency_init(struct latency *latency, bool wanted)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *latency = (struct latency){
        .may_ask = wanted && processors > 1 && processors <= PROCESSORS_TO_KEEP_AWAKE && halts_when_idle(),
        .request_fd = -1,
    };
}

static void storm_begins(struct latency *latency)
{
    static const int32_t none_us = 0;
    if (latency->may_ask) {
        latency->request_fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
        if (latency->request_fd < 0 || write(latency->request_fd, &none_us, sizeof(none_us)) < 0) {
            log_info("idle processors can't be kept awake (%s): requests are slower", strerrordesc_np(errno));
            latency->may_ask = false;
        }
    }
    atomic_store(&latency->storm, true);
}

void latency_calm(struct latency *latency)
{
    atomic_store(&latency->storm, false);
    if (latency->request_fd >= 0)
        close(latency->request_fd);
    latency->request_fd = -1;
    latency->busy_ticks = latency->quiet_ticks = 0;
}

void latency_tick(struct latency *latency, uint64_t requests)
{
    latency->busy_ticks = requests >= STORM_REQUESTS ? latency->busy_ticks + 1 : 0;
    latency->quiet_ticks = requests <= CALM_REQUESTS ? latency->quiet_ticks + 1 : 0;
    bool storm = atomic_load(&latency->storm);
    if (!storm && latency->busy_ticks >= TICKS_BEFORE_STORM)
        storm_begins(latency);
    else if (storm && latency->quiet_ticks >= TICKS_BEFORE_CALM)
        latency_calm(latency);
}
