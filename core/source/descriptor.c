/*
 * The descriptor cache and the path walk. A handler needs a descriptor of the directory it works in; one for
 * each directory would be tens of thousands, so the most recently used are kept and the others are opened
 * anew, from the nearest ancestor that has one, beneath the root and never through a link. An entry that is
 * lent is not evicted: where all are, a new descriptor stays outside the cache and is closed when it is given
 * back.
 */
#include "core/base/memory.h"
#include "core/source/source.h"
#include "core/source/source_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

/* How often a walk is begun again because the place of the directory became known anew under it. */
enum { WALK_ATTEMPTS = 8 };

/* Where a walk begins and what it goes through. */
struct walk {
    int start_fd;
    struct descriptor_entry *start; /* borrowed; NULL where the walk begins at the root */
    char *path;
};

static void entry_leave(struct source *source, struct descriptor_entry *entry)
{
    DL_DELETE(source->entries, entry);
    source->entry_count--;
    entry->directory->descriptor = NULL;
    entry->directory = NULL;
    entry->prev = entry->next = NULL;
}

static void entry_use(struct source *source, struct descriptor_entry *entry)
{
    entry->borrowers++;
    if (source->entries != entry) {
        DL_DELETE(source->entries, entry);
        DL_PREPEND(source->entries, entry);
    }
}

struct descriptor_entry *descriptor_take(struct source *source, struct directory *directory)
{
    struct descriptor_entry *entry = directory->descriptor;
    if (!entry)
        return NULL;
    entry_leave(source, entry);
    return entry->borrowers == 0 ? entry : NULL;
}

void descriptor_close(struct descriptor_entry *entries)
{
    while (entries) {
        struct descriptor_entry *next = entries->next;
        close(entries->fd);
        free(entries);
        entries = next;
    }
}

/* Takes entries that are not lent out of the cache, the least recently used first, until it holds no more
 * than keep; a list for descriptor_close. With the lock held. */
static struct descriptor_entry *cache_shrink(struct source *source, unsigned keep)
{
    struct descriptor_entry *taken = NULL;
    struct descriptor_entry *entry = source->entries ? source->entries->prev : NULL;
    while (entry && source->entry_count > keep) {
        struct descriptor_entry *newer = entry == source->entries ? NULL : entry->prev;
        if (entry->borrowers == 0) {
            entry_leave(source, entry);
            entry->next = taken;
            taken = entry;
        }
        entry = newer;
    }
    return taken;
}

/* Keeps fd for directory, lent once. Where another thread was faster, its entry is lent and fd closed. */
static struct descriptor_entry *cache_insert(struct source *source, struct directory *directory, int fd)
{
    struct descriptor_entry *entry = memory_alloc_zeroed(1, sizeof(*entry));
    struct descriptor_entry *surplus = NULL;
    entry->fd = fd;
    entry->borrowers = 1;
    pthread_mutex_lock(&source->lock);
    if (directory->descriptor) {
        surplus = entry;
        entry = directory->descriptor;
        entry_use(source, entry);
    } else if (source->entry_limit > 0) {
        surplus = cache_shrink(source, source->entry_limit - 1);
        if (source->entry_count < source->entry_limit) {
            entry->directory = directory;
            directory->descriptor = entry;
            DL_PREPEND(source->entries, entry);
            source->entry_count++;
        }
    }
    pthread_mutex_unlock(&source->lock);
    descriptor_close(surplus);
    return entry;
}

static void entry_release(struct source *source, struct descriptor_entry *entry)
{
    pthread_mutex_lock(&source->lock);
    bool last = --entry->borrowers == 0 && !entry->directory;
    pthread_mutex_unlock(&source->lock);
    if (last)
        descriptor_close(entry);
}

/* The directory's entry, borrowed, where the cache has it; else NULL and how to walk to it. */
static struct descriptor_entry *cache_find(struct source *source, struct directory *directory,
                                           struct walk *walk)
{
    pthread_mutex_lock(&source->lock);
    const struct directory *start = directory;
    while (start != source->root && !start->descriptor)
        start = start->parent;
    struct descriptor_entry *entry = start->descriptor;
    if (entry)
        entry_use(source, entry);
    if (start != directory) {
        *walk = (struct walk){.start_fd = entry ? entry->fd : source->root_fd,
                              .start = entry,
                              .path = directory_path_from(start, directory)};
        entry = NULL;
    }
    pthread_mutex_unlock(&source->lock);
    return entry;
}

