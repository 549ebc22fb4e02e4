/*
 * From the kernel's requests to the operations of the node's kind; no behaviour of its own but the default
 * answers.
 */
#include "core/base/limits.h"
#include "fs/coherence.h"
#include "fs/real/real.h"
#include <errno.h>

static struct fs *fs_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static struct node *node_of(fuse_req_t req, fuse_ino_t number)
{
    return node_of_number(&fs_of(req)->nodes, number);
}

/* Why a derived node is not to be changed. */
static int refusal(const struct node *node)
{
    return node->kind == NODE_PAST || node->kind == NODE_AT ? EROFS : EPERM;
}

/* Replies and returns if the kind has no such operation: a derived directory is not to be changed. */
#define REQUIRE(node, operation, error)       \
    do {                                      \
        if (!(node)->operations->operation) { \
            fuse_reply_err(req, (error));     \
            return;                           \
        }                                     \
    } while (0)

static void op_init(void *userdata, struct fuse_conn_info *connection)
{
    struct fs *fs = userdata;
    static const unsigned wanted =
        FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_AUTO_INVAL_DATA |
        FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
        FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_IOCTL_DIR | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_NO_OPEN_SUPPORT;
    connection->want |= connection->capable & wanted;
    /* Truncation by open comes as a SETATTR of its own, so that one place does it and the keeper hears of it.
     * Writes go through at once: a small one kept as a whole page could undo a change made beside the mount.
     */
    connection->want &=
        ~(unsigned)(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ |
                    FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_HANDLE_KILLPRIV);
    connection->max_read = fs->max_read;
    connection->max_write = LIMIT_REQUEST_BYTES;
    connection->max_readahead = LIMIT_REQUEST_BYTES;
    fs->zero_message_opendir = connection->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
    fs->zero_message_open = connection->capable & FUSE_CAP_NO_OPEN_SUPPORT;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *node = node_of(req, parent);
    REQUIRE(node, lookup, ENOTDIR);
    node->operations->lookup(fs_of(req), req, node, name);
}

