/*
 * An index of the past. It is filled in one go and never changes; what the present's has from the disk (the
 * manifest that stands there, its name) is here the tree's.
 */
#include "core/git/past.h"
#include "core/base/memory.h"
#include "core/git/repository_internal.h"
#include "core/manifest/existing.h"
#include "core/query/views.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Places of runs in one revision: some objects that name each other can stand for any number. */
#define PLACES_AT_MOST ((size_t)1 << 18)

/* A run in an index with its texts, its entry in the order and in two views, and its part of a manifest. */
#define RUN_BYTES ((size_t)1100)

struct past_place {
    size_t path_at; /* in paths */
    struct object_id tree;
};

struct past_internal {
    struct past past;
    struct deriver *deriver;
    struct object_id source_tree;
    struct timespec made_at;
    bool is_dated;   /* made_at is meant */
    bool is_adopted; /* the recorded manifest is */
    bool is_whole;   /* so are all runs: nothing of the recorded manifest shows but in the manifest */
    struct snapshot *manifest; /* NULL until it is asked for */
    struct query_views views;
    struct past_place *places; /* a run's owner is one of them */
    size_t count, capacity;
    struct buffer paths; /* NUL-terminated */
};

static int add_place(const char *path, const struct object_id *run_tree, void *context)
{
    struct past_internal *past = context;
    if (past->count == PLACES_AT_MOST)
        return repository_fail(-EFBIG, "there are more than %zu directories of runs", PLACES_AT_MOST);
    if (past->count == past->capacity) {
        past->capacity = past->capacity ? past->capacity * 2 : 64;
        past->places = memory_resize(past->places, past->capacity * sizeof(*past->places));
    }
    past->places[past->count++] = (struct past_place){past->paths.length, *run_tree};
    buffer_append(&past->paths, path, strlen(path) + 1);
    return 0;
}

static int put_runs(struct past_internal *past, struct deriver *deriver)
{
    int error = 0;
    index_begin_filling(past->past.index);
    for (size_t i = 0; i < past->count && error == 0; i++) {
        const char *path = past->paths.bytes + past->places[i].path_at, *slash = strrchr(path, '/');
        struct slice place = {path, slash ? (size_t)(slash - path) : 0};
        struct slice name = slice_of(slash ? slash + 1 : path);
        const struct run_state *state;
        bool changed;
        error = deriver_run(deriver, past->past.rules, &past->places[i].tree, &state);
        past->is_whole &= error == 0 && (!state->is_run || state->is_whole);
        if (error == 0 && state->is_run)
            index_put(past->past.index, place, name, state, &changed)->owner = &past->places[i];
    }
    index_end_filling(past->past.index);
    return error;
}

const char *past_manifest_name(struct repository *repository, const struct rules *rules,
                               const struct object_id *source_tree)
{
    static const char *const names[] = {"runs_manifest.json", "manifest.json"};
    struct tree_entry entry;
    if (rules->config->manifest_name)
        return rules->config->manifest_name;
    bool is_second = tree_entry_of(repository, source_tree, names[0], &entry) == -ENOENT &&
                     tree_entry_of(repository, source_tree, names[1], &entry) == 0;
    return names[is_second];
}

/* The recorded manifest; nothing where there is none. */
static int read_manifest(struct past_internal *past, struct buffer *content)
{
    struct repository *repository = deriver_repository(past->deriver);
    struct tree_entry entry;
    const char *name = past_manifest_name(repository, past->past.rules, &past->source_tree);
    int error = tree_entry_of(repository, &past->source_tree, name, &entry);
    if (error == 0 && S_ISREG(entry.mode))
        error = blob_read(repository, &entry.id, LIMIT_MANIFEST_BYTES, content);
    return error == -ENOENT || error == -EFBIG ? 0 : error;
}

/* What the recorded manifest adds to what the files say. */
static int adopt_manifest(struct past_internal *past)
{
    struct buffer content = {0};
    struct index *index = past->past.index;
    int error = read_manifest(past, &content);
    if (error == 0) {
        struct slice recorded = buffer_slice(&content);
        enum existing_verdict verdict = existing_adopt(index, recorded, false, NULL, NULL);
        bool is_read = verdict != EXISTING_BROKEN && verdict != EXISTING_EMPTY;
        existing_keep_last_updated(index, is_read ? recorded : SLICE_LITERAL(""),
                                   past->is_dated ? &past->made_at : NULL);
        past->is_adopted = true;
    }
    buffer_free(&content);
    return error;
}

int past_manifest(struct past *past, struct snapshot **manifest)
{
    struct past_internal *internal = (struct past_internal *)past;
    int error = internal->is_adopted ? 0 : adopt_manifest(internal);
    if (error == 0 && !internal->manifest)
        internal->manifest = snapshot_take(past->index);
    *manifest = internal->manifest;
    return error;
}

int past_create(struct deriver *deriver, const struct object_id *source_tree, const struct timespec *made_at,
                struct past **created)
{
    struct repository *repository = deriver_repository(deriver);
    struct past_internal *past = memory_alloc_zeroed(1, sizeof(*past));
    *past = (struct past_internal){.deriver = deriver,
                                   .source_tree = *source_tree,
                                   .made_at = made_at ? *made_at : (struct timespec){0},
                                   .is_dated = made_at,
                                   .is_whole = true};
    int error = deriver_rules(deriver, source_tree, &past->past.rules);
    past->past.index = index_create();
    if (error == 0) {
        const struct rules *rules = past->past.rules;
        query_views_configure(&past->views, past->past.index, rules->plan, rules->fields,
                              repository_source_name(repository));
        error = deriver_each_place(deriver, rules, source_tree, add_place, past);
    }
    if (error == 0)
        error = put_runs(past, deriver);
    if (error == 0 && !past->is_whole) /* it may have their last good values */
        error = adopt_manifest(past);
    if (error == 0)
        *created = &past->past;
    else
        past_free(&past->past);
    return error;
}

size_t past_bytes(const struct past *past)
{
    const struct past_internal *internal = (const struct past_internal *)past;
    return sizeof(*internal) + index_count(past->index) * RUN_BYTES +
           internal->capacity * sizeof(*internal->places) + internal->paths.capacity;
}

void past_free(struct past *past)
{
    struct past_internal *internal = (struct past_internal *)past;
    if (!past)
        return;
    snapshot_unref(internal->manifest);
    index_destroy(past->index);
    free(internal->places);
    buffer_free(&internal->paths);
    free(internal);
}

const struct object_id *past_run_tree(const struct run *run)
{
    return &((const struct past_place *)run->owner)->tree;
}
