/*
 * Attributes, extended attributes and flags of real files and directories, by descriptor. The kernel has
 * checked the caller's rights (default_permissions); where the source decides more than the kernel can (ACLs
 * clear set-id bits, flags need a capability), the caller's identity is taken on.
 */
#include "fs/real/real.h"
#include "fs/caller.h"
#include "fs/coherence.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PROC_PATH_BYTES 64

/* The path by which the file of a descriptor can be named, O_PATH ones and symbolic links included. */
static void proc_path(int fd, char path[PROC_PATH_BYTES])
{
    snprintf(path, PROC_PATH_BYTES, "/proc/self/fd/%d", fd);
}

static int apply_times(int fd, const struct stat *attr, int to_set)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    if (to_set & FUSE_SET_ATTR_ATIME_NOW)
        times[0].tv_nsec = UTIME_NOW;
    else if (to_set & FUSE_SET_ATTR_ATIME)
        times[0] = attr->st_atim;
    if (to_set & FUSE_SET_ATTR_MTIME_NOW)
        times[1].tv_nsec = UTIME_NOW;
    else if (to_set & FUSE_SET_ATTR_MTIME)
        times[1] = attr->st_mtim;
    return utimensat(fd, "", times, AT_EMPTY_PATH) == 0 ? 0 : -errno;
}

int real_apply(int fd, int data_fd, const struct stat *attr, int to_set)
{
    char path[PROC_PATH_BYTES];
    proc_path(fd, path);
    if (to_set & FUSE_SET_ATTR_SIZE) {
        int failed = data_fd >= 0 ? ftruncate(data_fd, attr->st_size) : truncate(path, attr->st_size);
        if (failed)
            return -errno;
    }
    if (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
        uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
        gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;
        if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0)
            return -errno;
    }
    /* After the owner, whose change clears the set-id bits that the mode may ask for. */
    if (to_set & FUSE_SET_ATTR_MODE && chmod(path, attr->st_mode & 07777) != 0)
        return -errno;
    if (to_set &
        (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW))
        return apply_times(fd, attr, to_set);
    return 0;
}

/* A handle by which the size can be changed whatever the mode is by now. A reference; NULL for none. */
static struct handle *size_handle(struct fs *fs, struct node *node, int to_set)
{
    if (node->kind != NODE_FILE || !(to_set & FUSE_SET_ATTR_SIZE))
        return NULL;
    return handle_find(&fs->nodes, &((struct file_node *)node)->handles, O_WRONLY);
}

void real_setattr(struct fs *fs, fuse_req_t req, struct node *node, struct stat *attr, int to_set,
                  struct fuse_file_info *fi)
{
    (void)fi;
    struct real_fd real;
    struct attributes attributes;
    int error = node->operations->open_path(fs, node, &real);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    if (node->kind == NODE_FILE && to_set & FUSE_SET_ATTR_MODE)
        file_keep_rights(fs, (struct file_node *)node, attr->st_mode);
    struct handle *handle = size_handle(fs, node, to_set);
    error = real_apply(real.fd, handle ? handle->fd : -1, attr, to_set);
    if (handle)
        handle_unref(&fs->nodes, handle);
    if (node->kind == NODE_DIRECTORY)
        coherence_directory_changed(fs, (struct directory_node *)node);
    if (node->operations->changed) /* also after an error: a part may have been done */
        node->operations->changed(fs, node);
    if (error == 0)
        error = source_stat_at(real.fd, "", &attributes);
    real_fd_close(fs, &real);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    nodes_record(&fs->nodes, node, &attributes);
    fuse_reply_attr(req, &attributes.stat, entry_attribute_timeout(fs, node, &attributes.stat));
}

/* ---- extended attributes ---- */

static int xattr_path(struct fs *fs, struct node *node, struct real_fd *real, char path[PROC_PATH_BYTES])
{
    if (!node->operations->open_path)
        return -ENODATA;
    int error = node->operations->open_path(fs, node, real);
    if (error == 0)
        proc_path(real->fd, path);
    return error;
}

