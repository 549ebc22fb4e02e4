/*
 * Run files with several names. `cp -al` of a run, or a tool that merges equal files, gives two runs one metrics.json: written by one
 * name, both change, and no watch tells of the other. So runs with such files are listed here; when one is found changed, or
 * written through the mount by whatever name, the others are noted, and all are polled, since a name may lie outside of the source.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/memory.h"
#include <stdlib.h>

struct links {
    struct member *member;
    uint64_t ino[RUN_FILE_COUNT]; /* 0 for a file with one name */
    struct links *next, **link;   /* in keeper->links */
};

/* notes_lock is held. */
static void links_remove(struct keeper *keeper, struct member *member)
{
    struct links *links = member->links;
    if (!links)
        return;
    *links->link = links->next;
    if (links->next)
        links->next->link = links->link;
    free(links);
    member->links = NULL;
    atomic_store(&keeper->has_links, keeper->links != NULL);
}

/* notes_lock is held. */
static void links_add(struct keeper *keeper, struct member *member, const struct run_state *state)
{
    struct links *links = memory_alloc_zeroed(1, sizeof(*links));
    links->member = member;
    for (int file = 0; file < RUN_FILE_COUNT; file++)
        links->ino[file] = state->has_links[file] ? state->stamps[file].ino : 0;
    links->next = keeper->links;
    links->link = &keeper->links;
    if (links->next)
        links->next->link = &links->next;
    keeper->links = links;
    member->links = links;
    atomic_store(&keeper->has_links, true);
}

/* notes_lock is held. */
static void note_linked(struct keeper *keeper, uint64_t ino, const struct member *but)
{
    for (struct links *links = keeper->links; links; links = links->next)
        for (int file = 0; file < RUN_FILE_COUNT; file++)
            if (links->member != but && links->ino[file] == ino)
                note_member(keeper, links->member, "");
}

void keeper_note_content(struct keeper *keeper, uint64_t ino)
{
    if (!atomic_load(&keeper->has_links))
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
    if (!any && !member->links)
        return;
    pthread_mutex_lock(&keeper->notes_lock);
    links_remove(keeper, member);
    if (any)
        links_add(keeper, member, state);
    /* Found changed here: so it is there. Ends by itself, since who is noted has seen the change then. */
    for (int file = 0; any && file < RUN_FILE_COUNT; file++)
        if (member->links->ino[file] &&
            (!member->run || !file_stamp_equal(&member->run->stamps[file], &state->stamps[file])))
            note_linked(keeper, member->links->ino[file], member);
    pthread_mutex_unlock(&keeper->notes_lock);
}
