/*
 * Following callers from processor to processor: see placement.h.
 */
#include "fs/placement.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Requests of one caller before it is worth looking where it runs, and between two looks. */
#define REQUESTS_BEFORE_LOOK 8
#define REQUESTS_BETWEEN_LOOKS 32
/* `processor` is the 39th field of /proc/<pid>/stat, the 37th after the command's closing parenthesis
 * (proc(5)). */
#define FIELDS_AFTER_COMMAND 37

static cpu_set_t allowed;
static pthread_once_t allowed_once = PTHREAD_ONCE_INIT;

static void find_allowed(void)
{
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        CPU_ZERO(&allowed);
}

void placement_init(struct placement *placement)
{
    pthread_once(&allowed_once, find_allowed);
    *placement = (struct placement){.processor = -1};
}

/* -1 where that can't be told. */
static int processor_of(pid_t caller)
{
    char text[1024];
    snprintf(text, sizeof(text), "/proc/%d/stat", caller);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[length < 0 ? 0 : length] = '\0';
    const char *at = strrchr(text, ')');
    for (int field = 0; at && field < FIELDS_AFTER_COMMAND; field++)
        at = strchr(at + 1, ' ');
    return at ? atoi(at + 1) : -1;
}

static void bind_to(struct placement *placement, int processor)
{
    cpu_set_t set;
    if (processor < 0 || processor >= CPU_SETSIZE || !CPU_ISSET(processor, &allowed))
        return;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof(set), &set) == 0)
        placement->processor = processor;
}

void placement_follow(struct placement *placement, pid_t caller)
{
    if (caller <= 0)
        return;
    if (caller != placement->caller) {
        placement->caller = caller;
        placement->since_look = REQUESTS_BETWEEN_LOOKS - REQUESTS_BEFORE_LOOK;
    }
    if (++placement->since_look < REQUESTS_BETWEEN_LOOKS)
        return;
    placement->since_look = 0;
    int processor = processor_of(caller);
    if (processor != placement->processor)
        bind_to(placement, processor);
}

void placement_anywhere(struct placement *placement)
{
    placement->caller = 0;
    if (placement->processor >= 0 && sched_setaffinity(0, sizeof(allowed), &allowed) == 0)
        placement->processor = -1;
}
