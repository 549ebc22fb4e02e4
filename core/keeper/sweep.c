/*
 * A sweep: many new runs found, watched and read at once. Where a source has 100,000 of them, that is nearly
 * all that a scan does, and nearly all of it is system calls that need no lock of the keeper's.
 *
 * Threads take the entries batch by batch and do for each what can be done alone: open the directory, watch
 * it, read its files. The caller, who holds keeper->lock, takes the batches over in their order, so that
 * index and members are the same whatever the threads' timing was; where none is ready he works on one
 * himself. A thread never runs ahead by more than some batches, which bounds what is held in memory.
 *
 * What a thread can't do (an error, no descriptors) is left to scan.c, which knows what to make of it.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/memory.h"
#include "core/base/progress.h"
#include "core/base/team.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH_ENTRIES 64
#define BATCHES_AHEAD (4 * LIMIT_TEAM_THREADS)
#define ENTRIES_WORTH_A_THREAD 128

/* The directory in which entries stand. It is counted like a note of the member, and so lives on where it is
 * dropped meanwhile. */
struct group {
    struct member *parent;
    struct directory *directory; /* a reference */
    struct slice place;          /* the parent's path below the source; owned */
    unsigned listing;
};

struct entry {
    size_t name; /* where it begins in sweep->names */
    size_t group;
};

enum outcome { OUTCOME_NONE, OUTCOME_FOUND, OUTCOME_UNCLEAR };

/* What a thread made of one entry. */
struct prospect {
    enum outcome outcome;
    struct directory *directory; /* OUTCOME_FOUND: a reference */
    int error;                   /* of reading the run */
    bool is_recalled;            /* it was not read: its texts are the cache's */
    struct run_state state;
};

struct batch {
    bool is_ready;
    struct prospect prospects[BATCH_ENTRIES];
};

struct sweep {
    struct keeper *keeper;
    struct buffer names; /* each with its NUL */
    struct entry *entries;
    size_t entry_count, entry_capacity;
    struct group *groups;
    size_t group_count, group_capacity;

    /* Batches, by their numbers: the first `settled` are done with, `claimed` are or were in hands. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t claimed, settled, batch_count;
    struct batch *batches;    /* a ring of BATCHES_AHEAD */
    struct progress progress; /* shown to nobody unless it is begun */
};

struct sweep *sweep_create(struct keeper *keeper)
{
    struct sweep *sweep = memory_alloc_zeroed(1, sizeof(*sweep));
    sweep->keeper = keeper;
    if (keeper->options.show_progress)
        progress_begin(&sweep->progress, "runs");
    return sweep;
}

/* ---- collecting ---- */

static void add_group(struct sweep *sweep, struct member *parent)
{
    if (sweep->group_count == sweep->group_capacity) {
        sweep->group_capacity = sweep->group_capacity * 2 + 4;
        sweep->groups = memory_resize(sweep->groups, sweep->group_capacity * sizeof(*sweep->groups));
    }
    pthread_mutex_lock(&sweep->keeper->notes_lock);
    parent->queued++;
    pthread_mutex_unlock(&sweep->keeper->notes_lock);
    struct buffer path = {0};
    member_append_path(parent, &path);
    sweep->groups[sweep->group_count++] = (struct group){parent, directory_ref(parent->directory),
                                                         slice_copy(buffer_slice(&path)), parent->listing};
    buffer_free(&path);
}

void sweep_add(struct sweep *sweep, struct member *parent, const char *name)
{
    if (sweep->group_count == 0 || sweep->groups[sweep->group_count - 1].listing != parent->listing)
        add_group(sweep, parent);
    if (sweep->entry_count == sweep->entry_capacity) {
        sweep->entry_capacity = sweep->entry_capacity * 2 + 16;
        sweep->entries = memory_resize(sweep->entries, sweep->entry_capacity * sizeof(*sweep->entries));
    }
    sweep->entries[sweep->entry_count++] = (struct entry){sweep->names.length, sweep->group_count - 1};
    buffer_append(&sweep->names, name, strlen(name) + 1);
}

static const char *entry_name(const struct sweep *sweep, size_t number)
{
    return sweep->names.bytes + sweep->entries[number].name;
}

static struct group *entry_group(const struct sweep *sweep, size_t number)
{
    return &sweep->groups[sweep->entries[number].group];
}

/* ---- what a thread does ---- */

