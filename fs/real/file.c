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
#define KEEP_ATTEMPTS 5
/* Looks for a file that was moved beside the mount; the watch tells within some milliseconds. */
#define CATCH_UP_ATTEMPTS 8

/* ---- finding a file by its places ---- */

/* What is to be done with the file where it stands now: 0 or a descriptor, -ESTALE where it is not there,
 * -errno. */
typedef int look_function(struct fs *fs, struct file_node *file, void *context);

static int look_everywhere(struct fs *fs, struct file_node *file, look_function *look, void *context)
{
    int result = look(fs, file, context);
    if (result != -ESTALE)
        return result;
    unsigned others = nodes_file_try_another(&fs->nodes, file);
    for (; others > 0 && result == -ESTALE; others--) {
        result = look(fs, file, context);
        if (result == -ESTALE && others > 1)
            nodes_file_try_another(&fs->nodes, file);
    }
    return result;
}

/* Where it is not found it may have been moved a moment ago, through the mount (the rename is done, and about
 * to say so) or beside it (the watch is about to tell). */
static int look_until_found(struct fs *fs, struct file_node *file, look_function *look, void *context)
{
    int result = look_everywhere(fs, file, look, context);
    if (result != -ESTALE)
        return result;
    pthread_rwlock_rdlock(&fs->rename_lock);
    result = look_everywhere(fs, file, look, context);
    pthread_rwlock_unlock(&fs->rename_lock);
    for (int attempt = 0; result == -ESTALE && attempt < CATCH_UP_ATTEMPTS; attempt++) {
        if (attempt > 0) /* a change stands on disk a moment before it is told */
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
        coherence_catch_up(fs);
        result = look_everywhere(fs, file, look, context);
    }
    return result;
}

struct place {
    struct directory *directory;
    char *name;
    struct descriptor descriptor;
};

static int place_enter(struct fs *fs, struct file_node *file, struct place *place)
{
    nodes_file_place(&fs->nodes, file, &place->directory, &place->name);
    return source_borrow(fs->source, place->directory, &place->descriptor);
}

static void place_leave(struct fs *fs, struct place *place)
{
    source_release(fs->source, &place->descriptor);
    directory_unref(fs->source, place->directory);
    free(place->name);
}

