/*
 * Commits of runs as they are completed. The keeper wakes the thread when anything changed; it compares the
 * runs with those of the branch's tip, waits until the files of those that differ have come to rest (several
 * are written one after another, and are to be one commit), and commits each. While nothing is due it sleeps.
 *
 * Where very many are due at once in a source of many runs, some at a time share a commit (committer_batch).
 *
 * What the tip has is kept as two hashes a run, not as an index: that is 16 bytes.
 */
#include "fs/autocommit_internal.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t autocommit_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- commits ---- */

/* The log is told of each trouble once: *told is what it was told last. */
static void tell(char **told, const char *path, const char *words)
{
    struct buffer line = {0};
    buffer_append_format(&line, "autocommit: %s%s%s", path ? path : "", path ? ": " : "", words);
    if (*told && strcmp(*told, line.bytes) == 0) {
        buffer_free(&line);
        return;
    }
    log_error("%s", line.bytes);
    free(*told);
    *told = line.bytes;
}

static void block(struct autocommit *autocommit)
{
    tell(&autocommit->last_error, NULL, repository_error());
    autocommit->retry_ms = autocommit->retry_ms ? autocommit->retry_ms * 2 : RETRY_FIRST_MS;
    if (autocommit->retry_ms > RETRY_LONGEST_MS)
        autocommit->retry_ms = RETRY_LONGEST_MS;
    autocommit->retry_at_ms = autocommit_now_ms() + autocommit->retry_ms;
    autocommit->is_blocked = true;
}

static void unblock(struct autocommit *autocommit)
{
    autocommit->is_blocked = false;
    autocommit->retry_ms = 0;
    free(autocommit->last_error);
    autocommit->last_error = NULL;
}

/* What became of one run. */
static void take_result(struct autocommit *autocommit, struct waiting *waiting, struct run_to_commit *run)
{
    if (run->result == 1) {
        log_info("committed %s", run->text);
        autocommit_forget(autocommit, waiting);
    } else {
        if (run->result < 0)
            tell(&waiting->told, waiting->path, run->text);
        waiting->is_tried = run->result != -ETXTBSY;
        waiting->since_ms = autocommit_now_ms(); /* what never rests is waited for again */
        waiting->due_ms = waiting->since_ms + QUIET_MS;
    }
    free(run->text);
}

/* Runs that are due, as many as are to share a commit. 0; -errno where nothing can be committed. */
static int commit_together(struct autocommit *autocommit, struct waiting **due, size_t count, bool is_end)
{
    struct object_id id;
    struct run_to_commit *runs = memory_alloc_zeroed(count, sizeof(*runs));
    for (size_t i = 0; i < count; i++)
        runs[i].path = due[i]->path;
    int result = commit_runs(autocommit->committer, autocommit->config, runs, count,
                             is_end ? LAST_PATIENCE_MS : PATIENCE_MS, &id);
    if (result < 0)
        block(autocommit);
    else if (result == 1)
        unblock(autocommit);
    for (size_t i = 0; i < count; i++)
        if (result >= 0 || runs[i].result < 0)
            take_result(autocommit, due[i], &runs[i]);
    free(runs);
    return result < 0 ? result : 0;
}

/* When the run is to be committed; is_end: now. */
static int64_t due_ms(struct autocommit *autocommit, const struct waiting *waiting, bool is_end)
{
    int64_t now = autocommit_now_ms(), last = waiting->since_ms + DELAY_MS;
    if (is_end)
        return now;
    int64_t quiet = committer_quiet_ms(autocommit->committer, autocommit->config, waiting->path);
    int64_t due = quiet >= QUIET_MS ? now : now + QUIET_MS - quiet;
    return due < last ? due : last;
}

static bool is_stopping(struct autocommit *autocommit)
{
    pthread_mutex_lock(&autocommit->lock);
    bool stopping = autocommit->stopping;
    pthread_mutex_unlock(&autocommit->lock);
    return stopping;
}

/* Those that are due, in their order; *next_ms is when the next is (monotonic), or -1. The list is the
 * caller's. */
