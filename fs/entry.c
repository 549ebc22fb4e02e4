/*
 * Entries: what the kernel is told when a name was found or made, and for how long it may believe it; and the
 * budget of descriptors that open files may hold.
 */
#include "fs/fs.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_watched(const struct directory *directory)
{
    return atomic_load(&((struct directory *)directory)->watch_state) == WATCH_ACTIVE;
}

/* An error on the way to a node: what was at the other end is not there (any longer), and the kernel shall
 * look again. */
int entry_from_error(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP ? -ESTALE : error;
}

double entry_attribute_timeout(struct fs *fs, struct node *node, const struct stat *stat)
{
    if (node->kind == NODE_DIRECTORY)
        return is_watched(((struct directory_node *)node)->directory) ? CACHE_SECONDS : 0;
    if (node->kind != NODE_FILE || stat->st_nlink > 1) /* another name may stand where nobody watches */
        return 0;
    pthread_mutex_lock(&fs->nodes.lock);
    bool watched = is_watched(((struct file_node *)node)->directory);
    pthread_mutex_unlock(&fs->nodes.lock);
    return watched ? CACHE_SECONDS : 0;
}

int entry_for_directory(struct fs *fs, struct node *parent, struct directory *directory,
                        struct fuse_entry_param *entry)
{
    struct descriptor descriptor;
    struct attributes attributes;
    int error = source_borrow(fs->source, directory, &descriptor);
    if (error)
        return error;
    /* Watched before it is looked at, so that whatever is told here is taken back when it changes. */
    if (atomic_load(&directory->watch_state) == WATCH_NONE)
        watch_add(keeper_watch(fs->keeper), directory, descriptor.fd);
    error = source_stat_at(descriptor.fd, "", &attributes);
    source_release(fs->source, &descriptor);
    if (error)
        return error;

    struct directory_node *node = nodes_directory(&fs->nodes, parent, directory);
    nodes_record(&fs->nodes, &node->node, &attributes);
    entry->ino = node_number(&fs->nodes, &node->node);
    entry->generation = node->node.generation;
    entry->attr = attributes.stat;
    entry->attr_timeout = entry_attribute_timeout(fs, &node->node, &attributes.stat);
    return 0;
}

static void entry_for_file(struct fs *fs, struct directory *directory, const char *name,
                           const struct attributes *attributes, struct fuse_entry_param *entry)
{
    struct file_node *node = nodes_file(&fs->nodes, &attributes->identity, directory, name);
    nodes_record(&fs->nodes, &node->node, attributes);
    entry->ino = node_number(&fs->nodes, &node->node);
    entry->generation = node->node.generation;
    entry->attr = attributes->stat;
    entry->attr_timeout = entry_attribute_timeout(fs, &node->node, &attributes->stat);
}

int entry_lookup(struct fs *fs, struct directory_node *parent, int directory_fd, const char *name,
                 struct fuse_entry_param *entry)
{
    struct attributes attributes;
    int error = source_stat_at(directory_fd, name, &attributes);
    if (error)
        return error;
    *entry = (struct fuse_entry_param){.entry_timeout = is_watched(parent->directory) ? CACHE_SECONDS : 0};
    if (!S_ISDIR(attributes.stat.st_mode)) {
        entry_for_file(fs, parent->directory, name, &attributes, entry);
        return 0;
    }
    struct directory *directory =
        source_directory_at(fs->source, parent->directory, name, &attributes.identity);
    error = entry_for_directory(fs, &parent->node, directory, entry);
    directory_unref(fs->source, directory);
    return error;
}

void entry_reply(struct fs *fs, fuse_req_t req, struct fuse_entry_param *entry)
{
    entry->generation = node_of_number(&fs->nodes, entry->ino)->generation;
    if (fuse_reply_entry(req, entry) == -ENOENT) /* the caller was interrupted */
        nodes_forget(&fs->nodes, node_of_number(&fs->nodes, entry->ino), 1);
}

/* ---- handles ---- */

static bool reserve(struct fs *fs, unsigned budget)
{
    if (atomic_fetch_add(&fs->handle_descriptors, 1) < budget)
        return true;
    handle_unreserve(fs);
    return false;
}

bool handle_reserve(struct fs *fs)
{
    return reserve(fs, fs->handle_budget);
}

bool handle_reserve_needed(struct fs *fs)
{
    return reserve(fs, fs->handle_budget + HANDLES_OVER_BUDGET);
}

void handle_unreserve(struct fs *fs)
{
    atomic_fetch_sub(&fs->handle_descriptors, 1);
}

struct handle *handle_create(struct fs *fs, struct handle **list, int fd, int flags, bool counted)
{
    struct handle *handle = memory_alloc(sizeof(*handle));
    *handle = (struct handle){.fd = fd, .flags = flags, .counted = counted, .references = 1};
    if (fd < 0)
        atomic_fetch_add(&fs->handles_without_descriptor, 1);
    pthread_mutex_lock(&fs->nodes.lock);
    handle->next = *list;
    *list = handle;
    pthread_mutex_unlock(&fs->nodes.lock);
    return handle;
}

struct handle *handle_with_descriptor(struct fs *fs, struct handle *const *list)
{
    pthread_mutex_lock(&fs->nodes.lock);
    struct handle *handle = *list;
    while (handle && handle->fd < 0)
        handle = handle->next;
    if (handle)
        handle->references++;
    pthread_mutex_unlock(&fs->nodes.lock);
    return handle;
}

struct handle *handle_use(struct fs *fs, struct handle *handle)
{
    if (!handle)
        return NULL;
    pthread_mutex_lock(&fs->nodes.lock);
    bool usable = handle->fd >= 0;
    handle->references += usable;
    pthread_mutex_unlock(&fs->nodes.lock);
    return usable ? handle : NULL;
}

void handle_unref(struct fs *fs, struct handle *handle)
{
    pthread_mutex_lock(&fs->nodes.lock);
    bool last = --handle->references == 0;
    pthread_mutex_unlock(&fs->nodes.lock);
    if (!last)
        return;
    if (handle->fd >= 0)
        close(handle->fd);
    if (handle->counted)
        handle_unreserve(fs);
    free(handle);
}

void handle_close(struct fs *fs, struct handle **list, struct handle *handle)
{
    pthread_mutex_lock(&fs->nodes.lock);
    struct handle **link = list;
    while (*link != handle)
        link = &(*link)->next;
    *link = handle->next;
    bool without = handle->fd < 0;
    pthread_mutex_unlock(&fs->nodes.lock);
    if (without)
        atomic_fetch_sub(&fs->handles_without_descriptor, 1);
    handle_unref(fs, handle);
}

void handles_discard(struct handle *handles)
{
    for (struct handle *next; handles; handles = next) {
        next = handles->next;
        if (handles->fd >= 0)
            close(handles->fd);
        free(handles);
    }
}

bool handle_give_descriptor(struct fs *fs, struct handle *const *list, int fd)
{
    bool given = false;
    pthread_mutex_lock(&fs->nodes.lock);
    for (struct handle *handle = *list; handle && !given; handle = handle->next)
        if (handle->fd < 0) {
            handle->fd = fd;
            handle->counted = true;
            given = true;
        }
    pthread_mutex_unlock(&fs->nodes.lock);
    if (given) {
        atomic_fetch_add(&fs->handle_descriptors, 1);
        atomic_fetch_sub(&fs->handles_without_descriptor, 1);
    }
    return given;
}
