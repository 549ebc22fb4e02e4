/*
 * The table of directories: one `struct directory` for each identity that somebody holds, its place in the
 * tree and its references. It exists so that a directory keeps one object through every rename, whoever made
 * it, and so that no path is ever stored.
 */
#include "core/source/source.h"
#include "core/base/memory.h"
#include "core/source/source_internal.h"
#include "core/watch/watch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INITIAL_BUCKETS = 256 };

static struct directory **table_bucket(const struct source *source, const struct identity *identity)
{
    return &source->buckets[identity_hash(identity) & (source->bucket_count - 1)];
}

static struct directory *table_find(const struct source *source, const struct identity *identity)
{
    struct directory *directory = *table_bucket(source, identity);
    while (directory && !identity_equal(&directory->identity, identity))
        directory = directory->hash_next;
    return directory;
}

static void table_chain(struct source *source, struct directory *directory)
{
    struct directory **bucket = table_bucket(source, &directory->identity);
    directory->hash_next = *bucket;
    *bucket = directory;
}

static void table_grow(struct source *source)
{
    struct directory **old_buckets = source->buckets;
    size_t old_count = source->bucket_count;
    source->bucket_count = old_count * 2;
    source->buckets = memory_alloc_zeroed(source->bucket_count, sizeof(*source->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct directory *next, *directory = old_buckets[i]; directory; directory = next) {
            next = directory->hash_next;
            table_chain(source, directory);
        }
    }
    free(old_buckets);
}

static void table_remove(struct source *source, struct directory *directory)
{
    struct directory **link = table_bucket(source, &directory->identity);
    while (*link != directory)
        link = &(*link)->hash_next;
    *link = directory->hash_next;
    source->directory_count--;
}

/* With one reference, the caller's. */
static struct directory *table_insert(struct source *source, struct directory *parent, const char *name,
                                      const struct identity *identity)
{
    struct directory *directory = memory_alloc_zeroed(1, sizeof(*directory));
    directory->identity = *identity;
    directory->name = memory_copy_text(name, strlen(name));
    atomic_init(&directory->references, 1);
    if (parent) {
        directory->parent = directory_ref(parent);
        atomic_init(&directory->depth, parent->depth + 1);
    }
    if (source->directory_count >= source->bucket_count)
        table_grow(source);
    table_chain(source, directory);
    source->directory_count++;
    return directory;
}

int source_open(const char *path, unsigned descriptors, struct source **source)
{
    CLEANUP_FD int root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -errno;
    struct attributes attributes;
    int error = source_stat_at(root_fd, "", &attributes);
    if (error < 0)
        return error;
    struct source *opened = memory_alloc_zeroed(1, sizeof(*opened));
    pthread_mutex_init(&opened->lock, NULL);
    opened->root_fd = root_fd;
    opened->entry_limit = descriptors;
    opened->bucket_count = INITIAL_BUCKETS;
    opened->buckets = memory_alloc_zeroed(opened->bucket_count, sizeof(*opened->buckets));
    opened->root = table_insert(opened, NULL, "", &attributes.identity);
    root_fd = -1;
    *source = opened;
    return 0;
}

void source_close(struct source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < source->bucket_count; i++) {
        for (struct directory *next, *directory = source->buckets[i]; directory; directory = next) {
            next = directory->hash_next;
            descriptor_close(descriptor_take(source, directory));
            free(directory->name);
            free(directory);
        }
    }
    free(source->buckets);
    close(source->root_fd);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

int source_root_fd(const struct source *source)
{
    return source->root_fd;
}

struct directory *source_root(struct source *source)
{
    return source->root;
}

void source_set_watch(struct source *source, struct watch *watch)
{
    pthread_mutex_lock(&source->lock);
    source->watch = watch;
    pthread_mutex_unlock(&source->lock);
}

static bool stands_at(const struct directory *directory, const struct directory *parent, const char *name)
{
    return directory->parent == parent && strcmp(directory->name, name) == 0;
}

static bool stands_below(const struct directory *directory, const struct directory *ancestor)
{
    while (directory && directory != ancestor)
        directory = directory->parent;
    return directory != NULL;
}

/* Gives directory another place; released[] are the references that it no longer holds. */
static void directory_move(struct source *source, struct directory *directory, struct directory *parent,
                           const char *name, struct directory *released[2])
{
    if (directory == source->root || directory == parent)
        return; /* a bind mount of it in itself: no place to be found by */
    if (stands_below(parent, directory)) {
        /* It was moved into what had been moved out of it before, which was not met since: that place of
         * parent is stale. A tree it must stay; so parent gets a guess for a place, which like any other is
         * verified when it is opened. */
        released[0] = parent->parent;
        parent->parent = directory_ref(source->root);
        atomic_store(&parent->depth, 1);
    }
    released[1] = directory->parent;
    directory->parent = directory_ref(parent);
    if (strcmp(directory->name, name) != 0) {
        free(directory->name);
        directory->name = memory_copy_text(name, strlen(name));
    }
}

