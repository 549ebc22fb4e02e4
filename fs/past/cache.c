/*
 * A cache by bytes: see cache.h. Two lists by use, one of what goes first.
 */
#include "fs/past/cache.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct kept_key {
    struct object_id id;
    uint32_t kind;
};

struct kept {
    struct kept_key key;
    void *content;
    size_t size_bytes;
    bool is_spent;
    struct kept *prev, *next; /* by use, the last used first */
    UT_hash_handle hh;
};

struct past_cache {
    void (*release)(void *content, enum past_kept_kind kind, void *context);
    void *context;
    struct kept *table;
    struct kept *used[2]; /* of those that go first, the second */
    size_t size_bytes;
};

struct past_cache *past_cache_create(void (*release)(void *content, enum past_kept_kind kind, void *context),
                                     void *context)
{
    struct past_cache *cache = memory_alloc_zeroed(1, sizeof(*cache));
    cache->release = release;
    cache->context = context;
    return cache;
}

static struct kept **list_of(struct past_cache *cache, const struct kept *kept)
{
    return &cache->used[kept->key.kind == KEPT_RUNS];
}

static void drop(struct past_cache *cache, struct kept *kept)
{
    HASH_DEL(cache->table, kept);
    DL_DELETE(*list_of(cache, kept), kept);
    cache->size_bytes -= kept->size_bytes;
    cache->release(kept->content, kept->key.kind, cache->context);
    free(kept);
}

void past_cache_free(struct past_cache *cache)
{
    if (!cache)
        return;
    past_cache_shrink(cache, 0, true);
    free(cache);
}

static struct kept *find(struct past_cache *cache, enum past_kept_kind kind, const struct object_id *id)
{
    struct kept_key key = {*id, kind};
    struct kept *kept;
    HASH_FIND(hh, cache->table, &key, sizeof(key), kept);
    return kept;
}

void *past_cache_find(struct past_cache *cache, enum past_kept_kind kind, const struct object_id *key)
{
    struct kept *kept = find(cache, kind, key);
    if (!kept)
        return NULL;
    kept->is_spent = false;
    struct kept **list = list_of(cache, kept);
    if (*list != kept) {
        DL_DELETE(*list, kept);
        DL_PREPEND(*list, kept);
    }
    return kept->content;
}

void past_cache_put(struct past_cache *cache, enum past_kept_kind kind, const struct object_id *key,
                    void *content, size_t size_bytes)
{
    struct kept *kept = find(cache, kind, key);
    if (kept)
        drop(cache, kept);
    kept = memory_alloc_zeroed(1, sizeof(*kept));
    *kept = (struct kept){.key = {*key, kind}, .content = content, .size_bytes = size_bytes + sizeof(*kept)};
    HASH_ADD(hh, cache->table, key, sizeof(kept->key), kept);
    DL_PREPEND(*list_of(cache, kept), kept);
    cache->size_bytes += kept->size_bytes;
}

void past_cache_spent(struct past_cache *cache, enum past_kept_kind kind, const struct object_id *key)
{
    struct kept *kept = find(cache, kind, key);
    if (kept)
        kept->is_spent = true;
}

size_t past_cache_bytes(const struct past_cache *cache)
{
    return cache->size_bytes;
}

/* What goes next; NULL for none. */
static struct kept *victim(struct past_cache *cache, bool wholly)
{
    for (int list = 1; list >= 0; list--) {
        struct kept *newest = cache->used[list];
        if (newest && (wholly || newest->next || newest->is_spent))
            return newest->prev; /* of the first: the list's end */
    }
    return NULL;
}

size_t past_cache_shrink(struct past_cache *cache, size_t limit_bytes, bool wholly)
{
    size_t before = cache->size_bytes;
    for (struct kept *kept; cache->size_bytes > limit_bytes && (kept = victim(cache, wholly));)
        drop(cache, kept);
    return before - cache->size_bytes;
}
