/*
 * Who may see the past: those who could read Git's objects themselves.
 */
#ifndef RUNSFS_FS_PAST_RIGHTS_H
#define RUNSFS_FS_PAST_RIGHTS_H

#include "core/git/repository.h"

/* Whose at/ is, and which bits of a mode may be set. */
struct past_rights {
    uid_t uid;
    gid_t gid;
    mode_t mask;
};

/* Who may read the objects: by every directory from the working tree's top to them, or from the root where
 * they lie elsewhere (a linked working tree's). */
struct past_rights past_rights_find(const struct repository *repository);

#endif
