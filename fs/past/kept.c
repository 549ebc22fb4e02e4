/*
 * What was read or derived shortly before: trees, the contents of small files, views, the runs of revisions,
 * and the names in at/. How much of it is kept is cache.c's.
 */
#include "core/base/limits.h"
#include "core/base/memory.h"
#include "fs/past/cache.h"
#include "fs/past/names.h"
#include "fs/past/views.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct past_kept {
    struct past_cache *cache;
    struct past_places places;
    struct past_spools spools;
};

static void release(void *content, enum past_kept_kind kind, void *context)
{
    struct past_kept *kept = context;
    switch (kind) {
    case KEPT_TREE:
        free(content);
        break;
    case KEPT_BLOB:
        buffer_free(content);
        free(content);
        break;
    case KEPT_VIEWS:
        past_views_free(&kept->places, content);
        break;
    case KEPT_LISTING:
        past_listing_free(&kept->places, content);
        break;
    case KEPT_NAMES:
        past_names_free(content);
        break;
    default:
        past_free(content);
    }
}

struct past_kept *past_kept_create(void)
{
    struct past_kept *kept = memory_alloc_zeroed(1, sizeof(*kept));
    kept->cache = past_cache_create(release, kept);
    return kept;
}

void past_kept_free(struct past_kept *kept)
{
    if (!kept)
        return;
    past_spools_close(&kept->spools);
    past_cache_free(kept->cache);
    past_places_finish(&kept->places);
    free(kept);
}

struct past_spools *past_kept_spools(struct past_kept *kept)
{
    return &kept->spools;
}

const struct past_places *past_places(struct fs *fs)
{
    return &past_kept(fs)->places;
}

size_t past_kept_bytes(const struct past_kept *kept)
{
    return past_cache_bytes(kept->cache) + kept->places.size_bytes;
}

size_t past_kept_shrink(struct past_kept *kept, size_t limit_bytes, bool wholly)
{
    size_t before = past_kept_bytes(kept), now = before;
    /* What lists share goes with the last of them: how much that is shows only then. */
    while (now > limit_bytes) {
        size_t over = now - limit_bytes, own = past_cache_bytes(kept->cache);
        past_cache_shrink(kept->cache, own > over ? own - over : 0, wholly);
        if (past_kept_bytes(kept) == now)
            break;
        now = past_kept_bytes(kept);
    }
    return before - now;
}

/* ---- objects ---- */

int past_tree(struct fs *fs, const struct object_id *id, const struct tree **tree)
{
    struct past_cache *cache = past_kept(fs)->cache;
    struct tree *kept = past_cache_find(cache, KEPT_TREE, id);
    if (!kept) {
        int error = tree_read(past_repository(fs), id, &kept);
        if (error)
            return error;
        past_cache_put(cache, KEPT_TREE, id, kept, tree_bytes(kept));
    }
    *tree = kept;
    return 0;
}

int past_blob(struct fs *fs, const struct object_id *id, struct slice *content)
{
    struct past_cache *cache = past_kept(fs)->cache;
    struct buffer *kept = past_cache_find(cache, KEPT_BLOB, id);
    if (!kept) {
        kept = memory_alloc_zeroed(1, sizeof(*kept));
        int error = blob_read(past_repository(fs), id, LIMIT_PAST_BLOB_BYTES, kept);
        if (error) {
            buffer_free(kept);
            free(kept);
            return error;
        }
        past_cache_put(cache, KEPT_BLOB, id, kept, sizeof(*kept) + kept->capacity);
    }
    *content = buffer_slice(kept);
    return 0;
}

/* ---- runs ---- */

int past_runs(struct fs *fs, const struct past_node *node, struct past **past)
{
    struct past_cache *cache = past_kept(fs)->cache;
    const struct object_id *tree = &past_node_commit(node)->tree;
    *past = past_cache_find(cache, KEPT_RUNS, tree);
    if (*past)
        return 0;
    int error = past_create(past_deriver(fs), tree, NULL, past);
    if (error == 0)
        past_cache_put(cache, KEPT_RUNS, tree, *past, past_bytes(*past));
    return error;
}

int past_views(struct fs *fs, const struct past_node *node, const struct past_views **views)
{
    struct past_kept *kept = past_kept(fs);
    const struct object_id *tree = &past_node_commit(node)->tree;
    struct past_views *made = past_cache_find(kept->cache, KEPT_VIEWS, tree);
    if (!made) {
        struct past *past;
        int error = past_runs(fs, node, &past);
        if (error)
            return past_failed(fs, node, error);
        made = past_views_create(&kept->places, past);
        past_cache_put(kept->cache, KEPT_VIEWS, tree, made, past_views_bytes(made));
        past_cache_spent(kept->cache, KEPT_RUNS, tree);
    }
    *views = made;
    return 0;
}

/* The value below which a query stands; NULL below where/. */
static const struct facet_value *value_above(const struct past_node *node, struct index *index)
{
    while (node->past_kind == PAST_QUERY && !past_is_where(node))
        node = (const struct past_node *)node->parent;
    if (node->past_kind != PAST_VALUE)
        return NULL;
    const struct past_node *facet = (const struct past_node *)node->parent;
    return facet_find(index, (unsigned)facet_of_directory(index, facet->name), node->name);
}

int past_query(struct fs *fs, const struct past_node *node, struct past_listing **listing)
{
    struct past_kept *kept = past_kept(fs);
    struct past *past;
    struct query *query;
    struct query_error error;
    struct buffer text = {0};
    struct object_id key = {{0}}; /* node numbers are addresses, which come again with another generation */
    memcpy(key.bytes, &node, sizeof(node));
    memcpy(key.bytes + sizeof(node), &node->node.generation, sizeof(node->node.generation));
    *listing = past_cache_find(kept->cache, KEPT_LISTING, &key);
    if (*listing)
        return 0;
    int result = past_runs(fs, node, &past);
    if (result)
        return past_failed(fs, node, result);
    past_append_predicates(node, NULL, &text);
    result = query_parse(past->rules->fields, buffer_slice(&text), &query, &error);
    buffer_free(&text);
    if (result)
        return result;
    *listing = past_views_query(&kept->places, past, query, value_above(node, past->index));
    query_free(query);
    past_cache_put(kept->cache, KEPT_LISTING, &key, *listing, past_listing_bytes(*listing));
    return 0;
}

/* ---- names ---- */

int past_names(struct fs *fs, bool anew, const struct past_names **names)
{
    static const struct object_id key;
    struct past_cache *cache = past_kept(fs)->cache;
    struct past_names *kept = anew ? NULL : past_cache_find(cache, KEPT_NAMES, &key);
    int error = 0;
    if (!kept) {
        error = past_names_create(past_repository(fs), &kept);
        past_cache_put(cache, KEPT_NAMES, &key, kept, past_names_bytes(kept));
    }
    *names = kept;
    return error;
}
