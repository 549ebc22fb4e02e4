/*
 * The two steps of a removal: see removal.h.
 *
 * Where it is moved to: a run is a directory at a certain depth, so that no name beside the others would do,
 * however hidden; deeper than any layout goes it is none any more, for this engine, for the older Python tool
 * and for the rules that `runs init` gives to Git alike. Nor would it do to delete its files first: between
 * metrics.json and metadata.json it would be another run.
 */
#include "core/cli/removal.h"
#include "core/base/memory.h"
#include "core/cli/tree.h"
#include "core/manifest/file_temporary.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As file_temporary_name makes it. */
static const char container_name[] = "removed", container_prefix[] = ".removed.",
                  container_suffix[] = ".runsfs";
#define RANDOM_DIGITS 16
/* Somebody who finishes what others left may take an empty container for such. */
#define MOVE_ATTEMPTS 8
#define WALK_ATTEMPTS 100
/* How often a directory is listed anew that others fill while it is being emptied. */
#define MOST_AGAIN 1000

/* ---- deleting ---- */

struct deletion {
    unsigned again;
    const char *container;
    struct buffer *path; /* of the first thing that could not be deleted; NULL where nobody asks */
};

/* Lets its owner change a directory, as the user decided that it is to go. A path of its descriptor, so that
 * it is not another one's mode that is changed. */
static bool make_writable(int directory_fd, const char *name)
{
    char link[64];
    struct stat info;
    CLEANUP_FD int fd = openat(directory_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || (info.st_mode & 0700) == 0700)
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return chmod(link, (info.st_mode & 07777) | 0700) == 0;
}

static int fail(struct tree_walk *walk, const char *name, int error)
{
    const struct deletion *deletion = tree_context(walk);
    if (deletion->path && deletion->path->length == 0) {
        buffer_append_format(deletion->path, "%s/", deletion->container);
        tree_append_path(walk, name, deletion->path);
    }
    return error == -EXDEV ? -EBUSY : error;
}

static int delete_file(struct tree_walk *walk, int directory_fd, const char *name, const struct stat *info)
{
    (void)info;
    if (unlinkat(directory_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    return fail(walk, name, -errno);
}

static int enter_directory(struct tree_walk *walk, int directory_fd, const char *name,
                           const struct stat *info)
{
    (void)walk;
    if ((info->st_mode & 0700) != 0700)
        make_writable(directory_fd, name);
    return 0;
}

static int delete_directory(struct tree_walk *walk, int directory_fd, const char *name)
{
    struct deletion *deletion = tree_context(walk);
    if (unlinkat(directory_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    /* Some filesystems' listings skip entries while others are deleted; and a run may still be at work. */
    if ((errno == ENOTEMPTY || errno == EEXIST) && deletion->again++ < MOST_AGAIN)
        return TREE_AGAIN;
    return fail(walk, name, -errno);
}

static int delete_fault(struct tree_walk *walk, int directory_fd, const char *name, int error)
{
    (void)directory_fd;
    return fail(walk, name, error);
}

/* One walk through a container, of which the directories may go while it is in them. */
static int empty_container(int framework_fd, const char *container, struct buffer *path)
{
    struct deletion deletion = {.container = container, .path = path};
    const struct tree_visitor visitor = {delete_file, enter_directory, delete_directory, delete_fault,
                                         &deletion};
    CLEANUP_FD int fd = tree_open(framework_fd, container, false);
    return fd < 0 ? fd : tree_walk(fd, &visitor);
}

/* Deletes a container and all in it, maybe together with another process that finishes what seems to be left.
 * After an error path says what is there still, be it that it is all. */
static int delete_container(int framework_fd, const char *container, struct buffer *path)
{
    int error = -ESTALE;
    for (int attempt = 0; (error == -ENOENT || error == -ESTALE) && attempt < WALK_ATTEMPTS; attempt++) {
        if (faccessat(framework_fd, container, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
            return 0;
        if (path)
            buffer_clear(path);
        error = empty_container(framework_fd, container, path);
    }
    if (error == 0 && unlinkat(framework_fd, container, AT_REMOVEDIR) != 0 && errno != ENOENT)
        error = -errno;
    if (error != 0 && path && path->length == 0)
        buffer_append_text(path, container);
    return error;
}

/* ---- moving ---- */

/* A directory that moves has its ".." changed, for which one must be allowed to write in it. */
static int move(int framework_fd, const char *name, int container_fd)
{
    if (renameat(framework_fd, name, container_fd, name) == 0)
        return 0;
    int error = -errno;
    if (error == -EACCES && make_writable(framework_fd, name) &&
        renameat(framework_fd, name, container_fd, name) == 0)
        return 0;
    return error;
}

/* Makes `levels` directories, one in the other, in the container. The last one's descriptor, or -errno. */
static int make_levels(int framework_fd, const char *container, unsigned levels)
{
    static const char level[] = "deeper";
    int fd = tree_open(framework_fd, container, false);
    for (unsigned i = 0; fd >= 0 && i < levels; i++) {
        int inner_fd = mkdirat(fd, level, 0700) == 0 ? tree_open(fd, level, false) : -errno;
        close(fd);
        fd = inner_fd;
    }
    return fd;
}

/* Moves the run into a new container. It must be known on disk before the first file is deleted: or a power
 * cut could bring the half of a run back to its place. */
static int move_away(int framework_fd, const char *name, char container[LIMIT_NAME_BYTES + 1])
{
    int error = file_temporary_name(container_name, container);
    if (error)
        return error;
    if (mkdirat(framework_fd, container, 0700) != 0)
        return -errno;
    CLEANUP_FD int fd = make_levels(framework_fd, container, LIMIT_CONFIG_DEPTH - 1);
    error = fd < 0 ? fd : move(framework_fd, name, fd);
    if (error == 0) {
        fsync(fd);
        fsync(framework_fd);
    } else {
        delete_container(framework_fd, container, NULL);
    }
    return error;
}

int removal_run(int framework_fd, const char *name, struct buffer *path)
{
    char container[LIMIT_NAME_BYTES + 1];
    struct stat info;
    int error = -ENOENT;
    for (int attempt = 0; error == -ENOENT && attempt < MOVE_ATTEMPTS; attempt++) {
        if (fstatat(framework_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            return -errno;
        if (!S_ISDIR(info.st_mode))
            return -ENOTDIR;
        error = move_away(framework_fd, name, container);
    }
    return error ? error : delete_container(framework_fd, container, path);
}

/* ---- what was left ---- */

static bool is_container(const char *name)
{
    size_t prefix = sizeof(container_prefix) - 1, suffix = sizeof(container_suffix) - 1;
    return strlen(name) == prefix + RANDOM_DIGITS + suffix && strncmp(name, container_prefix, prefix) == 0 &&
           strspn(name + prefix, "0123456789abcdef") == RANDOM_DIGITS &&
           strcmp(name + prefix + RANDOM_DIGITS, container_suffix) == 0;
}

void removal_finish(int framework_fd)
{
    int fd = openat(framework_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        if (fd >= 0)
            close(fd);
        return;
    }
    /* Another process may be at just this; both then delete the same. */
    for (struct dirent *entry; (entry = readdir(directory));)
        if (is_container(entry->d_name))
            delete_container(framework_fd, entry->d_name, NULL);
    closedir(directory);
}
