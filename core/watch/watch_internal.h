/*
 * What the common part of the watch, its table and its backends share.
 */
#ifndef RUNSFS_WATCH_WATCH_INTERNAL_H
#define RUNSFS_WATCH_WATCH_INTERNAL_H

#include "core/watch/watch.h"
#include <pthread.h>
#include <sys/types.h>

struct watch_operations {
    enum watch_backend backend;
    /* Begins to collect: sets event_fd (non-blocking). 0 or -errno. */
    int (*open)(struct watch *watch);
    /* Puts the directory into the table with this state. 0 or -errno, the table then being as before. */
    int (*add)(struct watch *watch, struct directory *directory, int directory_fd, enum watch_state state);
    void (*remove)(struct watch *watch, struct directory *directory);
    /* Tells what a block read from event_fd holds; returns how much of it that is in the count of FIONREAD.
     */
    size_t (*tell_block)(struct watch *watch, const char *block, size_t length);
};

struct watch {
    struct source *source;
    const struct watch_operations *operations; /* NULL: nothing is watched */
    atomic_bool unreliable; /* the source is on a network filesystem, or events cannot be read any more */
    int event_fd;
    watch_listener *listener;
    void *context;
    pid_t own_pid;
    atomic_bool telling; /* the thread has, or is about to have, events in hand that were not told yet */
    atomic_bool out_of_watches;

    /* The table of watched directories: chains through watch_next, keyed by watch_id and watch_handle. */
    pthread_mutex_t table_lock;
    struct directory **buckets;
    size_t bucket_count; /* a power of two */
    atomic_size_t directory_count;
    /* Held by inotify from a change of the kernel's watches to that of the table which belongs to it. Taken
     * before table_lock. */
    pthread_mutex_t kernel_lock;

    /* The thread, and those who wait for it. */
    pthread_t thread;
    int wake_fd;
    pthread_mutex_t drain_lock;
    pthread_cond_t drain_changed;
    uint64_t drains_wanted;
    uint64_t drains_done;
    unsigned drainers;
    bool running;
    bool closing;
};

extern const struct watch_operations watch_inotify;
extern const struct watch_operations watch_fanotify;

/* Tells the listener. */
void watch_tell(struct watch *watch, struct change change);
/* Tells it that events were lost, and the log. */
void watch_tell_overflow(struct watch *watch);

void watch_table_init(struct watch *watch);
/* Puts directory in under id (never 0) and handle (owned by the table from here; NULL without), or there
 * again. One that stands there already is losing its last reference, and makes place. */
void watch_table_put(struct watch *watch, struct directory *directory, int id, struct file_handle *handle,
                     enum watch_state state);
/* Takes directory out; its id, or 0 where it was not in. */
int watch_table_take(struct watch *watch, struct directory *directory);
/* The directory, with a new reference; NULL where there is none or where it is losing its last one. */
struct directory *watch_table_find(struct watch *watch, int id, const struct file_handle *handle);
/* Takes out what stands under id. */
void watch_table_drop(struct watch *watch, int id);
/* Takes all out, leaving them in state. */
void watch_table_clear(struct watch *watch, enum watch_state state);
void watch_table_free(struct watch *watch);

#endif
