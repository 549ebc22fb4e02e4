/*
 * The examiner: the queue of what may be stale in the kernel after a change beside the mount, and the thread
 * that compares it with what is there: see coherence.h for why it is a thread of its own.
 */
#include "core/base/log.h"
#include "core/base/memory.h"
#include "fs/coherence_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* An entry to be examined; the key is the directory's address and the name. */
struct suspect {
    UT_hash_handle hh;
    bool names;                  /* names changed, not content alone */
    bool moved;                  /* what stands there now was known elsewhere */
    struct directory *directory; /* a reference; part of the key */
    char name[];
};

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

/* The names first: nothing is held while the kernel is told. */
static void invalidate_views(struct fs *fs)
{
    struct buffer names = {0};
    struct index *index = keeper_lock(fs->keeper);
    for (unsigned facet = 0; facet < facet_count(index); facet++)
        if (facet_directory(index, facet))
            buffer_append(&names, facet_directory(index, facet), strlen(facet_directory(index, facet)) + 1);
    keeper_unlock(fs->keeper);
    for (const char *name = names.bytes; name < names.bytes + names.length; name += strlen(name) + 1)
        invalidate_entry(fs, &fs->nodes.root, name);
    buffer_free(&names);
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

/* ---- the queue ---- */

void examiner_queue(struct fs *fs, struct directory *directory, const char *name, bool names, bool moved)
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
    HASH_FIND(hh, coherence->examiner.suspects, &suspect->directory, key_length, queued);
    if (queued) {
        queued->names |= names;
        queued->moved |= moved;
    } else {
        directory_ref(directory);
        HASH_ADD(hh, coherence->examiner.suspects, directory, key_length, suspect);
        pthread_cond_signal(&coherence->examiner.wake);
    }
    pthread_mutex_unlock(&coherence->lock);
    if (queued)
        free(suspect);
}

void coherence_examine(struct fs *fs, struct directory *directory, const char *name, bool names)
{
    examiner_queue(fs, directory, name, names, false);
}

void coherence_examine_all(struct fs *fs)
{
    pthread_mutex_lock(&fs->coherence->lock);
    fs->coherence->examiner.all = true;
    pthread_cond_signal(&fs->coherence->examiner.wake);
    pthread_mutex_unlock(&fs->coherence->lock);
}

/* ---- the thread ---- */

static void suspect_free(struct fs *fs, struct suspect *suspect)
{
    directory_unref(fs->source, suspect->directory);
    free(suspect);
}

void *examiner_run(void *context)
{
    pthread_setname_np(pthread_self(), "examiner");
    struct fs *fs = context;
    struct coherence *coherence = fs->coherence;
    pthread_mutex_lock(&coherence->lock);
    while (!coherence->stopping) {
        struct suspect *suspect = coherence->examiner.suspects;
        bool all = coherence->examiner.all;
        if (!suspect && !all) {
            pthread_cond_wait(&coherence->examiner.wake, &coherence->lock);
            continue;
        }
        coherence->examiner.all = false;
        if (suspect)
            HASH_DEL(coherence->examiner.suspects, suspect);
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

void examiner_init(struct examiner *examiner)
{
    pthread_cond_init(&examiner->wake, NULL);
}

void examiner_finish(struct fs *fs)
{
    struct examiner *examiner = &fs->coherence->examiner;
    struct suspect *suspect, *next;
    HASH_ITER(hh, examiner->suspects, suspect, next)
    {
        HASH_DEL(examiner->suspects, suspect);
        suspect_free(fs, suspect);
    }
    pthread_cond_destroy(&examiner->wake);
}
