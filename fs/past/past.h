/*
 * at/: the past as directories, read-only. What stands there comes from Git's objects; this is what the files
 * of this directory share.
 *
 *   at.c       at/ itself
 *   names.c    the names in it
 *   revision.c at/<revision>/
 *   tree.c     directories, files and links that Git has
 *   content.c  the bytes of files, and the derived manifest
 *   spool.c    those of large files
 *   view.c     by-<name>/, its values, where/ and queries
 *   views.c    what these hold
 *   listing.c  runs by name and in order
 *   store.c    the repository
 *   rights.c   who may see it
 *   kept.c     what was read or derived of it shortly before
 *   cache.c    how much of that
 *
 * A revision never changes, so the kernel keeps all that it is told of one. Only what a name in at/ means now
 * is looked up every time, unless it is a whole id.
 */
#ifndef RUNSFS_FS_PAST_PAST_H
#define RUNSFS_FS_PAST_PAST_H

#include "core/git/past.h"
#include "core/query/query.h"
#include "fs/past/spool.h"
#include "fs/view/view.h"

/* ---- store.c ---- */

/* The store, and with it all of libgit2, is used by one thread at a time: between these two, in which the
 * thread has the rights of the repository's owner. 0; -ENOENT where there is no repository (nothing is to be
 * left then), of which the log was told. */
int past_enter(struct fs *fs);
void past_leave(struct fs *fs);
struct repository *past_repository(struct fs *fs);
struct deriver *past_deriver(struct fs *fs);
struct past_kept *past_kept(struct fs *fs);
/* Attributes of at/ itself. Not while entered. */
void past_at_stat(struct fs *fs, struct stat *st);
/* Attributes of what has a type and mode in Git, by who may read Git's objects. */
void past_model_stat(struct fs *fs, mode_t mode, uint64_t ino, int64_t time_s, struct stat *st);
/* Logs an error of the repository, once for each in a row, with the path below the mount, and returns what
 * the caller is to be told: -EIO for what should be there and is not. */
int past_failed(struct fs *fs, const struct past_node *node, int error);
/* "at/HEAD~1/runs/chatdev" */
void past_append_path(const struct past_node *node, struct buffer *path);

/* ---- kept.c: all while entered; what is given out is good until past_leave ---- */

struct past_kept;
struct past_listing;
struct past_views;
struct past_names;

struct past_kept *past_kept_create(void);
void past_kept_free(struct past_kept *kept); /* may be NULL */
/* The bytes of all that is kept. */
size_t past_kept_bytes(const struct past_kept *kept);
/* See past_cache_shrink. */
size_t past_kept_shrink(struct past_kept *kept, size_t limit_bytes, bool wholly);
/* Copies of large files; see spool.h. */
struct past_spools *past_kept_spools(struct past_kept *kept);
int past_tree(struct fs *fs, const struct object_id *id, const struct tree **tree);
/* -EFBIG where it is larger than LIMIT_PAST_BLOB_BYTES. */
int past_blob(struct fs *fs, const struct object_id *id, struct slice *content);
/* The runs of the revision. */
int past_runs(struct fs *fs, const struct past_node *node, struct past **past);
/* The views of the revision. */
int past_views(struct fs *fs, const struct past_node *node, const struct past_views **views);
struct past_places;
/* What lists of runs share. */
const struct past_places *past_places(struct fs *fs);
/* What the query holds. 0; a negative errno, of which the log was told. */
int past_query(struct fs *fs, const struct past_node *node, struct past_listing **listing);
/* The names in at/; anew: as they are now, else as they were when a listing of it last began. */
int past_names(struct fs *fs, bool anew, const struct past_names **names);

/* ---- at.c ---- */

/* A number for `name` in the directory that has the number parent_ino. The same path has the same one
 * whatever view it is reached by. */
uint64_t past_ino(uint64_t parent_ino, const char *name);
uint64_t past_ino_of(uint64_t parent_ino, struct slice name);
void past_stat(struct fs *fs, const struct past_node *node, uint64_t size_bytes, struct stat *st);
/* Finds or makes the node of `name` in parent and fills in an entry that the kernel may keep. */
void past_entry(struct fs *fs, struct node *parent, const char *name, const struct past_node *like,
                uint64_t size_bytes, struct fuse_entry_param *entry);
/* Replies for any directory of the past. */
void past_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi);
void past_getxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size);

/* ---- tree.c ---- */

/* A directory that Git has. */
void past_directory_like(const struct object_id *id, uint64_t ino, struct past_node *like);
/* The directory of the source itself, runs/ in the revision. */
void past_runs_like(const struct past_node *top, struct past_node *like);
struct past_place;
/* That of a run in the revision. */
void past_run_like(const struct past_node *top, const struct past_place *place, struct past_node *like);

extern const struct node_operations past_tree_operations, past_file_operations, past_link_operations,
    past_manifest_operations, past_facet_operations, past_value_operations, past_query_operations,
    past_revision_operations;

/* ---- content.c ---- */

/* Replies for any file or link of the past. */
void past_content_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi);
/* The size of the derived manifest. Entered. */
int past_manifest_size(struct fs *fs, const struct past_node *node, uint64_t *size_bytes);

#endif
