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
    index->setup.file_count = RUN_OWN_STAMPS;
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

struct slice run_framework(const struct run *run)
{
    return run->place->framework->name;
}

struct slice run_place(const struct run *run)
{
    return run->place->path;
}

void run_append_path(const struct run *run, struct buffer *path)
{
    if (run->place->path.length > 0) {
        buffer_append_slice(path, run->place->path);
        buffer_append_byte(path, '/');
    }
    buffer_append_slice(path, run->name);
}

struct slice run_extras(const struct run *run)
{
    return run->more ? run->more->extras : SLICE_ABSENT;
}

const struct file_stamp *run_stamp(const struct run *run, size_t file)
{
    return file < RUN_OWN_STAMPS ? &run->stamps[file] : &run->more->stamps[file - RUN_OWN_STAMPS];
}

static void free_run(struct run *run)
{
    free_times(run);
    free(run->fields.own);
    free(run->faults);
    if (run->more) {
        slice_free(&run->more->extras);
        free(run->more->views);
        free(run->more->stamps);
        free(run->more);
    }
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

void index_configure(struct index *index, const struct index_setup *setup)
{
    index->setup = *setup;
    index->setup.source_name = SLICE_ABSENT; /* the list of frameworks has its own */
    index->setup.views = NULL;
    slice_free(&index->frameworks.source_name);
    index->frameworks.source_name = slice_copy(setup->source_name);
    facet_set_configure(&index->views, setup->views, setup->view_count);
    timestamp_advance(&index->configured_at);
    index_touch(index);
}

struct timespec index_configured_at(const struct index *index)
{
    return index->configured_at;
}

struct run *index_find(struct index *index, struct slice place, struct slice name)
{
    return lookup_find(&index->lookup, place, name);
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

/* Does the configuration have more of something than a run has itself? */
static bool wants_more(const struct index_setup *setup)
{
    return setup->view_count > 0 || setup->file_count > RUN_OWN_STAMPS;
}

static struct run_more *make_more(const struct index_setup *setup)
{
    struct run_more *more = memory_alloc_zeroed(1, sizeof(*more));
    more->view_count = setup->view_count;
    more->views = memory_alloc_zeroed(setup->view_count + 1, sizeof(*more->views));
    if (setup->file_count > RUN_OWN_STAMPS)
        more->stamps = memory_alloc_zeroed(setup->file_count - RUN_OWN_STAMPS, sizeof(*more->stamps));
    return more;
}

struct slice *run_extras_place(const struct index *index, struct run *run)
{
    if (!run->more)
        run->more = make_more(&index->setup);
    return &run->more->extras;
}

/* The run without fields, in the hash and in by-framework. */
static struct run *add_run(struct index *index, struct slice place, struct slice name)
{
    struct run *run = memory_alloc_zeroed(1, sizeof(*run) + name.length + 1);
    char *own_name = (char *)(run + 1);
    memcpy(own_name, name.bytes, name.length);
    run->name = (struct slice){own_name, name.length};
    run->name_is_text = is_utf8(name);
    run->place = place_enter(&index->frameworks, place);
    run->more = wants_more(&index->setup) ? make_more(&index->setup) : NULL;
    lookup_add(&index->lookup, run);
    facet_join(&index->views, FACET_FRAMEWORK, run, run_framework(run));
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

/* Brings the run to where it belongs in the views of the configuration. */
static void set_views(struct index *index, struct run *run)
{
    for (size_t view = 0; view < index->setup.view_count; view++) {
        struct slice text = index->setup.view_text(run, view, &index->scratch, index->setup.context);
        struct run_membership *membership = &run->more->views[view], old = *membership;
        if (old.value && text.bytes && slice_equal(old.value->text, text))
            continue;
        *membership = (struct run_membership){0};
        if (text.bytes)
            facet_join(&index->views, facet_of_slot(&index->views, FACET_BUILT_IN + (unsigned)view), run,
                       text);
        if (old.value)
            facet_leave(&index->views, old.value, old.sequence);
    }
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
    struct run_own *own = fields->own ? run_own_copy(fields->own->values, fields->own->count) : NULL;
    free(run->fields.own);
    run->fields.own = own;
    set_views(index, run);
    if (moves)
        order_insert(&index->order, run);
    else
        order_touch(&index->order, run);
    return true;
}

static void set_faults(struct run *run, const struct run_fault *faults, size_t count)
{
    bool any = false;
    for (size_t file = 0; file < count; file++)
        any |= faults[file].reason != NULL;
    free(run->faults);
    run->faults = NULL;
    if (!any)
        return;
    run->faults = memory_alloc(count * sizeof(*run->faults));
    memcpy(run->faults, faults, count * sizeof(*run->faults));
}

static void set_stamps(const struct index *index, struct run *run, const struct file_stamp *stamps)
{
    size_t count = index->setup.file_count;
    size_t own = count < RUN_OWN_STAMPS ? count : RUN_OWN_STAMPS;
    memcpy(run->stamps, stamps, own * sizeof(*stamps));
    if (count > own)
        memcpy(run->more->stamps, stamps + own, (count - own) * sizeof(*stamps));
}

struct run *index_put(struct index *index, struct slice place, struct slice name,
                      const struct run_state *state, bool *changed)
{
    struct run *run = index_find(index, place, name);
    if (!run)
        run = add_run(index, place, name);
    *changed = (state->is_whole || !run->has_good) && index_set_fields(index, run, &state->fields);
    run->has_good |= state->is_whole;
    set_stamps(index, run, state->stamps);
    set_faults(run, state->faults, index->setup.file_count);
    if (*changed)
        index_touch(index);
    return run;
}

void index_remove(struct index *index, struct run *run)
{
    order_remove(&index->order, run);
    lookup_remove(&index->lookup, run);
    free_status(&run->fields.status, run->membership[FACET_STATUS].value);
    for (unsigned slot = 0; slot < FACET_BUILT_IN + index->setup.view_count; slot++) {
        const struct run_membership *membership = facet_membership(run, slot);
        if (membership->value)
            facet_leave(&index->views, membership->value, membership->sequence);
    }
    place_leave(&index->frameworks, run->place);
    free_run(run);
    index_touch(index);
}
