/*
 * The runs at one moment of the past: an index as the present has one, with its views and its manifest, made
 * from a tree of the source. Never changes.
 */
#ifndef RUNSFS_GIT_PAST_H
#define RUNSFS_GIT_PAST_H

#include "core/git/derive.h"
#include "core/manifest/snapshot.h"

struct past {
    const struct rules *rules; /* the deriver's */
    struct index *index;
    struct snapshot *manifest; /* derived; members that the recorded one adds are in it */
    char *manifest_name;       /* of the file in the source: the configuration's, or that which is there */
};

/* last_updated is the recorded manifest's; where the tree has none, made_at, or null without one. 0 and
 * *past, to be freed; -EIO where an object is missing. */
int past_create(struct deriver *deriver, const struct object_id *source_tree, const struct timespec *made_at,
                struct past **past);
/* The same of a tree that is being made: what a manifest adds to the files is taken from `recorded`, which
 * stands on disk; absent: from the tree's own. */
int past_create_beside(struct deriver *deriver, const struct object_id *source_tree, struct slice recorded,
                       const struct timespec *made_at, struct past **past);
void past_free(struct past *past);
/* The tree of a run in its index. */
const struct object_id *past_run_tree(const struct run *run);

#endif