struct directory *source_directory_at(struct source *source, struct directory *parent, const char *name,
                                      const struct identity *identity)
{
    struct directory *released[2] = {NULL, NULL};
    pthread_mutex_lock(&source->lock);
    struct directory *directory = table_find(source, identity);
    if (!directory) {
        directory = table_insert(source, parent, name, identity);
    } else {
        directory_ref(directory);
        if (!stands_at(directory, parent, name))
            directory_move(source, directory, parent, name, released);
        if (directory->parent)
            atomic_store(&directory->depth, directory->parent->depth + 1);
    }
    pthread_mutex_unlock(&source->lock);
    directory_unref(source, released[0]);
    directory_unref(source, released[1]);
    return directory;
}

struct directory *source_directory_known(struct source *source, const struct identity *identity)
{
    pthread_mutex_lock(&source->lock);
    struct directory *directory = table_find(source, identity);
    if (directory)
        directory_ref(directory);
    pthread_mutex_unlock(&source->lock);
    return directory;
}

struct directory *directory_ref(struct directory *directory)
{
    atomic_fetch_add(&directory->references, 1);
    return directory;
}

bool directory_ref_unless_gone(struct directory *directory)
{
    unsigned references = atomic_load(&directory->references);
    while (references > 0) {
        if (atomic_compare_exchange_weak(&directory->references, &references, references + 1))
            return true;
    }
    return false;
}

/* Drops a reference that is not the last, without the lock. */
static bool unref_unless_last(struct directory *directory)
{
    unsigned references = atomic_load(&directory->references);
    while (references > 1) {
        if (atomic_compare_exchange_weak(&directory->references, &references, references - 1))
            return true;
    }
    return false;
}

void directory_unref(struct source *source, struct directory *directory)
{
    while (directory && !unref_unless_last(directory)) {
        /* To zero only under the lock, and out of the table in the same breath: none finds it there any more.
         */
        pthread_mutex_lock(&source->lock);
        if (atomic_fetch_sub(&directory->references, 1) != 1) {
            pthread_mutex_unlock(&source->lock);
            return;
        }
        table_remove(source, directory);
        struct descriptor_entry *entry = descriptor_take(source, directory);
        struct watch *watch = source->watch;
        pthread_mutex_unlock(&source->lock);
        if (watch)
            watch_remove(watch, directory);
        descriptor_close(entry);
        struct directory *parent = directory->parent;
        free(directory->name);
        free(directory);
        directory = parent;
    }
}

bool directory_is_at(struct source *source, struct directory *directory, struct directory *parent,
                     const char *name)
{
    pthread_mutex_lock(&source->lock);
    bool is_at = stands_at(directory, parent, name);
    pthread_mutex_unlock(&source->lock);
    return is_at;
}

struct directory *directory_place(struct source *source, struct directory *directory, struct buffer *name)
{
    pthread_mutex_lock(&source->lock);
    struct directory *parent = directory->parent;
    if (parent)
        directory_ref(parent);
    buffer_append_text(name, directory->name);
    pthread_mutex_unlock(&source->lock);
    return parent;
}

unsigned directory_depth(struct source *source, struct directory *directory)
{
    unsigned depth = 0;
    pthread_mutex_lock(&source->lock);
    for (const struct directory *above = directory->parent; above; above = above->parent)
        depth++;
    pthread_mutex_unlock(&source->lock);
    return depth;
}

char *directory_path_from(const struct directory *ancestor, const struct directory *directory)
{
    size_t length = 0;
    for (const struct directory *at = directory; at != ancestor; at = at->parent)
        length += strlen(at->name) + 1;
    if (length == 0)
        return memory_copy_text("", 0);
    char *path = memory_alloc(length);
    char *end = path + length; /* of what is still to be filled, from the back */
    for (const struct directory *at = directory; at != ancestor; at = at->parent) {
        size_t name_length = strlen(at->name);
        *--end = at == directory ? '\0' : '/';
        end -= name_length;
        memcpy(end, at->name, name_length);
    }
    return path;
}

void directory_path(struct source *source, struct directory *directory, struct buffer *path)
{
    pthread_mutex_lock(&source->lock);
    CLEANUP_FREE char *relative = directory_path_from(source->root, directory);
    pthread_mutex_unlock(&source->lock);
    buffer_append_text(path, relative);
}
