/*
 * The queue of what may be stale and the thread that examines it; the sender, which tells the kernel of
 * changes made through other places: see coherence.h for why it is so.
 */
#include "fs/coherence.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define PATIENCE_MS 30

/* An entry to be examined; the key is the directory's address and the name. */
struct suspect {
    UT_hash_handle hh;
    bool names;                  /* names changed, not content alone */
    bool moved;                  /* what stands there now was known elsewhere */
    struct directory *directory; /* a reference; part of the key */
    char name[];
};

/* Entries to be taken back, for a handler that waits. Freed by whoever is last to be done with it. */
struct message {
    struct message *next;
    struct directory_node **places; /* references, owned */
    size_t count;
    bool sent, abandoned;
    char name[];
};

struct coherence {
    pthread_t examiner, sender;
    bool started, stopping, all;
    pthread_mutex_t lock;
    pthread_cond_t wake;       /* for the examiner */
    struct suspect *suspects;  /* by key, in the order in which they came */
    pthread_cond_t send, sent; /* for the sender; for those who wait for it */
    struct message *messages, **messages_end;
};

/* ---- telling the kernel ---- */

static void invalidate_inode(struct fs *fs, struct node *node, off_t offset)
{
    fuse_lowlevel_notify_inval_inode(fs->session, node_number(&fs->nodes, node), offset, 0);
}

static void invalidate_entry(struct fs *fs, struct node *parent, const char *name)
{
    fuse_lowlevel_notify_inval_entry(fs->session, node_number(&fs->nodes, parent), name, strlen(name));
}

/* Has the kernel look an entry up again at its next use. Unlike invalidation it does no harm to who works in
 * a directory that is still there; where the kernel is too old for it (before 6.2), a directory is left
 * alone. */
static void expire_entry(struct fs *fs, struct node *parent, const char *name, bool is_directory)
{
    int result = fuse_lowlevel_notify_expire_entry(fs->session, node_number(&fs->nodes, parent), name,
                                                   strlen(name), FUSE_LL_EXPIRE_ONLY);
    if (result == -ENOSYS && !is_directory)
        invalidate_entry(fs, parent, name);
}

/* The mount's top has the owner and mode of the source's root. */
static void invalidate_top(struct fs *fs, const struct directory *directory)
{
    if (directory == source_root(fs->source))
        invalidate_inode(fs, &fs->nodes.root, -1);
}

static void unref_places(struct fs *fs, struct directory_node **places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        node_unref(&fs->nodes, &places[i]->node);
    free(places);
}

/* ---- examining ---- */

/* The kernel has the file: drops its attributes in any case (a reply that is under way may carry older ones;
 * this makes the kernel discard it), and its pages if it is not what the kernel was last told of. */
static void examine_file(struct fs *fs, struct file_node *file, const struct attributes *attributes,
                         struct directory_node **places, size_t count, const char *name)
{
    off_t pages = nodes_record_matches(&fs->nodes, &file->node, attributes) ? -1 : 0;
    int result =
        fuse_lowlevel_notify_inval_inode(fs->session, node_number(&fs->nodes, &file->node), pages, 0);
    if (result != -ENOENT)
        return;
    /* The kernel does not have the inode yet: the reply of the lookup that makes it is on its way. Taking the
     * entry waits for that lookup (it holds the directory's lock); what it made can be told then. */
    for (size_t i = 0; i < count; i++)
        invalidate_entry(fs, &places[i]->node, name);
    invalidate_inode(fs, &file->node, 0);
}

/* The attributes of a directory at all its places, and its listing where it changed. */
static void examine_directory(struct fs *fs, struct directory *directory, const struct attributes *attributes)
{
    struct directory_node **places;
    size_t count = nodes_places(&fs->nodes, directory, NULL, &places);
    for (size_t i = 0; i < count; i++)
        invalidate_inode(fs, &places[i]->node,
                         nodes_record_matches(&fs->nodes, &places[i]->node, attributes) ? -1 : 0);
    unref_places(fs, places, count);
}

/* Is what stands at name what the kernel would find there? What moved here is known at its new place from now
 * on. */
static bool examine_identity(struct fs *fs, struct directory *directory, const char *name,
                             const struct attributes *attributes, struct directory_node **places,
                             size_t count)
{
    bool known = false;
    if (S_ISDIR(attributes->stat.st_mode)) {
        struct directory *child = source_directory_known(fs->source, &attributes->identity);
        if (!child)
            return false;
        known = directory_is_at(fs->source, child, directory, name);
        if (!known)
            directory_unref(fs->source,
                            source_directory_at(fs->source, directory, name, &attributes->identity));
        examine_directory(fs, child, attributes);
        directory_unref(fs->source, child);
    } else {
        struct file_node *file = nodes_file_known(&fs->nodes, &attributes->identity);
        if (!file)
            return false;
        known = nodes_file_is_at(&fs->nodes, file, directory, name);
        nodes_file_at(&fs->nodes, file, directory, name, attributes);
        examine_file(fs, file, attributes, places, count, name);
        node_unref(&fs->nodes, &file->node);
    }
    return known;
}

