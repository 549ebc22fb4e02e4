/*
 * The values of a facet and the runs in each. Values are kept as long as the index lives, but one without
 * runs is a name and some numbers alone.
 */
#include "core/manifest/facet.h"
#include "core/base/escape.h"
#include "core/base/memory.h"
#include "core/manifest/index_internal.h"
#include <stdlib.h>
#include <string.h>

void timestamp_advance(struct timespec *timestamp)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    bool later =
        now.tv_sec != timestamp->tv_sec ? now.tv_sec > timestamp->tv_sec : now.tv_nsec > timestamp->tv_nsec;
    if (later) {
        *timestamp = now;
    } else if (++timestamp->tv_nsec == 1000000000) {
        timestamp->tv_nsec = 0;
        timestamp->tv_sec++;
    }
}

static void add_facet(struct facet_set *set, const char *directory, const char *field)
{
    struct facet *facet = memory_alloc_zeroed(1, sizeof(*facet));
    facet->directory = memory_copy_text(directory, strlen(directory));
    facet->field = memory_copy_text(field, strlen(field));
    facet->is_active = true;
    facet->slot = set->count;
    timestamp_advance(&facet->changed_at);
    set->facets = memory_resize(set->facets, (set->count + 1) * sizeof(struct facet *));
    set->facets[set->count++] = facet;
}

void facet_set_init(struct facet_set *set)
{
    *set = (struct facet_set){0};
    add_facet(set, "by-status", "verification_status");
    add_facet(set, "by-framework", "framework");
}

static struct facet *find_facet(const struct facet_set *set, const struct index_view *view)
{
    for (unsigned id = FACET_BUILT_IN; id < set->count; id++)
        if (strcmp(set->facets[id]->directory, view->directory) == 0 &&
            strcmp(set->facets[id]->field, view->field) == 0)
            return set->facets[id];
    return NULL;
}

void facet_set_configure(struct facet_set *set, const struct index_view *views, size_t count)
{
    for (unsigned id = FACET_BUILT_IN; id < set->count; id++)
        set->facets[id]->is_active = false;
    for (size_t i = 0; i < count; i++) {
        struct facet *facet = find_facet(set, &views[i]);
        if (!facet) {
            add_facet(set, views[i].directory, views[i].field);
            facet = set->facets[set->count - 1];
        }
        facet->is_active = true;
        facet->slot = FACET_BUILT_IN + (unsigned)i;
    }
}

void facet_set_finish(struct facet_set *set)
{
    for (unsigned id = 0; id < set->count; id++) {
        struct facet *facet = set->facets[id];
        struct facet_value *value, *next;
        HASH_ITER(hh, facet->by_name, value, next)
        {
            HASH_DEL(facet->by_name, value);
            sequence_finish(&value->runs);
            slice_free(&value->text);
            free(value->name);
            free(value);
        }
        sequence_finish(&facet->values);
        free(facet->directory);
        free(facet->field);
        free(facet);
    }
    free(set->facets);
}

unsigned facet_of_slot(const struct facet_set *set, unsigned slot)
{
    unsigned id = 0;
    while (!set->facets[id]->is_active || set->facets[id]->slot != slot)
        id++;
    return id;
}

struct run_membership *facet_membership(const struct run *run, unsigned slot)
{
    struct run *owner = (struct run *)run;
    if (slot < FACET_BUILT_IN)
        return &owner->membership[slot];
    slot -= FACET_BUILT_IN;
    return owner->more && slot < owner->more->view_count ? &owner->more->views[slot] : NULL;
}

/* Two texts have one name only where both are long and their hashes are equal: then they share a value. */
static struct facet_value *intern(struct facet_set *set, unsigned id, struct slice text)
{
    struct facet *facet = set->facets[id];
    char name[LIMIT_NAME_BYTES + 1];
    size_t length = escape_value(text, name);
    struct facet_value *value;
    HASH_FIND(hh, facet->by_name, name, length, value);
    if (value) {
        value->slot = facet->slot;
        return value;
    }
    value = memory_alloc_zeroed(1, sizeof(*value));
    value->facet = id;
    value->slot = facet->slot;
    value->number = ++set->last_number;
    value->name = memory_copy_text(name, length);
    HASH_ADD_KEYPTR(hh, facet->by_name, value->name, length, value);
    return value;
}

struct facet_value *facet_join(struct facet_set *set, unsigned id, struct run *run, struct slice text)
{
    struct facet_value *value = intern(set, id, text);
    struct facet *facet = set->facets[id];
    struct run_membership *membership = facet_membership(run, facet->slot);
    if (value->runs.live_count == 0) {
        value->text = slice_copy(text);
        value->sequence = ++set->last_sequence;
        sequence_add(&facet->values, value->sequence, value);
        timestamp_advance(&facet->changed_at);
    }
    *membership = (struct run_membership){value, ++set->last_sequence};
    sequence_add(&value->runs, membership->sequence, run);
    timestamp_advance(&value->changed_at);
    return value;
}

void facet_leave(struct facet_set *set, struct facet_value *value, uint64_t sequence)
{
    sequence_remove(&value->runs, sequence);
    timestamp_advance(&value->changed_at);
    if (value->runs.live_count > 0)
        return;
    sequence_finish(&value->runs);
    slice_free(&value->text);
    sequence_remove(&set->facets[value->facet]->values, value->sequence);
    timestamp_advance(&set->facets[value->facet]->changed_at);
}

unsigned facet_count(const struct index *index)
{
    return index->views.count;
}

const char *facet_directory(const struct index *index, unsigned facet)
{
    return index->views.facets[facet]->is_active ? index->views.facets[facet]->directory : NULL;
}

int facet_of_directory(const struct index *index, const char *directory)
{
    for (unsigned id = 0; id < index->views.count; id++)
        if (index->views.facets[id]->is_active && strcmp(index->views.facets[id]->directory, directory) == 0)
            return (int)id;
    return -1;
}

struct facet_value *facet_find(struct index *index, unsigned facet, const char *name)
{
    struct facet_value *value;
    HASH_FIND(hh, index->views.facets[facet]->by_name, name, strlen(name), value);
    return value && value->runs.live_count > 0 ? value : NULL;
}

struct facet_value *facet_next(struct index *index, unsigned facet, uint64_t after, uint64_t *sequence)
{
    return sequence_next(&index->views.facets[facet]->values, after, sequence);
}

size_t facet_value_count(struct index *index, unsigned facet)
{
    return index->views.facets[facet]->values.live_count;
}

struct timespec facet_changed_at(struct index *index, unsigned facet)
{
    return index->views.facets[facet]->changed_at;
}

const char *facet_value_name(const struct facet_value *value)
{
    return value->name;
}

unsigned facet_value_facet(const struct facet_value *value)
{
    return value->facet;
}

bool facet_value_holds(const struct facet_value *value, const struct run *run)
{
    const struct run_membership *membership = facet_membership(run, value->slot);
    return membership && membership->value == value;
}

size_t facet_value_runs(const struct facet_value *value)
{
    return value->runs.live_count;
}

struct timespec facet_value_changed_at(const struct facet_value *value)
{
    return value->changed_at;
}

uint64_t facet_value_number(const struct facet_value *value)
{
    return value->number;
}

struct run *facet_value_next(struct facet_value *value, uint64_t after, uint64_t *sequence)
{
    return sequence_next(&value->runs, after, sequence);
}
