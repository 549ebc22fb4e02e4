/*
 * Checks of SOURCE and MOUNTPOINT: see mountpoint.h.
 */
#include "fs/mountpoint.h"
#include "core/base/escape.h"
#include "core/base/memory.h"
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Is path the root of a mount of runsfs (the topmost one there)? */
static bool is_runsfs_mount(const char *path)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (mounts && getline(&line, &size, mounts) > 0) {
        char *save, *word = strtok_r(line, " ", &save);
        for (int field = 1; word && field < 5; field++)
            word = strtok_r(NULL, " ", &save);
        if (!word)
            continue;
        escape_undo_octal(word);
        if (strcmp(word, path) != 0)
            continue;
        const char *type = strstr(save, " - ");
        found = type && strncmp(type + 3, "fuse.runsfs ", strlen("fuse.runsfs ")) == 0;
    }
    free(line);
    if (mounts)
        fclose(mounts);
    return found;
}

/* The absolute path of a mount point whose own directory may not answer: its parent is resolved. */
static char *absolute(const char *path)
{
    char *copy = memory_copy_text(path, strlen(path));
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || *name == '\0') {
        char *resolved = realpath(copy, NULL);
        free(copy);
        return resolved;
    }
    CLEANUP_FREE char *parent = NULL;
    if (!slash)
        parent = realpath(".", NULL);
    else if (slash == copy)
        parent = memory_copy_text("", 0);
    else
        parent = (*slash = '\0', realpath(copy, NULL));
    char *result = NULL;
    if (parent && asprintf(&result, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name) < 0)
        result = NULL;
    free(copy);
    return result;
}

static int unmount(const char *path)
{
    if (umount2(path, MNT_DETACH) == 0)
        return 0;
    char *arguments[] = {"fusermount3", "-u", "-z", "-q", (char *)path, NULL};
    pid_t child;
    int status, error = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);
    if (error)
        return -error;
    if (waitpid(child, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

/* A mount whose daemon is gone answers ENOTCONN to everything: it is taken away. */
static int replace_stale(const char *mount_point)
{
    struct statfs answer; /* unlike stat, never answered from the kernel's cache */
    if (statfs(mount_point, &answer) == 0 || errno != ENOTCONN || !is_runsfs_mount(mount_point))
        return 0;
    int error = unmount(mount_point);
    if (error)
        fprintf(stderr, "runsfs: %s: a stale mount of runsfs can't be taken away (%s); unmount it\n",
                mount_point, strerrordesc_np(-error));
    else
        fprintf(stderr, "runsfs: %s: a stale mount of runsfs was taken away\n", mount_point);
    return error;
}

static bool is_beneath(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    if (strcmp(directory, "/") == 0)
        return true;
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The mount of runsfs that path lies in, if any: what is shown by one must not be the source of another. */
static bool is_in_runsfs(const char *path)
{
    char *at = memory_copy_text(path, strlen(path));
    bool found = is_runsfs_mount(at);
    for (char *slash; !found && (slash = strrchr(at, '/')) && slash != at;) {
        *slash = '\0';
        found = is_runsfs_mount(at);
    }
    free(at);
    return found;
}

static int complain(const char *path, const char *what, int error)
{
    fprintf(stderr, "runsfs: %s: %s\n", path, what);
    return error;
}

int mountpoint_prepare(const char *source, char **mount_point)
{
    char *path = absolute(*mount_point);
    if (!path)
        return complain(*mount_point, "no such directory; make it, or give another mount point", -ENOENT);
    free(*mount_point);
    *mount_point = path;
    int error = replace_stale(path);
    if (error)
        return error;

    struct stat st;
    if (stat(path, &st) != 0)
        return complain(path,
                        errno == ENOENT ? "no such directory; make it, or give another mount point"
                                        : strerrordesc_np(errno),
                        -errno);
    char *resolved = realpath(path, NULL);
    if (resolved) {
        free(path);
        *mount_point = path = resolved;
    }
    if (!S_ISDIR(st.st_mode))
        return complain(path, "is no directory; give a directory to mount on", -ENOTDIR);
    if (is_runsfs_mount(path))
        return complain(path, "runsfs is mounted here already; unmount it first, or give another mount point",
                        -EBUSY);
    if (stat(source, &st) != 0)
        return complain(source, strerrordesc_np(errno), -errno);
    if (!S_ISDIR(st.st_mode))
        return complain(source, "is no directory; give the directory that holds the runs", -ENOTDIR);
    if (is_in_runsfs(source))
        return complain(source, "is shown by a mount of runsfs; give the source of that mount instead",
                        -EINVAL);
    if (is_beneath(path, source))
        return complain(path, "lies in the source; give a mount point outside of it", -EINVAL);
    return 0;
}