static void examine(struct fs *fs, struct directory *directory, const char *name, bool names, bool moved)
{
    struct directory_node **places;
    size_t count = nodes_places(&fs->nodes, directory, NULL, &places);
    invalidate_top(fs, directory);
    if (!count)
        return;
    struct descriptor descriptor;
    struct attributes self, attributes = {0};
    bool known = false, have_self = false;
    if (source_borrow(fs->source, directory, &descriptor) == 0) {
        if (name[0] != '\0' && source_stat_at(descriptor.fd, name, &attributes) == 0)
            known = examine_identity(fs, directory, name, &attributes, places, count) && !moved &&
                    !keeper_is_manifest(fs->keeper, directory, name);
        have_self = source_stat_at(descriptor.fd, "", &self) == 0;
        source_release(fs->source, &descriptor);
    }
    for (size_t i = 0; i < count; i++) {
        struct node *place = &places[i]->node;
        /* The entry before the inode: taking it waits for a listing under way, whose result is stale as well.
         * That we know the file at this name does not mean that each place does: it may be known by a lookup
         * through another. */
        if (name[0] != '\0' && !known)
            invalidate_entry(fs, place, name);
        else if (name[0] != '\0' && names)
            expire_entry(fs, place, name, S_ISDIR(attributes.stat.st_mode));
        bool same = have_self && !names && nodes_record_matches(&fs->nodes, place, &self);
        invalidate_inode(fs, place, same ? -1 : 0);
    }
    unref_places(fs, places, count);
}

/* Events were lost, or somebody asked: compares everything that the kernel has. */
static void examine_everything(struct fs *fs)
{
    struct node **all;
    size_t count = nodes_all(&fs->nodes, &all);
    for (size_t i = 0; i < count; i++) {
        struct node *node = all[i];
        if (node->kind == NODE_FILE) {
            struct directory *directory;
            char *name;
            nodes_file_place(&fs->nodes, (struct file_node *)node, &directory, &name);
            examine(fs, directory, name, true, false);
            invalidate_inode(fs, node, 0);
            directory_unref(fs->source, directory);
            free(name);
        } else {
            struct buffer name = {0};
            struct directory *parent =
                directory_place(fs->source, ((struct directory_node *)node)->directory, &name);
            if (parent)
                examine(fs, parent, name.bytes, true, false);
            invalidate_inode(fs, node, 0);
            directory_unref(fs->source, parent);
            buffer_free(&name);
        }
        node_unref(&fs->nodes, node);
    }
    free(all);
    /* Names that no node stands for any longer go with the subtrees that they are in. */
    invalidate_entry(fs, &fs->nodes.root, "runs");
    invalidate_entry(fs, &fs->nodes.root, "tracked");
    invalidate_views(fs);
    invalidate_inode(fs, &fs->nodes.root, 0); /* the views that it lists may be others */
    log_info("compared %zu cached files and directories with the source", count);
}

/* ---- the queue of the examiner ---- */

static void queue_suspect(struct fs *fs, struct directory *directory, const char *name, bool names,
                          bool moved)
{
    struct coherence *coherence = fs->coherence;
    size_t length = strlen(name);
    struct suspect *suspect = memory_alloc_zeroed(1, sizeof(*suspect) + length + 1), *queued;
    suspect->directory = directory;
    suspect->names = names;
    suspect->moved = moved;
    memcpy(suspect->name, name, length + 1);
    size_t key_length = offsetof(struct suspect, name) - offsetof(struct suspect, directory) + length;

    pthread_mutex_lock(&coherence->lock);
    HASH_FIND(hh, coherence->suspects, &suspect->directory, key_length, queued);
    if (queued) {
        queued->names |= names;
        queued->moved |= moved;
    } else {
        directory_ref(directory);
        HASH_ADD(hh, coherence->suspects, directory, key_length, suspect);
        pthread_cond_signal(&coherence->wake);
    }
    pthread_mutex_unlock(&coherence->lock);
    if (queued)
        free(suspect);
}

void coherence_examine(struct fs *fs, struct directory *directory, const char *name, bool names)
{
    queue_suspect(fs, directory, name, names, false);
}

