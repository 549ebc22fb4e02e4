/*
 * The walk: a heap of the commits that are known and not yet given, by their times, and the set of all that
 * were ever put in it.
 */
#include "core/git/walk.h"
#include "core/base/memory.h"
#include "core/git/repository_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
    int64_t time_s;
    uint64_t number; /* of two with one time the first found comes first */
    git_commit *object;
};

struct seen {
    git_oid id;
    UT_hash_handle hh;
};

struct walk {
    struct repository *repository;
    struct waiting *heap;
    size_t count, capacity;
    uint64_t last_number;
    struct seen *seen;
    struct seen *ends; /* whose parents a shallow clone does not have */
    struct walk_commit *current;
    int error;
};

static bool is_before(const struct waiting *a, const struct waiting *b)
{
    return a->time_s != b->time_s ? a->time_s > b->time_s : a->number < b->number;
}

static void put(struct walk *walk, struct waiting waiting)
{
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity ? walk->capacity * 2 : 64;
        walk->heap = memory_resize(walk->heap, walk->capacity * sizeof(*walk->heap));
    }
    size_t at = walk->count++;
    for (; at > 0 && is_before(&waiting, &walk->heap[(at - 1) / 2]); at = (at - 1) / 2)
        walk->heap[at] = walk->heap[(at - 1) / 2];
    walk->heap[at] = waiting;
}

static struct waiting take(struct walk *walk)
{
    struct waiting first = walk->heap[0], last = walk->heap[--walk->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < walk->count; at = child) {
        if (child + 1 < walk->count && is_before(&walk->heap[child + 1], &walk->heap[child]))
            child++;
        if (!is_before(&walk->heap[child], &last))
            break;
        walk->heap[at] = walk->heap[child];
    }
    walk->heap[at] = last;
    return first;
}

static bool set_has(struct seen *set, const git_oid *id)
{
    struct seen *seen;
    HASH_FIND(hh, set, id, sizeof(*id), seen);
    return seen;
}

static void set_add(struct seen **set, const git_oid *id)
{
    struct seen *seen = memory_alloc(sizeof(*seen));
    seen->id = *id;
    HASH_ADD(hh, *set, id, sizeof(*id), seen);
}

static void set_free(struct seen *set)
{
    struct seen *seen, *next;
    HASH_ITER(hh, set, seen, next)
    {
        HASH_DEL(set, seen);
        free(seen);
    }
}

static int push(struct walk *walk, const git_oid *id)
{
    git_commit *object;
    if (set_has(walk->seen, id))
        return 0;
    if (repository_result(git_commit_lookup(&object, walk->repository->handle, id)) != 0)
        return -EIO;
    set_add(&walk->seen, id);
    put(walk, (struct waiting){git_commit_time(object), ++walk->last_number, object});
    return 0;
}

/* The commits at which a shallow clone ends: `shallow` in the repository that has the objects, an id a line.
 */
static void read_ends(struct walk *walk)
{
    git_buf path = GIT_BUF_INIT;
    char line[OBJECT_ID_DIGITS + 2];
    git_oid id;
    if (git_repository_item_path(&path, walk->repository->handle, GIT_REPOSITORY_ITEM_COMMONDIR) != 0)
        return;
    struct buffer name = {0};
    buffer_append_text(&name, path.ptr);
    buffer_append_text(&name, "/shallow");
    FILE *file = fopen(name.bytes, "re");
    while (file && fgets(line, sizeof(line), file))
        if (git_oid_fromstrn(&id, line, OBJECT_ID_DIGITS) == 0 && !set_has(walk->ends, &id))
            set_add(&walk->ends, &id);
    if (file)
        fclose(file);
    buffer_free(&name);
    git_buf_dispose(&path);
}

struct walk *walk_create(struct repository *repository, const struct object_id *from)
{
    struct walk *walk = memory_alloc_zeroed(1, sizeof(*walk));
    walk->repository = repository;
    read_ends(walk);
    if (from)
        walk->error = walk_push(walk, from);
    return walk;
}

int walk_push(struct walk *walk, const struct object_id *from)
{
    git_oid id = oid_of(from);
    return push(walk, &id);
}

int walk_next(struct walk *walk, const struct walk_commit **commit)
{
    if (walk->error)
        return walk->error;
    if (walk->count == 0)
        return -ENOENT;
    git_commit *object = take(walk).object;
    unsigned parents = set_has(walk->ends, git_commit_id(object)) ? 0 : git_commit_parentcount(object);
    walk->current =
        memory_resize(walk->current, sizeof(*walk->current) + parents * sizeof(walk->current->parents[0]));
    walk->current->id = id_of(git_commit_id(object));
    walk->current->time_s = git_commit_time(object);
    walk->current->parent_count = 0;
    for (unsigned i = 0; i < parents && walk->error == 0; i++) {
        walk->error = push(walk, git_commit_parent_id(object, i));
        if (walk->error == 0)
            walk->current->parents[walk->current->parent_count++] = id_of(git_commit_parent_id(object, i));
    }
    git_commit_free(object);
    *commit = walk->current;
    return 0;
}

void walk_free(struct walk *walk)
{
    while (walk->count)
        git_commit_free(walk->heap[--walk->count].object);
    set_free(walk->seen);
    set_free(walk->ends);
    free(walk->heap);
    free(walk->current);
    free(walk);
}
