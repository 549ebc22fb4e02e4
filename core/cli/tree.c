/*
 * The walk: see tree.h. Of each directory the names of those in it are noted while it is listed, then one
 * after the other is entered; the way back is "..", which counts only if it leads to where the walk came
 * from. So no descriptor waits in any level, and depth has no limit but memory.
 */
#include "core/cli/tree.h"
#include "core/base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rename somewhere in the system makes openat2 give up now and then. */
#define OPEN_ATTEMPTS 100

struct level {
    char *name; /* in the level above; NULL for the top */
    dev_t dev;  /* which directory it is */
    ino_t ino;
    struct buffer names; /* of the directories in it, each ended by a NUL */
    size_t next;         /* in names: the one to enter */
};

struct tree_walk {
    const struct tree_visitor *visitor;
    int fd; /* the directory of the last level */
    struct level *levels;
    size_t count, capacity;
};

int tree_open(int directory_fd, const char *path, bool across_mounts)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                   (across_mounts ? 0 : RESOLVE_NO_XDEV),
    };
    long fd = -1;
    errno = EAGAIN;
    for (int i = 0; fd < 0 && errno == EAGAIN && i < OPEN_ATTEMPTS; i++)
        fd = syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

void *tree_context(const struct tree_walk *walk)
{
    return walk->visitor->context;
}

unsigned tree_depth(const struct tree_walk *walk)
{
    return (unsigned)(walk->count - 1);
}

void tree_append_path(const struct tree_walk *walk, const char *name, struct buffer *path)
{
    for (size_t i = 1; i < walk->count; i++) {
        buffer_append_text(path, walk->levels[i].name);
        buffer_append_byte(path, '/');
    }
    buffer_append_text(path, name);
}

static struct level *last_level(struct tree_walk *walk)
{
    return &walk->levels[walk->count - 1];
}

/* Takes fd over, whatever comes of it. */
static int push(struct tree_walk *walk, const char *name, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity * 2 + 16;
        walk->levels = memory_resize(walk->levels, walk->capacity * sizeof(*walk->levels));
    }
    walk->levels[walk->count++] = (struct level){
        .name = name ? memory_copy_text(name, strlen(name)) : NULL, .dev = info.st_dev, .ino = info.st_ino};
    if (walk->fd >= 0)
        close(walk->fd);
    walk->fd = fd;
    return 0;
}

static void pop(struct tree_walk *walk)
{
    struct level *level = last_level(walk);
    free(level->name);
    buffer_free(&level->names);
    walk->count--;
}

static int meet(struct tree_walk *walk, int fd, const char *name)
{
    struct stat info;
    if (fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
        return errno == ENOENT ? 0 : walk->visitor->fault(walk, fd, name, -errno);
    if (!S_ISDIR(info.st_mode))
        return walk->visitor->file(walk, fd, name, &info);
    buffer_append(&last_level(walk)->names, name, strlen(name) + 1);
    return 0;
}

/* Tells of all in the directory of the last level, and notes the directories. */
static int list(struct tree_walk *walk)
{
    struct level *level = last_level(walk);
    int result = 0, fd = openat(walk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int error = -errno;
        if (fd >= 0)
            close(fd);
        return walk->visitor->fault(walk, walk->fd, ".", error);
    }
    buffer_clear(&level->names);
    level->next = 0;
    errno = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory)); errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = meet(walk, fd, entry->d_name);
    if (result == 0 && errno != 0)
        result = walk->visitor->fault(walk, walk->fd, ".", -errno);
    closedir(directory);
    return result;
}

static int enter(struct tree_walk *walk, const char *name)
{
    struct stat info;
    int result = 0;
    if (fstatat(walk->fd, name, &info, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
        return errno == ENOENT ? 0 : walk->visitor->fault(walk, walk->fd, name, -errno);
    if (walk->visitor->enter)
        result = walk->visitor->enter(walk, walk->fd, name, &info);
    if (result != 0)
        return result;
    int fd = tree_open(walk->fd, name, false);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return walk->visitor->fault(walk, walk->fd, name, fd);
    result = push(walk, name, fd);
    return result == 0 ? list(walk) : result;
}

/* Back to the level above, unless the directory is to be listed anew. */
static int leave(struct tree_walk *walk)
{
    const struct level *above = &walk->levels[walk->count - 2];
    struct stat info;
    int fd = openat(walk->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_dev != above->dev || info.st_ino != above->ino) {
        int error = fd < 0 ? -errno : -ESTALE;
        if (fd >= 0)
            close(fd);
        return error;
    }
    char *name = last_level(walk)->name;
    int inner_fd = walk->fd, result = 0;
    walk->fd = fd;
    walk->count--; /* what is told of stands in the level above */
    if (walk->visitor->leave)
        result = walk->visitor->leave(walk, fd, name);
    walk->count++;
    if (result == TREE_AGAIN) {
        walk->fd = inner_fd;
        close(fd);
        return list(walk);
    }
    close(inner_fd);
    pop(walk);
    return result;
}

int tree_walk(int top_fd, const struct tree_visitor *visitor)
{
    struct tree_walk walk = {.visitor = visitor, .fd = -1};
    int fd = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -errno : push(&walk, NULL, fd);
    if (result == 0)
        result = list(&walk);
    while (result == 0 && walk.count > 0) {
        struct level *level = last_level(&walk);
        if (level->next < level->names.length) {
            /* Its own, as entering may move the levels. */
            CLEANUP_FREE char *name =
                memory_copy_text(level->names.bytes + level->next, strlen(level->names.bytes + level->next));
            level->next += strlen(name) + 1;
            result = enter(&walk, name);
        } else if (walk.count > 1) {
            result = leave(&walk);
        } else {
            break;
        }
    }
    while (walk.count > 0)
        pop(&walk);
    free(walk.levels);
    if (walk.fd >= 0)
        close(walk.fd);
    return result;
}
