/*
 * Comparing two trees of the source: see comparison.h.
 */
#include "core/git/comparison.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>

static void add_place(struct comparison *comparison, const char *path, const struct object_id *old_tree,
                      const struct object_id *new_tree)
{
    static const struct object_id none;
    if (comparison->count == comparison->capacity) {
        comparison->capacity = comparison->capacity * 2 + 16;
        comparison->places =
            memory_resize(comparison->places, comparison->capacity * sizeof(*comparison->places));
    }
    comparison->places[comparison->count++] = (struct comparison_place){
        memory_copy_text(path, strlen(path)), old_tree ? *old_tree : none, new_tree ? *new_tree : none};
}

static int add_change(const char *path, const struct object_id *old_run_tree,
                      const struct object_id *new_run_tree, void *context)
{
    add_place(context, path, old_run_tree, new_run_tree);
    return 0;
}

static int add_old(const char *path, const struct object_id *run_tree, void *context)
{
    add_place(context, path, run_tree, NULL);
    return 0;
}

static int add_new(const char *path, const struct object_id *run_tree, void *context)
{
    add_place(context, path, NULL, run_tree);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct comparison_place *)a)->path, ((const struct comparison_place *)b)->path);
}

static void sort(struct comparison *comparison)
{
    if (comparison->count > 1)
        qsort(comparison->places, comparison->count, sizeof(*comparison->places), by_path);
}

/* Of a path that came from both sides makes one place. */
static void join_sides(struct comparison *comparison)
{
    size_t kept = 0;
    for (size_t i = 0; i < comparison->count; i++) {
        struct comparison_place *place = &comparison->places[i];
        struct comparison_place *last = kept ? &comparison->places[kept - 1] : NULL;
        if (!last || strcmp(last->path, place->path) != 0) {
            comparison->places[kept++] = *place;
            continue;
        }
        if (object_id_is_none(&last->old_tree))
            last->old_tree = place->old_tree;
        if (object_id_is_none(&last->new_tree))
            last->new_tree = place->new_tree;
        free(place->path);
    }
    comparison->count = kept;
}

int comparison_begin(struct comparison *comparison, struct deriver *deriver, const struct object_id *old_tree,
                     const struct object_id *new_tree)
{
    *comparison = (struct comparison){.deriver = deriver};
    if (object_id_equal(old_tree, new_tree))
        return 0;
    int error = deriver_rules(deriver, new_tree, &comparison->new_rules);
    comparison->old_rules = comparison->new_rules;
    /* A tree without entries is the same by any rules. */
    if (error == 0 && !object_id_is_none(old_tree))
        error = deriver_rules(deriver, old_tree, &comparison->old_rules);
    if (error)
        return error;
    if (object_id_is_none(new_tree))
        comparison->new_rules = comparison->old_rules;
    if (comparison->old_rules == comparison->new_rules) {
        error =
            deriver_each_change(deriver, comparison->new_rules, old_tree, new_tree, add_change, comparison);
        sort(comparison);
        return error;
    }
    error = deriver_each_place(deriver, comparison->old_rules, old_tree, add_old, comparison);
    if (error == 0)
        error = deriver_each_place(deriver, comparison->new_rules, new_tree, add_new, comparison);
    sort(comparison);
    join_sides(comparison);
    return error;
}

void comparison_free(struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++)
        free(comparison->places[i].path);
    free(comparison->places);
    *comparison = (struct comparison){0};
}

const struct comparison_place *comparison_find(const struct comparison *comparison, const char *path)
{
    const struct comparison_place key = {.path = (char *)path};
    if (comparison->count == 0)
        return NULL;
    return bsearch(&key, comparison->places, comparison->count, sizeof(key), by_path);
}

/* ---- what runs say ---- */

int history_state_read(struct deriver *deriver, const struct rules *rules, const struct object_id *run_tree,
                       struct history_state *state)
{
    const struct run_state *derived;
    *state = (struct history_state){0};
    if (object_id_is_none(run_tree))
        return 0;
    int error = deriver_run(deriver, rules, run_tree, &derived);
    if (error || !derived->is_run)
        return error;
    *state = (struct history_state){true, slice_copy(derived->fields.status), derived->fields.tokens_in,
                                    derived->fields.tokens_out};
    return 0;
}

bool history_state_equal(const struct history_state *a, const struct history_state *b)
{
    return a->is_run == b->is_run && slice_equal(a->status, b->status) && a->tokens_in == b->tokens_in &&
           a->tokens_out == b->tokens_out;
}

void history_state_free(struct history_state *state)
{
    slice_free(&state->status);
    *state = (struct history_state){0};
}
