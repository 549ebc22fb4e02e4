/*
 * One mounted filesystem: what its parts share, and what a kind of node answers to the kernel.
 *
 * Threads: libfuse's workers run the handlers; the watch's thread tells coherence.c what changed beside the
 * mount; its thread tells the kernel; the keeper's thread settles and writes the manifest. Lock order:
 * keeper, then nodes, then source.
 */
#ifndef RUNSFS_FS_FS_H
#define RUNSFS_FS_FS_H

#define FUSE_USE_VERSION 314
#include "fs/node.h"
#include <fuse_lowlevel.h>

struct coherence;
struct workers;

/* Operations with a counter of their own: the kernel's numbers below this; 0 is for all others. */
#define COUNTED_OPERATIONS 64

struct fs {
    struct keeper *keeper;
    struct source *source;
    struct nodes nodes;
    struct coherence *coherence;
    struct workers *workers;
    struct fuse_session *session;
    bool is_root;              /* may act as the caller */
    bool zero_message_opendir; /* the kernel opens directories without asking */
    uid_t own_uid;
    unsigned handle_budget; /* descriptors that open files may hold */
    _Atomic(unsigned) handle_descriptors;
    _Atomic(unsigned) handles_without_descriptor;
    struct timespec mounted_at;
    _Atomic(uint64_t) counted[COUNTED_OPERATIONS], counted_total, counted_below_views; /* counters.h */
    pthread_mutex_t linger_lock; /* guards lingering */
    struct lingering *lingering;
    pthread_mutex_t manifest_lock;  /* guards manifest_current, manifest_gone_until_ms and `spoiled` */
    int64_t manifest_gone_until_ms; /* it was removed through the mount; monotonic */
    struct manifest_node
        *manifest_current; /* a reference; what a look at the manifest gives while nothing changes */
};

/* How long the kernel may keep what a watch guards. Nothing else is kept. */
#define CACHE_SECONDS 86400.0

/* An open file. fd is -1 where the budget was used up: then each request opens the file for itself. */
struct handle {
    int fd;
    int flags;
    bool counted;        /* against the budget */
    unsigned references; /* nodes->lock: the kernel's, and requests that borrow fd for another's sake */
    struct handle *next; /* of the same node; nodes->lock */
};

/* A descriptor for the time of one request; given back with real_fd_close. */
struct real_fd {
    int fd;
    bool own;                   /* opened for this request */
    struct descriptor borrowed; /* or a directory's, lent by the source (entry set) */
    struct handle *handle;      /* or an open file's (a reference) */
};

/*
 * What a kind of node answers. What is NULL is answered with EPERM where it would change a derived directory,
 * else with what default_error says in operations.c. Each replies to req exactly once.
 */
struct node_operations {
    void (*lookup)(struct fs *fs, fuse_req_t req, struct node *parent, const char *name);
    void (*getattr)(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi);
    void (*setattr)(struct fs *fs, fuse_req_t req, struct node *node, struct stat *attr, int to_set,
                    struct fuse_file_info *fi);
    void (*readlink)(struct fs *fs, fuse_req_t req, struct node *node);
    void (*mknod)(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode,
                  dev_t rdev);
    void (*mkdir)(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode);
    void (*symlink)(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, const char *target);
    void (*unlink)(struct fs *fs, fuse_req_t req, struct node *parent, const char *name);
    void (*rmdir)(struct fs *fs, fuse_req_t req, struct node *parent, const char *name);
    void (*create)(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode,
                   struct fuse_file_info *fi);
    void (*open)(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi);
    void (*release)(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi);
    void (*read)(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                 struct fuse_file_info *fi);
    void (*write)(struct fs *fs, fuse_req_t req, struct node *node, const char *bytes, size_t size,
                  off_t offset, struct fuse_file_info *fi);
    void (*readdir)(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset);
    void (*readdirplus)(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset);
    void (*fsyncdir)(struct fs *fs, fuse_req_t req, struct node *node, int datasync);
    /* In place of real_lseek and real_getxattr. */
    void (*lseek)(struct fs *fs, fuse_req_t req, struct node *node, off_t offset, int whence,
                  struct fuse_file_info *fi);
    void (*getxattr)(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size);
    /* A descriptor that names the real file (O_PATH will do), for what works on any: attributes, xattrs,
     * links. */
    int (*open_path)(struct fs *fs, struct node *node, struct real_fd *real);
    /* A descriptor opened with flags (access mode) for one request: the handle's, where it has one. */
    int (*open_data)(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                     struct real_fd *real);
    /* Called after the content of the file changed. */
    void (*changed)(struct fs *fs, struct node *node);
};