/* Opens what stands at name in the framework, if it is a directory, and watches it before it is read. */
static void look(struct sweep *sweep, const struct group *group, int parent_fd, const char *name,
                 struct prospect *prospect)
{
    struct keeper *keeper = sweep->keeper;
    struct attributes attributes;
    CLEANUP_FD int fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return;
    prospect->outcome = OUTCOME_UNCLEAR;
    if (fd < 0 || source_stat_at(fd, "", &attributes) != 0)
        return;
    prospect->outcome = OUTCOME_FOUND;
    prospect->directory = source_directory_at(keeper->source, group->directory, name, &attributes.identity);
    pthread_mutex_lock(&keeper->notes_lock);
    prospect->directory->keeper_missed = false;
    pthread_mutex_unlock(&keeper->notes_lock);
    watch_add(keeper->watch, prospect->directory, fd);
    prospect->is_recalled = recall_run(keeper, group->place, slice_of(name), fd, &prospect->state);
    if (!prospect->is_recalled)
        prospect->error = run_load(keeper->plan, fd, &prospect->state);
}

static size_t batch_end(const struct sweep *sweep, size_t number)
{
    size_t end = (number + 1) * BATCH_ENTRIES;
    return end < sweep->entry_count ? end : sweep->entry_count;
}

static void fill(struct sweep *sweep, size_t number)
{
    struct source *source = sweep->keeper->source;
    struct prospect *prospect = sweep->batches[number % BATCHES_AHEAD].prospects;
    struct descriptor parent = {.fd = -1};
    const struct group *group = NULL;
    int error = 0;
    for (size_t i = number * BATCH_ENTRIES; i < batch_end(sweep, number); i++, prospect++) {
        if (group != entry_group(sweep, i)) {
            source_release(source, &parent);
            group = entry_group(sweep, i);
            error = source_borrow(source, group->directory, &parent);
        }
        *prospect = (struct prospect){.outcome = error ? OUTCOME_UNCLEAR : OUTCOME_NONE};
        if (!error)
            look(sweep, group, parent.fd, entry_name(sweep, i), prospect);
    }
    source_release(source, &parent);
}

/* sweep->lock is held. The next batch, if there is one and room for it. */
static bool claim(struct sweep *sweep, size_t *number)
{
    if (sweep->claimed == sweep->batch_count || sweep->claimed == sweep->settled + BATCHES_AHEAD)
        return false;
    *number = sweep->claimed++;
    return true;
}

/* Does a claimed batch; sweep->lock is held before and after. */
static void work_on(struct sweep *sweep, size_t number)
{
    pthread_mutex_unlock(&sweep->lock);
    fill(sweep, number);
    pthread_mutex_lock(&sweep->lock);
    sweep->batches[number % BATCHES_AHEAD].is_ready = true;
    pthread_cond_broadcast(&sweep->changed);
}

static void *sweep_thread(void *context)
{
    struct sweep *sweep = context;
    size_t number;
    pthread_mutex_lock(&sweep->lock);
    while (sweep->claimed < sweep->batch_count) {
        if (claim(sweep, &number))
            work_on(sweep, number);
        else
            pthread_cond_wait(&sweep->changed, &sweep->lock);
    }
    pthread_mutex_unlock(&sweep->lock);
    return NULL;
}

/* ---- what the caller does ---- */

/* A change between the reading of a run and its becoming a member was told to nobody. */
static bool has_missed(struct keeper *keeper, struct directory *directory)
{
    pthread_mutex_lock(&keeper->notes_lock);
    bool missed = directory->keeper_missed;
    pthread_mutex_unlock(&keeper->notes_lock);
    return missed;
}

/* The directory is not known as that of a member already standing there. Takes over the reference. */
static struct member *make_member(struct keeper *keeper, struct member *parent, const char *name,
                                  struct directory *directory)
{
    struct member *member = member_child(parent, name);
    bool is_known = (member && member->directory == directory) || is_within(parent, directory);
    if (is_known) {
        directory_unref(keeper->source, directory);
        return NULL;
    }
    if (member)
        member_drop(keeper, member);
    /* Two places of one directory, by a bind mount: the threads met them in any order, and the last one
     * counts. */
    if (directory->keeper_data)
        directory_unref(keeper->source,
                        source_directory_at(keeper->source, parent->directory, name, &directory->identity));
    return member_create(keeper, parent, name, directory, MEMBER_RUN);
}

/* Are the files what the thread found? Directories in the run were not watched then; from here on they are.
 */
