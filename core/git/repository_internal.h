/*
 * A repository from the inside. Internal to core/git, and the only header that includes git2.h.
 */
#ifndef RUNSFS_GIT_REPOSITORY_INTERNAL_H
#define RUNSFS_GIT_REPOSITORY_INTERNAL_H

#include "core/git/repository.h"
#include <git2.h>
#include <git2/sys/repository.h>
#include <uthash.h>

struct step;
struct ancestors;

struct repository {
    git_repository *handle;
    git_odb *objects;
    char *prefix, *source_name, *object_directory;
    struct timespec packs_changed_at; /* when it was opened */
    char *source;                     /* its real path then, */
    uint64_t nearer;                  /* and what stood between it and the repository */
    struct step *steps;               /* revision.c's: ways from commit to commit that were gone already */
    struct ancestors *ancestors; /* ancestor.c's */
    struct object_id recent_head, *recent; /* the last commits that changed the source, from that HEAD on */
    size_t recent_count, recent_wanted;
};

/* allocation.c: before libgit2 allocates anything. */
void allocation_begin(void);
/* revision.c: frees what it keeps. */
void revisions_forget(struct repository *repository);
/* ancestor.c: the commit that is so many steps to the first parent away. 0; -ENOENT where the history is not
 * so long; -EIO. What the way led over is kept, for the next who goes it. */
int ancestor_of(struct repository *repository, const struct object_id *from, size_t steps,
                struct object_id *commit);
void ancestors_free(struct ancestors *ancestors); /* may be NULL */
/* search.c: the youngest commit that is reached from `from` (NULL: from any reference) whose message matches.
 */
int revision_by_message(struct repository *repository, const struct object_id *from, const char *pattern,
                        struct object_id *commit);
/* The full name of the reference that a branch (HEAD's, where it is empty) follows, appended to reference. 0;
 * -ENOENT. */
int revision_upstream(struct repository *repository, struct slice branch, struct buffer *reference);
/* What was checked out before the last `number` switches of HEAD, appended to reference. 0; -ENOENT. */
int revision_previous(struct repository *repository, size_t number, struct buffer *reference);
/* Git's order of a tree's entries: that of their names' bytes, directories as if they ended in "/". */
int tree_name_compare(const char *a, bool a_is_directory, const char *b, bool b_is_directory);
/* commit_read of an object that is there already. */
int commit_of(struct repository *repository, git_commit *object, struct commit *commit);

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
