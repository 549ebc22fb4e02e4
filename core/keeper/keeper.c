/*
 * The keeper's life, its notes and its lock. What the notes mean is scan.c's; the manifest's file is
 * publish.c's.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/manifest/file.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The index cache is written this long after the start, if the first scan read much: not while the mount's
 * first users wait for it. */
#define SAVE_AFTER_MS 1000

/* The keeper's thread lets this much time of notes come together: who looks settles them for himself, and is
 * not to contend with a thread that is in no hurry. */
#define GATHER_MS 3

int64_t keeper_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- notes ---- */

/* notes_lock is held. */
static void note_wake(struct keeper *keeper)
{
    atomic_store(&keeper->pending, true);
    pthread_cond_signal(&keeper->wake);
}

/* notes_lock is held. The member stays allocated until its notes are settled: scan.c marks it dead instead.
 */
static struct note *make_note(struct member *member, const char *name)
{
    size_t length = strlen(name);
    struct note *note = memory_alloc(sizeof(*note) + length + 1);
    note->next = NULL;
    note->member = member;
    member->queued++;
    memcpy(note->name, name, length + 1);
    return note;
}

void note_linked_member(struct keeper *keeper, struct member *member)
{
    struct note *note = make_note(member, "");
    note->next = keeper->linked;
    keeper->linked = note;
}

void note_member(struct keeper *keeper, struct member *member, const char *name)
{
    if (name[0] == '\0') {
        if (member->noted)
            return;
        member->noted = true;
    }
    struct note *note = make_note(member, name);
    *keeper->notes_last = note;
    keeper->notes_last = &note->next;
    note_wake(keeper);
}

/* notes_lock is held. */
static void note_entry(struct keeper *keeper, struct directory *directory, const char *name, bool closed)
{
    struct member *member = directory->keeper_data;
    if (!member) {
        directory->keeper_missed = true; /* a sweep may be reading it */
        return;
    }
    if (member->role == MEMBER_RUN) {
        if (run_plan_find(keeper->plan, NULL, name) >= 0 || run_plan_has_directory(keeper->plan, name))
            note_member(keeper, member, "");
    } else if (member->role == MEMBER_PART) {
        if (run_plan_find(keeper->plan, member->name, name) >= 0)
            note_member(keeper, member, "");
    } else if (member->role == MEMBER_ROOT && strcmp(name, CONFIG_FILE_NAME) == 0) {
        keeper->config_noted = true;
        note_wake(keeper);
    } else if (member->role == MEMBER_ROOT && strcmp(name, keeper->manifest_name) == 0) {
        keeper->manifest_noted = true;
        keeper->manifest_closed |= closed;
        note_wake(keeper);
    } else {
        note_member(keeper, member, name);
    }
}

void keeper_note(struct keeper *keeper, struct directory *directory, const char *name)
{
    pthread_mutex_lock(&keeper->notes_lock);
    note_entry(keeper, directory, name, false);
    pthread_mutex_unlock(&keeper->notes_lock);
}

void keeper_note_move(struct keeper *keeper, struct directory *directory, const char *name,
                      struct directory *new_directory, const char *new_name)
{
    pthread_mutex_lock(&keeper->notes_lock);
    note_entry(keeper, directory, name, false);
    note_entry(keeper, new_directory, new_name, false);
    pthread_mutex_unlock(&keeper->notes_lock);
}

void keeper_note_all(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->notes_lock);
    keeper->rescan_noted = true;
    note_wake(keeper);
    pthread_mutex_unlock(&keeper->notes_lock);
}

/* The keeper's ear on the watch. */
static void keeper_listen(const struct change *change, void *context)
{
    struct keeper *keeper = context;
    /* Our own changes are noted by who makes them; the watch may tell of them once more. */
    if (change->kind == CHANGE_OVERFLOW)
        keeper_note_all(keeper);
    if (change->name && !change->own) {
        pthread_mutex_lock(&keeper->notes_lock);
        note_entry(keeper, change->directory, change->name, change->kind == CHANGE_CLOSED);
        pthread_mutex_unlock(&keeper->notes_lock);
    }
    if (keeper->listener)
        keeper->listener(change, keeper->listener_context);
}

