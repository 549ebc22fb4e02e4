/*
 * The runs of a tree of the past: which of its directories are runs, by the configuration that stands in that
 * tree, and the fields of each, derived from blobs as core/run derives them from files. What was derived of a
 * run's tree is kept, since most runs are the same in most revisions.
 */
#ifndef RUNSFS_GIT_DERIVE_H
#define RUNSFS_GIT_DERIVE_H

#include "core/git/repository.h"
#include "core/query/field.h"
#include "core/run/load.h"

/* The configuration of a tree; the built-in one where there is none, or a broken one. */
struct rules {
    struct config *config;
    struct run_plan *plan;
    struct field_set *fields;
};

/* Of one repository, which must outlive it; used by one thread at a time, like it. */
struct deriver;
struct deriver *deriver_create(struct repository *repository);
void deriver_free(struct deriver *deriver); /* may be NULL */
struct repository *deriver_repository(const struct deriver *deriver);
/* What it keeps takes about so much memory. */
size_t deriver_bytes(const struct deriver *deriver);
/* Forgets the runs that it derived first, until it takes no more than that. Rules are not forgotten. */
void deriver_trim(struct deriver *deriver, size_t limit_bytes);

/* The rules of the source's tree: 0 and *rules, owned by the deriver; the same pointer for the same
 * runsfs.json. -EIO. */
int deriver_rules(struct deriver *deriver, const struct object_id *source_tree, const struct rules **rules);

/* A directory where a run can be: its path below the source, and its tree. Return 0 to go on. */
typedef int place_visitor(const char *path, const struct object_id *run_tree, void *context);
/* Every such directory in the source's tree. 0; visit's result that was not 0; -EIO. */
int deriver_each_place(struct deriver *deriver, const struct rules *rules,
                       const struct object_id *source_tree, place_visitor *visit, void *context);
/* Those that differ between two trees of the source, in Git's order of their names; NULL for the side
 * where there is none. Costs reading what differs, not what is there. */
typedef int change_visitor(const char *path, const struct object_id *old_run_tree,
                           const struct object_id *new_run_tree, void *context);
int deriver_each_change(struct deriver *deriver, const struct rules *rules, const struct object_id *old_tree,
                        const struct object_id *new_tree, change_visitor *visit, void *context);

/* What the directory says of itself: *state (owned by the deriver, good until the next call of this; is_run
 * false where it is none). A blob that is not JSON counts as {} and has its fault set, as with files. 0; -EIO
 * where an object is missing. */
int deriver_run(struct deriver *deriver, const struct rules *rules, const struct object_id *run_tree,
                const struct run_state **state);

#endif
