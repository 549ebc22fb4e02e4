/*
 * What source.c (the table of directories) and descriptor.c (the cache and the path walk) share.
 */
#ifndef RUNSFS_SOURCE_SOURCE_INTERNAL_H
#define RUNSFS_SOURCE_SOURCE_INTERNAL_H

#include "core/source/source.h"
#include <pthread.h>

/* A descriptor in the cache, or lent and out of it. */
struct descriptor_entry {
    int fd;
    unsigned borrowers;
    struct directory
        *directory; /* without a reference: it takes the entry with it; NULL once out of the cache */
    struct descriptor_entry *prev, *next;
};

struct source {
    pthread_mutex_t lock;
    int root_fd;
    struct directory *root;
    struct directory **buckets; /* chains through hash_next */
    size_t bucket_count;        /* a power of two */
    size_t directory_count;
    struct watch *watch;
    struct descriptor_entry *entries; /* in the cache, the most recently used first */
    unsigned entry_count;
    unsigned entry_limit;
};

/* The path from ancestor (which is above it) to directory, "" where they are one; owned by the caller. With
 * source->lock held. */
char *directory_path_from(const struct directory *ancestor, const struct directory *directory);

/* Takes directory's entry out of the cache. With source->lock held; what it returns (NULL where there is
 * nothing to close) goes to descriptor_close without it. */
struct descriptor_entry *descriptor_take(struct source *source, struct directory *directory);
/* Closes and frees a list of entries. */
void descriptor_close(struct descriptor_entry *entries);

#endif