extern const struct node_operations root_operations, facet_operations, value_operations, directory_operations,
    file_operations, manifest_operations;
extern const struct fuse_lowlevel_ops fs_operations;

/* entry.c: what lookups and everything that makes a name answer. */

/* Looks name up in the real directory shown by parent: finds or makes its node (one more lookup) and fills
 * entry. 0 or -errno. directory_fd is the directory's. */
int entry_lookup(struct fs *fs, struct directory_node *parent, int directory_fd, const char *name,
                 struct fuse_entry_param *entry);
/* The same for a directory that is known: its node below parent. entry_timeout is left to the caller. */
int entry_for_directory(struct fs *fs, struct node *parent, struct directory *directory,
                        struct fuse_entry_param *entry);
/* Replies with entry; takes the lookup back if the kernel did not get it. */
void entry_reply(struct fs *fs, fuse_req_t req, struct fuse_entry_param *entry);
double entry_attribute_timeout(struct fs *fs, struct node *node, const struct stat *stat);
int entry_from_error(int error);

/* Handles. handle_reserve asks the budget for one descriptor; a handle made with counted gives it back in the
 * end. */
bool handle_reserve(struct fs *fs);
/* The same for a file that could not be opened anew: some over the budget. */
bool handle_reserve_needed(struct fs *fs);
#define HANDLES_OVER_BUDGET 24
void handle_unreserve(struct fs *fs);
/* A new handle for an open descriptor (-1 for none), put on a node's list; closed by handle_close. */
struct handle *handle_create(struct fs *fs, struct handle **list, int fd, int flags, bool counted);
void handle_close(struct fs *fs, struct handle **list, struct handle *handle);
/* One of the list that has a descriptor, with a reference for handle_unref; NULL for none. */
struct handle *handle_with_descriptor(struct fs *fs, struct handle *const *list);
/* This one, likewise; NULL where it has none (or is NULL). */
struct handle *handle_use(struct fs *fs, struct handle *handle);
void handle_unref(struct fs *fs, struct handle *handle);
/* Gives fd to one of the list that has none (beyond the budget): false where all have one. */
bool handle_give_descriptor(struct fs *fs, struct handle *const *list, int fd);
void real_fd_close(struct fs *fs, struct real_fd *real);
static inline struct handle *handle_of(const struct fuse_file_info *fi)
{
    return fi ? (struct handle *)(uintptr_t)fi->fh : NULL;
}

/* real/file.c */
/* Before the name of a file is taken away: gives its open handles that have no descriptor one, since no name
 * leads to the file any longer. 0, or -ENFILE where there are too many. directory_fd is the directory's. */
int file_keep_open(struct fs *fs, int directory_fd, const char *name);

/* view/linger.c: runs that are being removed through a view. Before the file `name` of the directory is
 * unlinked: if that can make the run leave the view, it stays reachable there by name (it is not listed)
 * until its directory is removed, or for a while. */
void view_linger(struct fs *fs, const struct directory_node *parent, const char *name);
/* The directory that lingers in value under name, with a reference; NULL for none. */
struct directory *view_lingering(struct fs *fs, const struct facet_value *value, const char *name);
/* The value of that (escaped) name in which a run lingers; NULL for none. */
struct facet_value *view_lingering_value(struct fs *fs, enum facet_id facet, const char *name);
void view_linger_end(struct fs *fs, const struct directory *directory);
void view_linger_free(struct fs *fs);

/* view/manifest.c */
void manifest_lookup(struct fs *fs, fuse_req_t req, struct directory_node *parent);
/* The name was taken away through the mount: for a moment it is gone, so that who did it can make a new one.
 */
void manifest_removed(struct fs *fs);

#endif
