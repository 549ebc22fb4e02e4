/*
 * Run files with several names. `cp -al` of a run, or a tool that merges equal files, gives two runs one metrics.json: written by one
 * name, both change, and no watch tells of the other. So runs with such files are listed here; when one is found changed, or
 * written through the mount by whatever name, the others are noted, and all are polled, since a name may lie outside of the source.
 */
#include "core/keeper/keeper_internal.h"

/* notes_lock is held. */
static void unlink_member(struct keeper *keeper, struct member *member)
{
    if (!member->linked_link)
        return;
    *member->linked_link = member->linked_next;
    if (member->linked_next)
        member->linked_next->linked_link = member->linked_link;
    member->linked_link = NULL;
    atomic_store(&keeper->has_linked, keeper->linked != NULL);
}

/* notes_lock is held. */
static void link_member(struct keeper *keeper, struct member *member)
{
    member->linked_next = keeper->linked;
    member->linked_link = &keeper->linked;
    if (keeper->linked)
        keeper->linked->linked_link = &member->linked_next;
    keeper->linked = member;
    atomic_store(&keeper->has_linked, true);
}

/* notes_lock is held. */
static void note_linked(struct keeper *keeper, uint64_t ino, const struct member *but)
{
    for (struct member *member = keeper->linked; member; member = member->linked_next)
        for (int file = 0; file < RUN_FILE_COUNT; file++)
            if (member != but && member->linked_ino[file] == ino)
                note_member(keeper, member, "");
}

void keeper_note_content(struct keeper *keeper, uint64_t ino)
{
    if (!atomic_load(&keeper->has_linked))
        return;
    pthread_mutex_lock(&keeper->notes_lock);
    note_linked(keeper, ino, NULL);
    pthread_mutex_unlock(&keeper->notes_lock);
}

void links_update(struct keeper *keeper, struct member *member, const struct run_state *state)
{
    bool any = false;
    for (int file = 0; state && file < RUN_FILE_COUNT; file++)
        any |= state->has_links[file];
    if (!any && !member->linked_link)
        return;
    pthread_mutex_lock(&keeper->notes_lock);
    unlink_member(keeper, member);
    for (int file = 0; file < RUN_FILE_COUNT; file++) {
        member->linked_ino[file] = any && state->has_links[file] ? state->stamps[file].ino : 0;
        /* Found changed here: so it is there. Ends by itself, since who is noted has seen the change then. */
        if (member->linked_ino[file] &&
            (!member->run || !file_stamp_equal(&member->run->stamps[file], &state->stamps[file])))
            note_linked(keeper, member->linked_ino[file], member);
    }
    if (any)
        link_member(keeper, member);
    pthread_mutex_unlock(&keeper->notes_lock);
}
