/*
 * The manifest's bytes at one moment: immutable, reference-counted, made of the order's leaves. Taking one
 * costs the re-rendering of the leaves that changed since the last and one pointer a leaf; the rest is
 * shared.
 */
#ifndef RUNSFS_MANIFEST_SNAPSHOT_H
#define RUNSFS_MANIFEST_SNAPSHOT_H

#include "core/manifest/index.h"
#include <sys/types.h>

struct snapshot;

/* The manifest as the index says it now. Equal to the one before (the same pointer, one more reference) while
 * nothing changed. The caller holds the index's lock for this call alone; a snapshot itself is read by any
 * thread without one, and snapshot_ref and _unref are safe from any thread. */
struct snapshot *snapshot_take(struct index *index);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);

uint64_t snapshot_size(const struct snapshot *snapshot);
uint64_t snapshot_generation(const struct snapshot *snapshot); /* the index's */
struct timespec snapshot_changed_at(const struct snapshot *snapshot);
/* Like pread(2) on the bytes: the number of bytes put into target, 0 at the end. */
size_t snapshot_read(const struct snapshot *snapshot, void *target, size_t size_bytes, uint64_t offset);
/* Writes all of it to fd. 0 or a negative errno. */
int snapshot_write(const struct snapshot *snapshot, int fd);
/* Do two say the same but for last_updated? */
bool snapshot_same_content(const struct snapshot *a, const struct snapshot *b);
bool snapshot_equals_bytes(const struct snapshot *snapshot, struct slice bytes);

#endif
