/*
 * The queue of what may be stale, the thread that examines it, and mutations: see coherence.h for why it is so.
 */
#include "fs/coherence.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define DIRECT_SENDERS 3

/* An entry to be examined; the key is the directory's address and the name. */
struct suspect {
    UT_hash_handle hh;
    struct directory *directory; /* a reference; part of the key */
    char name[];
};

struct coherence {
    pthread_t thread;
    bool started, stopping, all;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct suspect *suspects;    /* by key, in the order in which they came */
    pthread_mutex_t mutations_lock;
    struct mutation *mutations;  /* under way */
    unsigned direct_senders;
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

/* The kernel has the file: drops what it cached of it if it is not what stands on disk. */
static void examine_file(struct fs *fs, struct file_node *file, const struct attributes *attributes,
                         struct directory_node **places, size_t count, const char *name)
{
    if (nodes_record_matches(&fs->nodes, &file->node, attributes))
        return;
    int result = fuse_lowlevel_notify_inval_inode(fs->session, node_number(&fs->nodes, &file->node), 0, 0);
    if (result != -ENOENT)
        return;
    /* The kernel does not have the inode yet: the reply of the lookup that makes it is on its way. Taking the entry waits
     * for that lookup (it holds the directory's lock); what it made can be told then. */
    for (size_t i = 0; i < count; i++)
        invalidate_entry(fs, &places[i]->node, name);
    invalidate_inode(fs, &file->node, 0);
}

/* The attributes of a directory at all its places. */
static void examine_directory(struct fs *fs, struct directory *directory, const struct attributes *attributes)
{
    struct directory_node **places;
    size_t count = nodes_places(&fs->nodes, directory, NULL, &places);
    for (size_t i = 0; i < count; i++)
        if (!nodes_record_matches(&fs->nodes, &places[i]->node, attributes))
            invalidate_inode(fs, &places[i]->node, 0);
    unref_places(fs, places, count);
}

/* Is what stands at name what the kernel would find there? What moved here is known at its new place from now on. */
static bool examine_identity(struct fs *fs, struct directory *directory, const char *name,
                             const struct attributes *attributes, struct directory_node **places, size_t count)
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
        nodes_file_at(&fs->nodes, file, directory, name);
        examine_file(fs, file, attributes, places, count, name);
        node_unref(&fs->nodes, &file->node);
    }
    return known;
}

static void examine(struct fs *fs, struct directory *directory, const char *name)
{
    struct directory_node **places;
    size_t count = nodes_places(&fs->nodes, directory, NULL, &places);
    if (!count)
        return;
    struct descriptor descriptor;
    struct attributes self, attributes;
    bool known = false;
    invalidate_top(fs, directory);
    if (source_borrow(fs->source, directory, &descriptor) == 0) {
        if (name[0] != '\0' && source_stat_at(descriptor.fd, name, &attributes) == 0)
            known = examine_identity(fs, directory, name, &attributes, places, count) &&
                    !keeper_is_manifest(fs->keeper, directory, name);
        bool have_self = source_stat_at(descriptor.fd, "", &self) == 0;
        source_release(fs->source, &descriptor);
        for (size_t i = 0; i < count; i++) {
            /* The entry before the inode: taking it waits for a listing under way, whose result is stale as well. */
            if (!known && name[0] != '\0')
                invalidate_entry(fs, &places[i]->node, name);
            if (!have_self || !nodes_record_matches(&fs->nodes, &places[i]->node, &self) || !known)
                invalidate_inode(fs, &places[i]->node, 0);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            if (name[0] != '\0')
                invalidate_entry(fs, &places[i]->node, name);
            invalidate_inode(fs, &places[i]->node, 0);
        }
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
            examine(fs, directory, name);
            invalidate_inode(fs, node, 0);
            directory_unref(fs->source, directory);
            free(name);
        } else {
            struct buffer name = {0};
            struct directory *parent =
                directory_place(fs->source, ((struct directory_node *)node)->directory, &name);
            if (parent)
                examine(fs, parent, name.bytes);
            invalidate_inode(fs, node, 0);
            directory_unref(fs->source, parent);
            buffer_free(&name);
        }
        node_unref(&fs->nodes, node);
    }
    free(all);
    log_info("compared %zu cached files and directories with the source", count);
}

/* ---- the queue ---- */

void coherence_examine(struct fs *fs, struct directory *directory, const char *name)
{
    struct coherence *coherence = fs->coherence;
    size_t length = strlen(name);
    struct suspect *suspect = memory_alloc_zeroed(1, sizeof(*suspect) + length + 1), *queued;
    suspect->directory = directory;
    memcpy(suspect->name, name, length + 1);
    size_t key_length = offsetof(struct suspect, name) - offsetof(struct suspect, directory) + length;

    pthread_mutex_lock(&coherence->lock);
    HASH_FIND(hh, coherence->suspects, &suspect->directory, key_length, queued);
    if (!queued) {
        directory_ref(directory);
        HASH_ADD(hh, coherence->suspects, directory, key_length, suspect);
        pthread_cond_signal(&coherence->wake);
    }
    pthread_mutex_unlock(&coherence->lock);
    if (queued)
        free(suspect);
}

void coherence_examine_all(struct fs *fs)
{
    pthread_mutex_lock(&fs->coherence->lock);
    fs->coherence->all = true;
    pthread_cond_signal(&fs->coherence->wake);
    pthread_mutex_unlock(&fs->coherence->lock);
}

