/*
 * Real directories at one place of the mount: looking up, and listing without state. The kernel opens them
 * without asking (zero-message opendir), so every READDIR opens the directory afresh and seeks to where the
 * last one ended; the offset is the source filesystem's own.
 */
#include "fs/real/real.h"
#include "fs/coherence.h"
#include "fs/real/habit.h"
#include "fs/view/view.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIST_BYTES 32768

struct linux_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    uint16_t d_reclen;
    uint8_t d_type;
    char d_name[];
};

static void directory_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct directory_node *parent = (struct directory_node *)node;
    if (keeper_is_manifest(fs->keeper, parent->directory, name)) {
        manifest_lookup(fs, req, parent);
        return;
    }
    struct descriptor descriptor;
    struct fuse_entry_param entry;
    int error = source_borrow(fs->source, parent->directory, &descriptor);
    if (error == 0) {
        error = entry_lookup(fs, parent, descriptor.fd, name, &entry);
        source_release(fs->source, &descriptor);
    }
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    if (!S_ISDIR(entry.attr.st_mode))
        habit_looked_up(fuse_req_ctx(req)->pid, name);
    entry_reply(fs, req, &entry);
}

int directory_open_path(struct fs *fs, struct node *node, struct real_fd *real)
{
    *real = (struct real_fd){.fd = -1};
    int error = source_borrow(fs->source, ((struct directory_node *)node)->directory, &real->borrowed);
    real->fd = error ? -1 : real->borrowed.fd;
    return error;
}

