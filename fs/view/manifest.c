/*
 * The manifest as the mount shows it: always what the files say now, also before it is written to disk.
 *
 * Every state of it is a node of its own with a snapshot's immutable bytes, as if each had replaced the one
 * before by a rename (which is what happens on disk). So a reader who has one open reads it to its end
 * untorn (unless somebody writes just that state in place), its pages can be cached for ever, and a look by
 * name, which the kernel may not keep, finds the newest. Who writes it writes the file on disk; the node
 * through which he does is no snapshot any more
 * ("spoiled"): it shows the file, and the next look finds a new node.
 */
#include "fs/coherence.h"
#include "fs/real/real.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MANIFEST_INO (3ull << 62)

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool is_spoiled(struct fs *fs, const struct manifest_node *manifest)
{
    pthread_mutex_lock(&fs->manifest_lock);
    bool spoiled = manifest->node.spoiled;
    pthread_mutex_unlock(&fs->manifest_lock);
    return spoiled;
}

static void spoil(struct fs *fs, struct manifest_node *manifest)
{
    pthread_mutex_lock(&fs->manifest_lock);
    manifest->node.spoiled = true;
    pthread_mutex_unlock(&fs->manifest_lock);
}

/* ---- the file ---- */

/* The kernel checks a caller's rights when he opens the manifest, by those of the file that stood there when
 * he looked it up. Later requests come without a check, and by then another file may have been put there by
 * whoever may: it is the manifest's only where its rights are the same. */
static int rights_of(int fd, struct file_rights *rights)
{
    char path[64], acl[4096];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t length = getxattr(path, "system.posix_acl_access", acl, sizeof(acl));
    if (length < 0 && errno != ENODATA && errno != EOPNOTSUPP)
        return -errno;
    *rights = (struct file_rights){.uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode};
    if (length > 0)
        rights->acl_hash = text_hash((struct slice){acl, (size_t)length}) | 1;
    return 0;
}

static bool rights_equal(const struct file_rights *a, const struct file_rights *b)
{
    return a->uid == b->uid && a->gid == b->gid && a->mode == b->mode && a->acl_hash == b->acl_hash;
}