void coherence_listen(const struct change *change, void *context)
{
    struct fs *fs = context;
    if (change->kind == CHANGE_OVERFLOW)
        coherence_examine_all(fs);
    else if (!change->own && nodes_have_places(&fs->nodes, change->directory))
        coherence_examine(fs, change->directory, change->name ? change->name : "");
}

static void *coherence_thread(void *context)
{
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
            examine(fs, suspect->directory, suspect->name);
            directory_unref(fs->source, suspect->directory);
            free(suspect);
        }
        pthread_mutex_lock(&coherence->lock);
    }
    pthread_mutex_unlock(&coherence->lock);
    return NULL;
}

/* ---- mutations ---- */

static void mutation_register(struct fs *fs, struct mutation *mutation)
{
    pthread_mutex_lock(&fs->coherence->mutations_lock);
    mutation->next = fs->coherence->mutations;
    fs->coherence->mutations = mutation;
    pthread_mutex_unlock(&fs->coherence->mutations_lock);
}

void mutation_begin(struct fs *fs, struct mutation *mutation, const struct directory_node *first,
                    const struct directory_node *second)
{
    *mutation = (struct mutation){.nodes = {first, second}, .directories = {first->directory}};
    if (second)
        mutation->directories[1] = second->directory;
    mutation_register(fs, mutation);
}

void mutation_begin_in(struct fs *fs, struct mutation *mutation, struct directory *directory)
{
    *mutation = (struct mutation){.directories = {directory}};
    mutation_register(fs, mutation);
}

void mutation_end(struct fs *fs, struct mutation *mutation)
{
    pthread_mutex_lock(&fs->coherence->mutations_lock);
    struct mutation **link = &fs->coherence->mutations;
    while (*link != mutation)
        link = &(*link)->next;
    *link = mutation->next;
    pthread_mutex_unlock(&fs->coherence->mutations_lock);
}

static bool shares_directory(const struct mutation *a, const struct mutation *b)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (a->directories[i] && a->directories[i] == b->directories[j])
                return true;
    return false;
}

/* May this handler wait for the locks of other places? Rules 1 and 3. */
static bool begin_direct(struct coherence *coherence, const struct mutation *mutation)
{
    pthread_mutex_lock(&coherence->mutations_lock);
    bool direct = coherence->direct_senders < DIRECT_SENDERS;
    for (const struct mutation *other = coherence->mutations; other && direct; other = other->next)
        direct = other == mutation || !shares_directory(mutation, other);
    coherence->direct_senders += direct;
    pthread_mutex_unlock(&coherence->mutations_lock);
    return direct;
}

static void end_direct(struct coherence *coherence)
{
    pthread_mutex_lock(&coherence->mutations_lock);
    coherence->direct_senders--;
    pthread_mutex_unlock(&coherence->mutations_lock);
}

void mutation_entry(struct fs *fs, struct mutation *mutation, int which, const char *name, bool removed)
{
    struct directory *directory = mutation->directories[which];
    const struct directory_node *node = mutation->nodes[which];
    struct directory_node **others;
    size_t count = nodes_places(&fs->nodes, directory, node ? &node->node : NULL, &others);
    if (!count)
        return;
    if (removed) {
        if (begin_direct(fs->coherence, mutation)) {
            for (size_t i = 0; i < count; i++)
                invalidate_entry(fs, &others[i]->node, name);
            end_direct(fs->coherence);
        } else {
            coherence_examine(fs, directory, name);
        }
    }
    /* The listing and the times; this takes no lock that a process could hold while it waits for us. */
    for (size_t i = 0; i < count; i++)
        invalidate_inode(fs, &others[i]->node, 0);
    unref_places(fs, others, count);
}

void coherence_directory_changed(struct fs *fs, struct directory_node *node)
{
    struct directory_node **others;
    size_t count = nodes_places(&fs->nodes, node->directory, &node->node, &others);
    for (size_t i = 0; i < count; i++)
        invalidate_inode(fs, &others[i]->node, 0);
    unref_places(fs, others, count);
}

/* ---- life ---- */

int coherence_create(struct fs *fs)
{
    struct coherence *coherence = memory_alloc_zeroed(1, sizeof(*coherence));
    pthread_mutex_init(&coherence->lock, NULL);
    pthread_cond_init(&coherence->wake, NULL);
    pthread_mutex_init(&coherence->mutations_lock, NULL);
    fs->coherence = coherence;
    return 0;
}

int coherence_start(struct fs *fs)
{
    int error = pthread_create(&fs->coherence->thread, NULL, coherence_thread, fs);
    fs->coherence->started = error == 0;
    return -error;
}

void coherence_destroy(struct fs *fs)
{
    struct coherence *coherence = fs->coherence;
    if (coherence->started) {
        pthread_mutex_lock(&coherence->lock);
        coherence->stopping = true;
        pthread_cond_signal(&coherence->wake);
        pthread_mutex_unlock(&coherence->lock);
        pthread_join(coherence->thread, NULL);
    }
    struct suspect *suspect, *next;
    HASH_ITER(hh, coherence->suspects, suspect, next)
    {
        HASH_DEL(coherence->suspects, suspect);
        directory_unref(fs->source, suspect->directory);
        free(suspect);
    }
    pthread_mutex_destroy(&coherence->lock);
    pthread_cond_destroy(&coherence->wake);
    pthread_mutex_destroy(&coherence->mutations_lock);
    free(coherence);
    fs->coherence = NULL;
}
