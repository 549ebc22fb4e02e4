/*
 * Run files with several names. `cp -al` of a run, or a tool that merges equal files, gives two runs one
 * metrics.json: written by one name, both change, and no watch tells of the other. So from the first such
 * file on there is a table of runs by the inode numbers of their files; when one is found changed, or is
 * written through the mount by whatever name, the others are noted. All are polled besides, since a name may
 * lie outside of the source.
 *
 * A source without such files has no table and pays one comparison a run.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/memory.h"
#include <stdlib.h>

#define FIRST_BUCKETS 1024

/* One file of one run. */
struct linked_file {
    struct linked_file *next;
    struct member *member;
    uint64_t ino;
};

/* Guarded by notes_lock. */
struct link_table {
    struct linked_file **buckets;
    size_t bucket_count, count;
};

static struct linked_file **chain(const struct link_table *table, uint64_t ino)
{
    return &table->buckets[(ino * 0x9e3779b97f4a7c15ull >> 20) & (table->bucket_count - 1)];
}

static void put(struct link_table *table, struct linked_file *file)
{
    struct linked_file **head = chain(table, file->ino);
    file->next = *head;
    *head = file;
}

static void grow(struct link_table *table)
{
    struct linked_file **old = table->buckets;
    size_t old_count = table->bucket_count;
    table->bucket_count = old_count * 2;
    table->buckets = memory_alloc_zeroed(table->bucket_count, sizeof(*table->buckets));
    for (size_t i = 0; i < old_count; i++)
        for (struct linked_file *file = old[i], *next; file; file = next) {
            next = file->next;
            put(table, file);
        }
    free(old);
}

static void add(struct link_table *table, struct member *member, uint64_t ino)
{
    struct linked_file *file = memory_alloc(sizeof(*file));
    *file = (struct linked_file){.member = member, .ino = ino};
    if (++table->count > table->bucket_count)
        grow(table);
    put(table, file);
}

static void take(struct link_table *table, const struct member *member, uint64_t ino)
{
    for (struct linked_file **link = chain(table, ino); *link; link = &(*link)->next)
        if ((*link)->member == member && (*link)->ino == ino) {
            struct linked_file *file = *link;
            *link = file->next;
            table->count--;
            free(file);
            return;
        }
}

/* The files of the member, and of those below it. */
static void add_known(const struct keeper *keeper, struct link_table *table, struct member *member)
{
    for (size_t file = 0; member->run && file < keeper->plan->file_count; file++)
        if (run_stamp(member->run, file)->ino)
            add(table, member, run_stamp(member->run, file)->ino);
    struct member_position position = {0};
    for (struct member *child; (child = member_next_child(member, &position));)
        add_known(keeper, table, child);
}

/* The first file with other names was met: all runs that are known enter the table. */
static struct link_table *build(struct keeper *keeper)
{
    struct link_table *table = memory_alloc_zeroed(1, sizeof(*table));
    table->bucket_count = FIRST_BUCKETS;
    table->buckets = memory_alloc_zeroed(table->bucket_count, sizeof(*table->buckets));
    add_known(keeper, table, keeper->root);
    return table;
}

void keeper_note_content(struct keeper *keeper, uint64_t ino)
{
    if (!atomic_load(&keeper->has_links))
        return;
    pthread_mutex_lock(&keeper->notes_lock);
    for (struct linked_file *file = *chain(keeper->links, ino); file; file = file->next)
        if (file->ino == ino)
            note_member(keeper, file->member, "");
    pthread_mutex_unlock(&keeper->notes_lock);
}

/* What was known of one file of the member, and what is now. notes_lock is held. */
static void update_file(struct keeper *keeper, struct member *member, const struct file_stamp *old,
                        const struct file_stamp *now)
{
    if (old->ino != now->ino) {
        if (old->ino)
            take(keeper->links, member, old->ino);
        if (now->ino)
            add(keeper->links, member, now->ino);
    }
    if (!now->ino || file_stamp_equal(old, now))
        return;
    /* Found changed here: so it is there, and who looks now is to see it in both. Ends by itself, since who
     * is noted has seen the change then. */
    for (struct linked_file *file = *chain(keeper->links, now->ino); file; file = file->next)
        if (file->ino == now->ino && file->member != member)
            note_linked_member(keeper, file->member);
}

void links_update(struct keeper *keeper, struct member *member, const struct run_state *state)
{
    static const struct file_stamp absent;
    member->links = false;
    for (size_t file = 0; state && file < keeper->plan->file_count; file++)
        member->links |= state->has_links[file];
    if (!member->links && !keeper->links)
        return;
    struct link_table *built = keeper->links ? NULL : build(keeper);
    pthread_mutex_lock(&keeper->notes_lock);
    if (built)
        keeper->links = built;
    atomic_store(&keeper->has_links, true);
    for (size_t file = 0; file < keeper->plan->file_count; file++)
        update_file(keeper, member, member->run ? run_stamp(member->run, file) : &absent,
                    state ? &state->stamps[file] : &absent);
    pthread_mutex_unlock(&keeper->notes_lock);
}

void links_finish(struct keeper *keeper)
{
    struct link_table *table = keeper->links;
    for (size_t i = 0; table && i < table->bucket_count; i++)
        for (struct linked_file *file = table->buckets[i], *next; file; file = next) {
            next = file->next;
            free(file);
        }
    if (table)
        free(table->buckets);
    free(table);
    keeper->links = NULL;
}