static int open_again(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int opened = open(path, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
    return opened < 0 ? -errno : opened;
}

struct opening {
    int flags;
    off_t size_bytes; /* found; -1 where that was not looked at */
};

/* Opens the file by a handle that leads to it, else by name. */
static int look_open(struct fs *fs, struct file_node *file, void *context)
{
    struct opening *opening = context;
    struct handle *handle = handle_find(&fs->nodes, &file->handles, O_PATH);
    int fd = -ESTALE;
    opening->size_bytes = -1;
    int handle_error = -ESTALE;
    if (handle) {
        fd = handle_error = open_again(handle->fd, opening->flags);
        handle_unref(&fs->nodes, handle);
    }
    if (fd >= 0)
        return fd;
    struct place place;
    fd = place_enter(fs, file, &place);
    if (fd == 0) {
        fd = openat(place.descriptor.fd, place.name, opening->flags | O_NOFOLLOW | O_CLOEXEC);
        fd = fd < 0 ? entry_from_error(-errno) : fd;
    }
    place_leave(fs, &place);
    if (fd < 0)
        return fd == -ESTALE ? handle_error : fd;
    struct attributes attributes;
    int error = source_stat_at(fd, "", &attributes);
    if (error == 0 && identity_equal(&attributes.identity, &file->identity)) {
        opening->size_bytes = S_ISREG(attributes.stat.st_mode) ? attributes.stat.st_size : -1;
        return fd;
    }
    close(fd);
    return error ? error : -ESTALE;
}

/* Attributes, by a handle where there is one, else by name: one system call, no descriptor. */
static int look_stat(struct fs *fs, struct file_node *file, void *context)
{
    struct attributes *attributes = context;
    struct handle *handle = handle_find(&fs->nodes, &file->handles, O_PATH);
    if (handle) {
        int error = source_stat_at(handle->fd, "", attributes);
        handle_unref(&fs->nodes, handle);
        return error;
    }
    struct place place;
    int error = place_enter(fs, file, &place);
    if (error == 0)
        error = entry_from_error(source_stat_at(place.descriptor.fd, place.name, attributes));
    place_leave(fs, &place);
    if (error == 0 && !identity_equal(&attributes->identity, &file->identity))
        error = -ESTALE;
    return error;
}

static int open_verified(struct fs *fs, struct file_node *file, struct opening *opening)
{
    return look_until_found(fs, file, look_open, opening);
}

static int file_open_path(struct fs *fs, struct node *node, struct real_fd *real)
{
    struct file_node *file = (struct file_node *)node;
    struct handle *handle = handle_find(&fs->nodes, &file->handles, O_PATH);
    if (handle) {
        *real = (struct real_fd){.fd = handle->fd, .handle = handle};
        return 0;
    }
    int fd = open_verified(fs, file, &(struct opening){.flags = O_PATH});
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
    struct opening opening = {.flags = flags | O_NONBLOCK};
    int fd = open_verified(fs, file, &opening);
    if (fd == -EPERM && fi &&
        fi->flags & O_APPEND) { /* an append-only file (chattr +a) wants to hear of it */
        opening.flags |= O_APPEND;
        fd = open_verified(fs, file, &opening);
    }
    *real = (struct real_fd){.fd = fd, .own = true};
    if (fd < 0)
        return fd;
    if (flags == O_RDONLY && opening.size_bytes > RECENT_FROM_BYTES)
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

/* Keeps what stands at name if it is this file: *kept with a reference. 0 or -errno. */
static int keep(struct fs *fs, struct file_node *file, int directory_fd, const char *name, bool replaceable,
                struct handle **kept)
{
    int access, fd = open_to_keep(fs, directory_fd, name, &access);
    if (fd < 0)
        return fd;
    struct attributes attributes;
    int error = source_stat_at(fd, "", &attributes);
    if (error == 0 && identity_equal(&attributes.identity, &file->identity)) {
        *kept = handle_add(&fs->nodes, &file->handles, fd, access, HANDLE_KEPT, replaceable);
        error = *kept ? 0 : -ENFILE;
    }
    if (!*kept)
        close(fd);
    return error;
}

int file_keep_open(struct fs *fs, const struct directory *directory, int directory_fd, const char *name,
                   struct handle **kept)
{
    struct attributes attributes;
    *kept = NULL;
    if (source_stat_at(directory_fd, name, &attributes) != 0 || !S_ISREG(attributes.stat.st_mode))
        return 0;
    struct file_node *file = nodes_file_known(&fs->nodes, &attributes.identity);
    if (!file)
        return 0;
    int error = 0;
    bool last_name =
        attributes.stat.st_nlink <= 1 || !nodes_file_has_another(&fs->nodes, file, directory, name);
    if (!handle_has_kept(&fs->nodes, &file->handles, last_name)) {
        error = keep(fs, file, directory_fd, name, !last_name, kept);
        /* The kernel forgets removed files a little later; with many of them that takes a moment. */
        for (int attempt = 0; error == -ENFILE && attempt < KEEP_ATTEMPTS; attempt++) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            error = keep(fs, file, directory_fd, name, !last_name, kept);
        }
        if (error == -ENFILE && !last_name)
            error = 0; /* another name will do, if one is known */
    }
    node_unref(&fs->nodes, &file->node);
    return error;
}

void file_kept(struct fs *fs, struct handle *kept, bool is_gone)
{
    if (!kept)
        return;
    /* Somebody else may have relied on it meanwhile, whose removal succeeded. */
    if (!is_gone)
        handle_let_go(&fs->nodes, kept);
    handle_unref(&fs->nodes, kept);
}

void file_keep_rights(struct fs *fs, struct file_node *file, mode_t mode)
{
    if (fs->is_root || (mode & 0600) == 0600 || handle_has_kept(&fs->nodes, &file->handles, false))
        return;
    struct place place;
    struct handle *kept = NULL;
    if (place_enter(fs, file, &place) == 0)
        keep(fs, file, place.descriptor.fd, place.name, true, &kept);
    place_leave(fs, &place);
    file_kept(fs, kept, true);
}

/* ---- what the kernel asks of a file alone ---- */

bool file_stands_for_manifest(struct fs *fs, struct file_node *file)
{
    return nodes_file_is_at(&fs->nodes, file, source_root(fs->source), keeper_manifest_name(fs->keeper));
}

static void file_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    struct attributes attributes;
    struct file_node *file = (struct file_node *)node;
    int error = look_until_found(fs, file, look_stat, &attributes);
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

static void note_place(struct fs *fs, struct directory *directory, char *name)
{
    keeper_note(fs->keeper, directory, name);
    coherence_configuration_changed(fs, directory, name);
    directory_unref(fs->source, directory);
    free(name);
}

void file_note_places(struct fs *fs, struct file_node *file)
{
    struct directory *directory;
    char *name;
    nodes_file_place(&fs->nodes, file, &directory, &name);
    note_place(fs, directory, name);
    for (unsigned i = 0; nodes_file_other_place(&fs->nodes, file, i, &directory, &name); i++)
        note_place(fs, directory, name);
}

static void file_changed(struct fs *fs, struct node *node)
{
    file_note_places(fs, (struct file_node *)node);
    keeper_note_content(fs->keeper, ((struct file_node *)node)->identity.ino);
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