/* ---- looking ---- */

struct index *keeper_lock(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    if (atomic_load(&keeper->pending)) {
        scan_settle(keeper);
        /* Whoever settles, the keeper's thread is to write what came of it. */
        pthread_mutex_lock(&keeper->notes_lock);
        keeper->settled = true;
        pthread_cond_signal(&keeper->wake);
        pthread_mutex_unlock(&keeper->notes_lock);
    }
    return keeper->index;
}

void keeper_unlock(struct keeper *keeper)
{
    pthread_mutex_unlock(&keeper->lock);
}

struct snapshot *keeper_manifest(struct keeper *keeper, struct file_stamp *on_disk)
{
    struct index *index = keeper_lock(keeper);
    struct snapshot *snapshot = NULL;
    if (keeper->publisher.finding != MANIFEST_NOT_A_FILE) {
        snapshot = snapshot_take(index);
        bool same = keeper->publisher.on_disk == snapshot;
        *on_disk = same ? keeper->publisher.stamp : (struct file_stamp){0};
    }
    keeper_unlock(keeper);
    return snapshot;
}

struct directory *keeper_run_directory(struct keeper *keeper, const struct run *run)
{
    (void)keeper;
    struct member *member = run->owner;
    return directory_ref(member->directory);
}

struct run *keeper_run_of_directory(struct keeper *keeper, const struct directory *directory)
{
    (void)keeper;
    const struct member *member = directory->keeper_data;
    return member ? member->run : NULL;
}

enum keeper_role keeper_role(struct keeper *keeper, const struct directory *directory)
{
    (void)keeper;
    const struct member *member = directory->keeper_data;
    if (!member)
        return KEEPER_OUTSIDE;
    if (member->role == MEMBER_PART)
        return KEEPER_OUTSIDE;
    return member->role == MEMBER_RUN ? KEEPER_RUN : KEEPER_INNER;
}

static bool has_place(const struct member *member)
{
    if (member->role == MEMBER_RUN)
        return true;
    struct member_position position = {0};
    for (const struct member *child; (child = member_next_child(member, &position));)
        if (has_place(child))
            return true;
    return false;
}

bool keeper_leads_to_place(struct keeper *keeper, const struct directory *directory, const char *name)
{
    (void)keeper;
    const struct member *member = directory->keeper_data;
    member = member && member->role < MEMBER_RUN ? member_child(member, name) : NULL;
    return member && has_place(member);
}

void keeper_report(struct keeper *keeper, struct keeper_report *report)
{
    keeper_lock(keeper);
    *report = (struct keeper_report){
        .recalled = keeper->recalled,
        .polled = keeper->unwatched,
        .written_at = keeper->publisher.written_at,
        .written_bytes = keeper->publisher.written_bytes,
    };
    keeper_unlock(keeper);
}

int keeper_flush(struct keeper *keeper)
{
    keeper_lock(keeper);
    publish_notice(keeper);
    int result = keeper->publisher.first_change_ms ? publish_write(keeper) : 0;
    keeper_unlock(keeper);
    return result;
}

enum manifest_finding keeper_manifest_finding(struct keeper *keeper, struct run_fault *fault)
{
    keeper_lock(keeper);
    enum manifest_finding finding = keeper->publisher.finding;
    if (fault)
        *fault = keeper->publisher.fault;
    keeper_unlock(keeper);
    return finding;
}

static int each_candidate(struct member *member, int (*visit)(const char *path, void *context), void *context)
{
    int result = 0;
    if (member->role == MEMBER_RUN && !member->run) {
        struct buffer path = {0};
        member_append_path(member, &path);
        result = visit(path.bytes, context);
        buffer_free(&path);
    }
    struct member_position position = {0};
    for (struct member *child; result == 0 && (child = member_next_child(member, &position));)
        result = each_candidate(child, visit, context);
    return result;
}

int keeper_each_candidate(struct keeper *keeper, int (*visit)(const char *path, void *context), void *context)
{
    return each_candidate(keeper->root, visit, context);
}

