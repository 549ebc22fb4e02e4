/*
 * The watch: one stream of changes of watched directories, whoever made them. Backends: fanotify (with
 * privilege: one mark covers the filesystem, and our own changes are told apart by process id), inotify (one
 * watch a directory). What neither can tell of (a network filesystem, changed from another host; out of
 * watches) is watch_state WATCH_FAILED: it must not be cached and is polled by the keeper.
 *
 * Order: watch_add returns before anything is read from the directory by its caller, so a change is either in
 * what the caller reads or comes as an event. A watch holds no reference to a directory: directory_unref
 * removes the watch first.
 *
 * What concerns a directory itself and not an entry of it (its attributes, its times, which move with every
 * entry made in it) comes as its own CHANGE_SELF or as its own CHANGE_ENTRY; its parent is told of its
 * attributes by inotify alone. So what is cached of a directory needs that directory watched, not its parent.
 * That it was moved or removed comes as CHANGE_ENTRY of its parent, and by inotify as its own CHANGE_SELF
 * too.
 */
#ifndef RUNSFS_WATCH_WATCH_H
#define RUNSFS_WATCH_WATCH_H

#include "core/source/source.h"

enum change_kind {
    CHANGE_ENTRY,  /* something about `name` in the directory: created, removed, moved, content, attributes */
    CHANGE_CLOSED, /* `name` was closed after writing; comes after the CHANGE_ENTRY of the writes */
    CHANGE_SELF,   /* the directory itself: its attributes, or (inotify) it was moved, removed, unmounted */
    CHANGE_OVERFLOW, /* events were lost: everything may have changed; directory and name are NULL */
};

struct change {
    enum change_kind kind;
    struct directory *directory; /* a reference is held while listeners are told */
    const char *name;
    bool own;        /* made by this process (only fanotify can tell) */
    bool names;      /* with CHANGE_ENTRY: names were added, taken away or moved, not content alone */
    bool moved_away; /* with CHANGE_ENTRY: told as "moved from here" */
};

/* Called on the watch's thread, for one change at a time, in the order in which they happened. It may take
 * the listener's locks, but must not wait for anything that itself waits for a file operation of a watched
 * process. The kernel merges what is alike and still queued: a change says "look again", never what is to be
 * found. */
typedef void watch_listener(const struct change *change, void *context);

enum watch_backend { WATCH_AUTO, WATCH_INOTIFY, WATCH_FANOTIFY, WATCH_POLL };

/* Begins to collect changes (in the kernel's queue; nothing is told before watch_start) and makes itself the
 * source's watch. WATCH_AUTO is fanotify where it can be had, else inotify; where there is neither, or with
 * WATCH_POLL, nothing is watched and every directory's state is WATCH_FAILED. 0 and *watch; -errno. */
int watch_open(struct source *source, enum watch_backend wanted, struct watch **watch);
enum watch_backend watch_backend_in_use(const struct watch *watch);
const char *watch_backend_name(enum watch_backend backend);
size_t watch_count(const struct watch *watch); /* directories watched */
/* Starts the thread that tells listener. After any daemonization (threads do not survive fork). */
int watch_start(struct watch *watch, watch_listener *listener, void *context);
/* Returns when every event that was in the kernel's queue at the call has been told to the listener; at once
 * where nothing is queued, or before watch_start. Never from the listener. */
void watch_drain(struct watch *watch);
/* Ends the thread and frees all: watches of directories are gone, their state is WATCH_NONE. Who still waits
 * in watch_drain is let go; no other thread may come to the watch any more. watch may be NULL. */
void watch_close(struct watch *watch);

/* Watches a directory of which directory_fd (O_PATH will do) is open. Idempotent; one that failed is tried
 * again. Sets directory->watch_state. The thread must have the daemon's own rights (inotify asks for read
 * permission). */
void watch_add(struct watch *watch, struct directory *directory, int directory_fd);
/* Called by the source when the last reference goes. */
void watch_remove(struct watch *watch, struct directory *directory);

#endif