static void op_forget(fuse_req_t req, fuse_ino_t number, uint64_t lookups)
{
    nodes_forget(&fs_of(req)->nodes, node_of(req, number), lookups);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        nodes_forget(&fs_of(req)->nodes, node_of(req, forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t number, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    node->operations->getattr(fs_of(req), req, node, fi);
}

static void op_setattr(fuse_req_t req, fuse_ino_t number, struct stat *attr, int to_set,
                       struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    REQUIRE(node, setattr, refusal(node));
    node->operations->setattr(fs_of(req), req, node, attr, to_set, fi);
}

static void op_readlink(fuse_req_t req, fuse_ino_t number)
{
    struct node *node = node_of(req, number);
    REQUIRE(node, readlink, EINVAL);
    node->operations->readlink(fs_of(req), req, node);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    struct node *node = node_of(req, parent);
    REQUIRE(node, mknod, refusal(node));
    node->operations->mknod(fs_of(req), req, node, name, mode, rdev);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct node *node = node_of(req, parent);
    REQUIRE(node, mkdir, refusal(node));
    node->operations->mkdir(fs_of(req), req, node, name, mode);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    struct node *node = node_of(req, parent);
    REQUIRE(node, symlink, refusal(node));
    node->operations->symlink(fs_of(req), req, node, name, target);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *node = node_of(req, parent);
    REQUIRE(node, unlink, refusal(node));
    node->operations->unlink(fs_of(req), req, node, name);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *node = node_of(req, parent);
    REQUIRE(node, rmdir, refusal(node));
    node->operations->rmdir(fs_of(req), req, node, name);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                      const char *new_name, unsigned flags)
{
    struct node *from = node_of(req, parent), *to = node_of(req, new_parent);
    if (from->kind != NODE_DIRECTORY || to->kind != NODE_DIRECTORY)
        fuse_reply_err(req, refusal(from) == EROFS ? EROFS : refusal(to));
    else
        real_rename(fs_of(req), req, (struct directory_node *)from, name, (struct directory_node *)to,
                    new_name, flags);
}

static void op_link(fuse_req_t req, fuse_ino_t number, fuse_ino_t new_parent, const char *new_name)
{
    struct node *parent = node_of(req, new_parent);
    if (parent->kind != NODE_DIRECTORY)
        fuse_reply_err(req, refusal(parent));
    else
        real_link(fs_of(req), req, node_of(req, number), (struct directory_node *)parent, new_name);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    struct node *node = node_of(req, parent);
    REQUIRE(node, create, refusal(node));
    node->operations->create(fs_of(req), req, node, name, mode, fi);
}

/* With zero-message open the kernel asks once, and from then on opens files by itself; it has checked the
 * rights. Nothing is to be done in either case: see real/file.c. */
static void op_open(fuse_req_t req, fuse_ino_t number, struct fuse_file_info *fi)
{
    (void)number;
    fi->keep_cache = 1; /* what changes is taken back (coherence.c) or seen by its times */
    if (fs_of(req)->zero_message_open)
        fuse_reply_err(req, ENOSYS);
    else
        fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    REQUIRE(node, read, EISDIR);
    node->operations->read(fs_of(req), req, node, size, offset, fi);
}

static void op_write(fuse_req_t req, fuse_ino_t number, const char *bytes, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    REQUIRE(node, write, EISDIR);
    node->operations->write(fs_of(req), req, node, bytes, size, offset, fi);
}

/* With zero-message opendir the kernel asks once, and from then on opens and caches directories by itself. */
static void op_opendir(fuse_req_t req, fuse_ino_t number, struct fuse_file_info *fi)
{
    (void)number;
    if (fs_of(req)->zero_message_opendir)
        fuse_reply_err(req, ENOSYS);
    else
        fuse_reply_open(req, fi);
}

static void op_readdir(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    (void)fi;
    REQUIRE(node, readdir, ENOTDIR);
    node->operations->readdir(fs_of(req), req, node, size, offset);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t number, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    (void)fi;
    REQUIRE(node, readdirplus, ENOTDIR);
    node->operations->readdirplus(fs_of(req), req, node, size, offset);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t number, int datasync, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    (void)fi;
    REQUIRE(node, fsyncdir, 0); /* a derived directory has nothing to write */
    node->operations->fsyncdir(fs_of(req), req, node, datasync);
}

static void op_fsync(fuse_req_t req, fuse_ino_t number, int datasync, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    if (node->operations->open_data)
        real_fsync(fs_of(req), req, node, datasync, fi);
    else
        fuse_reply_err(req, 0); /* nothing derived is to be written */
}

static void op_statfs(fuse_req_t req, fuse_ino_t number)
{
    (void)number;
    real_statfs(fs_of(req), req);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t number, const char *name, const char *value, size_t size,
                        int flags)
{
    struct node *node = node_of(req, number);
    if (refusal(node) == EROFS)
        fuse_reply_err(req, EROFS);
    else
        real_setxattr(fs_of(req), req, node, name, value, size, flags);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t number, const char *name, size_t size)
{
    struct node *node = node_of(req, number);
    if (node->operations->getxattr)
        node->operations->getxattr(fs_of(req), req, node, name, size);
    else
        real_getxattr(fs_of(req), req, node, name, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t number, size_t size)
{
    real_listxattr(fs_of(req), req, node_of(req, number), size);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t number, const char *name)
{
    struct node *node = node_of(req, number);
    if (refusal(node) == EROFS)
        fuse_reply_err(req, EROFS);
    else
        real_removexattr(fs_of(req), req, node, name);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t number, int mode, off_t offset, off_t length,
                         struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    if (refusal(node) == EROFS)
        fuse_reply_err(req, EROFS);
    else
        real_fallocate(fs_of(req), req, node, mode, offset, length, fi);
}

static void op_lseek(fuse_req_t req, fuse_ino_t number, off_t offset, int whence, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, number);
    if (node->operations->lseek)
        node->operations->lseek(fs_of(req), req, node, offset, whence, fi);
    else
        real_lseek(fs_of(req), req, node, offset, whence, fi);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_offset, struct fuse_file_info *in_fi,
                               fuse_ino_t out, off_t out_offset, struct fuse_file_info *out_fi, size_t length,
                               int flags)
{
    /* What the manifest shows is not what stands on disk: its reader gets it by reading. */
    if (node_of(req, in)->kind == NODE_MANIFEST || node_of(req, in)->kind == NODE_PAST)
        fuse_reply_err(req, EOPNOTSUPP);
    else
        real_copy_file_range(fs_of(req), req, node_of(req, in), in_offset, in_fi, node_of(req, out),
                             out_offset, out_fi, length, flags);
}

static void op_ioctl(fuse_req_t req, fuse_ino_t number, unsigned command, void *argument,
                     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
                     size_t out_size)
{
    (void)argument;
    if (flags & FUSE_IOCTL_COMPAT || refusal(node_of(req, number)) == EROFS)
        fuse_reply_err(req, ENOTTY);
    else
        real_ioctl(fs_of(req), req, node_of(req, number), command, fi, in, in_size, out_size);
}

/* No release and no flush (nothing is held for an open file, and a write is with the source when it returns),
 * no access (the kernel decides by mode and ACL), and no locks: the kernel keeps them for all users of the
 * mount, since a file is one inode in every view. */
const struct fuse_lowlevel_ops fs_operations = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .symlink = op_symlink,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .link = op_link,
    .create = op_create,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .fsync = op_fsync,
    .fsyncdir = op_fsyncdir,
    .statfs = op_statfs,
    .setxattr = op_setxattr,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .removexattr = op_removexattr,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .copy_file_range = op_copy_file_range,
    .ioctl = op_ioctl,
};
