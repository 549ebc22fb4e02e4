/*
 * Keeping the kernel's caches true. Two sources of change, two ways:
 *
 * Beside the mount: the watch names an entry; the coherence thread compares what stands there with what the
 * kernel was last told and takes back what differs. Never from a handler: the kernel may hold, for the very
 * request, the lock that a notification wants.
 *
 * Through the mount: the kernel itself keeps the places true through which a change is made. But a directory
 * has other places (views), whose entries and listings are cached too, and they are to be true before the
 * call returns. So the handler of a change has the sender thread take them back, and waits for it before it
 * replies.
 *
 * That wait has an end (PATIENCE_MS), and must have one: the kernel holds locks for the very request
 * (the parents', and the victim's, which all places share), and two changes at once of the same names through
 * two places can each hold what the other's notification wants. Whoever loses patience replies, his locks go,
 * and the sender goes on. So the only case in which something is true some milliseconds after the call
 * returned is two such changes at once; whatever waits like this, nothing waits for ever. The sender is not
 * the examining thread, so that no backlog of the watch delays a caller.
 *
 * The end: both threads are stopped while the workers still serve, since a notification may wait for a
 * process that waits for a worker; and before the session's descriptor is closed, since a notification is a
 * write to it.
 */
#ifndef RUNSFS_FS_COHERENCE_H
#define RUNSFS_FS_COHERENCE_H

#include "fs/fs.h"

void coherence_create(struct fs *fs);
/* Starts the threads; the session must be mounted. */
int coherence_start(struct fs *fs);
/* Ends them. Safe to call twice, and from any thread but theirs. What is still told to coherence is left
 * undone. */
void coherence_stop(struct fs *fs);
void coherence_destroy(struct fs *fs);

/* The watch's listener; context is the fs. */
void coherence_listen(const struct change *change, void *context);
/* Have the thread look at an entry, or at all that the kernel has. */
void coherence_examine(struct fs *fs, struct directory *directory, const char *name, bool names);
void coherence_examine_all(struct fs *fs);

/* The entry `name` of directory was added through the mount, or (removed) taken away or replaced: brings all
 * its places in line but those two (NULL: none) by which the change was made. After the change and its note
 * for the keeper, before the reply. */
void coherence_entry_changed(struct fs *fs, struct directory *directory, const char *name, bool removed,
                             const struct directory_node *by, const struct directory_node *and_by);
/* Returns when every file and directory is known where the watch has seen it come by now. From any handler.
 */
void coherence_catch_up(struct fs *fs);
/* The kernel shall ask for the attributes of the node again. */
void coherence_attributes_changed(struct fs *fs, struct node *node);
/* A write of pages that somebody changed in memory was refused: the kernel shall read them again. */
void coherence_pages_refused(struct fs *fs, struct node *node);
/* Something about the entry changed through the mount, and the keeper was told: if it is the configuration,
 * it is taken over, and the kernel asks for the views again. Before the reply. */
void coherence_configuration_changed(struct fs *fs, const struct directory *directory, const char *name);
/* The attributes of a directory changed through one place: the others are told. */
void coherence_directory_changed(struct fs *fs, struct directory_node *node);

#endif
