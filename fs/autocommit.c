/*
 * Commits of runs as they are completed. The keeper wakes the thread when anything changed; it compares the
 * runs with those of the branch's tip, waits until the files of those that differ have come to rest (several
 * are written one after another, and are to be one commit), and commits each. While nothing is due it sleeps.
 *
 * What the tip has is kept as two hashes a run, not as an index: that is 16 bytes.
 */
#include "fs/autocommit_internal.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <errno.h>
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

/* The log is told of each trouble once. */
static void tell(struct autocommit *autocommit, const char *path)
{
    struct buffer line = {0};
    buffer_append_format(&line, "autocommit: %s%s%s", path ? path : "", path ? ": " : "", repository_error());
    if (autocommit->last_error && strcmp(autocommit->last_error, line.bytes) == 0) {
        buffer_free(&line);
        return;
    }
    log_error("%s", line.bytes);
    free(autocommit->last_error);
    autocommit->last_error = line.bytes;
}

static void block(struct autocommit *autocommit)
{
    tell(autocommit, NULL);
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

/* Is the trouble this run's alone? Then the others have their turn. */
static bool is_of_run(int error)
{
    return error == -EBADMSG || error == -EACCES || error == -ETXTBSY;
}

static int commit_waiting(struct autocommit *autocommit, struct waiting *waiting, bool is_end)
{
    struct commit_made made;
    int result = commit_run(autocommit->committer, autocommit->config, waiting->path,
                            is_end ? LAST_PATIENCE_MS : PATIENCE_MS, &made);
    if (result == 1) {
        log_info("committed %s", made.message);
        free(made.message);
        unblock(autocommit);
        autocommit_forget(autocommit, waiting);
    } else if (result == 0 || is_of_run(result)) {
        if (result < 0)
            tell(autocommit, waiting->path);
        waiting->is_tried = result != -ETXTBSY;
        waiting->since_ms = autocommit_now_ms(); /* what never rests is waited for again */
        waiting->due_ms = waiting->since_ms + QUIET_MS;
    } else {
        block(autocommit);
    }
    return result;
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

/* Commits what is due. Returns when the next is (monotonic), or -1. */
static int64_t commit_due(struct autocommit *autocommit, bool is_end)
{
    struct waiting *waiting, *next;
    int64_t next_ms = -1, end_ms = autocommit_now_ms() + END_MS;
    if (autocommit->is_blocked && !is_end && autocommit_now_ms() < autocommit->retry_at_ms)
        return autocommit->retry_at_ms;
    HASH_SRT(hh, autocommit->waiting, autocommit_compare_waiting);
    HASH_ITER(hh, autocommit->waiting, waiting, next)
    {
        if (waiting->is_tried)
            continue;
        if (is_end || waiting->due_ms <= autocommit_now_ms())
            waiting->due_ms = due_ms(autocommit, waiting, is_end);
        if (waiting->due_ms > autocommit_now_ms()) {
            next_ms = next_ms < 0 || waiting->due_ms < next_ms ? waiting->due_ms : next_ms;
            continue;
        }
        int result = commit_waiting(autocommit, waiting, is_end);
        if (autocommit->is_blocked && result < 0 && !is_of_run(result))
            return autocommit->retry_at_ms;
        if (is_end ? autocommit_now_ms() > end_ms : is_stopping(autocommit))
            break;
    }
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
    int error = autocommit_look_at_runs(autocommit);
    if (error == 0)
        return commit_due(autocommit, is_end);
    block(autocommit);
    return autocommit->retry_at_ms;
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
        next_ms = work(autocommit, false);
    while (wait_for_work(autocommit, next_ms));
    work(autocommit, true);
    return NULL;
}

/* ---- life ---- */

static void warn(const char *line, void *context)
{
    (void)context;
    log_warning("autocommit: %s", line);
}

/* Opens it by the rights and the configuration of its owner. */
static int open_repository(struct autocommit *autocommit, const char *source_path)
{
    struct stat info;
    int error = repository_open(source_path, &autocommit->repository);
    if (error || !autocommit->is_root)
        return error;
    if (stat(repository_directory(autocommit->repository), &info) != 0)
        return -errno;
    owner_set(&autocommit->owner, info.st_uid, info.st_gid);
    const char *own_home = getenv("HOME");
    repository_close(autocommit->repository);
    autocommit->repository = NULL;
    repositories_set_home(info.st_uid == 0 && own_home ? own_home : autocommit->owner.home);
    owner_assume(&autocommit->owner); /* a configuration may name other files to be read */
    error = repository_open(source_path, &autocommit->repository);
    owner_restore(&autocommit->owner);
    return error;
}

static int prepare(struct autocommit *autocommit, const char *source_path)
{
    int error = open_repository(autocommit, source_path);
    if (error)
        return error;
    const struct committer_setup setup = {
        .repository = autocommit->repository,
        .source_path = source_path,
        .source_fd = source_root_fd(keeper_source(autocommit->keeper)),
        .manifest_name = keeper_manifest_name(autocommit->keeper),
        .warn = warn,
    };
    error = committer_create(&setup, &autocommit->committer);
    if (error)
        return error;
    if (autocommit->is_root)
        owner_assume(&autocommit->owner);
    error = committer_check(autocommit->committer);
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
    int error = prepare(autocommit, source_path);
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
    committer_free(autocommit->committer);
    repository_close(autocommit->repository);
    pthread_mutex_destroy(&autocommit->lock);
    pthread_cond_destroy(&autocommit->wake);
    free(autocommit->known);
    free(autocommit->last_error);
    free(autocommit);
}
