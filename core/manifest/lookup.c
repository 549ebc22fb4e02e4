/*
 * The hash tables of runs. Chained through the runs themselves, for at a million runs a handle of uthash (56
 * bytes) in each table would be a sixth of the memory; the name chain is doubly linked, for it may hold one
 * run of every framework.
 */
#include "core/manifest/lookup.h"
#include "core/base/memory.h"
#include "core/manifest/framework.h"
#include <stdlib.h>

#define FIRST_BUCKETS 64

void lookup_init(struct lookup *lookup)
{
    *lookup = (struct lookup){.bucket_count = FIRST_BUCKETS};
    lookup->by_path = memory_alloc_zeroed(FIRST_BUCKETS, sizeof(*lookup->by_path));
    lookup->by_name = memory_alloc_zeroed(FIRST_BUCKETS, sizeof(*lookup->by_name));
}

void lookup_finish(struct lookup *lookup)
{
    free(lookup->by_path);
    free(lookup->by_name);
}

static uint64_t combine(uint64_t place_hash, uint64_t name_hash)
{
    return name_hash + 31 * place_hash;
}

uint64_t lookup_path_hash(struct slice place, struct slice name)
{
    return combine(text_hash(place), text_hash(name));
}

/* Only the lower 32 bits of a hash choose the bucket, so that a run need keep no more of it. */
static struct run **path_bucket(const struct lookup *lookup, uint64_t path_hash)
{
    return &lookup->by_path[(uint32_t)path_hash & (lookup->bucket_count - 1)];
}

static struct run **name_bucket(const struct lookup *lookup, uint32_t name_hash)
{
    return &lookup->by_name[name_hash & (lookup->bucket_count - 1)];
}

static void link_path(struct lookup *lookup, struct run *run)
{
    struct run **bucket = path_bucket(lookup, combine(run->place->hash, run->name_hash));
    run->path_next = *bucket;
    *bucket = run;
}

static void link_name(struct lookup *lookup, struct run *run)
{
    struct run **bucket = name_bucket(lookup, run->name_hash);
    run->name_previous = NULL;
    run->name_next = *bucket;
    if (*bucket)
        (*bucket)->name_previous = run;
    *bucket = run;
}

static void unlink_name(struct lookup *lookup, struct run *run)
{
    if (run->name_previous)
        run->name_previous->name_next = run->name_next;
    else
        *name_bucket(lookup, run->name_hash) = run->name_next;
    if (run->name_next)
        run->name_next->name_previous = run->name_previous;
}

static void grow(struct lookup *lookup)
{
    struct lookup old = *lookup;
    lookup->bucket_count *= 2;
    lookup->by_path = memory_alloc_zeroed(lookup->bucket_count, sizeof(*lookup->by_path));
    lookup->by_name = memory_alloc_zeroed(lookup->bucket_count, sizeof(*lookup->by_name));
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (struct run *run = old.by_path[i], *next; run; run = next) {
            next = run->path_next;
            link_path(lookup, run);
        }
        for (struct run *run = old.by_name[i], *next; run; run = next) {
            next = run->name_next;
            link_name(lookup, run);
        }
    }
    lookup_finish(&old);
}

void lookup_add(struct lookup *lookup, struct run *run)
{
    if (lookup->run_count == lookup->bucket_count)
        grow(lookup);
    lookup->run_count++;
    run->name_hash = (uint32_t)text_hash(run->name);
    link_path(lookup, run);
    link_name(lookup, run);
}

void lookup_remove(struct lookup *lookup, struct run *run)
{
    struct run **link = path_bucket(lookup, combine(run->place->hash, run->name_hash));
    while (*link != run)
        link = &(*link)->path_next;
    *link = run->path_next;
    unlink_name(lookup, run);
    lookup->run_count--;
}

struct run *lookup_chain(const struct lookup *lookup, uint64_t path_hash)
{
    return *path_bucket(lookup, path_hash);
}

struct run *lookup_find(const struct lookup *lookup, struct slice place, struct slice name)
{
    struct run *run = lookup_chain(lookup, lookup_path_hash(place, name));
    while (run && !(slice_equal(run->name, name) && slice_equal(run->place->path, place)))
        run = run->path_next;
    return run;
}

struct run *lookup_named(const struct lookup *lookup, struct slice name, const struct run *after)
{
    uint32_t hash = (uint32_t)text_hash(name);
    struct run *run = after ? after->name_next : *name_bucket(lookup, hash);
    while (run && !(run->name_hash == hash && slice_equal(run->name, name)))
        run = run->name_next;
    return run;
}