static int open_at_name(struct fs *fs, int flags)
{
    int fd = openat(source_root_fd(fs->source), keeper_manifest_name(fs->keeper),
                    flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static struct file_rights rights_of_node(struct fs *fs, const struct manifest_node *manifest)
{
    pthread_mutex_lock(&fs->manifest_lock);
    struct file_rights rights = manifest->rights;
    pthread_mutex_unlock(&fs->manifest_lock);
    return rights;
}

/* What stands at the name, if it has the rights that are asked for; -ESTALE has the kernel look again. */
static int open_real(struct fs *fs, const struct file_rights *asked, int flags)
{
    struct file_rights found;
    int fd = open_at_name(fs, flags);
    if (fd < 0)
        return fd;
    int error = rights_of(fd, &found);
    if (error == 0 && !rights_equal(&found, asked))
        error = -ESTALE;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

/* Of a manifest that is not written yet, by what the source's directory has. */
static struct file_rights rights_unwritten(const struct stat *root)
{
    return (struct file_rights){.uid = root->st_uid, .gid = root->st_gid, .mode = S_IFREG | 0644};
}

/* The rights of what stands there; of what is not written yet, those with which it is shown. */
static struct file_rights rights_at_name(struct fs *fs)
{
    struct file_rights rights = {0};
    struct stat root;
    int fd = open_at_name(fs, O_PATH);
    if (fd >= 0) {
        rights_of(fd, &rights);
        close(fd);
    } else if (fstat(source_root_fd(fs->source), &root) == 0) {
        rights = rights_unwritten(&root);
    }
    return rights;
}

static int manifest_open_path(struct fs *fs, struct node *node, struct real_fd *real)
{
    struct manifest_node *manifest = (struct manifest_node *)node;
    struct handle *handle = handle_find(&fs->nodes, &manifest->handles, O_PATH);
    struct file_rights rights = rights_of_node(fs, manifest);
    int fd = handle ? handle->fd : open_real(fs, &rights, O_PATH);
    *real = (struct real_fd){.fd = fd, .own = !handle, .handle = handle};
    return fd < 0 ? fd : 0;
}

/* Another descriptor of the file that somebody is writing. */
static int open_again(const struct handle *handle, int flags)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", handle->fd);
    int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Whoever begins to write writes on into the same file, also when another has replaced it meanwhile; and
 * reads what he has written. */
static int manifest_open_data(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                              struct real_fd *real)
{
    (void)fi;
    struct manifest_node *manifest = (struct manifest_node *)node;
    pthread_mutex_lock(&fs->manifest_lock); /* two who begin at once write the same file */
    struct handle *handle = handle_find(&fs->nodes, &manifest->handles, flags);
    int fd = handle ? handle->fd : -1;
    if (!handle) {
        struct handle *other = handle_find(&fs->nodes, &manifest->handles, O_PATH);
        fd = other ? open_again(other, flags) : open_real(fs, &manifest->rights, flags);
        if (other)
            handle_unref(&fs->nodes, other);
    }
    if (!handle && fd >= 0 && flags != O_RDONLY) {
        handle = handle_add(&fs->nodes, &manifest->handles, fd, flags, HANDLE_KEPT, false);
        if (!handle) {
            close(fd);
            fd = -ENFILE;
        }
    }
    pthread_mutex_unlock(&fs->manifest_lock);
    *real = (struct real_fd){.fd = fd, .own = !handle, .handle = handle};
    return fd < 0 ? fd : 0;
}

static void manifest_changed(struct fs *fs, struct node *node)
{
    spoil(fs, (struct manifest_node *)node);
    keeper_note(fs->keeper, source_root(fs->source), keeper_manifest_name(fs->keeper));
}

/* Attributes of the file with the size of the snapshot; the file's own where it is that snapshot, or the node
 * is spoiled. */
static int manifest_stat(struct fs *fs, struct manifest_node *manifest, struct stat *st)
{
    struct real_fd real;
    int error = manifest_open_path(fs, &manifest->node, &real);
    if (error == 0) {
        error = fstat(real.fd, st) == 0 ? 0 : -errno;
        real_fd_close(fs, &real);
    }
    if (is_spoiled(fs, manifest))
        return error;
    if (error) { /* not written yet */
        struct stat root;
        if (error != -ENOENT || fstat(source_root_fd(fs->source), &root) != 0)
            return error;
        /* Nor is anybody to be let in by these rights to a node that was of a file. */
        struct file_rights asked = rights_of_node(fs, manifest), shown = rights_unwritten(&root);
        if (!rights_equal(&asked, &shown))
            return -ESTALE;
        *st = (struct stat){
            .st_mode = S_IFREG | 0644, .st_uid = root.st_uid, .st_gid = root.st_gid, .st_blksize = 4096};
    }
    struct file_stamp on_disk;
    struct snapshot *now = keeper_manifest(fs->keeper, &on_disk);
    bool is_file = error == 0 && now == manifest->snapshot && on_disk.ino == st->st_ino &&
                   on_disk.mtime_ns == nanoseconds(st->st_mtim);
    snapshot_unref(now);
    st->st_nlink = 1;
    if (is_file)
        return 0;
    st->st_ino = MANIFEST_INO | snapshot_generation(manifest->snapshot);
    st->st_size = (off_t)snapshot_size(manifest->snapshot);
    st->st_blocks = (st->st_size + 511) / 512;
    st->st_mtim = st->st_ctim = snapshot_changed_at(manifest->snapshot);
    return 0;
}

/* ---- lookup ---- */

/* The node of the manifest as it is now, with one more lookup; NULL where something that is no file stands in
 * its place. */
static struct manifest_node *current(struct fs *fs)
{
    struct file_stamp on_disk;
    struct snapshot *snapshot = keeper_manifest(fs->keeper, &on_disk);
    if (!snapshot)
        return NULL;
    struct manifest_node *old = NULL, *node;
    struct file_rights rights = rights_at_name(fs);
    pthread_mutex_lock(&fs->manifest_lock);
    node = fs->manifest_current;
    if (node && !node->node.spoiled && node->snapshot == snapshot && rights_equal(&node->rights, &rights)) {
        nodes_looked_up(&fs->nodes, &node->node);
        snapshot_unref(snapshot);
    } else {
        old = node;
        node = nodes_manifest(&fs->nodes, snapshot);
        node->rights = rights;
        fs->manifest_current = (struct manifest_node *)node_ref(&fs->nodes, &node->node);
    }
    pthread_mutex_unlock(&fs->manifest_lock);
    if (old)
        node_unref(&fs->nodes, &old->node);
    return node;
}

void manifest_removed(struct fs *fs)
{
    int64_t until_ms = keeper_pause_manifest(fs->keeper);
    pthread_mutex_lock(&fs->manifest_lock);
    fs->manifest_gone_until_ms = until_ms;
    pthread_mutex_unlock(&fs->manifest_lock);
}

/* Was it just removed through the mount, and nobody has made a new one? */
static bool is_gone(struct fs *fs)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&fs->manifest_lock);
    bool gone = nanoseconds(now) / 1000000 < fs->manifest_gone_until_ms;
    pthread_mutex_unlock(&fs->manifest_lock);
    return gone && faccessat(source_root_fd(fs->source), keeper_manifest_name(fs->keeper), F_OK,
                             AT_SYMLINK_NOFOLLOW) != 0;
}

static void lookup_as_it_is(struct fs *fs, fuse_req_t req, struct directory_node *parent)
{
    struct fuse_entry_param entry;
    int error =
        entry_lookup(fs, parent, source_root_fd(fs->source), keeper_manifest_name(fs->keeper), &entry);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    entry.entry_timeout = 0;
    entry_reply(fs, req, &entry);
}

void manifest_lookup(struct fs *fs, fuse_req_t req, struct directory_node *parent)
{
    struct manifest_node *manifest = is_gone(fs) ? NULL : current(fs);
    if (!manifest) {
        lookup_as_it_is(fs, req, parent);
        return;
    }
    struct fuse_entry_param entry = {.ino = node_number(&fs->nodes, &manifest->node)};
    int error = manifest_stat(fs, manifest, &entry.attr);
    if (error) {
        nodes_forget(&fs->nodes, &manifest->node, 1);
        fuse_reply_err(req, -error);
        return;
    }
    entry_reply(fs, req, &entry);
}

/* ---- what the kernel asks of it ---- */

static void manifest_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st;
    int error = manifest_stat(fs, (struct manifest_node *)node, &st);
    if (error)
        fuse_reply_err(req, -error);
    else
        fuse_reply_attr(req, &st, 0);
}