static bool is_still_so(struct keeper *keeper, struct member *member, const struct prospect *prospect)
{
    struct descriptor descriptor;
    struct file_stamp stamps[RUN_FILES_AT_MOST];
    if (prospect->error || prospect->state.is_fresh ||
        source_borrow(keeper->source, member->directory, &descriptor) != 0)
        return false;
    scan_parts(keeper, member, descriptor.fd);
    bool same = run_load_stamps(keeper->plan, descriptor.fd, stamps) == 0;
    source_release(keeper->source, &descriptor);
    for (size_t file = 0; same && file < keeper->plan->file_count; file++)
        same = file_stamp_equal(&stamps[file], &prospect->state.stamps[file]);
    return same;
}

static void settle(struct sweep *sweep, const struct group *group, const char *name,
                   struct prospect *prospect)
{
    struct keeper *keeper = sweep->keeper;
    struct member *member = NULL;
    if (group->parent->dead)
        directory_unref(keeper->source, prospect->directory);
    else if (prospect->outcome == OUTCOME_FOUND)
        member = make_member(keeper, group->parent, name, prospect->directory);
    else if (prospect->outcome == OUTCOME_UNCLEAR)
        scan_settle_entry(keeper, group->parent, name);
    if (member) {
        member->seen = group->listing;
        bool same = !keeper->plan->has_directories || is_still_so(keeper, member, prospect);
        if (!same || has_missed(keeper, member->directory)) {
            run_read(keeper, member);
        } else {
            keeper->recalled += prospect->is_recalled;
            keeper->read_since_saved += prospect->state.is_run && !prospect->is_recalled;
            run_settle(keeper, member, prospect->error, &prospect->state);
        }
    }
    if (prospect->is_recalled)
        free(prospect->state.fields.own);
    else
        run_state_free(&prospect->state);
}

static void settle_batch(struct sweep *sweep, size_t number)
{
    struct batch *batch = &sweep->batches[number % BATCHES_AHEAD];
    struct prospect *prospect = batch->prospects;
    for (size_t i = number * BATCH_ENTRIES; i < batch_end(sweep, number); i++, prospect++)
        settle(sweep, entry_group(sweep, i), entry_name(sweep, i), prospect);
    batch->is_ready = false;
}

/* Settles all batches, in their order. */
static void settle_all(struct sweep *sweep)
{
    size_t number;
    pthread_mutex_lock(&sweep->lock);
    while (sweep->settled < sweep->batch_count) {
        if (!sweep->batches[sweep->settled % BATCHES_AHEAD].is_ready) {
            if (claim(sweep, &number))
                work_on(sweep, number);
            else
                pthread_cond_wait(&sweep->changed, &sweep->lock);
            continue;
        }
        pthread_mutex_unlock(&sweep->lock);
        settle_batch(sweep, sweep->settled);
        progress_update(&sweep->progress, batch_end(sweep, sweep->settled), sweep->entry_count);
        pthread_mutex_lock(&sweep->lock);
        sweep->settled++;
        pthread_cond_broadcast(&sweep->changed);
    }
    pthread_mutex_unlock(&sweep->lock);
}

static void release_group(struct sweep *sweep, struct group *group)
{
    struct keeper *keeper = sweep->keeper;
    pthread_mutex_lock(&keeper->notes_lock);
    bool free_now = --group->parent->queued == 0 && group->parent->dead;
    pthread_mutex_unlock(&keeper->notes_lock);
    if (free_now)
        member_free(group->parent);
    directory_unref(keeper->source, group->directory);
    slice_free(&group->place);
}

void sweep_run(struct sweep *sweep)
{
    if (sweep->entry_count > 0) {
        struct team team;
        sweep->batch_count = (sweep->entry_count + BATCH_ENTRIES - 1) / BATCH_ENTRIES;
        sweep->batches = memory_alloc_zeroed(BATCHES_AHEAD, sizeof(*sweep->batches));
        pthread_mutex_init(&sweep->lock, NULL);
        pthread_cond_init(&sweep->changed, NULL);
        team_start(&team, team_worth(sweep->entry_count, ENTRIES_WORTH_A_THREAD) - 1, sweep_thread, sweep);
        settle_all(sweep);
        team_join(&team);
        progress_end(&sweep->progress);
        pthread_cond_destroy(&sweep->changed);
        pthread_mutex_destroy(&sweep->lock);
    }
    for (size_t i = 0; i < sweep->group_count; i++)
        release_group(sweep, &sweep->groups[i]);
    free(sweep->batches);
    free(sweep->groups);
    free(sweep->entries);
    buffer_free(&sweep->names);
    free(sweep);
}
