/*
 * Which runs are to be committed: those that are completed and that the branch's tip does not have, or not
 * with this status. What the tip has is kept as two hashes a run.
 */
#include "fs/autocommit_internal.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the tip ---- */

static int compare_known(const void *a, const void *b)
{
    const struct known_run *first = a, *second = b;
    return first->path < second->path ? -1 : first->path > second->path;
}

static uint64_t hash_of_path(const struct run *run, struct buffer *scratch)
{
    buffer_clear(scratch);
    run_append_path(run, scratch);
    return text_hash(buffer_slice(scratch));
}

static void take_known(struct autocommit *autocommit, struct index *index)
{
    struct buffer path = {0};
    autocommit->known_count = 0;
    autocommit->known =
        memory_resize(autocommit->known, (index_count(index) + 1) * sizeof(*autocommit->known));
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        autocommit->known[autocommit->known_count++] =
            (struct known_run){hash_of_path(run, &path), text_hash(run->fields.status)};
    qsort(autocommit->known, autocommit->known_count, sizeof(*autocommit->known), compare_known);
    buffer_free(&path);
}

/* Has known be of the tip. 0 or -errno. */
static int look_at_tip(struct autocommit *autocommit)
{
    struct object_id tip;
    struct index *runs;
    int error = committer_tip(autocommit->committer, &tip);
    if (error || (autocommit->has_tip && object_id_equal(&tip, &autocommit->tip)))
        return error;
    error = committer_runs(autocommit->committer, &runs);
    autocommit->rest_at_ms = autocommit_now_ms() + REST_MS;
    if (error)
        return error;
    take_known(autocommit, runs);
    autocommit->tip = tip;
    autocommit->has_tip = true;
    return 0;
}

static bool tip_has(const struct autocommit *autocommit, uint64_t path, uint64_t status)
{
    struct known_run key = {.path = path};
    const struct known_run *found =
        bsearch(&key, autocommit->known, autocommit->known_count, sizeof(*autocommit->known), compare_known);
    return found && found->status == status;
}

/* ---- what is due ---- */

void autocommit_forget(struct autocommit *autocommit, struct waiting *waiting)
{
    HASH_DEL(autocommit->waiting, waiting);
    free(waiting->path);
    free(waiting->told);
    slice_free(&waiting->end_time);
    slice_free(&waiting->name);
    free(waiting);
}

static bool is_completed(const struct run *run)
{
    return run->fields.end_time.bytes || !slice_equal(run->fields.status, SLICE_LITERAL("pending"));
}

/* One hash of what tells one state of the run from another. */
static uint64_t hash_of_state(const struct run *run, uint64_t status)
{
    uint64_t parts[1 + 2 * RUN_OWN_STAMPS] = {status};
    for (size_t i = 0; i < RUN_OWN_STAMPS; i++) {
        parts[1 + 2 * i] = (uint64_t)run->stamps[i].mtime_ns;
        parts[2 + 2 * i] = run->stamps[i].size_bytes;
    }
    return text_hash((struct slice){(const char *)parts, sizeof(parts)});
}

static void put_waiting(struct autocommit *autocommit, const struct run *run, const struct buffer *path,
                        uint64_t status)
{
    struct waiting *waiting;
    uint64_t state = hash_of_state(run, status);
    HASH_FIND(hh, autocommit->waiting, path->bytes, path->length, waiting);
    if (!waiting) {
        waiting = memory_alloc_zeroed(1, sizeof(*waiting));
        *waiting = (struct waiting){
            .path = memory_copy_text(path->bytes, path->length),
            .name = slice_copy(run->name),
            .state = state,
            .since_ms = autocommit_now_ms(),
        };
        HASH_ADD_KEYPTR(hh, autocommit->waiting, waiting->path, path->length, waiting);
    }
    if (waiting->state != state && waiting->is_tried) {
        waiting->is_tried = false;
        waiting->since_ms = autocommit_now_ms();
    }
    waiting->state = state;
    slice_free(&waiting->end_time);
    waiting->end_time = slice_copy(run->fields.end_time);
    waiting->look = autocommit->look;
}

static int look_at_run(struct run *run, void *context)
{
    struct autocommit *autocommit = context;
    struct buffer path = {0};
    if (!is_completed(run) || run->faults)
        return 0;
    uint64_t status = text_hash(run->fields.status);
    if (!tip_has(autocommit, hash_of_path(run, &path), status))
        put_waiting(autocommit, run, &path, status);
    buffer_free(&path);
    return 0;
}

/* Has waiting be those runs that the tip lacks. */
int autocommit_look_at_runs(struct autocommit *autocommit)
{
    int error = look_at_tip(autocommit);
    if (error)
        return error;
    size_t bucket = 0;
    autocommit->look++;
    do {
        struct index *index = keeper_lock(autocommit->keeper);
        config_unref(autocommit->config);
        autocommit->config = config_ref((struct config *)keeper_config(autocommit->keeper));
        index_each_part(index, &bucket, BUCKETS_AT_ONCE, look_at_run, autocommit);
        keeper_unlock(autocommit->keeper);
    } while (bucket != 0);
    struct waiting *waiting, *next;
    HASH_ITER(hh, autocommit->waiting, waiting, next)
    {
        if (waiting->look != autocommit->look)
            autocommit_forget(autocommit, waiting);
    }
    return 0;
}

int autocommit_compare_waiting(struct waiting *a, struct waiting *b)
{
    int order = slice_compare(a->end_time, b->end_time);
    if (order == 0)
        order = slice_compare(a->name, b->name);
    return order ? order : strcmp(a->path, b->path);
}
