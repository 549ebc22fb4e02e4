/*
 * The index: puts runs in and takes them out, and keeps the hashes, the order and the views of one state. It
 * knows what a change is; the structures that hang on a run each keep to themselves.
 */
#include "core/manifest/index.h"
#include "core/base/memory.h"
#include "core/manifest/index_internal.h"
#include <stdlib.h>
#include <string.h>

struct index *index_create(void)
{
    struct index *index = memory_alloc_zeroed(1, sizeof(*index));
    lookup_init(&index->lookup);
    facet_set_init(&index->views);
    index_touch(index);
    return index;
}

/* The status is the value's own text, except for one that shares its name with another. */
static void free_status(struct slice *status, const struct facet_value *value)
{
    if (status->bytes != value->text.bytes)
        slice_free(status);
}

/* Both times stand in one block, each NUL-terminated: two would cost a million runs 32 MB more. */
static void free_times(struct run *run)
{
    const char *block =
        run->fields.start_time.bytes ? run->fields.start_time.bytes : run->fields.end_time.bytes;
    free((char *)block);
}

static void set_times(struct run *run, struct slice start, struct slice end)
{
    char *block = NULL;
    struct slice new_start = SLICE_ABSENT, new_end = SLICE_ABSENT;
    if (start.bytes || end.bytes)
        block = memory_alloc_zeroed(1, start.length + 1 + end.length + 1);
    if (start.bytes) {
        memcpy(block, start.bytes, start.length);
        new_start = (struct slice){block, start.length};
        block += start.length + 1;
    }
    if (end.bytes) {
        memcpy(block, end.bytes, end.length);
        new_end = (struct slice){block, end.length};
    }
    free_times(run);
    run->fields.start_time = new_start;
    run->fields.end_time = new_end;
}

bool index_names_framework(const struct index *index, struct slice name)
{
    struct framework *framework;
    struct buffer text = {0};
    utf8_append_file_name(&text, name);
    HASH_FIND(hh, index->frameworks.by_text, text.bytes, text.length, framework);
    buffer_free(&text);
    return framework && framework->in_file;
}

struct slice run_framework(const struct run *run)
{
    return run->framework_entry->name;
}

static void free_run(struct run *run)
{
    free_times(run);
    slice_free(&run->extras);
    free(run->faults);
    free(run);
}

static int free_visited(struct run *run, void *context)
{
    (void)context;
    free_status(&run->fields.status, run->membership[FACET_STATUS].value);
    free_run(run);
    return 0;
}

void index_destroy(struct index *index)
{
    if (!index)
        return;
    snapshot_unref(index->current);
    index_each(index, free_visited, NULL);
    order_finish(&index->order);
    lookup_finish(&index->lookup);
    facet_set_finish(&index->views);
    framework_list_finish(&index->frameworks);
    slice_free(&index->last_updated);
    slice_free(&index->extras);
    buffer_free(&index->scratch);
    free(index);
}

struct run *index_find(struct index *index, struct slice framework, struct slice name)
{
    return lookup_find(&index->lookup, framework, name);
}

size_t index_count(const struct index *index)
{
    return index->lookup.run_count;
}

uint64_t index_generation(const struct index *index)
{
    return index->generation;
}

struct timespec index_changed_at(const struct index *index)
{
    return index->changed_at;
}

int index_each_part(struct index *index, size_t *bucket, size_t bucket_count,
                    int (*visit)(struct run *run, void *context), void *context)
{
    for (; bucket_count > 0 && *bucket < index->lookup.bucket_count; bucket_count--, ++*bucket) {
        for (struct run *run = index->lookup.by_path[*bucket], *next; run; run = next) {
            next = run->path_next;
            int result = visit(run, context);
            if (result != 0)
                return result;
        }
    }
    if (*bucket >= index->lookup.bucket_count)
        *bucket = 0;
    return 0;
}

int index_each(struct index *index, int (*visit)(struct run *run, void *context), void *context)
{
    size_t bucket = 0;
    return index_each_part(index, &bucket, index->lookup.bucket_count, visit, context);
}

void index_begin_filling(struct index *index)
{
    order_gather(&index->order);
}

void index_end_filling(struct index *index)
{
    order_settle(&index->order);
}

struct run *index_first(struct index *index)
{
    return index->order.leaf_count > 0 ? index->order.leaves[0]->runs[0] : NULL;
}

