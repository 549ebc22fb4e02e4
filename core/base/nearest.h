/*
 * "Did you mean": the known name that is nearest to a misspelled one.
 */
#ifndef RUNSFS_BASE_NEAREST_H
#define RUNSFS_BASE_NEAREST_H

#include "core/base/text.h"

/* A search: begin with {.name = ...}, offer every known name, then look at best: absent where none is near
 * enough to be meant (more than a third of its letters differ). Borrowed from what was offered. */
struct nearest {
    struct slice name;
    struct slice best;
    size_t distance; /* of best */
};

void nearest_offer(struct nearest *nearest, struct slice known);

#endif
