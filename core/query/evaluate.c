/*
 * All that match, ordered and cut. Keys are looked up once a run. Where a limit leaves few of many, no more
 * than twice as many are ever sorted.
 */
#include "core/query/query_internal.h"
#include "core/base/memory.h"
#include <stdlib.h>

/* A run that matches, with its place in the manifest, by which ties are decided, and its keys behind it. */
struct candidate {
    struct run *run;
    size_t position;
    struct field_value *keys;
    struct slice *copies; /* of the keys' texts that had to be put together; NULL where there are none */
};

struct gathering {
    const struct query *query;
    struct candidate *candidates;
    size_t count, capacity;
};

bool query_has_limit(const struct query *query)
{
    return query->has_limit;
}

/* ---- order ---- */

/* Numbers, then texts that are none, then what is absent; this holds in either direction. */
static int rank(const struct field_value *value, enum field_type type)
{
    if (!value->is_present)
        return 2;
    return type != FIELD_TEXT && !value->is_number;
}

static int compare_keys(const struct field_value *a, const struct field_value *b, const struct sort_key *key)
{
    int rank_a = rank(a, key->field->type), rank_b = rank(b, key->field->type), order;
    if (rank_a != rank_b)
        return rank_a - rank_b;
    if (rank_a == 2)
        return 0;
    if (rank_a == 0 && key->field->type != FIELD_TEXT)
        order = (a->number > b->number) - (a->number < b->number);
    else
        order = slice_compare(a->text, b->text);
    return key->is_descending ? -order : order;
}

static int compare_candidates(const void *first, const void *second, void *context)
{
    const struct candidate *a = first, *b = second;
    const struct query *query = context;
    for (size_t i = 0; i < query->key_count; i++) {
        int order = compare_keys(&a->keys[i], &b->keys[i], &query->keys[i]);
        if (order != 0)
            return order;
    }
    return (a->position > b->position) - (a->position < b->position);
}

static bool is_put_together(const struct field *field)
{
    return field->kind == FIELD_PATH || field->kind == FIELD_DAY;
}

static void candidate_free(struct candidate *candidate, size_t key_count)
{
    for (size_t i = 0; candidate->copies && i < key_count; i++)
        slice_free(&candidate->copies[i]);
    free(candidate->copies);
    free(candidate->keys);
}

static void find_keys(struct query *query, struct candidate *candidate)
{
    if (query->key_count == 0)
        return;
    candidate->keys = memory_alloc(query->key_count * sizeof(*candidate->keys));
    for (size_t i = 0; i < query->key_count; i++) {
        const struct field *field = query->keys[i].field;
        candidate->keys[i] = field_value_of(field, candidate->run, false, &query->scratch);
        if (!is_put_together(field))
            continue;
        if (!candidate->copies)
            candidate->copies = memory_alloc_zeroed(query->key_count, sizeof(*candidate->copies));
        candidate->copies[i] = slice_copy(candidate->keys[i].text);
        candidate->keys[i].text = candidate->copies[i];
    }
}

/* Sorts what is there and drops what is beyond the limit. */
static void settle(struct gathering *gathering)
{
    const struct query *query = gathering->query;
    if (query->key_count > 0 && gathering->count > 0)
        qsort_r(gathering->candidates, gathering->count, sizeof(*gathering->candidates), compare_candidates,
                (void *)query);
    while (query->has_limit && gathering->count > query->limit)
        candidate_free(&gathering->candidates[--gathering->count], query->key_count);
}

#define SETTLE_AT_LEAST 1024

static void gather(struct query *query, struct gathering *gathering, struct run *run, size_t position)
{
    if (query->has_limit && gathering->count >= SETTLE_AT_LEAST && gathering->count / 2 >= query->limit)
        settle(gathering);
    if (gathering->count == gathering->capacity) {
        gathering->capacity = gathering->capacity ? gathering->capacity * 2 : 64;
        gathering->candidates =
            memory_resize(gathering->candidates, gathering->capacity * sizeof(*gathering->candidates));
    }
    struct candidate *candidate = &gathering->candidates[gathering->count++];
    *candidate = (struct candidate){.run = run, .position = position};
    find_keys(query, candidate);
}

/* Runs lie all over memory, and with many of them waiting for it is most of the work: those further on are
 * asked for in time. */
#define PREFETCH_AHEAD 24

static void prefetch(const struct run *run)
{
    __builtin_prefetch(run);
    __builtin_prefetch(&run->fields.tokens_out);
    __builtin_prefetch(&run->place);
}

/* Has the query all the runs that it can have? */
static bool is_full(const struct query *query, const struct gathering *gathering)
{
    return query->has_limit && query->key_count == 0 && gathering->count == query->limit;
}

size_t query_evaluate(struct query *query, struct index *index, const struct facet_value *within,
                      struct run ***runs)
{
    struct gathering gathering = {.query = query};
    struct run *const *stretch;
    size_t position = 0, place = 0, count;
    while (!is_full(query, &gathering) && (stretch = index_stretch(index, &place, &count))) {
        for (size_t i = 0; i < count && !is_full(query, &gathering); i++, position++) {
            if (i + PREFETCH_AHEAD < count)
                prefetch(stretch[i + PREFETCH_AHEAD]);
            if ((!within || facet_value_holds(within, stretch[i])) && query_matches(query, stretch[i]))
                gather(query, &gathering, stretch[i], position);
        }
    }
    settle(&gathering);
    *runs = memory_alloc((gathering.count + 1) * sizeof(**runs));
    for (size_t i = 0; i < gathering.count; i++) {
        (*runs)[i] = gathering.candidates[i].run;
        candidate_free(&gathering.candidates[i], query->key_count);
    }
    free(gathering.candidates);
    return gathering.count;
}
