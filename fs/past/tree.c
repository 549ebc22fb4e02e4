/*
 * Directories, files and links as Git has them: below runs/, and below the runs in a view.
 */
#include "fs/past/listing.h"
#include "fs/past/past.h"
#include "core/base/limits.h"
#include "fs/real/habit.h"
#include <errno.h>
#include <string.h>

/* A link's text is no longer than a path can be. */
#define LINK_BYTES_AT_MOST 4096

void past_directory_like(const struct object_id *id, uint64_t ino, struct past_node *like)
{
    *like = (struct past_node){
        .node.operations = &past_tree_operations,
        .id = *id,
        .ino = ino,
        .mode = S_IFDIR | 0755,
        .past_kind = PAST_TREE,
    };
}

void past_runs_like(const struct past_node *top, struct past_node *like)
{
    past_directory_like(&past_node_commit(top)->tree, past_ino(top->ino, "runs"), like);
}

void past_run_like(const struct past_node *top, const struct past_place *place, struct past_node *like)
{
    uint64_t ino = past_ino(past_node_top(top)->ino, "runs");
    for (const char *part = place->path; *part;) {
        size_t length = strcspn(part, "/");
        ino = past_ino_of(ino, (struct slice){part, length});
        part += length + (part[length] == '/');
    }
    past_directory_like(&place->tree, ino, like);
}

/* What Git has there, as a node; size_bytes of what is no directory. Entered. */
static int entry_like(struct fs *fs, const struct past_node *parent, const char *name,
                      const struct tree_entry *entry, struct past_node *like, uint64_t *size_bytes)
{
    uint64_t ino = past_ino(parent->ino, name);
    *size_bytes = 0;
    past_directory_like(&entry->id, ino, like);
    if (S_ISDIR(entry->mode))
        return 0;
    bool is_link = S_ISLNK(entry->mode);
    like->mode = entry->mode;
    like->past_kind = is_link ? PAST_LINK : PAST_FILE;
    like->node.operations = is_link ? &past_link_operations : &past_file_operations;
    return blob_size(past_repository(fs), &entry->id, size_bytes);
}

static void tree_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct past_node *parent = (struct past_node *)node, like;
    const struct tree *tree;
    uint64_t size_bytes = 0;
    int error = past_enter(fs);
    if (error) {
        fuse_reply_err(req, EIO);
        return;
    }
    const struct tree_entry *found = NULL;
    error = past_tree(fs, &parent->id, &tree);
    if (error == 0)
        found = tree_find(tree, name);
    if (found)
        error = entry_like(fs, parent, name, found, &like, &size_bytes);
    if (error)
        error = past_failed(fs, parent, error);
    past_leave(fs);
    if (error || !found) {
        /* It will never be there; but the kernel keeps what it is told only with a node. */
        fuse_reply_err(req, error ? -error : ENOENT);
        return;
    }
    struct fuse_entry_param entry;
    past_entry(fs, node, name, &like, size_bytes, &entry);
    if (!S_ISDIR(like.mode))
        habit_looked_up(fuse_req_ctx(req)->pid, name);
    entry_reply(fs, req, &entry);
}

/* ---- listing ---- */

struct tree_listing {
    struct fs *fs;
    struct past_node *node;
    struct view_listing reply;
    habit habit;
};

/* Directories come whole, files for who is known to look at them; see habit.h. Entered. */
static bool list_entry(struct tree_listing *listing, const struct tree_entry *entry, uint64_t offset)
{
    struct fuse_entry_param found = {
        .attr = {.st_ino = past_ino(listing->node->ino, entry->name), .st_mode = entry->mode & S_IFMT}};
    struct past_node like;
    uint64_t size_bytes;
    bool is_wanted =
        listing->reply.plus && (S_ISDIR(entry->mode) || habit_wants(listing->habit, entry->name));
    if (is_wanted && entry_like(listing->fs, listing->node, entry->name, entry, &like, &size_bytes) == 0)
        past_entry(listing->fs, &listing->node->node, entry->name, &like, size_bytes, &found);
    return view_listing_add_entry(listing->fs, &listing->reply, entry->name, &found, offset);
}

static void tree_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct tree_listing listing = {.fs = fs, .node = (struct past_node *)node};
    const struct tree *tree;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = past_tree(fs, &listing.node->id, &tree);
    if (error) {
        error = past_failed(fs, listing.node, error);
        past_leave(fs);
        fuse_reply_err(req, -error);
        return;
    }
    listing.habit = habit_listing(fuse_req_ctx(req)->pid);
    view_listing_begin(&listing.reply, req, size, plus);
    bool fits = view_listing_add_dots(&listing.reply, listing.node->ino, offset);
    size_t at = offset > VIEW_FIRST_OFFSET ? (size_t)offset - VIEW_FIRST_OFFSET : 0;
    for (; fits && at < tree->count; at++)
        fits = list_entry(&listing, &tree->entries[at], at + 1 + VIEW_FIRST_OFFSET);
    past_leave(fs);
    view_listing_end(fs, &listing.reply);
}

static void tree_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    tree_list(fs, req, node, size, offset, false);
}

static void tree_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    tree_list(fs, req, node, size, offset, true);
}

/* ---- links ---- */

static void link_readlink(struct fs *fs, fuse_req_t req, struct node *node)
{
    struct past_node *link = (struct past_node *)node;
    struct buffer target = {0};
    int error = past_enter(fs);
    if (error == 0) {
        error = blob_read(past_repository(fs), &link->id, LINK_BYTES_AT_MOST, &target);
        if (error)
            error = past_failed(fs, link, error);
        past_leave(fs);
    } else {
        error = -EIO;
    }
    if (error)
        fuse_reply_err(req, -error);
    else
        fuse_reply_readlink(req, target.length ? target.bytes : "");
    buffer_free(&target);
}

const struct node_operations past_tree_operations = {
    .lookup = tree_lookup,
    .getattr = past_getattr,
    .getxattr = past_getxattr,
    .readdir = tree_readdir,
    .readdirplus = tree_readdirplus,
};

const struct node_operations past_link_operations = {
    .getattr = past_content_getattr,
    .getxattr = past_getxattr,
    .readlink = link_readlink,
};