/* Replies with what get or list gave: its size if size is 0, else its bytes. */
static void reply_xattr(fuse_req_t req, ssize_t length, size_t size, const char *value)
{
    if (length < 0)
        fuse_reply_err(req, (int)-length);
    else if (size == 0)
        fuse_reply_xattr(req, (size_t)length);
    else
        fuse_reply_buf(req, value, (size_t)length);
}

void real_getxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size)
{
    struct real_fd real;
    char path[PROC_PATH_BYTES], *value = size ? malloc(size) : NULL;
    ssize_t length = size && !value ? -ENOMEM : xattr_path(fs, node, &real, path);
    if (length == 0) {
        length = getxattr(path, name, value, size);
        length = length < 0 ? -errno : length;
        real_fd_close(fs, &real);
    }
    reply_xattr(req, length, size, value);
    free(value);
}

void real_listxattr(struct fs *fs, fuse_req_t req, struct node *node, size_t size)
{
    struct real_fd real;
    char path[PROC_PATH_BYTES], *value = size ? malloc(size) : NULL;
    ssize_t length = size && !value ? -ENOMEM : xattr_path(fs, node, &real, path);
    if (length == 0) {
        length = listxattr(path, value, size);
        length = length < 0 ? -errno : length;
        real_fd_close(fs, &real);
    } else if (length == -ENODATA) { /* a derived directory has none */
        length = 0;
    }
    reply_xattr(req, length, size, value);
    free(value);
}

static bool is_acl(const char *name)
{
    return strncmp(name, "system.posix_acl_", strlen("system.posix_acl_")) == 0;
}

static void reply_xattr_changed(struct fs *fs, fuse_req_t req, struct node *node, int error)
{
    if (error == 0 && node->kind == NODE_DIRECTORY)
        coherence_directory_changed(fs, (struct directory_node *)node);
    fuse_reply_err(req, -error);
}

void real_setxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, const char *value,
                   size_t size, int flags)
{
    struct real_fd real;
    char path[PROC_PATH_BYTES];
    int error = xattr_path(fs, node, &real, path);
    if (error == 0) {
        /* As the caller, so that an owner who is not of the file's group loses its set-group-id bit. */
        if (is_acl(name))
            caller_assume(fs, req);
        error = setxattr(path, name, value, size, flags) == 0 ? 0 : -errno;
        caller_restore(fs);
        real_fd_close(fs, &real);
    }
    reply_xattr_changed(fs, req, node, error == -ENODATA && !node->operations->open_path ? -EPERM : error);
}

void real_removexattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct real_fd real;
    char path[PROC_PATH_BYTES];
    int error = xattr_path(fs, node, &real, path);
    if (error == 0) {
        error = removexattr(path, name) == 0 ? 0 : -errno;
        real_fd_close(fs, &real);
    }
    reply_xattr_changed(fs, req, node, error);
}

/* ---- the filesystem and flags ---- */

void real_statfs(struct fs *fs, fuse_req_t req)
{
    struct statvfs statvfs;
    if (fstatvfs(source_root_fd(fs->source), &statvfs) != 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_statfs(req, &statvfs);
}

/* The file flags (lsattr, chattr); no other command has a size that is known to be safe. */
void real_ioctl(struct fs *fs, fuse_req_t req, struct node *node, unsigned command, struct fuse_file_info *fi,
                const void *in, size_t in_size, size_t out_size)
{
    int value = 0;
    bool get = command == (unsigned)FS_IOC_GETFLAGS && out_size >= sizeof(value);
    bool set = command == (unsigned)FS_IOC_SETFLAGS && in_size >= sizeof(value);
    if ((!get && !set) || !node->operations->open_data) {
        fuse_reply_err(req, ENOTTY);
        return;
    }
    struct real_fd real;
    int error = node->operations->open_data(fs, node, fi, O_RDONLY, &real);
    if (error == 0) {
        if (set) {
            memcpy(&value, in, sizeof(value));
            caller_assume(fs, req); /* immutable and append-only are not for everyone */
        }
        error = ioctl(real.fd, command, &value) == 0 ? 0 : -errno;
        caller_restore(fs);
        real_fd_close(fs, &real);
    }
    if (error)
        fuse_reply_err(req, -error);
    else
        fuse_reply_ioctl(req, 0, &value, get ? sizeof(value) : 0);
}
