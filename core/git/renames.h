/*
 * Runs that have another name in a commit: a removal and an addition become one renaming. Internal to
 * core/git.
 */
#ifndef RUNSFS_GIT_RENAMES_H
#define RUNSFS_GIT_RENAMES_H

#include "core/git/comparison.h"

/* A change on its way to be told, with the trees of its run. */
struct change_draft {
    struct history_change change;
    struct object_id old_tree, new_tree;
    bool is_taken; /* a removal that became part of a renaming */
};

/* Pairs what was removed with what was added: where the whole run is the same (one with the same run
 * id first); else where it has the same run id; else where its metrics.json (the first file of the rules) is
 * the same and not empty. Removals that were paired are marked as taken, and what they said is the additions'
 * `before`. 0; -EIO. */
int renames_find(const struct comparison *comparison, struct change_draft *drafts, size_t count);

#endif
