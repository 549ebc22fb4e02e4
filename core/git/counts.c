/*
 * Counting by status: see counts.h. A commit's counts are those of its first parent and what differs, so that
 * each costs what it changed and not what there is.
 */
#include "core/git/counts.h"
#include "core/base/memory.h"
#include "core/git/comparison.h"
#include "core/git/walk.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define NO_ROW SIZE_MAX

struct node {
    struct object_id id, tree; /* of the source */
    int64_t time_s;
    size_t first_parent, parent_count; /* in the ids of all parents */
    size_t row;                        /* that has its counts; NO_ROW: there are no runs yet */
    bool is_done, is_mainline;
};

struct known_status {
    struct slice name;
    size_t column;
    UT_hash_handle hh;
};

struct counting {
    struct deriver *deriver;
    struct node *nodes; /* as the walk gave them */
    size_t node_count, node_capacity;
    struct object_id *parents; /* of all nodes */
    size_t parent_count, parent_capacity;
    size_t *by_id;
    struct known_status *statuses;
    struct count_table *table;
    size_t row_capacity;
    size_t done;
    void (*seen)(size_t done, size_t total, void *context);
    void *context;
};

/* ---- the commits ---- */

static void add_parents(struct counting *counting, const struct walk_commit *at)
{
    size_t needed = counting->parent_count + at->parent_count;
    if (counting->parent_capacity < needed) {
        counting->parent_capacity = needed * 2;
        counting->parents =
            memory_resize(counting->parents, counting->parent_capacity * sizeof(*counting->parents));
    }
    for (size_t i = 0; i < at->parent_count; i++)
        counting->parents[counting->parent_count++] = at->parents[i];
}

static int add_node(struct counting *counting, const struct walk_commit *at)
{
    struct commit commit;
    int error = commit_read(deriver_repository(counting->deriver), &at->id, &commit);
    if (error)
        return -EIO;
    if (counting->node_count == counting->node_capacity) {
        counting->node_capacity = counting->node_capacity * 2 + 64;
        counting->nodes = memory_resize(counting->nodes, counting->node_capacity * sizeof(*counting->nodes));
    }
    counting->nodes[counting->node_count++] = (struct node){.id = at->id,
                                                            .tree = commit.tree,
                                                            .time_s = at->time_s,
                                                            .first_parent = counting->parent_count,
                                                            .parent_count = at->parent_count,
                                                            .row = NO_ROW};
    add_parents(counting, at);
    return 0;
}

static int by_id(const void *a, const void *b, void *context)
{
    const struct node *nodes = context;
    return memcmp(&nodes[*(const size_t *)a].id, &nodes[*(const size_t *)b].id, sizeof(struct object_id));
}