static struct waiting **find_due(struct autocommit *autocommit, bool is_end, size_t *count, int64_t *next_ms)
{
    struct waiting *waiting, *next;
    struct waiting **due = memory_alloc((HASH_COUNT(autocommit->waiting) + 1) * sizeof(*due));
    *count = 0;
    *next_ms = -1;
    HASH_SRT(hh, autocommit->waiting, autocommit_compare_waiting);
    HASH_ITER(hh, autocommit->waiting, waiting, next)
    {
        if (waiting->is_tried)
            continue;
        if (is_end || waiting->due_ms <= autocommit_now_ms())
            waiting->due_ms = due_ms(autocommit, waiting, is_end);
        if (waiting->due_ms <= autocommit_now_ms())
            due[(*count)++] = waiting;
        else
            *next_ms = *next_ms < 0 || waiting->due_ms < *next_ms ? waiting->due_ms : *next_ms;
    }
    return due;
}

/* Does the manifest stand on disk as it is, or was that waited for in vain? */
static bool is_manifest_ready(struct autocommit *autocommit)
{
    struct file_stamp on_disk;
    snapshot_unref(keeper_manifest(autocommit->keeper, &on_disk));
    bool is_written = on_disk.ino != 0;
    if (autocommit->manifest_until_ms == 0)
        autocommit->manifest_until_ms = autocommit_now_ms() + MANIFEST_PATIENCE_MS;
    if (!is_written && autocommit_now_ms() < autocommit->manifest_until_ms)
        return false;
    autocommit->manifest_until_ms = 0;
    return true;
}

/* Commits what is due. Returns when the next is (monotonic), or -1. */
static int64_t commit_due(struct autocommit *autocommit, bool is_end)
{
    size_t due_count;
    int64_t next_ms, end_ms = autocommit_now_ms() + END_MS;
    if (autocommit->is_blocked && !is_end && autocommit_now_ms() < autocommit->retry_at_ms)
        return autocommit->retry_at_ms;
    struct waiting **due = find_due(autocommit, is_end, &due_count, &next_ms);
    if (due_count == 0)
        autocommit->manifest_until_ms = 0;
    else if (!is_end && !is_manifest_ready(autocommit)) {
        free(due);
        return autocommit_now_ms() + MANIFEST_STEP_MS;
    }
    size_t batch = committer_batch(autocommit->committer, due_count);
    for (size_t at = 0; at < due_count; at += batch) {
        size_t count = due_count - at < batch ? due_count - at : batch;
        if (commit_together(autocommit, due + at, count, is_end) != 0) {
            next_ms = autocommit->retry_at_ms;
            break;
        }
        if (is_end ? autocommit_now_ms() > end_ms : is_stopping(autocommit)) {
            next_ms = autocommit_now_ms();
            break;
        }
    }
    if (due_count > 0)
        autocommit->rest_at_ms = autocommit_now_ms() + REST_MS;
    free(due);
    return next_ms;
}

/* ---- the thread ---- */

static void notice(void *context)
{
    struct autocommit *autocommit = context;
    pthread_mutex_lock(&autocommit->lock);
    autocommit->changed = true;
    pthread_cond_signal(&autocommit->wake);
    pthread_mutex_unlock(&autocommit->lock);
}

static void wait_until(struct autocommit *autocommit, int64_t until_ms, bool until_changed)
{
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    while (!autocommit->stopping && !(until_changed && autocommit->changed)) {
        if (until_ms < 0)
            pthread_cond_wait(&autocommit->wake, &autocommit->lock);
        else if (pthread_cond_timedwait(&autocommit->wake, &autocommit->lock, &until) == ETIMEDOUT)
            break;
    }
}

/* Waits for a change or the next that is due; false at the end. */
static bool wait_for_work(struct autocommit *autocommit, int64_t next_ms)
{
    pthread_mutex_lock(&autocommit->lock);
    wait_until(autocommit, next_ms, true);
    if (autocommit->changed)
        wait_until(autocommit, autocommit_now_ms() + GATHER_MS, false);
    autocommit->changed = false;
    bool stopping = autocommit->stopping;
    pthread_mutex_unlock(&autocommit->lock);
    return !stopping;
}

