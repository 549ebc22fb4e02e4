/*
 * Naming, creating and clearing away temporary files. O_TMPFILE would leave nothing to clear away, but what
 * has no name can't be renamed over another.
 */
#include "core/manifest/file_temporary.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 16
static const char suffix[] = ".runsfs";

int file_temporary_name(const char *name, char temporary[LIMIT_NAME_BYTES + 1])
{
    uint64_t number;
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        return -errno;
    int length = snprintf(temporary, LIMIT_NAME_BYTES + 1, ".%s.%016" PRIx64 "%s", name, number, suffix);
    return length <= LIMIT_NAME_BYTES ? 0 : -ENAMETOOLONG;
}

/* Locks the file, and makes sure that it was not cleared away before that. Where there are no locks, that
 * must do. */
static bool is_held(int directory_fd, const char *temporary, int fd)
{
    struct stat named, opened;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return false;
    return fstat(fd, &opened) == 0 && fstatat(directory_fd, temporary, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

int file_temporary_create(int directory_fd, const char *name, mode_t mode,
                          char temporary[LIMIT_NAME_BYTES + 1])
{
    for (int i = 0; i < ATTEMPTS; i++) {
        int error = file_temporary_name(name, temporary);
        if (error != 0)
            return error;
        int fd = openat(directory_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0 && errno != EEXIST)
            return -errno;
        if (fd >= 0 && is_held(directory_fd, temporary, fd))
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -EAGAIN;
}

static bool is_temporary(const char *entry, const char *name)
{
    size_t name_length = strlen(name), length = strlen(entry);
    if (length != 1 + name_length + 1 + 16 + sizeof(suffix) - 1)
        return false;
    return entry[0] == '.' && strncmp(entry + 1, name, name_length) == 0 && entry[1 + name_length] == '.' &&
           strspn(entry + name_length + 2, "0123456789abcdef") == 16 &&
           strcmp(entry + length - sizeof(suffix) + 1, suffix) == 0;
}

static void remove_if_left(int directory_fd, const char *entry)
{
    struct stat info;
    if (fstatat(directory_fd, entry, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
        return;
    CLEANUP_FD int fd = openat(directory_fd, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(directory_fd, entry, 0) == 0)
        log_info("%s: removed, a killed process left it", entry);
}

void file_temporary_clean(int directory_fd, const char *name)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory) {
        if (fd >= 0)
            close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (is_temporary(entry->d_name, name))
            remove_if_left(directory_fd, entry->d_name);
    }
    closedir(directory);
}