static struct node *find_node(const struct counting *counting, const struct object_id *id)
{
    size_t low = 0, high = counting->node_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct node *node = &counting->nodes[counting->by_id[middle]];
        int order = memcmp(id, &node->id, sizeof(*id));
        if (order == 0)
            return node;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static struct node *parent_of(const struct counting *counting, const struct node *node, size_t number)
{
    return number < node->parent_count ? find_node(counting, &counting->parents[node->first_parent + number])
                                       : NULL;
}

static int read_nodes(struct counting *counting)
{
    struct repository *repository = deriver_repository(counting->deriver);
    const struct walk_commit *at;
    struct object_id head;
    int error = history_head(repository, &head);
    if (error)
        return error == -ENOENT ? 0 : error;
    struct walk *walk = walk_create(repository, &head);
    while (error == 0 && (error = walk_next(walk, &at)) == 0)
        error = add_node(counting, at);
    walk_free(walk);
    if (error != -ENOENT)
        return error;
    counting->by_id = memory_alloc(counting->node_count * sizeof(*counting->by_id));
    for (size_t i = 0; i < counting->node_count; i++)
        counting->by_id[i] = i;
    qsort_r(counting->by_id, counting->node_count, sizeof(*counting->by_id), by_id, counting->nodes);
    for (struct node *node = counting->nodes; node; node = parent_of(counting, node, 0))
        node->is_mainline = true;
    return 0;
}

/* ---- rows ---- */

static size_t column_of(struct counting *counting, struct slice status)
{
    struct known_status *known;
    HASH_FIND(hh, counting->statuses, status.bytes, status.length, known);
    if (known)
        return known->column;
    known = memory_alloc_zeroed(1, sizeof(*known));
    known->name = slice_copy(status);
    known->column = HASH_COUNT(counting->statuses);
    HASH_ADD_KEYPTR(hh, counting->statuses, known->name.bytes, known->name.length, known);
    return known->column;
}

/* Takes one run more, or less, into the row. */
static void count_run(struct counting *counting, struct count_row *row, const struct history_state *state,
                      bool is_more)
{
    if (!state->is_run)
        return;
    size_t column = column_of(counting, state->status);
    if (column >= row->width) {
        row->counts = memory_resize(row->counts, (column + 1) * sizeof(*row->counts));
        memset(row->counts + row->width, 0, (column + 1 - row->width) * sizeof(*row->counts));
        row->width = column + 1;
    }
    if (is_more)
        row->counts[column]++;
    else
        row->counts[column]--;
}

static int count_changes(struct counting *counting, const struct object_id *old_tree,
                         const struct object_id *new_tree, struct count_row *row)
{
    struct comparison comparison;
    int error = comparison_begin(&comparison, counting->deriver, old_tree, new_tree);
    for (size_t i = 0; i < comparison.count && error == 0; i++) {
        const struct comparison_place *place = &comparison.places[i];
        struct history_state before, after = {0};
        error = history_state_read(counting->deriver, comparison.old_rules, &place->old_tree, &before);
        if (error == 0)
            error = history_state_read(counting->deriver, comparison.new_rules, &place->new_tree, &after);
        if (error == 0) {
            count_run(counting, row, &before, false);
            count_run(counting, row, &after, true);
        }
        history_state_free(&before);
        history_state_free(&after);
    }
    comparison_free(&comparison);
    return error;
}

static int add_row(struct counting *counting, struct node *node, const struct node *parent)
{
    static const struct object_id none;
    struct count_table *table = counting->table;
    struct count_row row = {.commit = node->id, .time_s = node->time_s, .is_mainline = node->is_mainline};
    if (parent && parent->row != NO_ROW && table->rows[parent->row].width > 0) {
        const struct count_row *old = &table->rows[parent->row];
        row.width = old->width;
        row.counts = memory_alloc(old->width * sizeof(*row.counts));
        memcpy(row.counts, old->counts, old->width * sizeof(*row.counts));
    }
    int error = count_changes(counting, parent ? &parent->tree : &none, &node->tree, &row);
    if (error) {
        free(row.counts);
        return error;
    }
    if (table->row_count == counting->row_capacity) {
        counting->row_capacity = counting->row_capacity * 2 + 64;
        table->rows = memory_resize(table->rows, counting->row_capacity * sizeof(*table->rows));
    }
    node->row = table->row_count;
    table->rows[table->row_count++] = row;
    return 0;
}

/* Its parents are done. */
static int finish_node(struct counting *counting, struct node *node)
{
    static const struct object_id none;
    const struct node *parent = parent_of(counting, node, 0);
    node->is_done = true;
    counting->done++;
    if (counting->seen)
        counting->seen(counting->done, counting->node_count, counting->context);
    if (parent)
        node->row = parent->row;
    if (object_id_equal(parent ? &parent->tree : &none, &node->tree))
        return 0;
    return add_row(counting, node, parent);
}

/* The commit and all before it that are not done yet: parents first, also where the clock of one was wrong.
 */
static int finish_with_parents(struct counting *counting, struct node *node)
{
    struct node **stack = memory_alloc(sizeof(struct node *));
    size_t depth = 1, capacity = 1;
    int error = 0;
    stack[0] = node;
    while (depth > 0 && error == 0) {
        struct node *at = stack[depth - 1], *waiting = NULL;
        for (size_t i = 0; i < at->parent_count && !waiting && !at->is_done; i++) {
            struct node *parent = parent_of(counting, at, i);
            if (parent && !parent->is_done)
                waiting = parent;
        }
        if (!waiting) {
            error = at->is_done ? 0 : finish_node(counting, at);
            depth--;
            continue;
        }
        if (depth == capacity) {
            capacity *= 2;
            stack = memory_resize(stack, capacity * sizeof(*stack));
        }
        stack[depth++] = waiting;
    }
    free(stack);
    return error;
}

/* ---- the table ---- */

/* verified, pending, failed; then all else by its bytes. */
static int compare_statuses(struct slice a, struct slice b)
{
    static const char *const first[] = {"verified", "pending", "failed"};
    for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
        bool a_is = slice_equal(a, slice_of(first[i])), b_is = slice_equal(b, slice_of(first[i]));
        if (a_is || b_is)
            return b_is - a_is;
    }
    return slice_compare(a, b);
}

static int by_status(struct known_status *a, struct known_status *b)
{
    return compare_statuses(a->name, b->name);
}

/* Puts the statuses into the table and frees what they were found by. */
static void take_statuses(struct counting *counting)
{
    struct count_table *table = counting->table;
    struct known_status *known, *next;
    HASH_SORT(counting->statuses, by_status);
    table->statuses = memory_alloc_zeroed(HASH_COUNT(counting->statuses) + 1, sizeof(*table->statuses));
    table->columns = memory_alloc_zeroed(HASH_COUNT(counting->statuses) + 1, sizeof(*table->columns));
    HASH_ITER(hh, counting->statuses, known, next)
    {
        table->statuses[table->status_count] = known->name;
        table->columns[table->status_count++] = known->column;
        HASH_DEL(counting->statuses, known);
        free(known);
    }
}

int count_history(struct deriver *deriver, void (*seen)(size_t done, size_t total, void *context),
                  void *context, struct count_table **table)
{
    struct counting counting = {.deriver = deriver, .seen = seen, .context = context};
    counting.table = memory_alloc_zeroed(1, sizeof(*counting.table));
    history_keep_trees();
    int error = read_nodes(&counting);
    for (size_t i = counting.node_count; i > 0 && error == 0; i--)
        error = finish_with_parents(&counting, &counting.nodes[i - 1]);
    take_statuses(&counting);
    free(counting.nodes);
    free(counting.parents);
    free(counting.by_id);
    if (error)
        count_table_free(counting.table);
    else
        *table = counting.table;
    return error;
}

void count_table_free(struct count_table *table)
{
    for (size_t i = 0; i < table->status_count; i++)
        slice_free(&table->statuses[i]);
    for (size_t i = 0; i < table->row_count; i++)
        free(table->rows[i].counts);
    free(table->statuses);
    free(table->columns);
    free(table->rows);
    free(table);
}

uint32_t count_of(const struct count_table *table, const struct count_row *row, size_t status)
{
    size_t column = table->columns[status];
    return column < row->width ? row->counts[column] : 0;
}
