/*
 * Facets from the inside: the values of each, which runs are in them, and when that changed. Internal to
 * core/manifest; what others see of it is in index.h.
 */
#ifndef RUNSFS_MANIFEST_FACET_H
#define RUNSFS_MANIFEST_FACET_H

#include "core/manifest/index.h"
#include "core/manifest/sequence.h"
#include <uthash.h>

struct facet_value {
    unsigned facet;
    unsigned slot; /* the facet's, when the value was made */
    uint64_t number;
    char *name;        /* escaped; the key */
    struct slice text; /* what the name stands for; absent while the value has no runs */
    struct sequence runs;
    uint64_t sequence; /* the value's own number among the values, while it has runs */
    struct timespec changed_at;
    UT_hash_handle hh;
};

struct facet {
    char *directory, *field;
    bool is_active;
    unsigned slot; /* which of a run's memberships is in it */
    struct facet_value *by_name;
    struct sequence values; /* those that have runs */
    struct timespec changed_at;
};

struct facet_set {
    struct facet **facets; /* by their numbers */
    unsigned count;
    uint64_t last_sequence;
    uint64_t last_number;
};

void facet_set_init(struct facet_set *set);
/* From now on these views, behind the built-in ones; no run is in any. */
void facet_set_configure(struct facet_set *set, const struct index_view *views, size_t count);
/* The number of the facet in use that has the slot. */
unsigned facet_of_slot(const struct facet_set *set, unsigned slot);
/* The run's membership of a slot; NULL where it has none of that number. */
struct run_membership *facet_membership(const struct run *run, unsigned slot);
void facet_set_finish(struct facet_set *set);
/* Enters the run into the value of that text, and returns the value. The run is in no value of the facet. */
struct facet_value *facet_join(struct facet_set *set, unsigned id, struct run *run, struct slice text);
/* Takes the run out of the value, in which it stands under that sequence number. */
void facet_leave(struct facet_set *set, struct facet_value *value, uint64_t sequence);
/* Moves a time on to now, and past what it was. */
void timestamp_advance(struct timespec *timestamp);

#endif