int directory_open_data(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                        struct real_fd *real)
{
    (void)fi;
    if ((flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    struct descriptor descriptor;
    int error = source_borrow(fs->source, ((struct directory_node *)node)->directory, &descriptor);
    if (error)
        return error;
    int fd = openat(descriptor.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = fd < 0 ? -errno : 0;
    source_release(fs->source, &descriptor);
    *real = (struct real_fd){.fd = fd, .own = true};
    return error;
}

void directory_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    (void)fi;
    struct real_fd real;
    struct attributes attributes;
    int error = directory_open_path(fs, node, &real);
    if (error == 0) {
        error = source_stat_at(real.fd, "", &attributes);
        real_fd_close(fs, &real);
    }
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    nodes_record(&fs->nodes, node, &attributes);
    fuse_reply_attr(req, &attributes.stat, entry_attribute_timeout(fs, node, &attributes.stat));
}

void directory_fsyncdir(struct fs *fs, fuse_req_t req, struct node *node, int datasync)
{
    real_fsync(fs, req, node, datasync, NULL);
}

/* ---- listing ---- */

struct listing {
    struct fs *fs;
    fuse_req_t req;
    struct directory_node *node;
    unsigned listings; /* of the node, when this request began */
    int fd;
    bool names_only; /* the kernel may keep no entry of it */
    bool plus;       /* more than names: of directories, and */
    habit habit;     /* of these files */
    char *bytes;     /* the reply */
    size_t used, size;
    off_t last_offset; /* of the last entry in it */
};

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Not every filesystem says in a listing what an entry is. */
static mode_t type_of(const struct listing *listing, const struct linux_dirent64 *dirent)
{
    struct stat st;
    if (dirent->d_type != DT_UNKNOWN)
        return (mode_t)dirent->d_type << 12;
    return fstatat(listing->fd, dirent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode & S_IFMT : 0;
}

/* Adds one entry; false where it does not fit. */
static bool listing_add(struct listing *listing, const struct linux_dirent64 *dirent)
{
    if (listing->node->tracked && !is_dot(dirent->d_name) &&
        !tracked_shows(listing->fs, listing->node, dirent->d_name, type_of(listing, dirent)))
        return true;
    char *target = listing->bytes + listing->used;
    size_t room = listing->size - listing->used;
    struct fuse_entry_param entry = {
        .attr = {.st_ino = dirent->d_ino, .st_mode = (mode_t)dirent->d_type << 12}};
    if (!listing->plus) {
        size_t need =
            fuse_add_direntry(listing->req, target, room, dirent->d_name, &entry.attr, dirent->d_off);
        if (need > room)
            return false;
        listing->used += need;
        listing->last_offset = dirent->d_off;
        return true;
    }
    /* The room before the lookup: what is looked up has to reach the kernel. */
    if (fuse_add_direntry_plus(listing->req, NULL, 0, dirent->d_name, NULL, 0) > room)
        return false;
    struct fs *fs = listing->fs;
    struct fuse_entry_param found;
    int error = -ENOENT;
    if (listing->names_only || is_dot(dirent->d_name) ||
        keeper_is_manifest(fs->keeper, listing->node->directory, dirent->d_name))
        ;
    else if (dirent->d_type == DT_DIR)
        error = entry_listed_directory(fs, listing->node, listing->fd, dirent->d_name, &found);
    else if (dirent->d_type == DT_UNKNOWN || habit_wants(listing->habit, dirent->d_name))
        error = entry_lookup(fs, listing->node, listing->fd, dirent->d_name, &found);
    if (error == 0)
        entry = found; /* else: the name alone, to be looked up by who wants it */
    listing->used +=
        fuse_add_direntry_plus(listing->req, target, room, dirent->d_name, &entry, dirent->d_off);
    listing->last_offset = dirent->d_off;
    return true;
}

/* Not where another listing began meanwhile: it may have more to see. */
static void remember_end(const struct listing *listing)
{
    struct directory_node *node = listing->node;
    if (atomic_load(&node->directory->watch_state) != WATCH_ACTIVE ||
        atomic_load(&node->listings) != listing->listings)
        return;
    atomic_store(&node->end_offset, listing->used ? listing->last_offset : 0);
    if (atomic_load(&node->listings) != listing->listings)
        atomic_store(&node->end_offset, 0);
}

/* Removed while somebody is in it, a directory is empty, and the place in it that he had reached is none to
 * some filesystems (of ext4 with EINVAL). */
static int error_of_listing(const struct listing *listing)
{
    struct stat st;
    int error = errno;
    bool is_removed = error == ENOENT || (fstat(listing->fd, &st) == 0 && st.st_nlink == 0);
    return is_removed ? 0 : -error;
}

static int listing_fill(struct listing *listing, off_t offset)
{
    _Alignas(struct linux_dirent64) char list[LIST_BYTES];
    if (offset && lseek(listing->fd, offset, SEEK_SET) < 0)
        return error_of_listing(listing);
    for (;;) {
        /* No more than will fit: a dirent is never smaller here than there, the plus form far larger there.
         */
        size_t ask =
            listing->size - listing->used < sizeof(list) ? listing->size - listing->used : sizeof(list);
        if (ask < 300)
            ask = 300;
        long got = syscall(SYS_getdents64, listing->fd, list, ask);
        if (got < 0)
            return error_of_listing(listing);
        if (got == 0) {
            remember_end(listing);
            return 0;
        }
        for (long at = 0; at < got;) {
            const struct linux_dirent64 *dirent = (const struct linux_dirent64 *)(list + at);
            if (!listing_add(listing, dirent))
                return 0;
            at += dirent->d_reclen;
        }
    }
}

static void list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct real_fd real;
    struct directory_node *directory = (struct directory_node *)node;
    if (offset == 0) {
        atomic_fetch_add(&directory->listings, 1);
        atomic_store(&directory->end_offset, 0);
    } else if (offset == atomic_load(&directory->end_offset)) {
        fuse_reply_buf(req, NULL, 0);
        return;
    }
    int error = directory_open_data(fs, node, NULL, O_RDONLY, &real);
    if (error) {
        if (node->removed) /* written once, before the kernel could ask */
            fuse_reply_buf(req, NULL, 0);
        else
            fuse_reply_err(req, -error);
        return;
    }
    struct listing listing = {
        .fs = fs,
        .req = req,
        .node = directory,
        .listings = atomic_load(&directory->listings),
        .fd = real.fd,
        .names_only = directory->tracked && tracked_is_inner(fs, directory),
        .plus = plus,
        .habit = habit_listing(fuse_req_ctx(req)->pid),
        .bytes = malloc(size),
        .size = size,
    };
    error = listing.bytes ? listing_fill(&listing, offset) : -ENOMEM;
    real_fd_close(fs, &real);
    if (error && listing.used == 0)
        fuse_reply_err(req, -error);
    else if (fuse_reply_buf(req, listing.bytes, listing.used) == -ENOENT && plus)
        view_listing_undo(fs, listing.bytes, listing.used);
    free(listing.bytes);
}

void directory_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    list(fs, req, node, size, offset, false);
}

void directory_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    list(fs, req, node, size, offset, true);
}

const struct node_operations directory_operations = {
    .lookup = directory_lookup,
    .getattr = directory_getattr,
    .setattr = real_setattr,
    .mknod = directory_mknod,
    .mkdir = directory_mkdir,
    .symlink = directory_symlink,
    .unlink = directory_unlink,
    .rmdir = directory_rmdir,
    .create = directory_create,
    .readdir = directory_readdir,
    .readdirplus = directory_readdirplus,
    .fsyncdir = directory_fsyncdir,
    .open_path = directory_open_path,
    .open_data = directory_open_data,
};
