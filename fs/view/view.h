/*
 * What the derived directories share: their attributes, their listings, and the runs in them.
 */
#ifndef RUNSFS_FS_VIEW_VIEW_H
#define RUNSFS_FS_VIEW_VIEW_H

#include "fs/fs.h"

/* Inode numbers of derived directories and files, which no filesystem uses: this and
 * - facet | value's number << 8 for views,
 * - VIEW_INO_QUERY and the node's generation for queries,
 * - PAST_INO and a number of the path for what is below at/,
 * - VIEW_INO_OTHER and a number of its own for everything else. */
#define VIEW_INO (1ull << 63)
#define VIEW_INO_QUERY (VIEW_INO | 1ull << 62)
#define VIEW_INO_OTHER (VIEW_INO | 1ull << 61)
#define PAST_INO (VIEW_INO | 1ull << 60)
#define PAST_INO_BITS (1ull << 60)

/* ---- view.c ---- */

/* Attributes of a derived directory that has no number, link count and times yet: who may read the manifest
 * may list and search it. */
void view_model_stat(struct fs *fs, struct stat *st);
void view_getxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size);
/* Replies to a lookup in the derived directory `parent` that found the run in `directory` (the reference is
 * taken over). */
void view_reply_run(struct fs *fs, fuse_req_t req, struct node *parent, struct directory *directory);
/* The last step of `rm -r` of a run through a view or a query. */
void view_rmdir(struct fs *fs, fuse_req_t req, struct node *node, const char *name);

/* ---- listing.c ---- */

/* A reply to READDIR or READDIRPLUS that grows. */
struct view_listing {
    fuse_req_t req;
    char *bytes; /* NULL where there was no memory: the reply says so */
    size_t used, size;
    bool plus;
};

/* "." and ".." have the offsets 1 and 2; those of entries are above. */
#define VIEW_FIRST_OFFSET 2

void view_listing_begin(struct view_listing *listing, fuse_req_t req, size_t size, bool plus);
/* An entry that the kernel may keep, whose lookup is taken back where it does not fit. */
bool view_listing_add_entry(struct fs *fs, struct view_listing *listing, const char *name,
                            const struct fuse_entry_param *entry, uint64_t offset);
/* False where it does not fit: nothing more is to be added. */
bool view_listing_add(struct view_listing *listing, const char *name, uint64_t ino, mode_t type,
                      uint64_t offset);
/* Those of "." and ".." that come at offset and after it. */
bool view_listing_add_dots(struct view_listing *listing, uint64_t ino, off_t offset);
/* Replies. fs is needed where entries were added. */
void view_listing_end(struct fs *fs, struct view_listing *listing);
/* Takes back the lookups in a reply to READDIRPLUS that did not reach the kernel. */
void view_listing_undo(struct fs *fs, const char *bytes, size_t used);

/* ---- query.c ---- */

uint64_t query_ino(const struct query_node *query);
/* Can the name be a query's? It has an operator in it. */
bool query_is_name(const char *name);
/* Replies to a lookup of a query in a view's value or a query. */
void query_reply(struct fs *fs, fuse_req_t req, struct node *parent, const char *name);
/* The name of the run among those that match; false where it does not. The keeper's lock is held. */
bool query_run_name(struct fs *fs, struct index *index, const struct query_node *query, const struct run *run,
                    char name[LIMIT_NAME_BYTES + 1]);
/* where/ */
void query_top_lookup(struct fs *fs, fuse_req_t req);

/* ---- linger.c: runs that are being removed through a view ---- */

/* Before the file `name` of the directory is unlinked: if that can make the run leave the view or query, it
 * stays reachable there by name (it is not listed) until its directory is removed, or for a while. */
void view_linger(struct fs *fs, const struct directory_node *parent, const char *name);
/* The directory that lingers in a value or query under name, with a reference; NULL for none. */
struct directory *view_lingering(struct fs *fs, const struct node *view, const char *name);
/* The value of that (escaped) name in which a run lingers, with one more lookup; NULL for none. */
struct view_node *view_lingering_value(struct fs *fs, unsigned facet, const char *name);
void view_linger_end(struct fs *fs, const struct directory *directory);
void view_linger_free(struct fs *fs);

/* ---- refused.c: the last queries that were refused ---- */

void refused_create(struct fs *fs);
/* Logs it and keeps it for `.runsfs/errors`. path is that of the query below the mount. */
void refused_add(struct fs *fs, const char *path, const char *reason);
/* A line each, the oldest first. */
void refused_render(struct fs *fs, struct buffer *text);
void refused_free(struct fs *fs);

#endif