static void walk_finish(struct source *source, struct walk *walk)
{
    if (walk->start)
        entry_release(source, walk->start);
    free(walk->path);
}

/* The next piece of path that one system call takes: up to a slash, and shorter than PATH_MAX. */
static size_t walk_piece(const char *path)
{
    size_t length = strnlen(path, PATH_MAX);
    if (length == PATH_MAX) {
        do
            length--;
        while (length > 0 && path[length] != '/');
    }
    return length;
}

static int open_beneath(int fd, const char *path)
{
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    int opened = (int)syscall(SYS_openat2, fd, path, &how, sizeof(how));
    if (opened >= 0)
        return opened;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
        return -ESTALE;
    default:
        return -errno;
    }
}

/* The descriptor at the end of path, or -errno. */
static int walk_open(int start_fd, const char *path)
{
    char piece[PATH_MAX];
    int fd = start_fd;
    while (*path) {
        size_t length = walk_piece(path);
        memcpy(piece, path, length);
        piece[length] = '\0';
        path += length + (path[length] == '/');
        int next_fd = open_beneath(fd, piece);
        if (fd != start_fd)
            close(fd);
        if (next_fd < 0)
            return next_fd;
        fd = next_fd;
    }
    return fd;
}

/* walk_open, with room made in the cache where descriptors have run out, and the identity verified. */
static int walk_verified(struct source *source, const struct directory *directory, const struct walk *walk)
{
    int fd = walk_open(walk->start_fd, walk->path);
    if (fd == -EMFILE || fd == -ENFILE) {
        pthread_mutex_lock(&source->lock);
        struct descriptor_entry *taken = cache_shrink(source, source->entry_count / 2);
        pthread_mutex_unlock(&source->lock);
        if (!taken)
            return fd;
        descriptor_close(taken);
        fd = walk_open(walk->start_fd, walk->path);
    }
    if (fd < 0)
        return fd;
    struct attributes attributes;
    int error = source_stat_at(fd, "", &attributes);
    if (error == 0 && !identity_equal(&attributes.identity, &directory->identity))
        error = -ESTALE;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

static int lend(struct descriptor *descriptor, struct descriptor_entry *entry)
{
    *descriptor = (struct descriptor){.fd = entry->fd, .entry = entry};
    return 0;
}

int source_borrow(struct source *source, struct directory *directory, struct descriptor *descriptor)
{
    *descriptor = (struct descriptor){.fd = -1};
    if (directory == source->root) {
        descriptor->fd = source->root_fd;
        return 0;
    }
    struct walk failed = {.start_fd = -1};
    int result = -ESTALE;
    for (int attempt = 0; attempt < WALK_ATTEMPTS; attempt++) {
        struct walk walk = {.start_fd = -1};
        struct descriptor_entry *entry = cache_find(source, directory, &walk);
        if (entry) {
            result = lend(descriptor, entry);
            break;
        }
        if (failed.path && walk.start_fd == failed.start_fd && strcmp(walk.path, failed.path) == 0) {
            walk_finish(source, &walk);
            break; /* what was known did not change: stale it is */
        }
        result = walk_verified(source, directory, &walk);
        if (result >= 0)
            result = lend(descriptor, cache_insert(source, directory, result));
        if (failed.path)
            walk_finish(source, &failed);
        failed = walk; /* its start stays borrowed, so that the comparison above is of the same descriptor */
        if (result != -ESTALE)
            break;
    }
    if (failed.path)
        walk_finish(source, &failed);
    return result;
}

void source_borrow_opened(struct source *source, struct directory *directory, int fd,
                          struct descriptor *descriptor)
{
    lend(descriptor, cache_insert(source, directory, fd));
}

void source_release(struct source *source, struct descriptor *descriptor)
{
    if (descriptor->entry)
        entry_release(source, descriptor->entry);
    *descriptor = (struct descriptor){.fd = -1};
}

void source_forget_descriptor(struct source *source, struct directory *directory)
{
    pthread_mutex_lock(&source->lock);
    struct descriptor_entry *entry = descriptor_take(source, directory);
    pthread_mutex_unlock(&source->lock);
    descriptor_close(entry);
}