void coherence_examine_all(struct fs *fs)
{
    pthread_mutex_lock(&fs->coherence->lock);
    fs->coherence->all = true;
    pthread_cond_signal(&fs->coherence->wake);
    pthread_mutex_unlock(&fs->coherence->lock);
}

/* What came to stand at name is known there from now on, at once: a handler may be waiting for just that, and
 * the examiner for what the handler holds. True where that is news: the kernel may know something else there.
 */
static bool update_place(struct fs *fs, struct directory *directory, const char *name)
{
    struct descriptor descriptor;
    struct attributes attributes;
    if (source_borrow(fs->source, directory, &descriptor) != 0)
        return false;
    int error = source_stat_at(descriptor.fd, name, &attributes);
    source_release(fs->source, &descriptor);
    if (error)
        return false;
    if (S_ISDIR(attributes.stat.st_mode)) {
        struct directory *child = source_directory_known(fs->source, &attributes.identity);
        bool moved = child && !directory_is_at(fs->source, child, directory, name);
        if (moved)
            directory_unref(fs->source,
                            source_directory_at(fs->source, directory, name, &attributes.identity));
        directory_unref(fs->source, child);
        return moved;
    }
    struct file_node *file = nodes_file_known(&fs->nodes, &attributes.identity);
    bool moved = file && !nodes_file_is_at(&fs->nodes, file, directory, name);
    if (moved)
        nodes_file_at(&fs->nodes, file, directory, name, &attributes);
    if (file)
        node_unref(&fs->nodes, &file->node);
    return moved;
}

void coherence_listen(const struct change *change, void *context)
{
    struct fs *fs = context;
    if (change->kind == CHANGE_OVERFLOW) {
        coherence_examine_all(fs);
        return;
    }
    bool moved = false;
    if (change->kind == CHANGE_ENTRY && change->names && !change->moved_away && !change->own)
        moved = update_place(fs, change->directory, change->name);
    /* Our own changes were told by their handlers; but nobody's handler wrote the manifest. */
    bool told = change->own && change->directory != source_root(fs->source);
    if (!told && nodes_have_places(&fs->nodes, change->directory))
        queue_suspect(fs, change->directory, change->name ? change->name : "", change->names, moved);
}

static void suspect_free(struct fs *fs, struct suspect *suspect)
{
    directory_unref(fs->source, suspect->directory);
    free(suspect);
}

static void *examiner_thread(void *context)
{
    pthread_setname_np(pthread_self(), "examiner");
    struct fs *fs = context;
    struct coherence *coherence = fs->coherence;
    pthread_mutex_lock(&coherence->lock);
    while (!coherence->stopping) {
        struct suspect *suspect = coherence->suspects;
        bool all = coherence->all;
        if (!suspect && !all) {
            pthread_cond_wait(&coherence->wake, &coherence->lock);
            continue;
        }
        coherence->all = false;
        if (suspect)
            HASH_DEL(coherence->suspects, suspect);
        pthread_mutex_unlock(&coherence->lock);
        if (all)
            examine_everything(fs);
        if (suspect) {
            examine(fs, suspect->directory, suspect->name, suspect->names, suspect->moved);
            suspect_free(fs, suspect);
        }
        pthread_mutex_lock(&coherence->lock);
    }
    pthread_mutex_unlock(&coherence->lock);
    return NULL;
}

/* ---- the sender ---- */

static void message_free(struct fs *fs, struct message *message)
{
    unref_places(fs, message->places, message->count);
    free(message);
}

