/*
 * The sorted leaves: a B-tree of two levels. At a million runs the upper level is an array of some thousand
 * pointers, which a memmove of microseconds keeps in order; more levels would buy nothing.
 */
#include "core/manifest/order.h"
#include "core/base/memory.h"
#include "core/manifest/framework.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

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
    free(order->gathered);
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
        order = slice_compare(a->place->framework->text, b->place->framework->text);
    if (order == 0)
        order = slice_compare(a->place->path, b->place->path);
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

/* ---- many at once ---- */

/* A run with the beginning of its start_time, which decides nearly always and stands in one place. */
struct sort_entry {
    uint64_t beginning[2];
    const struct run *run;
};

/* Eight bytes as a number that sorts like them; what is not there sorts first, as the end of a text does. */
static uint64_t load_beginning(struct slice text, size_t from)
{
    uint64_t number = 0;
    if (text.length > from)
        memcpy(&number, text.bytes + from, text.length - from < 8 ? text.length - from : 8);
    return htobe64(number);
}

static int compare_entries(const void *a, const void *b)
{
    const struct sort_entry *left = a, *right = b;
    for (int i = 0; i < 2; i++)
        if (left->beginning[i] != right->beginning[i])
            return left->beginning[i] < right->beginning[i] ? -1 : 1;
    return compare(left->run, right->run);
}

static void sort_runs(struct run **runs, size_t count)
{
    struct sort_entry *entries = memory_alloc(count * sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        struct slice start = runs[i]->fields.start_time;
        entries[i] = (struct sort_entry){{load_beginning(start, 0), load_beginning(start, 8)}, runs[i]};
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < count; i++)
        runs[i] = (struct run *)entries[i].run;
    free(entries);
}

/* Puts sorted runs into leaves of their own, full but the last. */
static void fill_leaves(struct order *order, struct run **runs, size_t count)
{
    struct order_leaf *leaf = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i % ORDER_LEAF_RUNS == 0)
            leaf = add_leaf(order, order->leaf_count);
        runs[i]->leaf = leaf;
        leaf->runs[leaf->count++] = runs[i];
    }
}

void order_gather(struct order *order)
{
    order->is_gathering = order->leaf_count == 0;
}

void order_settle(struct order *order)
{
    order->is_gathering = false;
    sort_runs(order->gathered, order->gathered_count);
    fill_leaves(order, order->gathered, order->gathered_count);
    free(order->gathered);
    order->gathered = NULL;
    order->gathered_count = order->gathered_capacity = 0;
}

static void gather(struct order *order, struct run *run)
{
    if (order->gathered_count == order->gathered_capacity) {
        order->gathered_capacity = order->gathered_capacity * 2 + ORDER_LEAF_RUNS;
        order->gathered = memory_resize(order->gathered, order->gathered_capacity * sizeof(struct run *));
    }
    order->gathered[order->gathered_count++] = run;
}

/* ---- one by one ---- */

void order_insert(struct order *order, struct run *run)
{
    if (order->is_gathering) {
        gather(order, run);
        return;
    }
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
    if (order->is_gathering)
        order_settle(order);
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

void order_touch(struct order *order, struct run *run)
{
    if (order->is_gathering)
        order_settle(order);
    drop_text(run->leaf);
}
