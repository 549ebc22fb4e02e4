/*
 * Replacing the manifest's file so that no crash, full disk or second writer ever leaves less than a whole
 * one: write a temporary file beside it, make it durable, look once more at what is to be replaced, rename,
 * make the rename durable.
 */
#include "core/manifest/file.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/manifest/file_copy.h"
#include "core/manifest/file_temporary.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *manifest_file_name(int source_fd)
{
    static const char usual[] = "runs_manifest.json", other[] = "manifest.json";
    struct stat info;
    if (fstatat(source_fd, usual, &info, AT_SYMLINK_NOFOLLOW) != 0 &&
        fstatat(source_fd, other, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return other;
    return usual;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct file_stamp stamp_of(const struct stat *info)
{
    return (struct file_stamp){info->st_ino, (uint64_t)info->st_size, nanoseconds(info->st_mtim),
                               nanoseconds(info->st_ctim)};
}

/* What is to be replaced: info, all zero where there is nothing. */
static int look(int source_fd, const char *name, struct stat *info)
{
    if (fstatat(source_fd, name, info, AT_SYMLINK_NOFOLLOW) != 0) {
        memset(info, 0, sizeof(*info));
        return errno == ENOENT ? 0 : -errno;
    }
    if (S_ISDIR(info->st_mode))
        return -EISDIR;
    return S_ISREG(info->st_mode) ? 0 : -EINVAL;
}

/* Is what is to be replaced (info, as by look) still what is expected there? */
static int check_expected(int source_fd, const char *name, const struct file_stamp *expected,
                          struct stat *info)
{
    int error = look(source_fd, name, info);
    if (error != 0 || !expected)
        return error;
    struct file_stamp there = info->st_nlink ? stamp_of(info) : (struct file_stamp){0};
    return file_stamp_equal(expected, &there) ? 0 : -EAGAIN;
}

/* The new file's owner, mode and attributes: those of the old, or for a first one the owner of the source. */
static void dress(int source_fd, const char *name, const struct stat *old, int fd)
{
    struct stat source;
    if (old->st_nlink)
        file_copy_attributes(source_fd, name, old, fd);
    else if (fstatat(source_fd, "", &source, AT_EMPTY_PATH) == 0)
        file_give_owner(fd, source.st_uid, source.st_gid);
}

/* The rename has happened: what fails here can't be undone, only told. */
static void sync_directory(int source_fd, const char *name)
{
    CLEANUP_FD int fd = openat(source_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        log_warning("%s: replaced, but its directory could not be flushed to disk (%s)", name,
                    strerrordesc_np(errno));
}

/* All up to the rename. */
static int fill(int source_fd, const char *name, const struct snapshot *snapshot, const struct stat *old,
                int fd)
{
    int error = snapshot_write(snapshot, fd);
    if (error != 0)
        return error;
    dress(source_fd, name, old, fd);
    return fsync(fd) == 0 ? 0 : -errno;
}

int manifest_file_replace(int source_fd, const char *name, const struct snapshot *snapshot,
                          const struct file_stamp *expected, struct file_stamp *stamp)
{
    struct stat old, info;
    char temporary[LIMIT_NAME_BYTES + 1];
    /* Also before anything is written: it may be for nothing. */
    int error = check_expected(source_fd, name, expected, &old);
    if (error != 0)
        return error;
    CLEANUP_FD int fd = file_temporary_create(source_fd, name, old.st_nlink ? 0600 : 0644, temporary);
    if (fd < 0)
        return fd;
    error = fill(source_fd, name, snapshot, &old, fd);
    if (error == 0)
        error = check_expected(source_fd, name, expected, &info);
    if (error == 0 && renameat(source_fd, temporary, source_fd, name) != 0)
        error = -errno;
    if (error != 0) {
        unlinkat(source_fd, temporary, 0);
        return error;
    }
    sync_directory(source_fd, name);
    /* The rename itself moved the ctime. */
    *stamp = fstat(fd, &info) == 0 ? stamp_of(&info) : (struct file_stamp){0};
    return 0;
}

int manifest_file_keep_broken(int source_fd, const char *name)
{
    struct stat info;
    char temporary[LIMIT_NAME_BYTES + 1], broken[LIMIT_NAME_BYTES + 1];
    int error = look(source_fd, name, &info);
    if (error != 0 || !info.st_nlink)
        return error ? error : -ENOENT;
    if ((size_t)snprintf(broken, sizeof(broken), "%s.broken", name) >= sizeof(broken))
        return -ENAMETOOLONG;
    error = file_temporary_name(name, temporary);
    if (error == 0 && linkat(source_fd, name, source_fd, temporary, 0) != 0)
        error = file_copy(source_fd, name, temporary); /* no hard links here, or not of this file */
    if (error == 0 && renameat(source_fd, temporary, source_fd, broken) != 0)
        error = -errno;
    /* A rename between two links of one file leaves both. */
    unlinkat(source_fd, temporary, 0);
    return error;
}

void manifest_file_clean(int source_fd, const char *name)
{
    file_temporary_clean(source_fd, name);
}
