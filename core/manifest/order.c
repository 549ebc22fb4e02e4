/*
 * The sorted leaves: a B-tree of two levels. At a million runs the upper level is an array of some thousand
 * pointers, which a memmove of microseconds keeps in order; more levels would buy nothing.
 */
#include "core/manifest/order.h"
#include "core/base/memory.h"
#include "core/manifest/framework.h"
#include "core/manifest/render.h"
#include <stdlib.h>
#include <string.h>

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

static void drop_text(struct order_leaf *leaf)
{
    chunk_unref(leaf->text);
    leaf->text = NULL;
}

void order_finish(struct order *order)
{
    for (size_t i = 0; i < order->leaf_count; i++) {
        drop_text(order->leaves[i]);
        free(order->leaves[i]);
    }
    free(order->leaves);
}

/* Names that are not UTF-8 sort by their text in the manifest, as Python sorts them. */
static int compare_names(const struct run *a, const struct run *b)
{
    if (a->name_is_text && b->name_is_text)
        return slice_compare(a->name, b->name);
    struct buffer text_a = {0}, text_b = {0};
    utf8_append_file_name(&text_a, a->name);
    utf8_append_file_name(&text_b, b->name);
    int order = slice_compare(buffer_slice(&text_a), buffer_slice(&text_b));
    buffer_free(&text_a);
    buffer_free(&text_b);
    return order;
}

static int compare(const struct run *a, const struct run *b)
{
    int order = slice_compare(a->fields.start_time, b->fields.start_time);
    if (order == 0)
        order = compare_names(a, b);
    if (order == 0)
        order = slice_compare(a->framework_entry->text, b->framework_entry->text);
    return order;
}

/* The leaf in which the run is or belongs: the last one that does not begin behind it. */
static size_t leaf_position(const struct order *order, const struct run *run)
{
    size_t low = 1, high = order->leaf_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(order->leaves[middle]->runs[0], run) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* The first place in the leaf that is not before the run. */
static unsigned run_position(const struct order_leaf *leaf, const struct run *run)
{
    unsigned low = 0, high = leaf->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (compare(leaf->runs[middle], run) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct order_leaf *add_leaf(struct order *order, size_t position)
{
    if (order->leaf_count == order->leaf_capacity) {
        order->leaf_capacity = order->leaf_capacity * 2 + 8;
        order->leaves = memory_resize(order->leaves, order->leaf_capacity * sizeof(*order->leaves));
    }
    memmove(&order->leaves[position + 1], &order->leaves[position],
            (order->leaf_count - position) * sizeof(*order->leaves));
    struct order_leaf *leaf = memory_alloc_zeroed(1, sizeof(*leaf));
    order->leaves[position] = leaf;
    order->leaf_count++;
    if (position > 0) {
        leaf->next = order->leaves[position - 1]->next;
        order->leaves[position - 1]->next = leaf;
    }
    return leaf;
}

static void remove_leaf(struct order *order, size_t position)
{
    struct order_leaf *leaf = order->leaves[position];
    if (position > 0)
        order->leaves[position - 1]->next = leaf->next;
    drop_text(leaf);
    free(leaf);
    order->leaf_count--;
    memmove(&order->leaves[position], &order->leaves[position + 1],
            (order->leaf_count - position) * sizeof(*order->leaves));
}

/* Moves the runs of source from `from` on to the end of target. */
static void move_runs(struct order_leaf *target, struct order_leaf *source, unsigned from)
{
    for (unsigned i = from; i < source->count; i++) {
        source->runs[i]->leaf = target;
        target->runs[target->count++] = source->runs[i];
    }
    source->count = from;
    drop_text(source);
    drop_text(target);
}

/* Makes room in a full leaf. Runs mostly come in the order of time: at the very end a leaf is left full. */
static void split(struct order *order, size_t position, unsigned at)
{
    bool at_end = position + 1 == order->leaf_count && at == ORDER_LEAF_RUNS;
    struct order_leaf *leaf = order->leaves[position];
    struct order_leaf *right = add_leaf(order, position + 1);
    if (!at_end)
        move_runs(right, leaf, ORDER_LEAF_RUNS / 2);
}

void order_insert(struct order *order, struct run *run)
{
    if (order->leaf_count == 0)
        add_leaf(order, 0);
    size_t position = leaf_position(order, run);
    struct order_leaf *leaf = order->leaves[position];
    unsigned at = run_position(leaf, run);
    if (leaf->count == ORDER_LEAF_RUNS) {
        split(order, position, at);
        if (at > leaf->count || at == ORDER_LEAF_RUNS) {
            at -= leaf->count;
            leaf = leaf->next;
        }
    }
    memmove(&leaf->runs[at + 1], &leaf->runs[at], (leaf->count - at) * sizeof(struct run *));
    leaf->runs[at] = run;
    leaf->count++;
    run->leaf = leaf;
    drop_text(leaf);
}

void order_remove(struct order *order, struct run *run)
{
    size_t position = leaf_position(order, run);
    struct order_leaf *leaf = run->leaf;
    unsigned at = run_position(leaf, run);
    leaf->count--;
    memmove(&leaf->runs[at], &leaf->runs[at + 1], (leaf->count - at) * sizeof(struct run *));
    run->leaf = NULL;
    drop_text(leaf);
    if (leaf->count == 0) {
        remove_leaf(order, position);
    } else if (leaf->next && leaf->count + leaf->next->count <= ORDER_LEAF_RUNS / 2) {
        move_runs(leaf, leaf->next, 0);
        remove_leaf(order, position + 1);
    }
}

struct run *order_next(const struct run *run)
{
    const struct order_leaf *leaf = run->leaf;
    unsigned at = 0;
    while (leaf->runs[at] != run)
        at++;
    if (at + 1 < leaf->count)
        return leaf->runs[at + 1];
    return leaf->next ? leaf->next->runs[0] : NULL;
}

void order_touch(struct run *run)
{
    drop_text(run->leaf);
}

struct chunk *order_leaf_text(struct order_leaf *leaf, struct buffer *scratch)
{
    if (leaf->text)
        return leaf->text;
    buffer_clear(scratch);
    for (unsigned i = 0; i < leaf->count; i++)
        render_entry(scratch, leaf->runs[i]);
    leaf->text = chunk_create(buffer_slice(scratch));
    return leaf->text;
}
