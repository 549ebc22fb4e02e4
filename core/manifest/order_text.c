/*
 * The rendered text of the order's leaves: shared pieces, of which only those that changed are rendered
 * again; on all cores where that is many, as after a scan.
 */
#include "core/base/memory.h"
#include "core/base/team.h"
#include "core/manifest/order.h"
#include "core/manifest/render.h"
#include <stdlib.h>
#include <string.h>

#define LEAVES_WORTH_A_THREAD 8

struct chunk *chunk_create(struct slice text)
{
    struct chunk *chunk = memory_alloc(sizeof(*chunk) + text.length);
    atomic_init(&chunk->references, 1);
    chunk->length = text.length;
    memcpy(chunk->bytes, text.bytes, text.length);
    return chunk;
}

struct chunk *chunk_ref(struct chunk *chunk)
{
    atomic_fetch_add_explicit(&chunk->references, 1, memory_order_relaxed);
    return chunk;
}

void chunk_unref(struct chunk *chunk)
{
    if (chunk && atomic_fetch_sub_explicit(&chunk->references, 1, memory_order_acq_rel) == 1)
        free(chunk);
}

/* All that threads share; each renders leaves of its own. */
struct rendering {
    const struct order *order;
    atomic_size_t next;
};

static void render_leaf(struct order_leaf *leaf, struct buffer *scratch)
{
    buffer_clear(scratch);
    for (unsigned i = 0; i < leaf->count; i++)
        render_entry(scratch, leaf->runs[i]);
    leaf->text = chunk_create(buffer_slice(scratch));
}

static void *render_leaves(void *context)
{
    struct rendering *rendering = context;
    struct buffer scratch = {0};
    for (size_t i; (i = atomic_fetch_add(&rendering->next, 1)) < rendering->order->leaf_count;)
        if (!rendering->order->leaves[i]->text)
            render_leaf(rendering->order->leaves[i], &scratch);
    buffer_free(&scratch);
    return NULL;
}

void order_render(struct order *order)
{
    size_t missing = 0;
    for (size_t i = 0; i < order->leaf_count; i++)
        missing += !order->leaves[i]->text;
    if (missing == 0)
        return;
    struct rendering rendering = {.order = order};
    struct team team;
    team_start(&team, team_worth(missing, LEAVES_WORTH_A_THREAD) - 1, render_leaves, &rendering);
    render_leaves(&rendering);
    team_join(&team);
}