void keeper_set_observer(struct keeper *keeper, void (*changed)(void *context), void *context)
{
    keeper->observer = changed;
    keeper->observer_context = context;
}

struct source *keeper_source(struct keeper *keeper)
{
    return keeper->source;
}

struct watch *keeper_watch(struct keeper *keeper)
{
    return keeper->watch;
}

const char *keeper_manifest_name(const struct keeper *keeper)
{
    return keeper->manifest_name;
}

const struct config *keeper_config(const struct keeper *keeper)
{
    return keeper->config;
}

bool keeper_config_is_broken(const struct keeper *keeper)
{
    return keeper->config_is_broken;
}

const struct run_plan *keeper_plan(const struct keeper *keeper)
{
    return keeper->plan;
}

const struct field_set *keeper_fields(struct keeper *keeper)
{
    return keeper->fields;
}

bool keeper_is_manifest(struct keeper *keeper, const struct directory *directory, const char *name)
{
    return directory == source_root(keeper->source) && strcmp(name, keeper->manifest_name) == 0;
}

/* ---- the keeper's thread ---- */

/* Waits on `wake` until the monotonic time until_ms (-1: for ever) unless something is noted or was settled.
 * notes_lock is held. */
static void wait_for_work(struct keeper *keeper, int64_t until_ms)
{
    while (!keeper->stopping && !keeper->settled && !atomic_load(&keeper->pending)) {
        if (until_ms < 0) {
            pthread_cond_wait(&keeper->wake, &keeper->notes_lock);
            continue;
        }
        struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
        if (pthread_cond_timedwait(&keeper->wake, &keeper->notes_lock, &until) == ETIMEDOUT)
            return;
    }
}

/* notes_lock is held before and after. */
static void gather(struct keeper *keeper)
{
    pthread_mutex_unlock(&keeper->notes_lock);
    nanosleep(&(struct timespec){.tv_nsec = GATHER_MS * 1000000}, NULL);
    pthread_mutex_lock(&keeper->notes_lock);
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    if (a_ms < 0 || b_ms < 0)
        return a_ms < 0 ? b_ms : a_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

/* Settles what is noted, polls what no watch tells of, and writes the manifest when it is due; idle
 * otherwise. */
static void *keeper_thread(void *context)
{
    pthread_setname_np(pthread_self(), "keeper");
    struct keeper *keeper = context;
    int64_t poll_ms = keeper_now_ms() + keeper->options.poll_interval_ms;
    int64_t save_ms = keeper_now_ms() + SAVE_AFTER_MS; /* -1: it is done */
    pthread_mutex_lock(&keeper->notes_lock);
    while (!keeper->stopping) {
        keeper->settled = false;
        pthread_mutex_unlock(&keeper->notes_lock);

        pthread_mutex_lock(&keeper->lock);
        scan_settle(keeper);
        int64_t now_ms = keeper_now_ms();
        if (keeper->unwatched && now_ms >= poll_ms) {
            scan_poll(keeper);
            poll_ms = keeper_now_ms() + keeper->options.poll_interval_ms;
        }
        publish_notice(keeper);
        int64_t due_ms = publish_due_ms(keeper);
        if (due_ms >= 0 && due_ms <= now_ms) {
            publish_write(keeper);
            due_ms = publish_due_ms(keeper);
        }
        if (keeper->unwatched)
            due_ms = earlier(due_ms, poll_ms);
        keeper_unlock(keeper);
        if (save_ms >= 0 && now_ms >= save_ms) {
            recall_save_if_worth(keeper);
            save_ms = -1;
        }
        due_ms = earlier(due_ms, save_ms);

        pthread_mutex_lock(&keeper->notes_lock);
        wait_for_work(keeper, due_ms);
        if (!keeper->stopping && atomic_load(&keeper->pending))
            gather(keeper);
    }
    pthread_mutex_unlock(&keeper->notes_lock);
    return NULL;
}

/* ---- life ---- */

static void init_locks(struct keeper *keeper)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_mutex_init(&keeper->notes_lock, NULL);
}

