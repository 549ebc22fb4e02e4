/*
 * Which directories are frameworks and runs, and what changed in them: the meaning of notes. A directory is
 * watched before it is read, so that a change during the reading comes back as a note.
 *
 * The layout, the configuration's: without one, every directory in the source but `.git` is a framework's,
 * and every directory in it is a place where a run can be; it is a run as soon as one of the files stands in
 * it from which fields come. Symbolic links are followed nowhere.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void look_at_entries(struct keeper *keeper, struct member *parent);

struct names {
    char **list;
    size_t count, capacity;
};

static void names_add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? names->capacity * 2 : 16;
        names->list = memory_resize(names->list, names->capacity * sizeof(*names->list));
    }
    names->list[names->count++] = memory_copy_text(name, strlen(name));
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

static size_t depth_of(const struct member *member)
{
    size_t depth = 0;
    for (; member->parent; member = member->parent)
        depth++;
    return depth;
}

/* What the layout makes of a directory in a member; false where it is of no concern. Of two layouts the one
 * that goes on from it counts: it is on the way to runs, and none itself. */
static bool role_of_entry(const struct keeper *keeper, const struct member *parent, const char *name,
                          enum member_role *role)
{
    if (parent->role == MEMBER_RUN) {
        *role = MEMBER_PART;
        return run_plan_has_directory(keeper->plan, name);
    }
    if (parent->role == MEMBER_PART || (parent->role == MEMBER_ROOT && strcmp(name, ".git") == 0))
        return false;
    if (keeper->is_plain) {
        *role = depth_of(parent) + 1 < keeper->config->layouts[0].depth ? MEMBER_INNER : MEMBER_RUN;
        return true;
    }
    struct buffer path = {0};
    if (parent->parent) {
        member_append_path(parent, &path);
        buffer_append_byte(&path, '/');
    }
    buffer_append_text(&path, name);
    bool leads = config_leads_to_runs(keeper->config, path.bytes);
    bool is_of_concern = (leads || config_is_run_path(keeper->config, path.bytes)) &&
                         !config_is_excluded(keeper->config, path.bytes);
    *role = leads ? MEMBER_INNER : MEMBER_RUN;
    buffer_free(&path);
    return is_of_concern;
}

bool is_within(const struct member *member, const struct directory *directory)
{
    for (; member; member = member->parent)
        if (member->directory == directory)
            return true;
    return false;
}

/* Reads a member for the first time, or again after it could not be reached: watched first. */
static void member_read(struct keeper *keeper, struct member *member)
{
    struct descriptor descriptor;
    int error = source_borrow(keeper->source, member->directory, &descriptor);
    set_unread(keeper, member, error != 0);
    if (error) /* gone again, of which a note tells; or out of descriptors */
        return;
    member_watch(keeper, member, descriptor.fd);
    source_release(keeper->source, &descriptor);
    if (member->role == MEMBER_RUN)
        run_read(keeper, member);
    else if (member->role != MEMBER_PART)
        look_at_entries(keeper, member);
}

/* What stands at name: its directory with a reference, or NULL where there is none. -errno where that can't
 * be told. */
static int find_directory(struct keeper *keeper, struct member *parent, const char *name, int parent_fd,
                          struct directory **directory, enum member_role *role)
{
    struct attributes attributes;
    *directory = NULL;
    int error = source_stat_at(parent_fd, name, &attributes);
    if (error == -ENOENT || error == -ENOTDIR)
        return 0;
    if (error || !S_ISDIR(attributes.stat.st_mode) || !role_of_entry(keeper, parent, name, role))
        return error;
    *directory = source_directory_at(keeper->source, parent->directory, name, &attributes.identity);
    if (is_within(parent, *directory)) {
        directory_unref(keeper->source, *directory);
        *directory = NULL;
    }
    return 0;
}

/* Brings the member `name` of parent in line with what stands there; parent_fd is parent's directory. Returns
 * the member, NULL where there is none. */
static struct member *settle_entry(struct keeper *keeper, struct member *parent, const char *name,
                                   int parent_fd)
{
    struct member *member = member_child(parent, name);
    struct directory *directory;
    enum member_role role;
    int error = find_directory(keeper, parent, name, parent_fd, &directory, &role);
    if (error) {
        set_unread(keeper, parent, true);
        if (!parent->warned)
            log_warning("%s/%s: %s; what is known of it stays", parent->name, name, strerrordesc_np(-error));
        parent->warned = true;
        return member;
    }
    if (member && member->directory == directory) {
        directory_unref(keeper->source, directory);
        return member;
    }
    if (member)
        member_drop(keeper, member);
    if (!directory)
        return NULL;
    member = member_create(keeper, parent, name, directory, role);
    member_read(keeper, member);
    return member;
}

