/*
 * The first parents of a commit, by number. `HEAD~9000` is a walk over nine thousand commits, and the next
 * who looks wants `HEAD~9001`: so the way is kept, as ids, and goes on where it ended.
 */
#include "core/base/memory.h"
#include "core/git/repository_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a longer way the rest is walked each time. */
#define KEPT_AT_MOST ((size_t)1 << 16)

struct ancestors {
    size_t count, capacity;
    struct object_id *ids; /* the commit itself, its first parent, ... */
};

void ancestors_free(struct ancestors *ancestors)
{
    if (ancestors)
        free(ancestors->ids);
    free(ancestors);
}

static void append(struct ancestors *ancestors, const struct object_id *ids, size_t count)
{
    if (ancestors->count + count > ancestors->capacity) {
        ancestors->capacity = (ancestors->count + count) * 3 / 2 + 64;
        ancestors->ids = memory_resize(ancestors->ids, ancestors->capacity * sizeof(*ancestors->ids));
    }
    memcpy(&ancestors->ids[ancestors->count], ids, count * sizeof(*ids));
    ancestors->count += count;
}

/* *id becomes that of its first parent. That of the last commit of a shallow clone is not there. */
static int step_up(struct repository *repository, struct object_id *id)
{
    git_oid oid = oid_of(id);
    git_commit *object;
    if (repository_result(git_commit_lookup(&object, repository->handle, &oid)) != 0)
        return git_repository_is_shallow(repository->handle) ? -ENOENT : -EIO;
    const git_oid *parent = git_commit_parent_id(object, 0);
    if (parent)
        *id = id_of(parent);
    git_commit_free(object);
    return parent ? 0 : repository_fail(-ENOENT, "the history is not so long");
}

/* Where the commit is in the way that is kept; count where it is not. */
static size_t place_of(const struct ancestors *ancestors, const struct object_id *id)
{
    size_t at = 0;
    while (at < ancestors->count && !object_id_equal(&ancestors->ids[at], id))
        at++;
    return at;
}

/* A way from another commit, which may lead to where the present one begins: a new commit on HEAD does. */
static int begin_anew(struct repository *repository, const struct object_id *from, size_t steps)
{
    struct ancestors *old = repository->ancestors, *new = memory_alloc_zeroed(1, sizeof(*new));
    struct object_id id = *from;
    int error = 0;
    while (new->count <= steps &&new->count < KEPT_AT_MOST) {
        if (old->count && object_id_equal(&id, &old->ids[0])) {
            size_t room = KEPT_AT_MOST - new->count;
            append(new, old->ids, old->count < room ? old->count : room);
            break;
        }
        append(new, &id, 1);
        if (new->count <= steps && (error = step_up(repository, &id)) != 0)
            break;
    }
    repository->ancestors = new;
    ancestors_free(old);
    return error;
}

int ancestor_of(struct repository *repository, const struct object_id *from, size_t steps,
                struct object_id *commit)
{
    if (!repository->ancestors)
        repository->ancestors = memory_alloc_zeroed(1, sizeof(*repository->ancestors));
    size_t place = place_of(repository->ancestors, from);
    int error = 0;
    if (place == repository->ancestors->count) {
        error = begin_anew(repository, from, steps);
        place = 0;
    }
    const struct ancestors *ancestors = repository->ancestors;
    if (error)
        return error;
    size_t known = ancestors->count - 1 - place;
    *commit = ancestors->ids[place + (steps < known ? steps : known)];
    for (size_t at = known; at < steps; at++) {
        error = step_up(repository, commit);
        if (error)
            return error;
        if (ancestors->count < KEPT_AT_MOST)
            append(repository->ancestors, commit, 1);
    }
    return 0;
}
