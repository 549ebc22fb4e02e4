/*
 * The index from the inside. Internal to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_INDEX_INTERNAL_H
#define RUNSFS_MANIFEST_INDEX_INTERNAL_H

#include "core/manifest/facet.h"
#include "core/manifest/framework.h"
#include "core/manifest/lookup.h"
#include "core/manifest/order.h"
#include "core/manifest/snapshot.h"

struct run_more {
    size_t view_count;
    struct run_membership *views; /* of the configuration's views, by slot */
    struct file_stamp *stamps;    /* of the files beyond RUN_OWN_STAMPS */
    struct slice extras;          /* see run_extras; owned */
};

struct index {
    struct index_setup setup;
    struct timespec configured_at;
    struct lookup lookup;
    struct order order;
    struct framework_list frameworks;
    struct facet_set views;
    uint64_t generation;
    struct timespec changed_at;
    struct slice last_updated; /* taken over from a file; absent: it is changed_at */
    bool is_undated;           /* it is null: of a past that had no manifest */
    struct slice extras;       /* JSON members that somebody added to the manifest, laid out; or absent */
    struct snapshot *current;  /* the last that was taken; NULL before the first */
    struct buffer scratch;     /* for rendering */
};

/* The value of last_updated in a snapshot, a JSON string. */
struct slice snapshot_last_updated(const struct snapshot *snapshot);
/* Where the run has its extras; made where there is none yet. */
struct slice *run_extras_place(const struct index *index, struct run *run);
/* Something that a manifest or a view shows differs now. */
void index_touch(struct index *index);
/* Gives the run other fields, which are copied. True where they differ from those it had; the caller touches
 * the index. */
bool index_set_fields(struct index *index, struct run *run, const struct run_fields *fields);

#endif
