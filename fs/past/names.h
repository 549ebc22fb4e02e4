/*
 * What at/ lists: names that mean a commit, as they are in a directory.
 */
#ifndef RUNSFS_FS_PAST_NAMES_H
#define RUNSFS_FS_PAST_NAMES_H

#include "core/git/repository.h"

struct past_names {
    struct buffer text; /* NUL-terminated names */
    size_t *at;         /* in text */
    size_t count, capacity;
};

/* *names in any case; 0, or a negative errno where not all of them could be read. */
int past_names_create(struct repository *repository, struct past_names **names);
void past_names_free(struct past_names *names);
size_t past_names_bytes(const struct past_names *names);

#endif
