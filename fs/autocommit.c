/*
 * Commits of runs as they are completed. The keeper wakes the thread when anything changed; it compares the
 * runs with those of the branch's tip, waits until the files of those that differ have come to rest (several
 * are written one after another, and are to be one commit), and commits each. While nothing is due it sleeps.
 *
 * What the tip has is kept as two hashes a run, not as an index: that is 16 bytes.
 */
#include "fs/autocommit.h"
#include "fs/owner.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/git/commit.h"
#include "core/git/past.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

/* Changes come in bursts: so long after the first is looked at what they are. */
#define GATHER_MS 200
/* So long a run's files are to be at rest, and so long at most that is waited for. */
#define QUIET_MS 1000
#define DELAY_MS 30000
/* Where somebody else is at work on the repository. */
#define PATIENCE_MS 3000
#define LAST_PATIENCE_MS 1000
#define RETRY_FIRST_MS 1000
#define RETRY_LONGEST_MS 60000
/* At the end no more than this is spent; the next mount does the rest. */
#define END_MS 30000
/* Buckets of the index looked at before others get their turn. */
#define BUCKETS_AT_ONCE 4096

/* A run of the tip. */
struct known_run {
    uint64_t path, status; /* hashes */
};

/* A run that the tip does not have, or not with this status. */
struct waiting {
    char *path;
    struct slice end_time, name;
    uint64_t state;   /* hash of what it is: a run that was tried is tried again when that is another */
    int64_t since_ms, due_ms; /* monotonic; before that it is not looked at */
    bool is_tried;
    unsigned look; /* that last met it */
    UT_hash_handle hh;
};

struct autocommit {
    struct keeper *keeper;
    struct repository *repository;
    struct committer *committer;
    struct config *config; /* of the last look */
    bool is_root;
    struct owner owner;

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards the next two; a leaf */
    pthread_cond_t wake;
    bool changed, stopping;

    struct object_id tip;
    bool has_tip; /* known is of it */
    struct known_run *known;
    size_t known_count;
    struct waiting *waiting;
    unsigned look;
    bool is_blocked; /* nothing can be committed until retry_at_ms */
    int64_t retry_at_ms;
    unsigned retry_ms;
    char *last_error;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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
    struct commit commit = {0};
    struct past *past;
    int error = committer_tip(autocommit->committer, &tip);
    if (error || (autocommit->has_tip && object_id_equal(&tip, &autocommit->tip)))
        return error;
    if (!object_id_is_none(&tip))
        error = commit_read(autocommit->repository, &tip, &commit);
    if (error == 0)
        error = past_create(committer_deriver(autocommit->committer), &commit.tree, NULL, &past);
    if (error)
        return error;
    take_known(autocommit, past->index);
    past_free(past);
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

static void forget(struct autocommit *autocommit, struct waiting *waiting)
{
    HASH_DEL(autocommit->waiting, waiting);
    free(waiting->path);
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
            .since_ms = now_ms(),
        };
        HASH_ADD_KEYPTR(hh, autocommit->waiting, waiting->path, path->length, waiting);
    }
    if (waiting->state != state && waiting->is_tried) {
        waiting->is_tried = false;
        waiting->since_ms = now_ms();
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
static int look_at_runs(struct autocommit *autocommit)
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
            forget(autocommit, waiting);
    }
    return 0;
}

static int compare_waiting(struct waiting *a, struct waiting *b)
{
    int order = slice_compare(a->end_time, b->end_time);
    if (order == 0)
        order = slice_compare(a->name, b->name);
    return order ? order : strcmp(a->path, b->path);
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
    autocommit->retry_at_ms = now_ms() + autocommit->retry_ms;
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
        forget(autocommit, waiting);
    } else if (result == 0 || is_of_run(result)) {
        if (result < 0)
            tell(autocommit, waiting->path);
        waiting->is_tried = result != -ETXTBSY;
        waiting->since_ms = now_ms(); /* what never rests is waited for again */
        waiting->due_ms = waiting->since_ms + QUIET_MS;
    } else {
        block(autocommit);
    }
    return result;
}

/* When the run is to be committed; is_end: now. */
static int64_t due_ms(struct autocommit *autocommit, const struct waiting *waiting, bool is_end)
{
    int64_t now = now_ms(), last = waiting->since_ms + DELAY_MS;
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
    int64_t next_ms = -1, end_ms = now_ms() + END_MS;
    if (autocommit->is_blocked && !is_end && now_ms() < autocommit->retry_at_ms)
        return autocommit->retry_at_ms;
    HASH_SRT(hh, autocommit->waiting, compare_waiting);
    HASH_ITER(hh, autocommit->waiting, waiting, next)
    {
        if (waiting->is_tried)
            continue;
        if (is_end || waiting->due_ms <= now_ms())
            waiting->due_ms = due_ms(autocommit, waiting, is_end);
        if (waiting->due_ms > now_ms()) {
            next_ms = next_ms < 0 || waiting->due_ms < next_ms ? waiting->due_ms : next_ms;
            continue;
        }
        int result = commit_waiting(autocommit, waiting, is_end);
        if (autocommit->is_blocked && result < 0 && !is_of_run(result))
            return autocommit->retry_at_ms;
        if (is_end ? now_ms() > end_ms : is_stopping(autocommit))
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
        wait_until(autocommit, now_ms() + GATHER_MS, false);
    autocommit->changed = false;
    bool stopping = autocommit->stopping;
    pthread_mutex_unlock(&autocommit->lock);
    return !stopping;
}

static int64_t work(struct autocommit *autocommit, bool is_end)
{
    int error = look_at_runs(autocommit);
    if (error == 0)
        return commit_due(autocommit, is_end);
    block(autocommit);
    return autocommit->retry_at_ms;
}

static void *autocommit_thread(void *context)
{
    struct autocommit *autocommit = context;
    pthread_setname_np(pthread_self(), "autocommit");
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
    if (info.st_uid == 0)
        return 0;
    repository_close(autocommit->repository);
    autocommit->repository = NULL;
    repositories_set_home(autocommit->owner.home);
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
        forget(autocommit, waiting);
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
