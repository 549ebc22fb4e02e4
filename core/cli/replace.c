/*
 * A temporary file beside it, and a rename: see replace.h.
 */
#include "core/cli/replace.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/manifest/file_copy.h"
#include "core/manifest/file_temporary.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Owner, mode and attributes. */
static void dress(int directory_fd, const char *name, const struct stat *old, int fd)
{
    struct stat directory;
    if (old->st_nlink)
        file_copy_attributes(directory_fd, name, old, fd);
    else if (fstatat(directory_fd, "", &directory, AT_EMPTY_PATH) == 0)
        file_give_owner(fd, directory.st_uid, directory.st_gid);
}

static int sync_directory(int directory_fd)
{
    CLEANUP_FD int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
}

int replace_file(int directory_fd, const char *name, struct slice content)
{
    struct stat old = {0};
    char temporary[LIMIT_NAME_BYTES + 1];
    if (fstatat(directory_fd, name, &old, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT)
            return -errno;
        old.st_nlink = 0;
    } else if (!S_ISREG(old.st_mode)) {
        return -EINVAL;
    }
    file_temporary_clean(directory_fd, name);
    CLEANUP_FD int fd = file_temporary_create(directory_fd, name, old.st_nlink ? 0600 : 0644, temporary);
    if (fd < 0)
        return fd;
    int error = file_write_all(fd, content);
    if (error == 0) {
        dress(directory_fd, name, &old, fd);
        error = fsync(fd) == 0 && renameat(directory_fd, temporary, directory_fd, name) == 0 ? 0 : -errno;
    }
    if (error != 0) {
        unlinkat(directory_fd, temporary, 0);
        return error;
    }
    return sync_directory(directory_fd);
}
