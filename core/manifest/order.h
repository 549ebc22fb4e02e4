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
    struct run **gathered; /* runs that are in no leaf yet */
    size_t gathered_count, gathered_capacity;
    bool is_gathering;
};

void order_finish(struct order *order);
/* From here on runs that are inserted into an empty order are only gathered, in time that does not grow with
 * their number, and sorted at the end: by order_settle, or as soon as anything but order_insert is called. */
void order_gather(struct order *order);
void order_settle(struct order *order);
/* The key (start_time, both names) of a run must not change between these two. */
void order_insert(struct order *order, struct run *run);
void order_remove(struct order *order, struct run *run);
/* Something that the run's entry shows differs. */
void order_touch(struct order *order, struct run *run);
/* While nothing is gathered: */
struct run *order_next(const struct run *run);
/* Every leaf has its text afterwards. */
void order_render(struct order *order);

#endif
