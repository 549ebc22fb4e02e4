/*
 * The table of watched directories: what an event names (an inotify watch descriptor, a file handle) to the
 * directory it speaks of. It holds no references. A directory that loses its last one stays in until
 * watch_remove has taken it out under the lock, and only then is its memory freed; so whoever finds it here
 * may look whether it still lives.
 */
#include "core/base/memory.h"
#include "core/watch/watch_internal.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { INITIAL_BUCKETS = 256 };

void watch_table_init(struct watch *watch)
{
    pthread_mutex_init(&watch->table_lock, NULL);
    watch->bucket_count = INITIAL_BUCKETS;
    watch->buckets = memory_alloc_zeroed(watch->bucket_count, sizeof(*watch->buckets));
}

static struct directory **bucket_of(const struct watch *watch, int id)
{
    return &watch->buckets[(unsigned)id & (watch->bucket_count - 1)];
}

static bool handle_equal(const struct file_handle *a, const struct file_handle *b)
{
    if (!a || !b)
        return a == b;
    return a->handle_type == b->handle_type && a->handle_bytes == b->handle_bytes &&
           memcmp(a->f_handle, b->f_handle, a->handle_bytes) == 0;
}

static struct directory *find(const struct watch *watch, int id, const struct file_handle *handle)
{
    struct directory *directory = *bucket_of(watch, id);
    while (directory && (directory->watch_id != id || !handle_equal(directory->watch_handle, handle)))
        directory = directory->watch_next;
    return directory;
}

static void chain(struct watch *watch, struct directory *directory)
{
    struct directory **bucket = bucket_of(watch, directory->watch_id);
    directory->watch_next = *bucket;
    *bucket = directory;
}

static void unchain(struct watch *watch, struct directory *directory)
{
    struct directory **link = bucket_of(watch, directory->watch_id);
    while (*link != directory)
        link = &(*link)->watch_next;
    *link = directory->watch_next;
    atomic_fetch_sub(&watch->directory_count, 1);
}

static void leave(struct directory *directory, enum watch_state state)
{
    free(directory->watch_handle);
    directory->watch_handle = NULL;
    directory->watch_id = 0;
    atomic_store(&directory->watch_state, state);
}

static void grow(struct watch *watch)
{
    struct directory **old_buckets = watch->buckets;
    size_t old_count = watch->bucket_count;
    watch->bucket_count = old_count * 2;
    watch->buckets = memory_alloc_zeroed(watch->bucket_count, sizeof(*watch->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct directory *next, *directory = old_buckets[i]; directory; directory = next) {
            next = directory->watch_next;
            chain(watch, directory);
        }
    }
    free(old_buckets);
}

void watch_table_put(struct watch *watch, struct directory *directory, int id, struct file_handle *handle,
                     enum watch_state state)
{
    pthread_mutex_lock(&watch->table_lock);
    if (directory->watch_id != 0) {
        unchain(watch, directory);
        leave(directory, state);
    }
    struct directory *predecessor = find(watch, id, handle);
    if (predecessor) {
        unchain(watch, predecessor);
        leave(predecessor, WATCH_NONE);
    }
    directory->watch_id = id;
    directory->watch_handle = handle;
    if (atomic_fetch_add(&watch->directory_count, 1) >= watch->bucket_count)
        grow(watch);
    chain(watch, directory);
    atomic_store(&directory->watch_state, state);
    pthread_mutex_unlock(&watch->table_lock);
}

int watch_table_take(struct watch *watch, struct directory *directory)
{
    pthread_mutex_lock(&watch->table_lock);
    int id = directory->watch_id;
    if (id != 0) {
        unchain(watch, directory);
        leave(directory, WATCH_NONE);
    }
    pthread_mutex_unlock(&watch->table_lock);
    return id;
}

struct directory *watch_table_find(struct watch *watch, int id, const struct file_handle *handle)
{
    pthread_mutex_lock(&watch->table_lock);
    struct directory *directory = find(watch, id, handle);
    if (directory && !directory_ref_unless_gone(directory))
        directory = NULL;
    pthread_mutex_unlock(&watch->table_lock);
    return directory;
}

void watch_table_drop(struct watch *watch, int id)
{
    pthread_mutex_lock(&watch->table_lock);
    struct directory *directory = find(watch, id, NULL);
    if (directory) {
        unchain(watch, directory);
        leave(directory, WATCH_NONE);
    }
    pthread_mutex_unlock(&watch->table_lock);
}

void watch_table_clear(struct watch *watch, enum watch_state state)
{
    pthread_mutex_lock(&watch->table_lock);
    for (size_t i = 0; i < watch->bucket_count; i++) {
        while (watch->buckets[i]) {
            struct directory *directory = watch->buckets[i];
            unchain(watch, directory);
            leave(directory, state);
        }
    }
    pthread_mutex_unlock(&watch->table_lock);
}

void watch_table_free(struct watch *watch)
{
    watch_table_clear(watch, WATCH_NONE);
    free(watch->buckets);
    pthread_mutex_destroy(&watch->table_lock);
}
