/*
 * Two trees of the source side by side: the places of runs that differ, and what the runs there say. Internal
 * to core/git.
 */
#ifndef RUNSFS_GIT_COMPARISON_H
#define RUNSFS_GIT_COMPARISON_H

#include "core/git/history.h"

/* A place at which the two are not the same; a tree is none where there is no such directory. */
struct comparison_place {
    char *path;
    struct object_id old_tree, new_tree;
};

struct comparison {
    struct deriver *deriver;
    const struct rules *old_rules, *new_rules;
    struct comparison_place *places; /* in order of their paths' bytes */
    size_t count, capacity;
};

/* old_tree may be none. Where the two have other rules, that is all places of both. 0; -EIO. To be freed in
 * any case. */
int comparison_begin(struct comparison *comparison, struct deriver *deriver, const struct object_id *old_tree,
                     const struct object_id *new_tree);
void comparison_free(struct comparison *comparison);
/* NULL where the two are the same at that path. */
const struct comparison_place *comparison_find(const struct comparison *comparison, const char *path);

/* To be called before many commits are compared with their parents. */
void history_keep_trees(void);

/* What the run in a tree says; none of a run where there is none. 0 and *state, to be freed; -EIO. */
int history_state_read(struct deriver *deriver, const struct rules *rules, const struct object_id *run_tree,
                       struct history_state *state);
bool history_state_equal(const struct history_state *a, const struct history_state *b);
void history_state_free(struct history_state *state);

#endif
