/*
 * From a node of a real file to a descriptor of just that file. No descriptor is held per node: the file is
 * found by the directory and name where it was last seen, and what is opened must be it by identity; else the
 * answer is ESTALE, upon which the kernel walks the path again. Where somebody has the file open, his
 * descriptor serves: it works without any name.
 */
#include "fs/real/real.h"
#include "core/base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* Opens what stands where the file was last seen; it may be another file. */
static int open_place(struct fs *fs, struct file_node *file, int flags)
{
    struct directory *directory;
    char *name;
    struct descriptor descriptor;
    nodes_file_place(&fs->nodes, file, &directory, &name);
    int fd = source_borrow(fs->source, directory, &descriptor);
    if (fd == 0) {
        fd = openat(descriptor.fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            fd = entry_from_error(-errno);
        source_release(fs->source, &descriptor);
    }
    directory_unref(fs->source, directory);
    free(name);
    return fd;
}

static int open_verified(struct fs *fs, struct file_node *file, int flags)
{
    int fd = open_place(fs, file, flags);
    if (fd < 0)
        return fd;
    struct attributes attributes;
    int error = source_stat_at(fd, "", &attributes);
    if (error == 0 && identity_equal(&attributes.identity, &file->identity))
        return fd;
    close(fd);
    return error ? error : -ESTALE;
}

static int file_open_path(struct fs *fs, struct node *node, struct real_fd *real)
{
    struct file_node *file = (struct file_node *)node;
    struct handle *handle = handle_with_descriptor(fs, &file->handles);
    if (handle) {
        *real = (struct real_fd){.fd = handle->fd, .handle = handle};
        return 0;
    }
    int fd = open_verified(fs, file, O_PATH);
    *real = (struct real_fd){.fd = fd, .own = true};
    return fd < 0 ? fd : 0;
}

static int file_open_data(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                          struct real_fd *real)
{
    struct handle *handle = handle_use(fs, handle_of(fi));
    if (handle) {
        *real = (struct real_fd){.fd = handle->fd, .handle = handle};
        return 0;
    }
    int fd = open_verified(fs, (struct file_node *)node, flags | O_NONBLOCK);
    *real = (struct real_fd){.fd = fd, .own = true};
    return fd < 0 ? fd : 0;
}

void real_fd_close(struct fs *fs, struct real_fd *real)
{
    if (real->own && real->fd >= 0)
        close(real->fd);
    if (real->borrowed.entry)
        source_release(fs->source, &real->borrowed);
    if (real->handle)
        handle_unref(fs, real->handle);
}

int file_keep_open(struct fs *fs, int directory_fd, const char *name)
{
    if (atomic_load(&fs->handles_without_descriptor) == 0)
        return 0;
    struct attributes attributes;
    if (source_stat_at(directory_fd, name, &attributes) != 0 || S_ISDIR(attributes.stat.st_mode))
        return 0;
    struct file_node *file = nodes_file_known(&fs->nodes, &attributes.identity);
    if (!file)
        return 0;
    int result = 0;
    for (bool more = true; more && result == 0;) {
        pthread_mutex_lock(&fs->nodes.lock);
        more = false;
        for (struct handle *handle = file->handles; handle; handle = handle->next)
            more |= handle->fd < 0;
        pthread_mutex_unlock(&fs->nodes.lock);
        if (!more)
            break;
        if (atomic_load(&fs->handle_descriptors) >= fs->handle_budget + HANDLES_OVER_BUDGET) {
            result = -ENFILE;
            break;
        }
        int fd = openat(directory_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            result = -errno;
        else if (!handle_give_descriptor(fs, &file->handles, fd))
            close(fd);
    }
    node_unref(&fs->nodes, &file->node);
    return result;
}

/* ---- what the kernel asks of a file alone ---- */

/* Attributes, by an open descriptor where there is one, else by name: one system call, no descriptor. */
static int file_stat(struct fs *fs, struct file_node *file, struct attributes *attributes)
{
    struct handle *handle = handle_with_descriptor(fs, &file->handles);
    if (handle) {
        int error = source_stat_at(handle->fd, "", attributes);
        handle_unref(fs, handle);
        return error;
    }
    struct directory *directory;
    char *name;
    struct descriptor descriptor;
    nodes_file_place(&fs->nodes, file, &directory, &name);
    int error = source_borrow(fs->source, directory, &descriptor);
    if (error == 0) {
        error = entry_from_error(source_stat_at(descriptor.fd, name, attributes));
        source_release(fs->source, &descriptor);
    }
    directory_unref(fs->source, directory);
    free(name);
    if (error == 0 && !identity_equal(&attributes->identity, &file->identity))
        error = -ESTALE;
    return error;
}

/* A file that was renamed onto the manifest: the kernel takes it for the manifest until it looks again, which
 * ESTALE makes it do (coherence.c takes the entry away soon, but the next look may come sooner). */
static bool stands_for_manifest(struct fs *fs, struct file_node *file)
{
    return nodes_file_is_at(&fs->nodes, file, source_root(fs->source), keeper_manifest_name(fs->keeper));
}

static void file_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    (void)fi;
    struct attributes attributes;
    struct file_node *file = (struct file_node *)node;
    int error = file_stat(fs, file, &attributes);
    if (error == 0 && S_ISREG(attributes.stat.st_mode) && stands_for_manifest(fs, file)) {
        struct handle *handle = handle_with_descriptor(fs, &file->handles);
        error = handle ? 0 : -ESTALE; /* who has it open asks for just this file */
        if (handle)
            handle_unref(fs, handle);
    }
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    nodes_record(&fs->nodes, node, &attributes);
    fuse_reply_attr(req, &attributes.stat, entry_attribute_timeout(fs, node, &attributes.stat));
}

static void file_readlink(struct fs *fs, fuse_req_t req, struct node *node)
{
    char target[PATH_MAX + 1];
    struct real_fd real;
    int error = file_open_path(fs, node, &real);
    if (error == 0) {
        ssize_t length = readlinkat(real.fd, "", target, sizeof(target) - 1);
        error = length < 0 ? -errno : 0;
        target[length < 0 ? 0 : length] = '\0';
        real_fd_close(fs, &real);
    }
    if (error)
        fuse_reply_err(req, -error);
    else
        fuse_reply_readlink(req, target);
}

static void file_open(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    struct file_node *file = (struct file_node *)node;
    /* O_APPEND, O_DIRECT and O_SYNC are done per write: the kernel tells the flags with each, and our own
     * alignment is none of its business. */
    int flags = fi->flags & O_ACCMODE;
    int fd = stands_for_manifest(fs, file) ? -ESTALE : open_verified(fs, file, flags | O_NONBLOCK);
    if (fd == -EPERM && fi->flags & O_APPEND) /* an append-only file (chattr +a) wants to hear of it */
        fd = open_verified(fs, file, flags | O_NONBLOCK | O_APPEND);
    if (fd < 0) {
        fuse_reply_err(req, -fd);
        return;
    }
    bool reserved = handle_reserve(fs);
    if (!reserved) {
        close(fd);
        fd = -1;
    }
    struct handle *handle = handle_create(fs, &file->handles, fd, flags, reserved);
    fi->fh = (uintptr_t)handle;
    fi->keep_cache = 1; /* what changes is taken back (coherence.c) or seen by its times */
    if (fuse_reply_open(req, fi) == -ENOENT)
        handle_close(fs, &file->handles, handle);
}

static void file_release(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    handle_close(fs, &((struct file_node *)node)->handles, handle_of(fi));
    fuse_reply_err(req, 0);
}

static void file_changed(struct fs *fs, struct node *node)
{
    struct directory *directory;
    char *name;
    nodes_file_place(&fs->nodes, (struct file_node *)node, &directory, &name);
    keeper_note(fs->keeper, directory, name);
    keeper_note_content(fs->keeper, ((struct file_node *)node)->identity.ino);
    directory_unref(fs->source, directory);
    free(name);
}

const struct node_operations file_operations = {
    .getattr = file_getattr,
    .setattr = real_setattr,
    .readlink = file_readlink,
    .open = file_open,
    .release = file_release,
    .read = real_read,
    .write = real_write,
    .open_path = file_open_path,
    .open_data = file_open_data,
    .changed = file_changed,
};
