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
};

/* 0 and *past, to be freed while the deriver is there; -EIO where an object is missing; -EFBIG where
 * there are too many runs. */
int past_create(struct deriver *deriver, const struct object_id *source_tree, const struct timespec *made_at,
                struct past **past);
/* The derived manifest, made when it is first asked for; owned by past. Members that the recorded one adds
 * are in it, and last_updated is the recorded one's; where the tree has none, made_at, or null without one.
 * 0; -EIO. */
int past_manifest(struct past *past, struct snapshot **manifest);
/* The manifest's name in a tree of the source: the configuration's, or that of the file which is there. It
 * lives as long as rules. */
const char *past_manifest_name(struct repository *repository, const struct rules *rules,
                               const struct object_id *source_tree);
/* What it takes of memory, with its manifest, about. */
size_t past_bytes(const struct past *past);
void past_free(struct past *past);
/* The tree of a run in its index. */
const struct object_id *past_run_tree(const struct run *run);

#endif
