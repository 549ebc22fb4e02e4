/*
 * What the files of coherence share: coherence.c (what the others are told to do, and their life),
 * coherence_examiner.c and coherence_sender.c (the two threads, each with its queue). Nobody else includes
 * it.
 */
#ifndef RUNSFS_FS_COHERENCE_INTERNAL_H
#define RUNSFS_FS_COHERENCE_INTERNAL_H

#include "fs/coherence.h"

struct coherence {
    pthread_mutex_t lock; /* guards all of this; held for no notification */
    bool started, stopping;
    struct examiner {
        pthread_t thread;
        pthread_cond_t wake;
        struct suspect *suspects; /* by key, in the order in which they came */
        bool all;                 /* everything is to be examined */
    } examiner;
    struct sender {
        pthread_t thread;
        pthread_cond_t wake;
        pthread_cond_t sent; /* for those who wait for a message */
        struct message *messages, **messages_end;
    } sender;
};

/* ---- coherence_examiner.c ---- */

void examiner_init(struct examiner *examiner);
/* Frees what is queued; the thread has ended. */
void examiner_finish(struct fs *fs);
/* The thread's function; its context is the fs. */
void *examiner_run(void *context);
/* Has the entry examined. names: names changed, not content alone; moved: what stands there now was known
 * elsewhere. */
void examiner_queue(struct fs *fs, struct directory *directory, const char *name, bool names, bool moved);

/* ---- coherence_sender.c ---- */

void sender_init(struct sender *sender);
/* Frees what is queued; the thread has ended. */
void sender_finish(struct fs *fs);
/* The thread's function; its context is the fs. */
void *sender_run(void *context);
/* Has the entry taken back at places (taken over) and waits for it, up to a limit. */
void sender_send_and_wait(struct fs *fs, struct directory_node **places, size_t count, const char *name);
/* Has the node's pages taken back, some time after the request that is being served: its reply must not wait
 * for that. */
void sender_send_pages(struct fs *fs, struct node *node);

/* The notifications. Of an inode: its attributes, and from offset on its pages or listing (-1: none). */
void invalidate_inode(struct fs *fs, struct node *node, off_t offset);
void invalidate_entry(struct fs *fs, struct node *parent, const char *name);
/* Has the kernel look an entry up again at its next use. Unlike invalidation it does no harm to who works in
 * a directory that is still there; where the kernel is too old for it (before 6.2), a directory is left
 * alone. */
void expire_entry(struct fs *fs, struct node *parent, const char *name, bool is_directory);
/* The mount's top has the owner and mode of the source's root: its attributes, if directory is that. */
void invalidate_top(struct fs *fs, const struct directory *directory);
/* Gives back what nodes_places gave. */
void unref_places(struct fs *fs, struct directory_node **places, size_t count);

#endif
