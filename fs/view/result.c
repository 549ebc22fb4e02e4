/*
 * See result.h. All that is kept here is bounded: a few listings that were not read to their end, a few
 * answers with a limit.
 */
#include "fs/view/result.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_LISTINGS 8
#define KEPT_CUTS 8

/* An offset is the listing's number, and how many entries come before it, from VIEW_FIRST_OFFSET on. */
#define POSITION_BITS 32

/* The answer of a query with a limit, as it was in one state of the index. */
struct kept_cut {
    char *text;
    const struct facet_value *within;
    uint64_t generation;
    struct run **runs; /* by address */
    size_t count;
};

struct query_results {
    pthread_mutex_t lock; /* guards listings */
    struct query_listing *listings[KEPT_LISTINGS];
    uint64_t last_number;
    struct kept_cut cuts[KEPT_CUTS]; /* the keeper's lock guards these */
    unsigned next_cut;
};

void query_results_create(struct fs *fs)
{
    fs->query_results = memory_alloc_zeroed(1, sizeof(*fs->query_results));
    pthread_mutex_init(&fs->query_results->lock, NULL);
}

static void listing_free(struct query_listing *listing)
{
    free(listing->listed);
    buffer_free(&listing->names);
    free(listing);
}

void query_results_free(struct fs *fs)
{
    struct query_results *results = fs->query_results;
    for (size_t i = 0; i < KEPT_LISTINGS; i++)
        if (results->listings[i])
            listing_free(results->listings[i]);
    for (size_t i = 0; i < KEPT_CUTS; i++) {
        free(results->cuts[i].text);
        free(results->cuts[i].runs);
    }
    pthread_mutex_destroy(&results->lock);
    free(results);
}

/* ---- what a query's directory holds ---- */

static int compare_addresses(const void *a, const void *b)
{
    const struct run *first = *(struct run *const *)a, *second = *(struct run *const *)b;
    return (first > second) - (first < second);
}

static bool scope_holds(const struct run *run, const void *context)
{
    const struct query_scope *scope = context;
    if (scope->cut)
        return bsearch(&run, scope->cut, scope->cut_count, sizeof(*scope->cut), compare_addresses) != NULL;
    return (!scope->within || facet_value_holds(scope->within, run)) && query_matches(scope->query, run);
}

/* The runs that the limit leaves; kept, so that a walk over them evaluates the query once. */
static void find_cut(struct fs *fs, struct index *index, const char *text, struct query_scope *scope)
{
    struct query_results *results = fs->query_results;
    struct kept_cut *cut = NULL;
    for (size_t i = 0; i < KEPT_CUTS && !cut; i++) {
        struct kept_cut *kept = &results->cuts[i];
        if (kept->text && kept->within == scope->within && strcmp(kept->text, text) == 0)
            cut = kept;
    }
    if (!cut) {
        cut = &results->cuts[results->next_cut++ % KEPT_CUTS];
        free(cut->text);
        free(cut->runs);
        *cut = (struct kept_cut){.text = memory_copy_text(text, strlen(text)), .within = scope->within};
    }
    if (!cut->runs || cut->generation != index_generation(index)) {
        free(cut->runs);
        cut->count = query_evaluate(scope->query, index, scope->within, &cut->runs);
        cut->generation = index_generation(index);
        qsort(cut->runs, cut->count, sizeof(struct run *), compare_addresses);
    }
    scope->cut = cut->runs;
    scope->cut_count = cut->count;
}

int query_scope_open(struct fs *fs, struct index *index, const struct query_node *node,
                     struct query_scope *scope)
{
    struct query_error error;
    *scope = (struct query_scope){.within = node->within};
    if (query_parse(keeper_fields(fs->keeper), slice_of(node->text), &scope->query, &error) != 0)
        return -ENOENT;
    scope->set = (struct run_set){scope_holds, scope};
    if (query_has_limit(scope->query))
        find_cut(fs, index, node->text, scope);
    return 0;
}

void query_scope_close(struct query_scope *scope)
{
    query_free(scope->query);
}

