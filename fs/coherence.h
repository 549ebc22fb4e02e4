/*
 * Keeping the kernel's caches true. Two sources of change, two ways:
 *
 * Beside the mount: the watch names an entry; the coherence thread compares what stands there with what the kernel was last told and
 * takes back what differs. Never from a handler: the kernel may hold, for the very request, the lock that a notification wants.
 *
 * Through the mount: the kernel itself keeps the place true through which a change was made. But a directory has other
 * places (views), whose entries and listings are cached too, and they must be true before the call returns. So the
 * handler of a change tells the kernel of these itself, before it replies. That can't deadlock, because of three rules:
 *   1. A mutation is registered with its directories before it begins. Of those under way in one directory at most one tells the
 *      kernel from its handler; one that finds another registered leaves it to the thread. So nobody who holds a place's
 *      lock (a mutation there) waits for the lock of another place.
 *   2. Whoever holds a place's lock without being a mutation (a lookup, a listing) waits for nothing but the daemon's
 *      own short locks.
 *   3. At most DIRECT_SENDERS handlers wait like this at once, so that worker threads remain for those they wait for.
 * What is left to the thread that way is true some microseconds after the call returned, and only for two changes made at once
 * in one directory through two of its places.
 */
#ifndef RUNSFS_FS_COHERENCE_H
#define RUNSFS_FS_COHERENCE_H

#include "fs/fs.h"

int coherence_create(struct fs *fs);
/* Starts the thread; the session must be mounted. */
int coherence_start(struct fs *fs);
void coherence_destroy(struct fs *fs);

/* The watch's listener; context is the fs. */
void coherence_listen(const struct change *change, void *context);
/* Have the thread look at an entry, or at all that the kernel has. */
void coherence_examine(struct fs *fs, struct directory *directory, const char *name);
void coherence_examine_all(struct fs *fs);

/* A change of names through the mount, in one or two directories; nodes are the places through which it is made (NULL: none of
 * the directory's own, as when a run is removed through a view). */
struct mutation {
    struct directory *directories[2];
    const struct directory_node *nodes[2];
    struct mutation *next;
};

void mutation_begin(struct fs *fs, struct mutation *mutation, const struct directory_node *first,
                    const struct directory_node *second);
void mutation_begin_in(struct fs *fs, struct mutation *mutation, struct directory *directory);
/* The entry `name` of directories[which] was added (removed: or taken away, or replaced): brings the other places of the directory
 * in line. After the change and its note for the keeper, before the reply. */
void mutation_entry(struct fs *fs, struct mutation *mutation, int which, const char *name, bool removed);
void mutation_end(struct fs *fs, struct mutation *mutation);
/* The attributes of a directory changed through one place: the others are told. */
void coherence_directory_changed(struct fs *fs, struct directory_node *node);

#endif
