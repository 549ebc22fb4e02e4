/*
 * at/: from a name to a commit; and what all nodes below it share.
 */
#include "fs/past/names.h"
#include "fs/past/past.h"
#include "core/base/escape.h"
#include "core/base/log.h"
#include "core/git/revision.h"
#include <errno.h>
#include <string.h>

uint64_t past_ino_of(uint64_t parent_ino, struct slice name)
{
    uint64_t value = (parent_ino ^ text_hash(name)) * 0x9e3779b97f4a7c15ull;
    return PAST_INO | ((value ^ value >> 29) & (PAST_INO_BITS - 1));
}

uint64_t past_ino(uint64_t parent_ino, const char *name)
{
    return past_ino_of(parent_ino, slice_of(name));
}

void past_stat(struct fs *fs, const struct past_node *node, uint64_t size_bytes, struct stat *st)
{
    past_model_stat(fs, node->mode, node->ino, past_node_commit(node)->time_s, st);
    st->st_size = (off_t)size_bytes;
    st->st_blocks = (blkcnt_t)((size_bytes + 511) / 512);
}

void past_entry(struct fs *fs, struct node *parent, const char *name, const struct past_node *like,
                uint64_t size_bytes, struct fuse_entry_param *entry)
{
    struct past_node *node = nodes_past(&fs->nodes, parent, name, like);
    *entry = (struct fuse_entry_param){
        .ino = node_number(&fs->nodes, &node->node),
        .generation = node->node.generation,
        .attr_timeout = CACHE_SECONDS,
        .entry_timeout = CACHE_SECONDS,
    };
    past_stat(fs, node, size_bytes, &entry->attr);
}

void past_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    struct stat st;
    (void)fi;
    past_stat(fs, (struct past_node *)node, 0, &st);
    fuse_reply_attr(req, &st, CACHE_SECONDS);
}

void past_getxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size)
{
    (void)fs;
    (void)node;
    (void)name;
    (void)size;
    fuse_reply_err(req, ENODATA);
}

/* ---- at/ ---- */

void past_top_lookup(struct fs *fs, fuse_req_t req)
{
    struct fuse_entry_param entry = {.ino = node_number(&fs->nodes, &fs->nodes.at)};
    nodes_looked_up(&fs->nodes, &fs->nodes.at);
    past_at_stat(fs, &entry.attr);
    entry_reply(fs, req, &entry);
}

static void at_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    struct stat st;
    (void)node;
    (void)fi;
    past_at_stat(fs, &st);
    fuse_reply_attr(req, &st, 0);
}

/* The commit that a name in at/ means. Entered. */
static int find_commit(struct fs *fs, const char *name, struct commit *commit, bool *is_fixed)
{
    struct buffer text = {0};
    struct object_id id;
    int error = escape_decode(slice_of(name), &text);
    if (error || text.length == 0 || memchr(text.bytes, '\0', text.length))
        error = -ENOENT;
    if (error == 0)
        error = revision_resolve(past_repository(fs), text.bytes, &id, is_fixed);
    if (error == 0)
        error = commit_read(past_repository(fs), &id, commit);
    if (error == -ENOENT)
        log_debug("at/%s: %s", name, repository_error());
    else if (error)
        log_error("at/%s: can't be read from Git: %s", name, repository_error());
    buffer_free(&text);
    return error == 0 || error == -ENOENT ? error : -EIO;
}

static void at_lookup(struct fs *fs, fuse_req_t req, struct node *parent, const char *name)
{
    struct commit commit;
    bool is_fixed;
    (void)parent;
    int error = past_enter(fs);
    if (error == 0) {
        error = find_commit(fs, name, &commit, &is_fixed);
        past_leave(fs);
    }
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    char digits[OBJECT_ID_DIGITS + 1];
    object_id_format(&commit.id, digits);
    struct past_node like = {
        .node.operations = &past_revision_operations,
        .id = commit.id,
        .ino = past_ino(PAST_INO, digits),
        .mode = S_IFDIR | 0777,
        .past_kind = PAST_REVISION,
    };
    struct past_node *revision = nodes_revision(&fs->nodes, name, &commit, &like);
    struct fuse_entry_param entry = {
        .ino = node_number(&fs->nodes, &revision->node),
        .generation = revision->node.generation,
        .attr_timeout = CACHE_SECONDS,
        .entry_timeout = is_fixed ? CACHE_SECONDS : 0,
    };
    past_stat(fs, revision, 0, &entry.attr);
    entry_reply(fs, req, &entry);
}

static void at_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct view_listing listing;
    const struct past_names *names;
    (void)node;
    view_listing_begin(&listing, req, size, plus);
    if (view_listing_add_dots(&listing, PAST_INO, offset) && past_enter(fs) == 0) {
        if (past_names(fs, offset <= VIEW_FIRST_OFFSET, &names) < 0)
            log_error("at/: not all of it can be listed: %s", repository_error());
        size_t at = offset > VIEW_FIRST_OFFSET ? (size_t)offset - VIEW_FIRST_OFFSET : 0;
        for (bool fits = true; fits && at < names->count; at++) {
            const char *name = names->text.bytes + names->at[at];
            fits = view_listing_add(&listing, name, past_ino(PAST_INO, name), S_IFDIR,
                                    at + 1 + VIEW_FIRST_OFFSET);
        }
        past_leave(fs);
    }
    view_listing_end(fs, &listing);
}

static void at_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    at_list(fs, req, node, size, offset, false);
}

static void at_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    at_list(fs, req, node, size, offset, true);
}

const struct node_operations at_operations = {
    .lookup = at_lookup,
    .getattr = at_getattr,
    .getxattr = past_getxattr,
    .readdir = at_readdir,
    .readdirplus = at_readdirplus,
};
