/*
 * A walk through the history of a commit. libgit2's own (1.5) fails where a shallow clone ends; this one
 * knows where that is.
 */
#ifndef RUNSFS_GIT_WALK_H
#define RUNSFS_GIT_WALK_H

#include "core/git/repository.h"

/* A commit with what a walk needs of it. parents are those that the repository has. */
struct walk_commit {
    struct object_id id;
    int64_t time_s; /* the committer's */
    size_t parent_count;
    struct object_id parents[];
};

/* Every commit that can be reached from one (none: to be begun with walk_push), each once, the one with the
 * latest time first of those whose child was seen. repository must outlive it. */
struct walk;
struct walk *walk_create(struct repository *repository, const struct object_id *from);
/* From this one too. -EIO where it is missing. */
int walk_push(struct walk *walk, const struct object_id *from);
/* 0 and *commit, good until the next call; -ENOENT at the end; -EIO where one is missing. */
int walk_next(struct walk *walk, const struct walk_commit **commit);
void walk_free(struct walk *walk);

#endif
