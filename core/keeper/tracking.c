/*
 * Members come and go, are watched or polled, and their runs are read: what is done with a single one of
 * them. Which there are to be is scan.c's.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/log.h"
#include <errno.h>
#include <string.h>

void member_drop(struct keeper *keeper, struct member *member)
{
    for (struct member *child = member_take_children(member), *next; child; child = next) {
        next = child->sibling;
        member_drop(keeper, child);
    }
    links_update(keeper, member, NULL);
    if (member->run && keeper->index)
        index_remove(keeper->index, member->run);
    member_detach(member);
    keeper->unwatched -= member->unwatched;
    keeper->hiding -= member->hides;

    pthread_mutex_lock(&keeper->notes_lock);
    if (member->directory->keeper_data == member)
        member->directory->keeper_data = NULL;
    member->dead = true;
    bool free_now = member->queued == 0;
    pthread_mutex_unlock(&keeper->notes_lock);

    directory_unref(keeper->source, member->directory);
    member->directory = NULL;
    if (free_now)
        member_free(member);
}

struct member *member_create(struct keeper *keeper, struct member *parent, const char *name,
                             struct directory *directory, enum member_role role)
{
    if (directory->keeper_data)
        member_drop(keeper, directory->keeper_data);
    struct member *member = member_new(parent, name, directory, role);
    pthread_mutex_lock(&keeper->notes_lock);
    directory->keeper_data = member;
    pthread_mutex_unlock(&keeper->notes_lock);
    return member;
}

void set_hides(struct keeper *keeper, struct member *member, bool hides)
{
    keeper->hiding += (size_t)hides - member->hides;
    member->hides = hides;
}

void update_polling(struct keeper *keeper, struct member *member)
{
    bool polled = member->unread || member->unlisted || member->links ||
                  atomic_load(&member->directory->watch_state) != WATCH_ACTIVE;
    keeper->unwatched += (size_t)polled - member->unwatched;
    member->unwatched = polled;
}

bool set_unread(struct keeper *keeper, struct member *member, bool unread)
{
    bool news = member->unread != unread;
    member->unread = unread;
    update_polling(keeper, member);
    return news;
}

void member_watch(struct keeper *keeper, struct member *member, int fd)
{
    if (atomic_load(&member->directory->watch_state) != WATCH_ACTIVE)
        watch_add(keeper->watch, member->directory, fd);
    update_polling(keeper, member);
}

/* ---- runs ---- */

static void log_faults(const struct keeper *keeper, const struct member *member,
                       const struct run_state *state)
{
    for (size_t file = 0; file < keeper->plan->file_count; file++) {
        const struct run_fault *fault = &state->faults[file];
        if (!fault->reason ||
            (member->run && member->run->faults && member->run->faults[file].reason == fault->reason))
            continue;
        char text[160];
        run_fault_describe(fault, text, sizeof(text));
        struct buffer path = {0};
        member_append_path(member, &path);
        log_warning("%s/%s: %s; %s", path.bytes, keeper->plan->files[file].name, text,
                    member->run && member->run->has_good ? "the run keeps its last good values"
                                                         : "it counts as empty, unless the manifest has "
                                                           "good values of the run");
        buffer_free(&path);
    }
}

void run_settle(struct keeper *keeper, struct member *member, int error, const struct run_state *state)
{
    /* Polled until it can be read. If it is gone, or moved (ESTALE), a note of its parent ends that. */
    if (set_unread(keeper, member, error != 0) && error && error != -ESTALE)
        log_warning("%s/%s: %s; the run keeps its last good values", member->parent->name, member->name,
                    strerrordesc_np(-error));
    if (error)
        return;
    if (state->is_run) {
        bool changed;
        log_faults(keeper, member, state);
        links_update(keeper, member, state);
        struct buffer scratch = {0};
        member->run =
            index_put(keeper->index, member_place(member, &scratch), slice_of(member->name), state, &changed);
        buffer_free(&scratch);
        member->run->owner = member;
        member->was_fresh = state->is_fresh;
    } else if (member->run) {
        links_update(keeper, member, NULL);
        index_remove(keeper->index, member->run);
        member->run = NULL;
    }
    update_polling(keeper, member);
}

void run_put_unread(struct keeper *keeper, struct member *member)
{
    static const struct slice none[RUN_FILES_AT_MOST];
    struct run_state state = {.is_run = true, .file_count = keeper->plan->file_count};
    state.faults[0].reason = "the run's directory can't be searched";
    run_state_derive(keeper->plan, &state, none);
    struct buffer scratch = {0};
    bool changed;
    member->run =
        index_put(keeper->index, member_place(member, &scratch), slice_of(member->name), &state, &changed);
    member->run->owner = member;
    buffer_free(&scratch);
    run_state_free(&state);
}

void run_read(struct keeper *keeper, struct member *member)
{
    struct descriptor descriptor;
    struct run_state state = {0};
    int error = source_borrow(keeper->source, member->directory, &descriptor);
    if (error == 0) {
        scan_parts(keeper, member, descriptor.fd);
        error = run_load(keeper->plan, descriptor.fd, &state);
        source_release(keeper->source, &descriptor);
    }
    keeper->read_since_saved++;
    run_settle(keeper, member, error, &state);
    run_state_free(&state);
}

void run_read_if_changed(struct keeper *keeper, struct member *member)
{
    struct descriptor descriptor;
    if (source_borrow(keeper->source, member->directory, &descriptor) != 0) { /* as in run_settle */
        set_unread(keeper, member, true);
        return;
    }
    struct file_stamp stamps[RUN_FILES_AT_MOST];
    size_t file_count = keeper->plan->file_count;
    int error = run_load_stamps(keeper->plan, descriptor.fd, stamps);
    source_release(keeper->source, &descriptor);
    bool changed = error != 0 || run_stamps_are_fresh(stamps, file_count, run_clock_ns());
    for (size_t file = 0; file < file_count && !changed; file++) {
        struct file_stamp known = member->run ? *run_stamp(member->run, file) : (struct file_stamp){0};
        changed = !file_stamp_equal(&stamps[file], &known);
    }
    if (changed)
        run_read(keeper, member);
}
