/*
 * Locks that a kill can hardly leave behind: see placing.h.
 */
#include "core/git/placing.h"
#include "core/base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* No name that Git takes for a reference, an index or an object. */
#define OWN_PREFIX "runsfs-unfinished-"
/* What nobody holds and is as old as this nobody is about to hold. */
#define LEFT_AFTER_S 60

char *placing_name(const char *directory)
{
    uint64_t number = 0;
    char *name = NULL;
    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        number = (uint64_t)time(NULL);
    struct buffer path = {0};
    buffer_append_format(&path, "%s" OWN_PREFIX "%d-%016llx", directory, (int)getpid(),
                         (unsigned long long)number);
    name = path.bytes;
    return name;
}

int placing_begin(struct placing *placing, char *own, const char *target)
{
    struct buffer lock = {0};
    buffer_append_format(&lock, "%s.lock", target);
    *placing = (struct placing){
        .own = own,
        .target = memory_copy_text(target, strlen(target)),
        .lock = lock.bytes,
        .fd = open(own, O_RDONLY | O_CLOEXEC | O_NOFOLLOW),
    };
    if (placing->fd < 0 || fsync(placing->fd) != 0 || flock(placing->fd, LOCK_EX | LOCK_NB) != 0)
        return -errno;
    return 0;
}

int placing_lock(struct placing *placing)
{
    if (link(placing->own, placing->lock) != 0)
        return errno == EEXIST ? -EAGAIN : -errno;
    placing->is_locked = true;
    return 0;
}

static bool is_file(const char *path, const struct stat *info)
{
    struct stat other;
    return lstat(path, &other) == 0 && other.st_dev == info->st_dev && other.st_ino == info->st_ino;
}

/* Or has somebody taken it away, as Git's own words advise, and made it his? */
static bool is_lock_own(const struct placing *placing)
{
    struct stat info;
    return placing->is_locked && fstat(placing->fd, &info) == 0 && is_file(placing->lock, &info);
}

static void sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *directory = memory_copy_text(path, slash ? (size_t)(slash - path) : 0);
    CLEANUP_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
}

int placing_finish(struct placing *placing)
{
    if (!is_lock_own(placing))
        return -EAGAIN;
    return rename(placing->own, placing->target) == 0 ? 0 : -errno;
}

void placing_end(struct placing *placing)
{
    if (!placing->own)
        return;
    if (is_lock_own(placing))
        unlink(placing->lock);
    unlink(placing->own);
    if (placing->fd >= 0) {
        sync_directory_of(placing->target);
        close(placing->fd);
    }
    free(placing->own);
    free(placing->target);
    free(placing->lock);
    *placing = (struct placing){.fd = -1};
}

/* A file that may have become a lock: of whom nobody is left it is taken away. Its flock is held meanwhile,
 * so that nobody else takes the same lock away, and then perhaps another's. */
static void free_locks(int fd, const char *const *targets, size_t target_count)
{
    struct stat info;
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return;
    for (size_t i = 0; i < target_count; i++) {
        struct buffer lock = {0};
        buffer_append_format(&lock, "%s.lock", targets[i]);
        if (is_file(lock.bytes, &info))
            unlink(lock.bytes);
        buffer_free(&lock);
    }
}

static void clean_one(int directory_fd, const char *name, const char *const *targets, size_t target_count)
{
    struct stat info;
    CLEANUP_FD int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    free_locks(fd, targets, target_count);
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_nlink == 1 && info.st_mtime + LEFT_AFTER_S < time(NULL) &&
        flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(directory_fd, name, 0);
}

void placing_clean(const char *directory, const char *const *targets, size_t target_count)
{
    for (size_t i = 0; i < target_count; i++) {
        CLEANUP_FD int fd = open(targets[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat info;
        if (fd >= 0 && fstat(fd, &info) == 0 && info.st_nlink > 1)
            free_locks(fd, targets, target_count);
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list && fd >= 0)
        close(fd);
    for (struct dirent *entry; list && (entry = readdir(list));)
        if (strncmp(entry->d_name, OWN_PREFIX, sizeof(OWN_PREFIX) - 1) == 0)
            clean_one(fd, entry->d_name, targets, target_count);
    if (list)
        closedir(list);
}
