/*
 * A list whose entries stand in the order in which they entered, each under a number that never comes again:
 * what a directory listing that is continued after changes needs. Internal to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_SEQUENCE_H
#define RUNSFS_MANIFEST_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

struct sequence_entry {
    uint64_t number;
    void *item; /* NULL for one that left */
};

struct sequence {
    struct sequence_entry *entries; /* by number */
    size_t count, capacity;
    size_t live_count; /* entries that have an item */
};

void sequence_finish(struct sequence *sequence);
/* number is larger than that of every entry before. */
void sequence_add(struct sequence *sequence, uint64_t number, void *item);
void sequence_remove(struct sequence *sequence, uint64_t number);
/* The first item with a number above `after`, which is set to number; NULL at the end. */
void *sequence_next(const struct sequence *sequence, uint64_t after, uint64_t *number);

#endif
