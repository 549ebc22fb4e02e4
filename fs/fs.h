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
struct past_store;

/* Operations with a counter of their own: the kernel's numbers below this; 0 is for all others. */
#define COUNTED_OPERATIONS 64

struct fs {
    struct keeper *keeper;
    struct source *source;
    struct nodes nodes;
    struct coherence *coherence;
    struct workers *workers;
    struct fuse_session *session;
    bool commits;              /* autocommit changes Git's directory, maybe in the source */
    bool is_root;              /* may act as the caller */
    bool zero_message_opendir; /* the kernel opens directories without asking, */
    bool zero_message_open;    /* and files */
    unsigned max_read;         /* of one request, as the mount's options say; 0 where they say nothing */
    uid_t own_uid;
    /* Held for writing from a rename until its files are known at their new places; for reading by who looks
     * once more for one that he did not find. Taken before any other lock. */
    pthread_rwlock_t rename_lock;
    struct timespec mounted_at;
    _Atomic(int64_t) top_asked_ms; /* when the kernel first asked for the top's attributes, monotonic; or 0 */
    _Atomic(uint64_t) counted[COUNTED_OPERATIONS], counted_total, counted_below_views; /* counters.h */
    pthread_mutex_t linger_lock;                                                       /* guards lingering */
    struct lingering *lingering;
    struct query_results *query_results; /* view/result.c */
    struct refusals *refusals;           /* view/refused.c */
    struct past_store *past;             /* past/store.c */
    pthread_mutex_t manifest_lock;       /* guards manifest_current, manifest_gone_until_ms and `spoiled` */
    int64_t manifest_gone_until_ms;      /* it was removed through the mount; monotonic */
    struct manifest_node
        *manifest_current; /* a reference; what a look at the manifest gives while nothing changes */
};

/* How long the kernel may keep what a watch guards. Nothing else is kept. */
#define CACHE_SECONDS 86400.0

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
    /* A descriptor opened with flags (access mode) for one request, or a handle's. */
    int (*open_data)(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                     struct real_fd *real);
    /* Called after the content of the file changed. */
    void (*changed)(struct fs *fs, struct node *node);
};

extern const struct node_operations root_operations, facet_operations, value_operations, directory_operations,
    tracked_operations, file_operations, manifest_operations, query_operations, control_operations,
    report_operations, refresh_operations, at_operations;
extern const struct fuse_lowlevel_ops fs_operations;

/* view/view.c: may the kernel keep attributes of the mount's top? */
bool view_top_is_settled(struct fs *fs);

/* entry.c: what lookups and everything that makes a name answer. */

/* Looks name up in the real directory shown by parent: finds or makes its node (one more lookup) and fills
 * entry. 0 or -errno. directory_fd is the directory's. */
int entry_lookup(struct fs *fs, struct directory_node *parent, int directory_fd, const char *name,
                 struct fuse_entry_param *entry);
/* The same for a name that a listing has just shown to be a directory's, with fewer looks. */
int entry_listed_directory(struct fs *fs, struct directory_node *parent, int directory_fd, const char *name,
                           struct fuse_entry_param *entry);
/* The same for a directory that is known: its node below parent. entry_timeout is left to the caller. */
int entry_for_directory(struct fs *fs, struct node *parent, struct directory *directory,
                        struct fuse_entry_param *entry);
/* Replies with entry; takes the lookup back if the kernel did not get it. */
void entry_reply(struct fs *fs, fuse_req_t req, struct fuse_entry_param *entry);
double entry_attribute_timeout(struct fs *fs, struct node *node, const struct stat *stat);
int entry_from_error(int error);

void real_fd_close(struct fs *fs, struct real_fd *real);
/* real/file.c */
/* Before the name of a file is taken away: a handle for who has it open, since no name may lead to the file
 * any longer. 0, or -ENFILE where there are too many. *kept (NULL for none) goes to file_kept, which is told
 * whether the name was taken away. directory_fd is the directory's. */
int file_keep_open(struct fs *fs, const struct directory *directory, int directory_fd, const char *name,
                   struct handle **kept);
void file_kept(struct fs *fs, struct handle *kept, bool is_gone);
/* Something about the file changed: by whatever name it is known, the keeper is to look at it. */
void file_note_places(struct fs *fs, struct file_node *file);
/* Before the mode of a file becomes such that a daemon without privilege may not open it again. */
void file_keep_rights(struct fs *fs, struct file_node *file, mode_t mode);
/* Was the file renamed onto the manifest's name? The kernel takes it for the manifest until it looks again,
 * which ESTALE makes it do. */
bool file_stands_for_manifest(struct fs *fs, struct file_node *file);

/* view/control.c: the control directory. Is it called so? */
bool control_is(const char *name);
void control_lookup(struct fs *fs, fuse_req_t req);

/* past/: at/ */
void past_begin(struct fs *fs, const char *source_path);
void past_end(struct fs *fs);
/* Lets go of what nobody looked at for a while and that is large; true where there is such for later. Any
 * thread. */
bool past_expire(struct fs *fs);
void past_top_lookup(struct fs *fs, fuse_req_t req);

/* real/tracked.c: tracked/ */
void tracked_top_lookup(struct fs *fs, fuse_req_t req);

/* view/manifest.c */
void manifest_lookup(struct fs *fs, fuse_req_t req, struct directory_node *parent);
/* The name was taken away through the mount: for a moment it is gone, so that who did it can make a new one.
 */
void manifest_removed(struct fs *fs);

#endif