struct run *index_next(struct index *index, struct run *run)
{
    (void)index;
    return order_next(run);
}

struct run *const *index_stretch(struct index *index, size_t *stretch, size_t *count)
{
    if (*stretch >= index->order.leaf_count)
        return NULL;
    const struct order_leaf *leaf = index->order.leaves[(*stretch)++];
    *count = leaf->count;
    return leaf->runs;
}

void index_touch(struct index *index)
{
    index->generation++;
    timestamp_advance(&index->changed_at);
    slice_free(&index->last_updated);
}

static bool is_utf8(struct slice text)
{
    uint32_t code_point;
    while (text.length > 0) {
        size_t length = utf8_decode(text, false, &code_point);
        if (length == 0)
            return false;
        text.bytes += length;
        text.length -= length;
    }
    return true;
}

/* The run without fields, in the hash and in by-framework. */
static struct run *add_run(struct index *index, struct slice framework, struct slice name)
{
    struct run *run = memory_alloc_zeroed(1, sizeof(*run) + name.length + 1);
    char *own_name = (char *)(run + 1);
    memcpy(own_name, name.bytes, name.length);
    run->name = (struct slice){own_name, name.length};
    run->name_is_text = is_utf8(name);
    run->framework_entry = framework_enter(&index->frameworks, framework);
    lookup_add(&index->lookup, run);
    facet_join(&index->views, FACET_FRAMEWORK, run, framework);
    return run;
}

/* Moves the run to the value of its new status, or into its first one. */
static void set_status(struct index *index, struct run *run, struct slice status)
{
    struct facet_value *old = run->membership[FACET_STATUS].value;
    uint64_t old_sequence = run->membership[FACET_STATUS].sequence;
    struct facet_value *value = facet_join(&index->views, FACET_STATUS, run, status);
    if (old) {
        free_status(&run->fields.status, old);
        facet_leave(&index->views, old, old_sequence);
    }
    run->fields.status = slice_equal(value->text, status) ? value->text : slice_copy(status);
}

bool index_set_fields(struct index *index, struct run *run, const struct run_fields *fields)
{
    bool is_new = !run->membership[FACET_STATUS].value;
    if (!is_new && run_fields_equal(&run->fields, fields))
        return false;
    bool moves = is_new || !slice_equal(run->fields.start_time, fields->start_time);
    if (moves && !is_new)
        order_remove(&index->order, run);
    if (moves || !slice_equal(run->fields.end_time, fields->end_time))
        set_times(run, fields->start_time, fields->end_time);
    if (is_new || !slice_equal(run->fields.status, fields->status))
        set_status(index, run, fields->status);
    run->fields.tokens_in = fields->tokens_in;
    run->fields.tokens_out = fields->tokens_out;
    if (moves)
        order_insert(&index->order, run);
    else
        order_touch(&index->order, run);
    return true;
}

static void set_faults(struct run *run, const struct run_fault faults[RUN_FILE_COUNT])
{
    bool any = false;
    for (int file = 0; file < RUN_FILE_COUNT; file++)
        any |= faults[file].reason != NULL;
    free(run->faults);
    run->faults = NULL;
    if (!any)
        return;
    run->faults = memory_alloc(RUN_FILE_COUNT * sizeof(*run->faults));
    memcpy(run->faults, faults, RUN_FILE_COUNT * sizeof(*run->faults));
}

struct run *index_put(struct index *index, struct slice framework, struct slice name,
                      const struct run_state *state, bool *changed)
{
    struct run *run = index_find(index, framework, name);
    if (!run)
        run = add_run(index, framework, name);
    *changed = (state->is_whole || !run->has_good) && index_set_fields(index, run, &state->fields);
    run->has_good |= state->is_whole;
    memcpy(run->stamps, state->stamps, sizeof(run->stamps));
    set_faults(run, state->faults);
    if (*changed)
        index_touch(index);
    return run;
}

void index_remove(struct index *index, struct run *run)
{
    order_remove(&index->order, run);
    lookup_remove(&index->lookup, run);
    free_status(&run->fields.status, run->membership[FACET_STATUS].value);
    for (int id = 0; id < FACET_COUNT; id++)
        facet_leave(&index->views, run->membership[id].value, run->membership[id].sequence);
    framework_leave(&index->frameworks, run->framework_entry);
    free_run(run);
    index_touch(index);
}