static void manifest_setattr(struct fs *fs, fuse_req_t req, struct node *node, struct stat *attr, int to_set,
                             struct fuse_file_info *fi)
{
    struct real_fd real;
    bool size = to_set & FUSE_SET_ATTR_SIZE;
    if (size)
        spoil(fs, (struct manifest_node *)node);
    int error =
        size ? manifest_open_data(fs, node, fi, O_WRONLY, &real) : manifest_open_path(fs, node, &real);
    if (error == 0) {
        struct file_rights rights;
        error = real_apply(real.fd, size ? real.fd : -1, attr, to_set);
        if (rights_of(real.fd, &rights) == 0) { /* changed by who may */
            pthread_mutex_lock(&fs->manifest_lock);
            ((struct manifest_node *)node)->rights = rights;
            pthread_mutex_unlock(&fs->manifest_lock);
        }
        real_fd_close(fs, &real);
    }
    keeper_note(fs->keeper, source_root(fs->source), keeper_manifest_name(fs->keeper));
    if (error)
        fuse_reply_err(req, -error);
    else
        manifest_getattr(fs, req, node, fi);
}

static void manifest_read(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                          struct fuse_file_info *fi)
{
    struct manifest_node *manifest = (struct manifest_node *)node;
    if (is_spoiled(fs, manifest)) {
        real_read(fs, req, node, size, offset, fi);
        return;
    }
    char *bytes = malloc(size);
    if (!bytes) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    size_t got = snapshot_read(manifest->snapshot, bytes, size, (uint64_t)offset);
    fuse_reply_buf(req, bytes, got);
    free(bytes);
}

/* A snapshot has no holes. */
static void manifest_lseek(struct fs *fs, fuse_req_t req, struct node *node, off_t offset, int whence,
                           struct fuse_file_info *fi)
{
    struct manifest_node *manifest = (struct manifest_node *)node;
    off_t size = (off_t)snapshot_size(manifest->snapshot);
    if (is_spoiled(fs, manifest))
        real_lseek(fs, req, node, offset, whence, fi);
    else if (offset < 0 || offset >= size)
        fuse_reply_err(req, ENXIO);
    else
        fuse_reply_lseek(req, whence == SEEK_HOLE ? size : offset);
}

const struct node_operations manifest_operations = {
    .lseek = manifest_lseek,
    .getattr = manifest_getattr,
    .setattr = manifest_setattr,
    .read = manifest_read,
    .write = real_write,
    .open_path = manifest_open_path,
    .open_data = manifest_open_data,
    .changed = manifest_changed,
};
