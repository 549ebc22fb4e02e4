/*
 * From a node of a real file to a descriptor of just that file. The kernel opens files without asking
 * (zero-message open), so every request comes with a node alone. The file is found by the directory and name
 * where it was last seen, and what is opened must be it by identity. Where that fails, it may have been moved
 * a moment ago: what is known of its place is brought up to date and it is tried again, before the answer is
 * ESTALE, upon which the kernel walks the path again. handle.h says which files have descriptors that serve
 * without any name.
 */
#include "fs/coherence.h"
#include "fs/real/real.h"
#include "core/base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Of a file larger than what one read brings, the descriptor is held for the next one. */
#define RECENT_FROM_BYTES (128 << 10)
/* A millisecond each. */
#define KEEP_ATTEMPTS 50

static int open_again(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int opened = open(path, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
    return opened < 0 ? -errno : opened;
}

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

/* Opens the file by a handle that leads to it, else by name. attributes (may be NULL) are set where it was by
 * name; the file's size is -1 otherwise. */
static int open_once(struct fs *fs, struct file_node *file, int flags, struct attributes *attributes)
{
    struct attributes unused;
    attributes = attributes ? attributes : &unused;
    attributes->stat.st_size = -1;
    struct handle *handle = handle_find(&fs->nodes, &file->handles, O_PATH);
    int fd = -ESTALE;
    if (handle) {
        fd = open_again(handle->fd, flags);
        handle_unref(&fs->nodes, handle);
    }
    if (fd >= 0)
        return fd;
    fd = open_place(fs, file, flags);
    if (fd < 0)
        return fd;
    int error = source_stat_at(fd, "", attributes);
    if (error == 0 && identity_equal(&attributes->identity, &file->identity))
        return fd;
    close(fd);
    return error ? error : -ESTALE;
}

/* The same, where it was moved a moment ago through the mount (the rename is done, and about to say so) or
 * beside it (the watch is about to tell). */
static int open_verified(struct fs *fs, struct file_node *file, int flags, struct attributes *attributes)
{
    int fd = open_once(fs, file, flags, attributes);
    if (fd != -ESTALE)
        return fd;
    pthread_rwlock_rdlock(&fs->rename_lock);
    fd = open_once(fs, file, flags, attributes);
    pthread_rwlock_unlock(&fs->rename_lock);
    if (fd != -ESTALE)
        return fd;
    coherence_catch_up(fs);
    return open_once(fs, file, flags, attributes);
}

static int file_open_path(struct fs *fs, struct node *node, struct real_fd *real)
{
    struct file_node *file = (struct file_node *)node;
    struct handle *handle = handle_find(&fs->nodes, &file->handles, O_PATH);
    if (handle) {
        *real = (struct real_fd){.fd = handle->fd, .handle = handle};
        return 0;
    }
    int fd = open_verified(fs, file, O_PATH, NULL);
    *real = (struct real_fd){.fd = fd, .own = true};
    return fd < 0 ? fd : 0;
}

static int file_open_data(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                          struct real_fd *real)
{
    struct file_node *file = (struct file_node *)node;
    struct handle *handle = handle_find(&fs->nodes, &file->handles, flags);
    if (handle) {
        *real = (struct real_fd){.fd = handle->fd, .handle = handle};
        return 0;
    }
    struct attributes attributes;
    int fd = open_verified(fs, file, flags | O_NONBLOCK, &attributes);
    if (fd == -EPERM && fi && fi->flags & O_APPEND) /* an append-only file (chattr +a) wants to hear of it */
        fd = open_verified(fs, file, flags | O_NONBLOCK | O_APPEND, &attributes);
    *real = (struct real_fd){.fd = fd, .own = true};
    if (fd < 0)
        return fd;
    if (flags == O_RDONLY && attributes.stat.st_size > RECENT_FROM_BYTES && S_ISREG(attributes.stat.st_mode))
        handle = handle_add(&fs->nodes, &file->handles, fd, O_RDONLY, HANDLE_RECENT, true);
    if (handle)
        *real = (struct real_fd){.fd = fd, .handle = handle};
    return 0;
}

void real_fd_close(struct fs *fs, struct real_fd *real)
{
    if (real->own && real->fd >= 0)
        close(real->fd);
    if (real->borrowed.entry)
        source_release(fs->source, &real->borrowed);
    if (real->handle)
        handle_unref(&fs->nodes, real->handle);
}

/* ---- files that lose their name ---- */

/* The best descriptor that can be had: root can open any file again by one that just names it. */
static int open_to_keep(struct fs *fs, int directory_fd, const char *name, int *access)
{
    static const int wanted[] = {O_RDWR, O_RDONLY, O_PATH};
    int fd = -1;
    for (int i = fs->is_root ? 2 : 0; i < 3 && fd < 0; i++) {
        *access = wanted[i];
        fd = openat(directory_fd, name, wanted[i] | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    }
    return fd < 0 ? -errno : fd;
}

static bool has_kept_handle(struct fs *fs, struct file_node *file)
{
    pthread_mutex_lock(&fs->nodes.lock);
    const struct handle *handle = file->handles;
    while (handle && handle->kind != HANDLE_KEPT)
        handle = handle->next;
    pthread_mutex_unlock(&fs->nodes.lock);
    return handle != NULL;
}

/* Keeps what stands at name if it is this file. 0 or -errno. */
static int keep(struct fs *fs, struct file_node *file, int directory_fd, const char *name, bool replaceable)
{
    int access, fd = open_to_keep(fs, directory_fd, name, &access);
    if (fd < 0)
        return fd;
    struct attributes attributes;
    struct handle *handle = NULL;
    int error = source_stat_at(fd, "", &attributes);
    if (error == 0 && identity_equal(&attributes.identity, &file->identity)) {
        handle = handle_add(&fs->nodes, &file->handles, fd, access, HANDLE_KEPT, replaceable);
        error = handle ? 0 : -ENFILE;
    }
    if (handle)
        handle_unref(&fs->nodes, handle);
    else
        close(fd);
    return error;
}

/* The kernel forgets removed files a little later; with many of them that takes a moment. */
static int keep_patiently(struct fs *fs, struct file_node *file, int directory_fd, const char *name,
                          bool replaceable)
{
    int error = keep(fs, file, directory_fd, name, replaceable);
    for (int attempt = 0; error == -ENFILE && attempt < KEEP_ATTEMPTS; attempt++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        error = keep(fs, file, directory_fd, name, replaceable);
    }
    return error;
}

int file_keep_open(struct fs *fs, int directory_fd, const char *name)
{
    struct attributes attributes;
    if (source_stat_at(directory_fd, name, &attributes) != 0 || !S_ISREG(attributes.stat.st_mode))
        return 0;
    struct file_node *file = nodes_file_known(&fs->nodes, &attributes.identity);
    if (!file)
        return 0;
    int error = 0;
    if (!has_kept_handle(fs, file))
        error = keep_patiently(fs, file, directory_fd, name, attributes.stat.st_nlink > 1);
    node_unref(&fs->nodes, &file->node);
    return error;
}

void file_keep_undo(struct fs *fs, int directory_fd, const char *name)
{
    struct attributes attributes;
    if (source_stat_at(directory_fd, name, &attributes) != 0)
        return;
    struct file_node *file = nodes_file_known(&fs->nodes, &attributes.identity);
    if (!file)
        return;
    struct handle *handle = handle_find(&fs->nodes, &file->handles, O_PATH);
    if (handle && handle->kind == HANDLE_KEPT)
        handle_close(&fs->nodes, handle);
    if (handle)
        handle_unref(&fs->nodes, handle);
    node_unref(&fs->nodes, &file->node);
}

void file_keep_rights(struct fs *fs, struct file_node *file, mode_t mode)
{
    if (fs->is_root || (mode & 0600) == 0600 || has_kept_handle(fs, file))
        return;
    struct directory *directory;
    char *name;
    struct descriptor descriptor;
    nodes_file_place(&fs->nodes, file, &directory, &name);
    if (source_borrow(fs->source, directory, &descriptor) == 0) {
        keep(fs, file, descriptor.fd, name, true);
        source_release(fs->source, &descriptor);
    }
    directory_unref(fs->source, directory);
    free(name);
}

/* ---- what the kernel asks of a file alone ---- */

static int stat_place(struct fs *fs, struct file_node *file, struct attributes *attributes)
{
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

/* Attributes, by a handle where there is one, else by name: one system call, no descriptor. */
static int file_stat(struct fs *fs, struct file_node *file, struct attributes *attributes)
{
    struct handle *handle = handle_find(&fs->nodes, &file->handles, O_PATH);
    if (handle) {
        int error = source_stat_at(handle->fd, "", attributes);
        handle_unref(&fs->nodes, handle);
        return error;
    }
    int error = stat_place(fs, file, attributes);
    if (error != -ESTALE)
        return error;
    pthread_rwlock_rdlock(&fs->rename_lock);
    error = stat_place(fs, file, attributes);
    pthread_rwlock_unlock(&fs->rename_lock);
    return error;
}

bool file_stands_for_manifest(struct fs *fs, struct file_node *file)
{
    return nodes_file_is_at(&fs->nodes, file, source_root(fs->source), keeper_manifest_name(fs->keeper));
}

static void file_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    struct attributes attributes;
    struct file_node *file = (struct file_node *)node;
    int error = file_stat(fs, file, &attributes);
    /* Who reads or writes it (fi) asks for just this file; who looks at its name, for the manifest. */
    if (error == 0 && !fi && S_ISREG(attributes.stat.st_mode) && file_stands_for_manifest(fs, file))
        error = -ESTALE;
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
    .read = real_read,
    .write = real_write,
    .open_path = file_open_path,
    .open_data = file_open_data,
    .changed = file_changed,
};
