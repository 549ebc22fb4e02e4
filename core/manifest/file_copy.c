/*
 * Copies of owner, attributes and content. The first two are best effort: a manifest with another owner than
 * before is better than none.
 */
#include "core/manifest/file_copy.h"
#include "core/base/file.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/run/load.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

void file_give_owner(int fd, uid_t uid, gid_t gid)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || (info.st_uid == uid && info.st_gid == gid))
        return;
    if (fchown(fd, uid, gid) != 0 && fchown(fd, (uid_t)-1, gid) != 0)
        return; /* neither is ours to give */
}

static void copy_extended_attributes(int from_fd, int to_fd)
{
    CLEANUP_FREE char *names = memory_alloc(XATTR_LIST_MAX);
    CLEANUP_FREE char *value = memory_alloc(XATTR_SIZE_MAX);
    ssize_t length = flistxattr(from_fd, names, XATTR_LIST_MAX);
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
        ssize_t size = fgetxattr(from_fd, names + at, value, XATTR_SIZE_MAX);
        if (size >= 0 && fsetxattr(to_fd, names + at, value, (size_t)size, 0) != 0)
            continue; /* not ours to set, or not known to this filesystem */
    }
}

void file_copy_attributes(int directory_fd, const char *name, const struct stat *info, int fd)
{
    file_give_owner(fd, info->st_uid, info->st_gid);
    CLEANUP_FD int from_fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (from_fd >= 0)
        copy_extended_attributes(from_fd, fd);
    if (fchmod(fd, info->st_mode & 07777) != 0)
        return; /* 0600, as it was created: never more than it had */
}

int file_copy(int directory_fd, const char *name, const char *copy)
{
    struct buffer content = {0};
    struct stat info;
    int error = file_read_bounded(directory_fd, name, LIMIT_MANIFEST_BYTES, &content, NULL);
    if (error == 0 && fstatat(directory_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        error = -errno;
    if (error == 0) {
        CLEANUP_FD int fd = openat(directory_fd, copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                                   info.st_mode & 0777);
        error = fd < 0 ? -errno : file_write_all(fd, buffer_slice(&content));
        if (fd >= 0 && error == 0 && fsync(fd) != 0)
            error = -errno;
        if (fd >= 0 && error != 0)
            unlinkat(directory_fd, copy, 0);
    }
    buffer_free(&content);
    return error;
}
