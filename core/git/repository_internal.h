/*
 * A repository from the inside. Internal to core/git, and the only header that includes git2.h.
 */
#ifndef RUNSFS_GIT_REPOSITORY_INTERNAL_H
#define RUNSFS_GIT_REPOSITORY_INTERNAL_H

#include "core/git/repository.h"
#include <git2.h>

struct repository {
    git_repository *handle;
    git_odb *objects;
    char *prefix, *object_directory;
};

/* What libgit2 answered as a negative errno: -ENOENT for what is not there or not to be understood, -EPERM
 * for another's, -EIO for all that is broken. Keeps libgit2's words for repository_error. */
int repository_result(int git_result);
/* Has repository_error say this; returns error. */
int repository_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline git_oid oid_of(const struct object_id *id)
{
    git_oid oid;
    git_oid_fromraw(&oid, id->bytes);
    return oid;
}

static inline struct object_id id_of(const git_oid *oid)
{
    struct object_id id;
    __builtin_memcpy(id.bytes, oid->id, OBJECT_ID_BYTES);
    return id;
}

#endif
