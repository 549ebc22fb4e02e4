/*
 * What coherence is told, by the watch and by the handlers of changes, and what it has the examiner and the
 * sender do about it; their start and end. See coherence.h for why it is so.
 */
#include "core/base/memory.h"
#include "fs/coherence_internal.h"
#include <stdlib.h>
#include <string.h>

/* ---- changes beside the mount ---- */

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

/* Is this change of our own one that a handler has made, and told of? In Git's directory autocommit makes
 * some, which are none of a handler's: there every change is taken for one that somebody made beside the
 * mount. */
static bool is_of_a_handler(struct fs *fs, const struct change *change)
{
    if (!change->own || !fs->commits)
        return change->own;
    struct buffer path = {0};
    directory_path(fs->source, change->directory, &path);
    bool in_git =
        path.length >= 4 && memcmp(path.bytes, ".git", 4) == 0 && (path.length == 4 || path.bytes[4] == '/');
    buffer_free(&path);
    return !in_git;
}

void coherence_listen(const struct change *change, void *context)
{
    struct fs *fs = context;
    if (change->kind == CHANGE_OVERFLOW) {
        coherence_examine_all(fs);
        return;
    }
    bool moved = false, own = is_of_a_handler(fs, change);
    if (change->kind == CHANGE_ENTRY && change->names && !change->moved_away && !own)
        moved = update_place(fs, change->directory, change->name);
    /* Our own changes were told by their handlers; but nobody's handler wrote the manifest. */
    bool told = own && change->directory != source_root(fs->source);
    if (!told && nodes_have_places(&fs->nodes, change->directory))
        examiner_queue(fs, change->directory, change->name ? change->name : "", change->names, moved);
}

/* ---- changes through the mount ---- */

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
        sender_send_and_wait(fs, all, count, name);
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

void coherence_pages_refused(struct fs *fs, struct node *node)
{
    sender_send_pages(fs, node);
}

void coherence_configuration_changed(struct fs *fs, const struct directory *directory, const char *name)
{
    if (directory != source_root(fs->source) || strcmp(name, CONFIG_FILE_NAME) != 0)
        return;
    keeper_lock(fs->keeper); /* settles */
    keeper_unlock(fs->keeper);
    coherence_attributes_changed(fs, &fs->nodes.root);
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
    examiner_init(&coherence->examiner);
    sender_init(&coherence->sender);
    fs->coherence = coherence;
}

int coherence_start(struct fs *fs)
{
    struct coherence *coherence = fs->coherence;
    int error = pthread_create(&coherence->examiner.thread, NULL, examiner_run, fs);
    if (error)
        return -error;
    error = pthread_create(&coherence->sender.thread, NULL, sender_run, fs);
    if (error) {
        pthread_mutex_lock(&coherence->lock);
        coherence->stopping = true;
        pthread_cond_signal(&coherence->examiner.wake);
        pthread_mutex_unlock(&coherence->lock);
        pthread_join(coherence->examiner.thread, NULL);
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
    pthread_cond_broadcast(&coherence->examiner.wake);
    pthread_cond_broadcast(&coherence->sender.wake);
    pthread_cond_broadcast(&coherence->sender.sent);
    pthread_mutex_unlock(&coherence->lock);
    if (stop) {
        pthread_join(coherence->examiner.thread, NULL);
        pthread_join(coherence->sender.thread, NULL);
    }
}

void coherence_destroy(struct fs *fs)
{
    examiner_finish(fs);
    sender_finish(fs);
    pthread_mutex_destroy(&fs->coherence->lock);
    free(fs->coherence);
    fs->coherence = NULL;
}
