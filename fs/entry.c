/*
 * Entries: what the kernel is told when a name was found or made, and for how long it may believe it.
 */
#include "fs/fs.h"
#include <errno.h>
#include <fcntl.h>
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

/* directory, of which fd is open, as an entry below parent. */
static int entry_of_opened(struct fs *fs, struct node *parent, struct directory *directory, int fd,
                           struct fuse_entry_param *entry)
{
    struct attributes attributes;
    /* Watched before it is looked at, so that whatever is told here is taken back when it changes. */
    if (atomic_load(&directory->watch_state) == WATCH_NONE)
        watch_add(keeper_watch(fs->keeper), directory, fd);
    int error = source_stat_at(fd, "", &attributes);
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

int entry_for_directory(struct fs *fs, struct node *parent, struct directory *directory,
                        struct fuse_entry_param *entry)
{
    struct descriptor descriptor;
    int error = source_borrow(fs->source, directory, &descriptor);
    if (error)
        return error;
    error = entry_of_opened(fs, parent, directory, descriptor.fd, entry);
    source_release(fs->source, &descriptor);
    return error;
}

int entry_listed_directory(struct fs *fs, struct directory_node *parent, int directory_fd, const char *name,
                           struct fuse_entry_param *entry)
{
    int fd = openat(directory_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct attributes attributes;
    int error = source_stat_at(fd, "", &attributes);
    if (error) {
        close(fd);
        return error;
    }
    struct descriptor descriptor;
    struct directory *directory =
        source_directory_at(fs->source, parent->directory, name, &attributes.identity);
    source_borrow_opened(fs->source, directory, fd, &descriptor);
    *entry = (struct fuse_entry_param){.entry_timeout = is_watched(parent->directory) ? CACHE_SECONDS : 0};
    error = entry_of_opened(fs, &parent->node, directory, descriptor.fd, entry);
    source_release(fs->source, &descriptor);
    directory_unref(fs->source, directory);
    return error;
}

static void entry_for_file(struct fs *fs, struct directory *directory, const char *name,
                           const struct attributes *attributes, struct fuse_entry_param *entry)
{
    struct file_node *node = nodes_file(&fs->nodes, attributes, directory, name);
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
    bool is_manifest = keeper_is_manifest(fs->keeper, parent->directory, name);
    bool cached = is_watched(parent->directory) && !is_manifest;
    *entry = (struct fuse_entry_param){.entry_timeout = cached ? CACHE_SECONDS : 0};
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
