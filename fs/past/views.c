/*
 * What views and queries of a revision hold, taken out of its index: see views.h.
 */
#include "fs/past/views.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>

/* ---- views ---- */

static void fill_value(struct past_places *places, struct index *index, unsigned facet,
                       struct facet_value *from, struct past_value *value)
{
    char name[LIMIT_NAME_BYTES + 1];
    uint64_t sequence = 0;
    value->name = memory_copy_text(facet_value_name(from), strlen(facet_value_name(from)));
    value->runs = past_listing_create(facet_value_runs(from));
    for (struct run *run; (run = facet_value_next(from, sequence, &sequence));) {
        facet_run_name(index, facet, run, name);
        past_listing_add(places, value->runs, run, name);
    }
}

static void fill_facet(struct past_places *places, struct index *index, unsigned number,
                       struct past_facet *facet)
{
    const char *directory = facet_directory(index, number);
    size_t count = facet_value_count(index, number);
    uint64_t sequence = 0;
    facet->directory = memory_copy_text(directory, strlen(directory));
    facet->values = memory_alloc_zeroed(count + 1, sizeof(*facet->values));
    for (struct facet_value *value;
         facet->count < count && (value = facet_next(index, number, sequence, &sequence));)
        if (facet_value_runs(value))
            fill_value(places, index, number, value, &facet->values[facet->count++]);
}

struct past_views *past_views_create(struct past_places *places, const struct past *past)
{
    struct past_views *views = memory_alloc_zeroed(1, sizeof(*views));
    struct query *all;
    struct query_error error;
    unsigned count = facet_count(past->index);
    views->facets = memory_alloc_zeroed(count + 1, sizeof(*views->facets));
    for (unsigned number = 0; number < count; number++)
        if (facet_directory(past->index, number))
            fill_facet(places, past->index, number, &views->facets[views->count++]);
    query_parse(past->rules->fields, SLICE_LITERAL(""), &all, &error); /* no text is always a query */
    views->where = past_views_query(places, past, all, NULL);
    query_free(all);
    return views;
}

void past_views_free(struct past_places *places, struct past_views *views)
{
    for (size_t i = 0; i < views->count; i++) {
        struct past_facet *facet = &views->facets[i];
        for (size_t j = 0; j < facet->count; j++) {
            free(facet->values[j].name);
            past_listing_free(places, facet->values[j].runs);
        }
        free(facet->values);
        free(facet->directory);
        free(facet->table.numbers);
    }
    free(views->facets);
    past_listing_free(places, views->where);
    free(views);
}

size_t past_views_bytes(const struct past_views *views)
{
    size_t size = sizeof(*views) + past_listing_bytes(views->where);
    for (size_t i = 0; i < views->count; i++) {
        const struct past_facet *facet = &views->facets[i];
        size += sizeof(*facet) + strlen(facet->directory) + 1 + name_table_bytes(facet->count);
        for (size_t j = 0; j < facet->count; j++)
            size += sizeof(*facet->values) + strlen(facet->values[j].name) + 1 +
                    past_listing_bytes(facet->values[j].runs);
    }
    return size;
}

struct past_facet *past_views_facet(const struct past_views *views, const char *directory)
{
    for (size_t i = 0; i < views->count; i++)
        if (strcmp(views->facets[i].directory, directory) == 0)
            return &views->facets[i];
    return NULL;
}

static const char *value_name(const void *context, size_t number)
{
    const struct past_facet *facet = context;
    return facet->values[number].name;
}

const struct past_value *past_facet_value(struct past_facet *facet, const char *name)
{
    int64_t number = name_table_find(&facet->table, facet->count, name, value_name, facet);
    return number < 0 ? NULL : &facet->values[number];
}

/* ---- queries ---- */

/* What a query holds. */
struct scope {
    struct query *query;
    const struct facet_value *within;
    struct run **cut; /* what a limit leaves, by address; NULL without one */
    size_t cut_count;
};

static int compare_addresses(const void *a, const void *b)
{
    const struct run *first = *(struct run *const *)a, *second = *(struct run *const *)b;
    return (first > second) - (first < second);
}

static bool scope_holds(const struct run *run, const void *context)
{
    const struct scope *scope = context;
    if (scope->cut)
        return bsearch(&run, scope->cut, scope->cut_count, sizeof(*scope->cut), compare_addresses) != NULL;
    return (!scope->within || facet_value_holds(scope->within, run)) && query_matches(scope->query, run);
}

struct past_listing *past_views_query(struct past_places *places, const struct past *past,
                                      struct query *query, const struct facet_value *within)
{
    struct run **runs;
    struct scope scope = {.query = query, .within = within};
    size_t count = query_evaluate(query, past->index, within, &runs);
    if (query_has_limit(query)) {
        scope.cut_count = count;
        scope.cut = memory_alloc((count + 1) * sizeof(struct run *));
        memcpy(scope.cut, runs, count * sizeof(struct run *));
        qsort(scope.cut, count, sizeof(struct run *), compare_addresses);
    }
    struct run_set set = {scope_holds, &scope};
    struct past_listing *listing = past_listing_create(count);
    for (size_t i = 0; i < count; i++) {
        char name[LIMIT_NAME_BYTES + 1];
        run_set_name(past->index, &set, runs[i], name);
        past_listing_add(places, listing, runs[i], name);
    }
    free(scope.cut);
    free(runs);
    return listing;
}

static const struct past_node *parent_of(const struct past_node *node)
{
    return (const struct past_node *)node->parent;
}

bool past_is_where(const struct past_node *node)
{
    return node->past_kind == PAST_QUERY && parent_of(node)->past_kind == PAST_REVISION;
}

void past_append_predicates(const struct past_node *node, const char *name, struct buffer *text)
{
    if (node->past_kind == PAST_QUERY && !past_is_where(node))
        past_append_predicates(parent_of(node), node->name, text);
    if (!name)
        return;
    if (text->length)
        buffer_append_byte(text, '/');
    buffer_append_text(text, name);
}
