/*
 * The notifications to the kernel, and the sender: the thread that takes back the entries of other places for
 * a handler that waits: see coherence.h for why that must be a thread, and why the wait has an end.
 */
#include "core/base/memory.h"
#include "fs/coherence_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 30

/* Entries to be taken back, for a handler that waits, or a node's pages. Freed by whoever is last to be done
 * with it. */
struct message {
    struct message *next;
    struct node *node;              /* a reference; NULL: places count */
    struct directory_node **places; /* references, owned */
    size_t count;
    bool sent, abandoned;
    char name[];
};

/* ---- notifications ---- */

void invalidate_inode(struct fs *fs, struct node *node, off_t offset)
{
    if (node == &fs->nodes.root && !view_top_is_settled(fs))
        return;
    fuse_lowlevel_notify_inval_inode(fs->session, node_number(&fs->nodes, node), offset, 0);
}

void invalidate_entry(struct fs *fs, struct node *parent, const char *name)
{
    fuse_lowlevel_notify_inval_entry(fs->session, node_number(&fs->nodes, parent), name, strlen(name));
}

void expire_entry(struct fs *fs, struct node *parent, const char *name, bool is_directory)
{
    int result = fuse_lowlevel_notify_expire_entry(fs->session, node_number(&fs->nodes, parent), name,
                                                   strlen(name), FUSE_LL_EXPIRE_ONLY);
    if (result == -ENOSYS && !is_directory)
        invalidate_entry(fs, parent, name);
}

void invalidate_top(struct fs *fs, const struct directory *directory)
{
    if (directory == source_root(fs->source))
        invalidate_inode(fs, &fs->nodes.root, -1);
}

void unref_places(struct fs *fs, struct directory_node **places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        node_unref(&fs->nodes, &places[i]->node);
    free(places);
}

/* ---- the queue and the thread ---- */

static void message_free(struct fs *fs, struct message *message)
{
    if (message->node)
        node_unref(&fs->nodes, message->node);
    unref_places(fs, message->places, message->count);
    free(message);
}

void *sender_run(void *context)
{
    pthread_setname_np(pthread_self(), "sender");
    struct fs *fs = context;
    struct coherence *coherence = fs->coherence;
    pthread_mutex_lock(&coherence->lock);
    while (!coherence->stopping) {
        struct message *message = coherence->sender.messages;
        if (!message) {
            pthread_cond_wait(&coherence->sender.wake, &coherence->lock);
            continue;
        }
        coherence->sender.messages = message->next;
        if (!coherence->sender.messages)
            coherence->sender.messages_end = &coherence->sender.messages;
        pthread_mutex_unlock(&coherence->lock);
        if (message->node)
            invalidate_inode(fs, message->node, 0);
        for (size_t i = 0; i < message->count; i++)
            invalidate_entry(fs, &message->places[i]->node, message->name);
        pthread_mutex_lock(&coherence->lock);
        message->sent = true;
        bool abandoned = message->abandoned;
        pthread_cond_broadcast(&coherence->sender.sent);
        if (abandoned) {
            pthread_mutex_unlock(&coherence->lock);
            message_free(fs, message);
            pthread_mutex_lock(&coherence->lock);
        }
    }
    pthread_mutex_unlock(&coherence->lock);
    return NULL;
}

static struct timespec end_of_patience(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until); /* the end must come, whatever is done to the other clock */
    until.tv_nsec += PATIENCE_MS * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return until;
}

/* coherence->lock is held. */
static void queue(struct coherence *coherence, struct message *message)
{
    *coherence->sender.messages_end = message;
    coherence->sender.messages_end = &message->next;
    pthread_cond_signal(&coherence->sender.wake);
}

void sender_send_pages(struct fs *fs, struct node *node)
{
    struct message *message = memory_alloc_zeroed(1, sizeof(*message) + 1);
    message->node = node_ref(&fs->nodes, node);
    message->abandoned = true;
    pthread_mutex_lock(&fs->coherence->lock);
    queue(fs->coherence, message);
    pthread_mutex_unlock(&fs->coherence->lock);
}

void sender_send_and_wait(struct fs *fs, struct directory_node **places, size_t count, const char *name)
{
    struct coherence *coherence = fs->coherence;
    size_t length = strlen(name);
    struct message *message = memory_alloc_zeroed(1, sizeof(*message) + length + 1);
    memcpy(message->name, name, length + 1);
    message->places = places;
    message->count = count;
    struct timespec until = end_of_patience();
    pthread_mutex_lock(&coherence->lock);
    queue(coherence, message);
    int result = 0;
    while (!message->sent && !coherence->stopping && result == 0)
        result = pthread_cond_timedwait(&coherence->sender.sent, &coherence->lock, &until);
    bool sent = message->sent;
    message->abandoned = !sent;
    pthread_mutex_unlock(&coherence->lock);
    if (sent)
        message_free(fs, message);
}

void sender_init(struct sender *sender)
{
    pthread_cond_init(&sender->wake, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sender->sent, &attributes);
    pthread_condattr_destroy(&attributes);
    sender->messages_end = &sender->messages;
}

void sender_finish(struct fs *fs)
{
    struct sender *sender = &fs->coherence->sender;
    for (struct message *message = sender->messages, *after; message; message = after) {
        after = message->next;
        message_free(fs, message);
    }
    pthread_cond_destroy(&sender->wake);
    pthread_cond_destroy(&sender->sent);
}