void scan_settle_entry(struct keeper *keeper, struct member *parent, const char *name)
{
    struct descriptor descriptor;
    int error = source_borrow(keeper->source, parent->directory, &descriptor);
    if (error) {
        set_unread(keeper, parent, true);
        return;
    }
    settle_entry(keeper, parent, name, descriptor.fd);
    source_release(keeper->source, &descriptor);
}

void scan_parts(struct keeper *keeper, struct member *run, int run_fd)
{
    const struct run_plan *plan = keeper->plan;
    for (size_t i = 0; plan->has_directories && i < plan->file_count; i++)
        if (plan->files[i].directory)
            settle_entry(keeper, run, plan->files[i].directory, run_fd);
}

/* Opens the directory of a member for listing. */
static DIR *open_list(struct keeper *keeper, struct member *member, int fd)
{
    int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
    if (!list && errno != ENOENT && !member->unlisted) {
        log_error("%s: can't be listed (%s); what comes and goes there is not seen",
                  *member->name ? member->name : "the source", strerrordesc_np(errno));
        member->unlisted = true;
    } else if (list) {
        member->unlisted = false;
    }
    update_polling(keeper, member);
    if (!list && list_fd >= 0)
        close(list_fd);
    return list;
}

/* Settles the entries that did not stand in the last listing. By name, and found again: settling one may drop
 * others, which have moved to its place. */
static void settle_gone(struct keeper *keeper, struct member *parent)
{
    struct names gone = {0};
    struct member_position position = {0};
    for (struct member *member; (member = member_next_child(parent, &position));)
        if (member->seen != parent->listing)
            names_add(&gone, member->name);
    for (size_t i = 0; i < gone.count; i++)
        scan_settle_entry(keeper, parent, gone.list[i]);
    names_free(&gone);
}

/* Settles every entry in the list. A new place of a run goes to a sweep instead. */
static void settle_listed(struct keeper *keeper, struct member *parent, DIR *list, int parent_fd,
                          struct sweep *sweep)
{
    for (struct dirent *entry; (entry = readdir(list));) {
        if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
            continue;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        enum member_role role;
        if (!member_child(parent, entry->d_name) && role_of_entry(keeper, parent, entry->d_name, &role) &&
            role == MEMBER_RUN) {
            sweep_add(sweep, parent, entry->d_name);
            continue;
        }
        struct member *member = settle_entry(keeper, parent, entry->d_name, parent_fd);
        if (member)
            member->seen = parent->listing;
    }
}

/* Lists the directory of a member that has members and settles every entry, also those that are gone. */
static void look_at_entries(struct keeper *keeper, struct member *parent)
{
    struct descriptor descriptor;
    int error = source_borrow(keeper->source, parent->directory, &descriptor);
    if (error) { /* tried again until it succeeds; of what is gone or moved a note tells */
        set_unread(keeper, parent, error != -ESTALE);
        return;
    }
    DIR *list = open_list(keeper, parent, descriptor.fd);
    if (!list) {
        source_release(keeper->source, &descriptor);
        return;
    }
    set_unread(keeper, parent, false);
    parent->listing = ++keeper->listing;
    struct sweep *sweep = keeper->sweep ? keeper->sweep : sweep_create(keeper);
    settle_listed(keeper, parent, list, descriptor.fd, sweep);
    closedir(list);
    source_release(keeper->source, &descriptor);
    if (sweep != keeper->sweep)
        sweep_run(sweep);
    settle_gone(keeper, parent);
    parent->warned &= parent->unread;
    if (parent->hides && !parent->unread) {
        set_hides(keeper, parent, false);
        publish_adopt_seen(keeper);
    }
}

/* Linked runs are many where a source was copied by links; they take turns. */
static bool is_its_turn(struct keeper *keeper, const struct member *member)
{
    if (member->unread || atomic_load(&member->directory->watch_state) != WATCH_ACTIVE)
        return true;
    size_t rounds = 1 + keeper->unwatched / LIMIT_POLLED_AT_ONCE;
    return (text_hash(slice_of(member->name)) + keeper->polls) % rounds == 0;
}

/* Tries again to reach and to watch what could not be; true where that is what was read anew. A watch may be
 * lost without anything in the directory being changed. */
static bool reach_again(struct keeper *keeper, struct member *member)
{
    if (member->unread || atomic_load(&member->directory->watch_state) == WATCH_NONE) {
        member_read(keeper, member);
        return true;
    }
    update_polling(keeper, member);
    return false;
}