static int64_t work(struct autocommit *autocommit, bool is_end)
{
    int error = autocommit_renew(autocommit);
    if (error == 0)
        error = autocommit_look_at_runs(autocommit);
    if (error == 0)
        return commit_due(autocommit, is_end);
    block(autocommit);
    return autocommit->retry_at_ms;
}

/* Gives memory back, if it is time. Returns when there is something to do. */
static int64_t rest(struct autocommit *autocommit, int64_t next_ms)
{
    int64_t *rest_at_ms = &autocommit->rest_at_ms;
    if (*rest_at_ms >= 0 && *rest_at_ms <= autocommit_now_ms()) {
        *rest_at_ms = -1;
        autocommit_close(autocommit);
        malloc_trim(0);
    }
    return *rest_at_ms >= 0 && (next_ms < 0 || *rest_at_ms < next_ms) ? *rest_at_ms : next_ms;
}

static void *autocommit_thread(void *context)
{
    struct autocommit *autocommit = context;
    pthread_setname_np(pthread_self(), "autocommit");
    repository_guard_begin(); /* for good: there is little else that this thread does */
    if (autocommit->is_root)
        owner_assume(&autocommit->owner);
    int64_t next_ms;
    do
        next_ms = rest(autocommit, work(autocommit, false));
    while (wait_for_work(autocommit, next_ms));
    work(autocommit, true);
    return NULL;
}

/* ---- life ---- */

static int prepare(struct autocommit *autocommit)
{
    int error = autocommit_find_owner(autocommit);
    if (autocommit->is_root && error == 0)
        owner_assume(&autocommit->owner); /* a configuration may name other files to be read */
    repository_guard_begin();
    error = autocommit_open(autocommit);
    if (error == 0)
        error = committer_check(autocommit->committer);
    repository_guard_end();
    if (autocommit->is_root)
        owner_restore(&autocommit->owner);
    return error == -EBUSY ? 0 : error;
}

int autocommit_create(struct keeper *keeper, const char *source_path, struct autocommit **created)
{
    pthread_condattr_t monotonic;
    struct autocommit *autocommit = memory_alloc_zeroed(1, sizeof(*autocommit));
    autocommit->keeper = keeper;
    autocommit->is_root = geteuid() == 0;
    pthread_mutex_init(&autocommit->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&autocommit->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    repositories_begin(autocommit->is_root);
    autocommit->source_path = memory_copy_text(source_path, strlen(source_path));
    int error = prepare(autocommit);
    if (error) {
        fprintf(stderr, "runsfs: autocommit: %s: %s\n", source_path, repository_error());
        autocommit_free(autocommit);
        return error;
    }
    *created = autocommit;
    return 0;
}

int autocommit_start(struct autocommit *autocommit)
{
    if (!autocommit)
        return 0;
    keeper_set_observer(autocommit->keeper, notice, autocommit);
    int error = pthread_create(&autocommit->thread, NULL, autocommit_thread, autocommit);
    autocommit->started = error == 0;
    return -error;
}

void autocommit_stop(struct autocommit *autocommit)
{
    if (!autocommit || !autocommit->started)
        return;
    /* What is committed at the end is to be with the manifest that stands there at the end. */
    keeper_flush(autocommit->keeper);
    pthread_mutex_lock(&autocommit->lock);
    autocommit->stopping = true;
    pthread_cond_signal(&autocommit->wake);
    pthread_mutex_unlock(&autocommit->lock);
    pthread_join(autocommit->thread, NULL);
    autocommit->started = false;
}

void autocommit_free(struct autocommit *autocommit)
{
    struct waiting *waiting, *next;
    if (!autocommit)
        return;
    /* The keeper goes on for a while. */
    keeper_lock(autocommit->keeper);
    keeper_set_observer(autocommit->keeper, NULL, NULL);
    keeper_unlock(autocommit->keeper);
    HASH_ITER(hh, autocommit->waiting, waiting, next)
    {
        autocommit_forget(autocommit, waiting);
    }
    config_unref(autocommit->config);
    autocommit_close(autocommit);
    pthread_mutex_destroy(&autocommit->lock);
    pthread_cond_destroy(&autocommit->wake);
    free(autocommit->known);
    free(autocommit->last_error);
    free(autocommit->source_path);
    free(autocommit);
}
