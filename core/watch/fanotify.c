/*
 * The fanotify backend: one mark covers the filesystem of the source, so there is no limit of watches and
 * nothing to set up per directory in the kernel; and an event names the process that made it. It needs
 * privilege (CAP_SYS_ADMIN) and a filesystem with file handles.
 *
 * A directory is known by its file handle. Events of the whole filesystem come, so those of directories that
 * were not added are dropped after one look into the table. The queue is the kernel's bounded one: where it
 * overflows we are told.
 */
#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/watch/watch_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#ifndef FAN_REPORT_DIR_FID
#define FAN_REPORT_DIR_FID 0x00000400
#endif
#ifndef FAN_REPORT_NAME
#define FAN_REPORT_NAME 0x00000800
#endif
#ifndef FAN_REPORT_DFID_NAME
#define FAN_REPORT_DFID_NAME (FAN_REPORT_DIR_FID | FAN_REPORT_NAME)
#endif
#ifndef FAN_EVENT_INFO_TYPE_DFID_NAME
#define FAN_EVENT_INFO_TYPE_DFID_NAME 2
#endif

/* Not FAN_DELETE_SELF and FAN_MOVE_SELF: for the whole filesystem they would come for every file, which
 * doubles what is queued and says nothing that the parent's events do not. */
static const uint64_t EVENTS = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MODIFY |
                               FAN_ATTRIB | FAN_CLOSE_WRITE | FAN_ONDIR;
static const uint64_t ENTRY_EVENTS = FAN_CREATE | FAN_DELETE | FAN_MOVED_TO | FAN_MODIFY | FAN_ATTRIB;

/* The handle of an open directory, owned by the caller; 0 or -errno. */
static int handle_of(int directory_fd, struct file_handle **handle)
{
    union {
        struct file_handle handle;
        char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } room;
    int mount_id;
    room.handle.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(directory_fd, "", &room.handle, &mount_id, AT_EMPTY_PATH) < 0)
        return -errno;
    size_t size_bytes = sizeof(room.handle) + room.handle.handle_bytes;
    *handle = memory_alloc(size_bytes);
    memcpy(*handle, &room, size_bytes);
    return 0;
}

static int handle_id(const struct file_handle *handle)
{
    uint64_t hash = text_hash((struct slice){(const char *)handle->f_handle, handle->handle_bytes});
    int id = (int)((hash ^ (hash >> 32)) & INT32_MAX);
    return id != 0 ? id : 1;
}

static int fanotify_begin(struct watch *watch)
{
    int root_fd = source_root_fd(watch->source);
    struct file_handle *handle;
    int error = handle_of(root_fd, &handle);
    if (error < 0)
        return error;
    free(handle);
    int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY);
    if (fd < 0)
        return -errno;
    if (fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, EVENTS, root_fd, ".") < 0) {
        error = -errno;
        close(fd);
        return error;
    }
    watch->event_fd = fd;
    return 0;
}

static int fanotify_add(struct watch *watch, struct directory *directory, int directory_fd,
                        enum watch_state state)
{
    if (directory->identity.dev != source_root(watch->source)->identity.dev)
        return -EXDEV; /* the mark does not cover what is mounted inside */
    struct file_handle *handle;
    int error = handle_of(directory_fd, &handle);
    if (error == 0)
        watch_table_put(watch, directory, handle_id(handle), handle, state);
    return error;
}

static void fanotify_remove(struct watch *watch, struct directory *directory)
{
    watch_table_take(watch, directory);
}

/* The kernel merges queued events of one name and one process into one with several bits. */
static void tell_name(struct watch *watch, uint64_t mask, struct change change)
{
    if (strcmp(change.name, ".") == 0) {
        change.kind = CHANGE_SELF;
        change.name = NULL;
        watch_tell(watch, change);
        return;
    }
    change.kind = CHANGE_ENTRY;
    change.names = mask & (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO);
    if (mask & FAN_MOVED_FROM) {
        change.moved_away = true;
        watch_tell(watch, change);
        change.moved_away = false;
    }
    if (mask & ENTRY_EVENTS)
        watch_tell(watch, change);
    if (mask & FAN_CLOSE_WRITE) {
        change.kind = CHANGE_CLOSED;
        watch_tell(watch, change);
    }
}

/* record is what stands behind the metadata, aligned to 4 bytes, which is what its members need. */
static void tell_event(struct watch *watch, const struct fanotify_event_metadata *event, const char *record)
{
    if (event->mask & FAN_Q_OVERFLOW) {
        watch_tell_overflow(watch);
        return;
    }
    const struct fanotify_event_info_fid *info = (const void *)record;
    if (event->event_len <= event->metadata_len || info->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME)
        return;
    const struct file_handle *handle = (const void *)info->handle;
    struct directory *directory = watch_table_find(watch, handle_id(handle), handle);
    if (!directory)
        return;
    struct change change = {
        .directory = directory,
        .name = (const char *)handle->f_handle + handle->handle_bytes,
        .own = event->pid == watch->own_pid,
    };
    tell_name(watch, event->mask, change);
    directory_unref(watch->source, directory);
}

static size_t fanotify_tell_block(struct watch *watch, const char *block, size_t length)
{
    size_t told = 0;
    struct fanotify_event_metadata event;
    for (size_t at = 0; length - at >= sizeof(event); at += event.event_len) {
        memcpy(&event, block + at,
               sizeof(event)); /* events follow each other at 4 bytes' alignment, this needs 8 */
        if (event.vers != FANOTIFY_METADATA_VERSION || event.event_len < sizeof(event))
            break; /* not what was asked for at fanotify_init: nothing in it can be read */
        tell_event(watch, &event, block + at + event.metadata_len);
        told += FAN_EVENT_METADATA_LEN; /* FIONREAD counts no more of an event than this */
    }
    return told;
}

const struct watch_operations watch_fanotify = {
    .backend = WATCH_FANOTIFY,
    .open = fanotify_begin,
    .add = fanotify_add,
    .remove = fanotify_remove,
    .tell_block = fanotify_tell_block,
};
