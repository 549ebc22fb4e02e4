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

const char *const facet_directories[FACET_COUNT] = {
    [FACET_STATUS] = "by-status",
    [FACET_FRAMEWORK] = "by-framework",
};

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

void facet_set_init(struct facet_set *set)
{
    *set = (struct facet_set){0};
    for (int id = 0; id < FACET_COUNT; id++)
        timestamp_advance(&set->facets[id].changed_at);
}

void facet_set_finish(struct facet_set *set)
{
    for (int id = 0; id < FACET_COUNT; id++) {
        struct facet_value *value, *next;
        HASH_ITER(hh, set->facets[id].by_name, value, next)
        {
            HASH_DEL(set->facets[id].by_name, value);
            sequence_finish(&value->runs);
            slice_free(&value->text);
            free(value->name);
            free(value);
        }
        sequence_finish(&set->facets[id].values);
    }
}

/* Two texts have one name only where both are long and their hashes are equal: then they share a value. */
static struct facet_value *intern(struct facet_set *set, enum facet_id id, struct slice text)
{
    struct facet *facet = &set->facets[id];
    char name[LIMIT_NAME_BYTES + 1];
    size_t length = escape_value(text, name);
    struct facet_value *value;
    HASH_FIND(hh, facet->by_name, name, length, value);
    if (value)
        return value;
    value = memory_alloc_zeroed(1, sizeof(*value));
    value->facet = id;
    value->number = ++set->last_number;
    value->name = memory_copy_text(name, length);
    HASH_ADD_KEYPTR(hh, facet->by_name, value->name, length, value);
    return value;
}

struct facet_value *facet_join(struct facet_set *set, enum facet_id id, struct run *run, struct slice text)
{
    struct facet_value *value = intern(set, id, text);
    if (value->runs.live_count == 0) {
        value->text = slice_copy(text);
        value->sequence = ++set->last_sequence;
        sequence_add(&set->facets[id].values, value->sequence, value);
        timestamp_advance(&set->facets[id].changed_at);
    }
    run->membership[id].value = value;
    run->membership[id].sequence = ++set->last_sequence;
    sequence_add(&value->runs, run->membership[id].sequence, run);
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
    sequence_remove(&set->facets[value->facet].values, value->sequence);
    timestamp_advance(&set->facets[value->facet].changed_at);
}

struct facet_value *facet_find(struct index *index, enum facet_id facet, const char *name)
{
    struct facet_value *value;
    HASH_FIND(hh, index->views.facets[facet].by_name, name, strlen(name), value);
    return value && value->runs.live_count > 0 ? value : NULL;
}

struct facet_value *facet_next(struct index *index, enum facet_id facet, uint64_t after, uint64_t *sequence)
{
    return sequence_next(&index->views.facets[facet].values, after, sequence);
}

size_t facet_value_count(struct index *index, enum facet_id facet)
{
    return index->views.facets[facet].values.live_count;
}

struct timespec facet_changed_at(struct index *index, enum facet_id facet)
{
    return index->views.facets[facet].changed_at;
}

const char *facet_value_name(const struct facet_value *value)
{
    return value->name;
}

enum facet_id facet_value_facet(const struct facet_value *value)
{
    return value->facet;
}

bool facet_value_holds(const struct facet_value *value, const struct run *run)
{
    return run->membership[value->facet].value == value;
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
