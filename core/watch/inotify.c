/*
 * The inotify backend: one watch a directory, known by its watch descriptor. It needs no privilege, tells
 * nothing of who made a change, and has a limit of watches.
 *
 * Watch descriptors: the kernel gives them out in rising order and uses none again before the numbers wrap,
 * so events still queued for a watch that was removed name a descriptor that the table does not know, and are
 * dropped. One inode has one watch: where a directory is freed while the same inode is added as a new one,
 * both have the same descriptor, and kernel_lock sees to it that the removal of the old does not take the new
 * one's watch away.
 */
#include "core/base/log.h"
#include "core/watch/watch_internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

static const uint32_t EVENTS = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB |
                               IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

static int inotify_begin(struct watch *watch)
{
    watch->event_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return watch->event_fd < 0 ? -errno : 0;
}

static int inotify_add(struct watch *watch, struct directory *directory, int directory_fd,
                       enum watch_state state)
{
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", directory_fd);
    int error = 0;
    pthread_mutex_lock(&watch->kernel_lock);
    int id = inotify_add_watch(watch->event_fd, path, EVENTS);
    if (id < 0)
        error = -errno;
    else
        watch_table_put(watch, directory, id, NULL, state);
    pthread_mutex_unlock(&watch->kernel_lock);
    if ((error == -ENOSPC || error == -ENOMEM) && !atomic_exchange(&watch->out_of_watches, true))
        log_warning("out of inotify watches after %zu directories: the others are not cached, and polled; "
                    "raise the limit with sysctl fs.inotify.max_user_watches",
                    watch_count(watch));
    return error;
}

static void inotify_remove(struct watch *watch, struct directory *directory)
{
    pthread_mutex_lock(&watch->kernel_lock);
    int id = watch_table_take(watch, directory);
    if (id != 0)
        inotify_rm_watch(watch->event_fd, id); /* EINVAL: the kernel was faster, the directory is removed */
    pthread_mutex_unlock(&watch->kernel_lock);
}

static void tell_event(struct watch *watch, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        watch_tell_overflow(watch);
        return;
    }
    if (event->mask & IN_IGNORED) {
        pthread_mutex_lock(&watch->kernel_lock);
        watch_table_drop(watch, event->wd);
        pthread_mutex_unlock(&watch->kernel_lock);
        return;
    }
    struct directory *directory = watch_table_find(watch, event->wd, NULL);
    if (!directory)
        return;
    struct change change = {.kind = CHANGE_SELF, .directory = directory};
    if (event->len > 0) {
        change.kind = event->mask & IN_CLOSE_WRITE ? CHANGE_CLOSED : CHANGE_ENTRY;
        change.name = event->name;
        change.moved_away = event->mask & IN_MOVED_FROM;
        change.names = event->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO);
    }
    watch_tell(watch, change);
    directory_unref(watch->source, directory);
}

static size_t inotify_tell_block(struct watch *watch, const char *block, size_t length)
{
    for (size_t at = 0; at < length;) {
        const struct inotify_event *event = (const struct inotify_event *)(block + at);
        at += sizeof(*event) + event->len;
        tell_event(watch, event);
    }
    return length;
}

const struct watch_operations watch_inotify = {
    .backend = WATCH_INOTIFY,
    .open = inotify_begin,
    .add = inotify_add,
    .remove = inotify_remove,
    .tell_block = inotify_tell_block,
};
