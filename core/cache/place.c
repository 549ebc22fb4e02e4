/*
 * Where the index cache of a source is: a file of its own in a directory that this user alone may write, and
 * never in the source, where it would be a change that Git and every other reader sees.
 *
 * The directory is opened once and kept: what its path leads to may be in the mount itself later on.
 */
#include "core/base/memory.h"
#include "core/cache/format.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Steps up from a directory at which something is wrong: PATH_MAX is 4096. */
#define DEEPEST 4096

static bool is_absolute(const char *path)
{
    return path && path[0] == '/';
}

/* The user's home directory, appended to path. */
static int append_home(struct buffer *path)
{
    const char *home = getenv("HOME");
    char room[4096];
    struct passwd entry, *found = NULL;
    if (!is_absolute(home)) {
        getpwuid_r(geteuid(), &entry, room, sizeof(room), &found);
        home = found ? found->pw_dir : NULL;
    }
    if (!is_absolute(home))
        return -ENOENT;
    buffer_append_text(path, home);
    return 0;
}

/* The XDG base directory specification: its variable counts where it is absolute. */
static int append_cache_home(struct buffer *path)
{
    const char *cache_home = getenv("XDG_CACHE_HOME");
    if (is_absolute(cache_home)) {
        buffer_append_text(path, cache_home);
        return 0;
    }
    int error = append_home(path);
    buffer_append_text(path, "/.cache");
    return error;
}

/* Is the directory the source, or in it? 1 or 0; -errno. */
static int is_in_source(int directory_fd, const struct stat *source)
{
    struct stat info, below = {0};
    CLEANUP_FD int fd = openat(directory_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int depth = 0; depth < DEEPEST; depth++) {
        if (fd < 0 || fstat(fd, &info) != 0)
            return -errno;
        if (info.st_dev == source->st_dev && info.st_ino == source->st_ino)
            return 1;
        if (info.st_dev == below.st_dev && info.st_ino == below.st_ino)
            return 0; /* the root is its own parent */
        below = info;
        int parent_fd = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = parent_fd;
    }
    return -ELOOP;
}

/* The same of a path of which the end may not exist yet. path is cut while it is looked at, and whole again
 * afterwards. */
static int would_be_in_source(char *path, const struct stat *source)
{
    char *slash = NULL;
    CLEANUP_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == ENOENT) {
        char *next = strrchr(path, '/');
        if (slash)
            *slash = '/';
        if (!next || next == path)
            break;
        slash = next;
        *slash = '\0';
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    int error = fd < 0 ? -errno : 0;
    if (slash)
        *slash = '/';
    return error ? error : is_in_source(fd, source);
}

/* Makes the directory and the one above it, as the specification wants the cache directory made. */
static void make(char *path)
{
    char *slash = strrchr(path, '/');
    if (mkdir(path, 0700) == 0 || errno != ENOENT || !slash || slash == path)
        return;
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
    mkdir(path, 0700);
}

/* A descriptor of the directory, or -errno. */
static int open_directory(char *path, const struct stat *source)
{
    struct stat info;
    int inside = would_be_in_source(path, source);
    if (inside != 0)
        return inside < 0 ? inside : -EXDEV;
    make(path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    inside = is_in_source(fd, source);
    if (inside == 0 && fstat(fd, &info) == 0 && cache_is_ours(&info))
        return fd;
    close(fd);
    return inside < 0 ? inside : inside > 0 ? -EXDEV : -EPERM;
}

int cache_place_open(const char *directory, int source_fd, const char *source_path,
                     struct cache_place **place)
{
    struct attributes attributes;
    struct buffer path = {0};
    CLEANUP_FREE char *real_path = realpath(source_path, NULL);
    int error = real_path ? source_stat_at(source_fd, "", &attributes) : -errno;
    if (error)
        return error;
    if (directory) {
        buffer_append_text(&path, directory);
    } else {
        error = append_cache_home(&path);
        buffer_append_text(&path, "/runsfs");
    }
    int fd = error ? error : open_directory(path.bytes, &attributes.stat);
    buffer_free(&path);
    if (fd < 0)
        return fd;
    struct cache_place *opened = memory_alloc_zeroed(1, sizeof(*opened));
    opened->directory_fd = fd;
    opened->source = attributes.identity;
    struct identity of_any_boot = {.ino = attributes.identity.ino, .birth_ns = attributes.identity.birth_ns};
    snprintf(opened->name, sizeof(opened->name), "%016" PRIx64 ".index",
             text_hash(slice_of(real_path)) ^ identity_hash(&of_any_boot));
    *place = opened;
    return 0;
}

void cache_place_close(struct cache_place *place)
{
    if (place)
        close(place->directory_fd);
    free(place);
}