/* Looks at everything again, or just at what no watch tells of. */
static void look_again(struct keeper *keeper, struct member *member, bool unwatched_only)
{
    bool look = !unwatched_only || (member->unwatched && is_its_turn(keeper, member));
    if (look && reach_again(keeper, member))
        look = false;
    struct member_position position = {0};
    struct member *child;
    if (member->role == MEMBER_RUN) {
        while ((child = member_next_child(member, &position)))
            if (!unwatched_only || child->unwatched) {
                reach_again(keeper, child);
                look = true;
            }
        if (look)
            run_read_if_changed(keeper, member);
        return;
    }
    if (look)
        look_at_entries(keeper, member);
    /* A member that has moved into another is dropped while the other is looked at. */
    struct names names = {0};
    while ((child = member_next_child(member, &position)))
        names_add(&names, child->name);
    for (size_t i = 0; i < names.count; i++) {
        child = member_child(member, names.list[i]);
        if (child)
            look_again(keeper, child, unwatched_only);
    }
    names_free(&names);
}

/* ---- notes ---- */

static void settle_note(struct keeper *keeper, struct member *member, const char *name)
{
    if (member->role == MEMBER_PART)
        run_read(keeper, member->parent);
    else if (member->role == MEMBER_RUN)
        run_read(keeper, member);
    else
        scan_settle_entry(keeper, member, name);
}

/* Settles a list of notes and frees them. */
static void settle_notes(struct keeper *keeper, struct note *note)
{
    for (struct note *next; note; note = next) {
        next = note->next;
        struct member *member = note->member;
        pthread_mutex_lock(&keeper->notes_lock);
        bool dead = member->dead;
        if (note->name[0] == '\0')
            member->noted = false; /* what is noted from now on wants another look */
        bool free_now = --member->queued == 0 && dead;
        pthread_mutex_unlock(&keeper->notes_lock);
        if (free_now)
            member_free(member);
        else if (!dead)
            settle_note(keeper, member, note->name);
        free(note);
    }
}

/* Settles what settling notes, to the end of it. */
static void settle_linked(struct keeper *keeper)
{
    for (;;) {
        pthread_mutex_lock(&keeper->notes_lock);
        struct note *notes = keeper->linked;
        keeper->linked = NULL;
        pthread_mutex_unlock(&keeper->notes_lock);
        if (!notes)
            return;
        settle_notes(keeper, notes);
    }
}

void scan_settle(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->notes_lock);
    struct note *notes = keeper->notes_first;
    bool manifest = keeper->manifest_noted, closed = keeper->manifest_closed, rescan = keeper->rescan_noted;
    bool config = keeper->config_noted || rescan;
    keeper->notes_first = NULL;
    keeper->notes_last = &keeper->notes_first;
    keeper->manifest_noted = keeper->manifest_closed = keeper->rescan_noted = keeper->config_noted = false;
    atomic_store(&keeper->pending, false);
    pthread_mutex_unlock(&keeper->notes_lock);

    settle_notes(keeper, notes);
    if (config)
        configure_again(keeper);
    if (rescan) {
        look_again(keeper, keeper->root, false);
        log_info("looked at every run again: %zu runs", index_count(keeper->index));
    }
    settle_linked(keeper);
    if (manifest || rescan)
        publish_settle(keeper, closed);
}

void scan_poll(struct keeper *keeper)
{
    keeper->polls++;
    if (keeper->root->unwatched)
        configure_again(keeper);
    look_again(keeper, keeper->root, true);
    settle_linked(keeper);
    if (keeper->root->unwatched)
        publish_settle(keeper, false);
}

void scan_begin(struct keeper *keeper)
{
    struct directory *directory = directory_ref(source_root(keeper->source));
    keeper->root = member_create(keeper, NULL, "", directory, MEMBER_ROOT);
    member_watch(keeper, keeper->root, source_root_fd(keeper->source));
    configure_begin(keeper);
    recall_open(keeper);
    scan_again(keeper);
}

void scan_empty(struct keeper *keeper)
{
    for (struct member *child = member_take_children(keeper->root), *next; child; child = next) {
        next = child->sibling;
        member_drop(keeper, child);
    }
}

void scan_again(struct keeper *keeper)
{
    size_t read_before = keeper->read_since_saved, recalled_before = keeper->recalled;
    keeper->sweep = sweep_create(keeper);
    look_at_entries(keeper, keeper->root);
    struct sweep *sweep = keeper->sweep;
    keeper->sweep = NULL;
    index_begin_filling(keeper->index);
    sweep_run(sweep);
    index_end_filling(keeper->index);
    log_info("%zu runs: %zu read, %zu from the index cache", index_count(keeper->index),
             keeper->read_since_saved - read_before, keeper->recalled - recalled_before);
}

void scan_end(struct keeper *keeper)
{
    struct note *notes = keeper->notes_first;
    keeper->notes_first = NULL;
    /* These first, as a whole: members would take their runs out one by one. */
    links_finish(keeper);
    index_destroy(keeper->index);
    keeper->index = NULL;
    member_drop(keeper, keeper->root);
    for (struct note *next; notes; notes = next) {
        next = notes->next;
        if (--notes->member->queued == 0)
            member_free(notes->member);
        free(notes);
    }
    keeper->root = NULL;
}
