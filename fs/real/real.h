/*
 * What the kinds of nodes with a real file behind them share: attributes and data by descriptor.
 */
#ifndef RUNSFS_FS_REAL_H
#define RUNSFS_FS_REAL_H

#include "fs/fs.h"

void real_setattr(struct fs *fs, fuse_req_t req, struct node *node, struct stat *attr, int to_set,
                  struct fuse_file_info *fi);
/* Applies what to_set names (FUSE_SET_ATTR_*) to the file of the descriptor. data_fd is an open file's
 * descriptor for its size, or -1. 0 or -errno. */
int real_apply(int fd, int data_fd, const struct stat *attr, int to_set);
void real_read(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
               struct fuse_file_info *fi);
/* Frees what was kept for further reads. No handler runs any more. */
void real_data_finish(void);
void real_write(struct fs *fs, fuse_req_t req, struct node *node, const char *bytes, size_t size,
                off_t offset, struct fuse_file_info *fi);

/* Requests that are the same for all real files; node->operations gives the descriptor. */
void real_fsync(struct fs *fs, fuse_req_t req, struct node *node, int datasync, struct fuse_file_info *fi);
void real_fallocate(struct fs *fs, fuse_req_t req, struct node *node, int mode, off_t offset, off_t length,
                    struct fuse_file_info *fi);
void real_lseek(struct fs *fs, fuse_req_t req, struct node *node, off_t offset, int whence,
                struct fuse_file_info *fi);
void real_copy_file_range(struct fs *fs, fuse_req_t req, struct node *in, off_t in_offset,
                          struct fuse_file_info *in_fi, struct node *out, off_t out_offset,
                          struct fuse_file_info *out_fi, size_t length, int flags);
void real_getxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size);
void real_listxattr(struct fs *fs, fuse_req_t req, struct node *node, size_t size);
void real_setxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, const char *value,
                   size_t size, int flags);
void real_removexattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name);
void real_statfs(struct fs *fs, fuse_req_t req);
void real_ioctl(struct fs *fs, fuse_req_t req, struct node *node, unsigned command, struct fuse_file_info *fi,
                const void *in, size_t in_size, size_t out_size);
void real_link(struct fs *fs, fuse_req_t req, struct node *node, struct directory_node *parent,
               const char *name);
void real_rename(struct fs *fs, fuse_req_t req, struct directory_node *parent, const char *name,
                 struct directory_node *new_parent, const char *new_name, unsigned flags);

/* The directory kind's operations, in names.c and directory.c. */
void directory_mknod(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode,
                     dev_t rdev);
void directory_mkdir(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode);
void directory_symlink(struct fs *fs, fuse_req_t req, struct node *parent, const char *name,
                       const char *target);
void directory_unlink(struct fs *fs, fuse_req_t req, struct node *parent, const char *name);
void directory_rmdir(struct fs *fs, fuse_req_t req, struct node *parent, const char *name);
void directory_create(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi);
void directory_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset);
void directory_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset);
void directory_fsyncdir(struct fs *fs, fuse_req_t req, struct node *node, int datasync);
void directory_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi);
int directory_open_path(struct fs *fs, struct node *node, struct real_fd *real);
int directory_open_data(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                        struct real_fd *real);

/* tracked.c. Is the entry, whose type (S_IFMT) is that, shown in the tracked directory? */
bool tracked_shows(struct fs *fs, const struct directory_node *node, const char *name, mode_t type);
/* Is the tracked directory one on the way to runs? */
bool tracked_is_inner(struct fs *fs, const struct directory_node *node);
/* May a file of that name be made, changed or removed in the directory? True of every one that is not a
 * tracked directory. */
bool tracked_allows(struct fs *fs, const struct directory_node *node, const char *name);

#endif
