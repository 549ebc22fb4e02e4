/*
 * What was read or derived shortly before, bounded in number and size: trees, the contents of files, and the
 * runs of revisions. A listing and a read come in pieces, and each piece needs the whole again.
 */
#include "fs/past/past.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_TREES 32
#define KEPT_BLOBS 16
#define KEPT_BLOB_BYTES ((size_t)8 << 20)
#define KEPT_PASTS 64
/* Of all kept revisions together; about 1 kB each. */
#define KEPT_PAST_RUNS ((size_t)16 << 10)

struct kept_tree {
    struct object_id id;
    struct tree *tree;
    uint64_t used;
};

struct kept_blob {
    struct object_id id;
    struct buffer content;
    bool is_there;
    uint64_t used;
};

struct kept_past {
    struct object_id tree;
    struct past *past;
    uint64_t used;
};

struct past_kept {
    uint64_t uses;
    struct kept_tree trees[KEPT_TREES];
    struct kept_blob blobs[KEPT_BLOBS];
    size_t blob_bytes;
    struct kept_past pasts[KEPT_PASTS];
    size_t past_runs;
};

struct past_kept *past_kept_create(void)
{
    return memory_alloc_zeroed(1, sizeof(struct past_kept));
}

static void drop_blob(struct past_kept *kept, struct kept_blob *blob)
{
    kept->blob_bytes -= blob->content.length;
    buffer_free(&blob->content);
    *blob = (struct kept_blob){.used = 0};
}

static void drop_past(struct past_kept *kept, struct kept_past *past)
{
    if (past->past)
        kept->past_runs -= index_count(past->past->index);
    past_free(past->past);
    *past = (struct kept_past){.used = 0};
}

void past_kept_free(struct past_kept *kept)
{
    if (!kept)
        return;
    for (size_t i = 0; i < KEPT_TREES; i++)
        free(kept->trees[i].tree);
    for (size_t i = 0; i < KEPT_BLOBS; i++)
        drop_blob(kept, &kept->blobs[i]);
    for (size_t i = 0; i < KEPT_PASTS; i++)
        drop_past(kept, &kept->pasts[i]);
    free(kept);
}

int past_tree(struct fs *fs, const struct object_id *id, const struct tree **tree)
{
    struct past_kept *kept = past_kept(fs);
    struct kept_tree *oldest = &kept->trees[0];
    for (size_t i = 0; i < KEPT_TREES; i++) {
        struct kept_tree *at = &kept->trees[i];
        if (at->tree && object_id_equal(&at->id, id)) {
            at->used = ++kept->uses;
            *tree = at->tree;
            return 0;
        }
        if (at->used < oldest->used)
            oldest = at;
    }
    struct tree *new;
    int error = tree_read(past_repository(fs), id, &new);
    if (error)
        return error;
    free(oldest->tree);
    *oldest = (struct kept_tree){*id, new, ++kept->uses};
    *tree = new;
    return 0;
}

static struct kept_blob *oldest_blob(struct past_kept *kept)
{
    struct kept_blob *oldest = NULL;
    for (size_t i = 0; i < KEPT_BLOBS; i++)
        if (!oldest || kept->blobs[i].used < oldest->used)
            oldest = &kept->blobs[i];
    return oldest;
}

int past_blob(struct fs *fs, const struct object_id *id, struct slice *content)
{
    struct past_kept *kept = past_kept(fs);
    for (size_t i = 0; i < KEPT_BLOBS; i++) {
        struct kept_blob *at = &kept->blobs[i];
        if (at->is_there && object_id_equal(&at->id, id)) {
            at->used = ++kept->uses;
            *content = buffer_slice(&at->content);
            return 0;
        }
    }
    struct buffer read = {0};
    int error = blob_read(past_repository(fs), id, UINT64_MAX, &read);
    if (error) {
        buffer_free(&read);
        return error;
    }
    /* One that is larger than all may be takes the place of all. */
    for (size_t i = 0; i < KEPT_BLOBS && kept->blob_bytes && kept->blob_bytes + read.length > KEPT_BLOB_BYTES;
         i++) {
        struct kept_blob *largest = &kept->blobs[0];
        for (size_t j = 1; j < KEPT_BLOBS; j++)
            if (kept->blobs[j].content.length > largest->content.length)
                largest = &kept->blobs[j];
        drop_blob(kept, largest);
    }
    struct kept_blob *place = oldest_blob(kept);
    drop_blob(kept, place);
    *place = (struct kept_blob){.id = *id, .content = read, .is_there = true, .used = ++kept->uses};
    kept->blob_bytes += read.length;
    *content = buffer_slice(&place->content);
    return 0;
}

/* Makes room for as many runs as the last revision had, whose neighbour this is likely to be. */
static struct kept_past *place_for_past(struct past_kept *kept)
{
    for (;;) {
        struct kept_past *oldest = NULL, *empty = NULL;
        size_t count = 0;
        for (size_t i = 0; i < KEPT_PASTS; i++) {
            struct kept_past *at = &kept->pasts[i];
            count += at->past != NULL;
            if (!at->past)
                empty = at;
            else if (!oldest || at->used < oldest->used)
                oldest = at;
        }
        if (empty && (count == 0 || kept->past_runs + kept->past_runs / count <= KEPT_PAST_RUNS))
            return empty;
        drop_past(kept, oldest);
    }
}

int past_runs(struct fs *fs, const struct past_node *node, struct past **past)
{
    struct past_kept *kept = past_kept(fs);
    const struct commit *commit = past_commit(node);
    for (size_t i = 0; i < KEPT_PASTS; i++) {
        struct kept_past *at = &kept->pasts[i];
        if (at->past && object_id_equal(&at->tree, &commit->tree)) {
            at->used = ++kept->uses;
            *past = at->past;
            return 0;
        }
    }
    struct kept_past *place = place_for_past(kept);
    int error = past_create(past_deriver(fs), &commit->tree, NULL, past);
    if (error)
        return error;
    *place = (struct kept_past){commit->tree, *past, ++kept->uses};
    kept->past_runs += index_count((*past)->index);
    return 0;
}