/* ---- listings ---- */

size_t query_listing_position(off_t offset)
{
    uint64_t position = (uint64_t)offset & ((1ull << POSITION_BITS) - 1);
    return position > VIEW_FIRST_OFFSET ? (size_t)position - VIEW_FIRST_OFFSET : 0;
}

uint64_t query_listing_offset(const struct query_listing *listing, size_t position)
{
    return listing->number << POSITION_BITS | (position + VIEW_FIRST_OFFSET);
}

static int listing_fill(struct fs *fs, const struct query_node *node, struct query_listing *listing)
{
    struct query_scope scope;
    struct index *index = keeper_lock(fs->keeper);
    int error = query_scope_open(fs, index, node, &scope);
    if (error == 0) {
        struct run **runs;
        size_t count = query_evaluate(scope.query, index, node->within, &runs);
        listing->listed = memory_alloc((count + 1) * sizeof(*listing->listed));
        for (size_t i = 0; i < count; i++) {
            char name[LIMIT_NAME_BYTES + 1];
            run_set_name(index, &scope.set, runs[i], name);
            struct directory *directory = keeper_run_directory(fs->keeper, runs[i]);
            listing->listed[i] = (struct query_listed){directory->identity.ino, listing->names.length};
            buffer_append(&listing->names, name, strlen(name) + 1);
            directory_unref(fs->source, directory);
        }
        listing->count = count;
        free(runs);
        query_scope_close(&scope);
    }
    keeper_unlock(fs->keeper);
    return error;
}

/* Takes a listing out that nobody reads: one that was read to its end, or the oldest. NULL where a place is
 * free, or all are being read. */
static struct query_listing *make_room(struct query_results *results, size_t *place)
{
    struct query_listing *out = NULL;
    *place = KEPT_LISTINGS;
    for (size_t i = 0; i < KEPT_LISTINGS; i++) {
        struct query_listing *listing = results->listings[i];
        if (!listing) {
            *place = i;
            return NULL;
        }
        if (listing->users == 0 && (!out || listing->number < out->number)) {
            out = listing;
            *place = i;
        }
    }
    return out;
}

static struct query_listing *find_listing(struct query_results *results, uint64_t number)
{
    for (size_t i = 0; i < KEPT_LISTINGS; i++)
        if (results->listings[i] && results->listings[i]->number == number)
            return results->listings[i];
    return NULL;
}

int query_listing_take(struct fs *fs, const struct query_node *node, off_t offset,
                       struct query_listing **listing)
{
    struct query_results *results = fs->query_results;
    uint64_t number = (uint64_t)offset >> POSITION_BITS;
    pthread_mutex_lock(&results->lock);
    *listing = number ? find_listing(results, number) : NULL;
    if (*listing)
        (*listing)->users++;
    pthread_mutex_unlock(&results->lock);
    if (*listing)
        return 0;

    struct query_listing *made = memory_alloc_zeroed(1, sizeof(*made));
    int error = listing_fill(fs, node, made);
    if (error) {
        listing_free(made);
        return error;
    }
    made->users = 1;
    size_t place;
    pthread_mutex_lock(&results->lock);
    made->number = ++results->last_number;
    struct query_listing *out = make_room(results, &place);
    if (place < KEPT_LISTINGS)
        results->listings[place] = made;
    pthread_mutex_unlock(&results->lock);
    if (out)
        listing_free(out);
    *listing = made;
    return 0;
}

void query_listing_give(struct fs *fs, struct query_listing *listing, bool is_end)
{
    struct query_results *results = fs->query_results;
    pthread_mutex_lock(&results->lock);
    size_t place = 0;
    while (place < KEPT_LISTINGS && results->listings[place] != listing)
        place++;
    bool is_kept = place < KEPT_LISTINGS;
    listing->users--;
    bool free_now = listing->users == 0 && (is_end || !is_kept);
    if (free_now && is_kept)
        results->listings[place] = NULL;
    pthread_mutex_unlock(&results->lock);
    if (free_now)
        listing_free(listing);
}
