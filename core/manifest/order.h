/*
 * The manifest's order: runs by (start_time, run id, framework) in leaves of bounded size, each with its
 * rendered text, so that a change re-sorts and re-renders one leaf whatever the number of runs. Internal to
 * core/manifest.
 */
#ifndef RUNSFS_MANIFEST_ORDER_H
#define RUNSFS_MANIFEST_ORDER_H

#include "core/manifest/index.h"
#include <stdatomic.h>

#define ORDER_LEAF_RUNS 512

/* Rendered text: immutable, shared by its leaf and by every snapshot that holds it. */
struct chunk {
    atomic_uint references;
    size_t length;
    char bytes[];
};

struct chunk *chunk_create(struct slice text); /* one reference */
struct chunk *chunk_ref(struct chunk *chunk);
void chunk_unref(struct chunk *chunk); /* NULL is none; from any thread */

struct order_leaf {
    struct order_leaf *next;
    struct chunk *text; /* every entry with a "," before it; NULL where it must be rendered anew */
    unsigned count;
    struct run *runs[ORDER_LEAF_RUNS];
};

struct order {
    struct order_leaf **leaves;
    size_t leaf_count, leaf_capacity;
};

void order_finish(struct order *order);
/* The key (start_time, both names) of a run must not change between these two. */
void order_insert(struct order *order, struct run *run);
void order_remove(struct order *order, struct run *run);
struct run *order_next(const struct run *run);
/* Something that the run's entry shows differs. */
void order_touch(struct run *run);
/* The leaf's text, rendered where that is needed; borrowed. scratch is overwritten. */
struct chunk *order_leaf_text(struct order_leaf *leaf, struct buffer *scratch);

#endif