static void *sender_thread(void *context)
{
    pthread_setname_np(pthread_self(), "sender");
    struct fs *fs = context;
    struct coherence *coherence = fs->coherence;
    pthread_mutex_lock(&coherence->lock);
    while (!coherence->stopping) {
        struct message *message = coherence->messages;
        if (!message) {
            pthread_cond_wait(&coherence->send, &coherence->lock);
            continue;
        }
        coherence->messages = message->next;
        if (!coherence->messages)
            coherence->messages_end = &coherence->messages;
        pthread_mutex_unlock(&coherence->lock);
        for (size_t i = 0; i < message->count; i++)
            invalidate_entry(fs, &message->places[i]->node, message->name);
        pthread_mutex_lock(&coherence->lock);
        message->sent = true;
        bool abandoned = message->abandoned;
        pthread_cond_broadcast(&coherence->sent);
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
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += PATIENCE_MS * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return until;
}

/* Has the entry taken back at places (taken over) and waits for it, up to a limit. */
static void send_and_wait(struct fs *fs, struct directory_node **places, size_t count, const char *name)
{
    struct coherence *coherence = fs->coherence;
    size_t length = strlen(name);
    struct message *message = memory_alloc_zeroed(1, sizeof(*message) + length + 1);
    memcpy(message->name, name, length + 1);
    message->places = places;
    message->count = count;
    struct timespec until = end_of_patience();
    pthread_mutex_lock(&coherence->lock);
    *coherence->messages_end = message;
    coherence->messages_end = &message->next;
    pthread_cond_signal(&coherence->send);
    int result = 0;
    while (!message->sent && !coherence->stopping && result == 0)
        result = pthread_cond_timedwait(&coherence->sent, &coherence->lock, &until);
    bool sent = message->sent;
    message->abandoned = !sent;
    pthread_mutex_unlock(&coherence->lock);
    if (sent)
        message_free(fs, message);
}

void coherence_entry_changed(struct fs *fs, struct directory *directory, const char *name, bool removed,
                             const struct directory_node *by, const struct directory_node *and_by)
{
    struct directory_node **all;
    size_t all_count = nodes_places(&fs->nodes, directory, by ? &by->node : NULL, &all), count = 0;
    for (size_t i = 0; i < all_count; i++)
        if (all[i] == and_by)
            node_unref(&fs->nodes, &all[i]->node);
        else
            all[count++] = all[i];
    /* The listing and the times; this takes no lock that a process could hold while it waits for us. */
    for (size_t i = 0; i < count; i++)
        invalidate_inode(fs, &all[i]->node, 0);
    if (removed && count)
        send_and_wait(fs, all, count, name);
    else
        unref_places(fs, all, count);
}

void coherence_catch_up(struct fs *fs)
{
    watch_drain(keeper_watch(fs->keeper));
}

void coherence_attributes_changed(struct fs *fs, struct node *node)
{
    invalidate_inode(fs, node, -1);
}

void coherence_directory_changed(struct fs *fs, struct directory_node *node)
{
    struct directory_node **others;
    size_t count = nodes_places(&fs->nodes, node->directory, &node->node, &others);
    for (size_t i = 0; i < count; i++)
        invalidate_inode(fs, &others[i]->node, 0);
    unref_places(fs, others, count);
    invalidate_top(fs, node->directory);
}

/* ---- life ---- */

void coherence_create(struct fs *fs)
{
    struct coherence *coherence = memory_alloc_zeroed(1, sizeof(*coherence));
    pthread_mutex_init(&coherence->lock, NULL);
    pthread_cond_init(&coherence->wake, NULL);
    pthread_cond_init(&coherence->send, NULL);
    pthread_cond_init(&coherence->sent, NULL);
    coherence->messages_end = &coherence->messages;
    fs->coherence = coherence;
}

int coherence_start(struct fs *fs)
{
    struct coherence *coherence = fs->coherence;
    int error = pthread_create(&coherence->examiner, NULL, examiner_thread, fs);
    if (error)
        return -error;
    error = pthread_create(&coherence->sender, NULL, sender_thread, fs);
    if (error) {
        pthread_mutex_lock(&coherence->lock);
        coherence->stopping = true;
        pthread_cond_signal(&coherence->wake);
        pthread_mutex_unlock(&coherence->lock);
        pthread_join(coherence->examiner, NULL);
    }
    coherence->started = error == 0;
    return -error;
}

void coherence_stop(struct fs *fs)
{
    struct coherence *coherence = fs->coherence;
    pthread_mutex_lock(&coherence->lock);
    bool stop = coherence->started && !coherence->stopping;
    coherence->stopping = true;
    pthread_cond_broadcast(&coherence->wake);
    pthread_cond_broadcast(&coherence->send);
    pthread_cond_broadcast(&coherence->sent);
    pthread_mutex_unlock(&coherence->lock);
    if (stop) {
        pthread_join(coherence->examiner, NULL);
        pthread_join(coherence->sender, NULL);
    }
}

void coherence_destroy(struct fs *fs)
{
    struct coherence *coherence = fs->coherence;
    struct suspect *suspect, *next;
    HASH_ITER(hh, coherence->suspects, suspect, next)
    {
        HASH_DEL(coherence->suspects, suspect);
        suspect_free(fs, suspect);
    }
    for (struct message *message = coherence->messages, *after; message; message = after) {
        after = message->next;
        message_free(fs, message);
    }
    pthread_mutex_destroy(&coherence->lock);
    pthread_cond_destroy(&coherence->wake);
    pthread_cond_destroy(&coherence->send);
    pthread_cond_destroy(&coherence->sent);
    free(coherence);
    fs->coherence = NULL;
}