/* The name of its directory, which is the framework of runs that stand in the source itself. */
static char *name_of_source(const char *path)
{
    char *real = realpath(path, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    char *name = memory_copy_text(slash ? slash + 1 : "", slash ? strlen(slash + 1) : 0);
    free(real);
    return name;
}

int keeper_open(const char *source_path, const struct keeper_options *options, struct keeper **result)
{
    struct keeper *keeper = memory_alloc_zeroed(1, sizeof(*keeper));
    keeper->options = *options;
    if (!keeper->options.poll_interval_ms)
        keeper->options.poll_interval_ms = LIMIT_POLL_INTERVAL_MS;
    if (!keeper->options.descriptors)
        keeper->options.descriptors = 64;
    keeper->notes_last = &keeper->notes_first;
    init_locks(keeper);

    int error = source_open(source_path, keeper->options.descriptors, &keeper->source);
    if (error) {
        keeper_close(keeper);
        return error;
    }
    error = watch_open(keeper->source, options->watch, &keeper->watch);
    if (error) {
        keeper_close(keeper);
        return error;
    }
    keeper->index = index_create();
    keeper->source_path = memory_copy_text(source_path, strlen(source_path));
    keeper->source_name = options->source_name
                              ? memory_copy_text(options->source_name, strlen(options->source_name))
                              : name_of_source(source_path);
    keeper->options.source_name = NULL;

    pthread_mutex_lock(&keeper->lock);
    scan_begin(keeper);
    if (keeper->config_is_broken && !options->read_only) {
        /* To write the manifest without it would lose what only it makes a run. */
        pthread_mutex_unlock(&keeper->lock);
        keeper_close(keeper);
        return -EBADMSG;
    }
    recall_forget(keeper);
    scan_settle(keeper);
    if (!keeper->options.read_only)
        manifest_file_clean(source_root_fd(keeper->source), keeper->manifest_name);
    publish_settle(keeper, true);
    publish_notice(keeper);
    if (keeper->publisher.first_change_ms)
        publish_write(keeper);
    pthread_mutex_unlock(&keeper->lock);
    keeper->options.show_progress = false;
    malloc_trim(0); /* a scan leaves holes behind that would never be used again */
    *result = keeper;
    return 0;
}

int keeper_start(struct keeper *keeper, watch_listener *listener, void *context)
{
    keeper->listener = listener;
    keeper->listener_context = context;
    keeper->started = true;
    int error = pthread_create(&keeper->thread, NULL, keeper_thread, keeper);
    if (error) {
        keeper->started = false;
        return -error;
    }
    return watch_start(keeper->watch, keeper_listen, keeper);
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper->started)
        return;
    /* What happened before the end is to be in the manifest that is left behind. */
    watch_drain(keeper->watch);
    pthread_mutex_lock(&keeper->notes_lock);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->notes_lock);
    pthread_join(keeper->thread, NULL);
    keeper->started = false;
    keeper->publisher.hold_until_ms = 0;
    /* Somebody else may write at the same moment: his write is adopted, and ours done after it. */
    for (int attempt = 0; keeper_flush(keeper) == -EAGAIN && attempt < 10; attempt++)
        ;
    recall_save_at_end(keeper);
    watch_close(keeper->watch);
    keeper->watch = NULL;
}

void keeper_close(struct keeper *keeper)
{
    keeper_stop(keeper);
    if (keeper->watch && keeper->root) /* never started */
        recall_save_if_worth(keeper);
    recall_close(keeper);
    if (keeper->watch)
        watch_close(keeper->watch);
    if (keeper->root)
        scan_end(keeper);
    snapshot_unref(keeper->publisher.on_disk);
    if (keeper->source)
        source_close(keeper->source);
    configure_end(keeper);
    free(keeper->source_path);
    free(keeper->source_name);
    free(keeper->manifest_name);
    pthread_cond_destroy(&keeper->wake);
    pthread_mutex_destroy(&keeper->lock);
    pthread_mutex_destroy(&keeper->notes_lock);
    free(keeper);
}
