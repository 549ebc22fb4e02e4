/*
 * What was read or derived of the past shortly before, within a number of bytes: a listing and a read come in
 * pieces, and each piece needs the whole again. Nothing goes while it is in use: only past_cache_shrink,
 * which is called when nobody uses any of it, lets go of something.
 */
#ifndef RUNSFS_FS_PAST_CACHE_H
#define RUNSFS_FS_PAST_CACHE_H

#include "core/git/repository.h"

enum past_kept_kind {
    KEPT_TREE,    /* struct tree, by its id */
    KEPT_BLOB,    /* struct buffer, by its id */
    KEPT_VIEWS,   /* struct past_views, by the source's tree */
    KEPT_LISTING, /* struct past_listing, by a query's node */
    KEPT_NAMES,   /* struct past_names, of at/ itself */
    KEPT_RUNS,    /* struct past, by the source's tree: the first to go, since one is as large as the views of
                   * twenty revisions that were made from such */
    KEPT_KIND_COUNT
};

struct past_cache;
/* release frees what is kept. */
struct past_cache *past_cache_create(void (*release)(void *content, enum past_kept_kind kind, void *context),
                                     void *context);
void past_cache_free(struct past_cache *cache); /* may be NULL */
/* NULL where it is not kept. */
void *past_cache_find(struct past_cache *cache, enum past_kept_kind kind, const struct object_id *key);
/* Takes over content, of that many bytes. In the place of what was kept by that key. */
void past_cache_put(struct past_cache *cache, enum past_kept_kind kind, const struct object_id *key,
                    void *content, size_t size_bytes);
/* What is kept by that key has served its purpose: it goes next, unless it is looked for before. */
void past_cache_spent(struct past_cache *cache, enum past_kept_kind kind, const struct object_id *key);
size_t past_cache_bytes(const struct past_cache *cache);
/* Lets go of what was not used for longest until no more than that is kept; but what was used last stays,
 * however large it is, unless wholly is set. The bytes that went. */
size_t past_cache_shrink(struct past_cache *cache, size_t limit_bytes, bool wholly);

#endif
