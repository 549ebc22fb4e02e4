/*
 * The source: the real tree, as directories that are known by identity (device, inode number, birth time) and
 * found by parent and name. No descriptor is held per directory: a small cache of O_PATH descriptors serves
 * the path walk, which is always beneath the source's root and never through a symbolic link.
 *
 * A directory that was moved is the same `struct directory` with another parent and name; whoever meets it at
 * its new place (a lookup, a watch event, a rename through the mount) says so with source_directory_at. What
 * is stale answers -ESTALE.
 *
 * Locking: everything here is safe from any thread. source->lock guards the table, parents, names, the
 * descriptor cache and the way of a reference count to zero; it is a leaf lock, held for no system call.
 * `parent` and `name` are therefore not to be read without it: directory_place, directory_path and
 * directory_is_at are there for that. `keeper_data` and `places` belong to the keeper and to fs, which guard
 * them by locks of their own.
 */
#ifndef RUNSFS_SOURCE_SOURCE_H
#define RUNSFS_SOURCE_SOURCE_H

#include "core/base/text.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

struct source;
struct watch;
struct file_handle;
struct descriptor_entry;

/* What a file is, whatever its name. birth_ns is 0 where the filesystem has none. */
struct identity {
    uint64_t dev;
    uint64_t ino;
    int64_t birth_ns;
};

/* struct stat with the identity that belongs to it, from one statx(2). */
struct attributes {
    struct stat stat;
    struct identity identity;
};

enum watch_state { WATCH_NONE, WATCH_ACTIVE, WATCH_FAILED };

struct directory {
    struct identity identity; /* immutable */
    struct directory *parent; /* holds a reference; NULL for the root */
    char *name;               /* in parent; "" for the root */
    atomic_uint depth;        /* 0 for the root; as of when it was last met (directory_depth is exact) */
    atomic_uint references;
    _Atomic(unsigned char) watch_state;  /* enum watch_state: may what is in it be cached? */
    bool keeper_missed;                  /* core/keeper's: something in it changed while it was none of its */
    int watch_id;                        /* the watch's: its key in the table, 0 where it is not in it */
    struct directory *hash_next;         /* the source's table */
    struct directory *watch_next;        /* the watch's own table */
    struct file_handle *watch_handle;    /* the watch's: what fanotify calls it */
    struct descriptor_entry *descriptor; /* the cache's; NULL where it holds none */
    void *keeper_data;                   /* core/keeper's: what it knows of a framework or run directory */
    void *places;                        /* fs's: nodes that show this directory to the kernel */
};

/* Opens a source. descriptors is how many the cache may hold. 0 and *source, to be closed with source_close;
 * -ENOENT, -ENOTDIR, -EACCES... */
int source_open(const char *path, unsigned descriptors, struct source **source);
/* Frees all, directories that are still referenced too. The watch is closed before, every thread has left. */
void source_close(struct source *source);
/* An O_PATH|O_DIRECTORY descriptor of the root, owned by the source; good as long as it. */
int source_root_fd(const struct source *source);
/* The root, without a new reference. */
struct directory *source_root(struct source *source);
/* The watch from which a directory is removed when its last reference goes; NULL for none. watch_open and
 * watch_close call this. */
void source_set_watch(struct source *source, struct watch *watch);

/* statx(2) of name in the directory directory_fd, not following a link; name "" is directory_fd itself. 0 or
 * -errno. */
int source_stat_at(int directory_fd, const char *name, struct attributes *attributes);
bool identity_equal(const struct identity *a, const struct identity *b);
uint64_t identity_hash(const struct identity *identity);

/* The directory with this identity, met as name in parent: found or made, its place brought up to date. A new
 * reference. The root keeps its place wherever it is met (a bind mount within itself). */
struct directory *source_directory_at(struct source *source, struct directory *parent, const char *name,
                                      const struct identity *identity);
/* The directory with this identity if it is known, with a new reference; else NULL. */
struct directory *source_directory_known(struct source *source, const struct identity *identity);
struct directory *directory_ref(struct directory *directory);
/* A reference for one who holds none but knows, by a lock of its own that directory_unref will wait for, that
 * the memory is still there; false where the last reference is already gone. */
bool directory_ref_unless_gone(struct directory *directory);
/* Frees it with the last reference: its watch is removed first. directory may be NULL. */
void directory_unref(struct source *source, struct directory *directory);
/* Does it stand in parent under name, by what is known? */
bool directory_is_at(struct source *source, struct directory *directory, struct directory *parent,
                     const char *name);
/* Its parent, with a new reference (NULL for the root), and its name, appended to name. */
struct directory *directory_place(struct source *source, struct directory *directory, struct buffer *name);
/* Directories above it, by what is known now. */
unsigned directory_depth(struct source *source, struct directory *directory);
/* Its path below the root ("" for the root, else "a/b/c"), appended to path. */
void directory_path(struct source *source, struct directory *directory, struct buffer *path);

/* A descriptor lent by the cache: use fd, then give it back with source_release. */
struct descriptor {
    int fd;
    void *entry;
};
/* An O_PATH descriptor of the directory, verified to be it. 0; -ESTALE where it is not (any longer) where it
 * was known to be; -EMFILE... The caller holds a reference to directory. */
int source_borrow(struct source *source, struct directory *directory, struct descriptor *descriptor);
/* The same of a descriptor (O_PATH) that was just opened and is known to be the directory: takes fd over. */
void source_borrow_opened(struct source *source, struct directory *directory, int fd,
                          struct descriptor *descriptor);
void source_release(struct source *source, struct descriptor *descriptor);
/* Forgets a cached descriptor, so that a removed directory is let go. */
void source_forget_descriptor(struct source *source, struct directory *directory);

#endif
