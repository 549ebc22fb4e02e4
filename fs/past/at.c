/*
 * at/ and at/<revision>/: from a name to a commit, and what there is of it.
 */
#include "fs/past/past.h"
#include "core/base/escape.h"
#include "core/base/log.h"
#include "core/git/revision.h"
#include <errno.h>
#include <string.h>

/* Ids in the listing of at/: of the last commits that changed something of the source. */
#define LISTED_COMMITS 32

const struct commit *past_commit(const struct past_node *node)
{
    return node->top->commit;
}

uint64_t past_ino(uint64_t parent_ino, const char *name)
{
    uint64_t value = (parent_ino ^ text_hash(slice_of(name))) * 0x9e3779b97f4a7c15ull;
    return PAST_INO | ((value ^ value >> 29) & (PAST_INO_BITS - 1));
}

void past_stat(struct fs *fs, const struct past_node *node, uint64_t size_bytes, struct stat *st)
{
    past_model_stat(fs, node->mode, node->ino, past_commit(node)->time_s, st);
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

struct at_listing {
    struct view_listing *listing;
    uint64_t offset, position; /* where the listing goes on, and where it is */
};

/* A name that is too long for a directory was cut, and is not found by what is left of it. */
static bool is_whole_escape(const char *escaped, const char *name)
{
    struct buffer text = {0};
    bool is_whole =
        escape_decode(slice_of(escaped), &text) == 0 && slice_equal(buffer_slice(&text), slice_of(name));
    buffer_free(&text);
    return is_whole;
}

static int list_name(const char *name, void *context)
{
    struct at_listing *at = context;
    char escaped[LIMIT_NAME_BYTES + 1];
    if (++at->position + VIEW_FIRST_OFFSET <= at->offset)
        return 0;
    escape_value(slice_of(name), escaped);
    if (!is_whole_escape(escaped, name))
        return 0;
    return !view_listing_add(at->listing, escaped, past_ino(PAST_INO, name), S_IFDIR,
                             at->position + VIEW_FIRST_OFFSET);
}

static void at_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct view_listing listing;
    struct at_listing at = {.listing = &listing, .offset = (uint64_t)offset};
    (void)node;
    view_listing_begin(&listing, req, size, plus);
    if (view_listing_add_dots(&listing, PAST_INO, offset) && past_enter(fs) == 0) {
        if (revision_each_name(past_repository(fs), LISTED_COMMITS, list_name, &at) < 0)
            log_error("at/: not all of it can be listed: %s", repository_error());
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

/* ---- at/<revision>/ ---- */

/* What there is in a revision: runs/, where/, the manifest, and a directory for each view. */
enum { TOP_RUNS, TOP_WHERE, TOP_MANIFEST, TOP_VIEWS };

/* "" where its name is another's here. */
static const char *top_manifest_name(struct fs *fs, const struct past_node *top, const struct rules *rules)
{
    const char *name = past_manifest_name(past_repository(fs), rules, &past_commit(top)->tree);
    bool is_taken = strcmp(name, "runs") == 0 || strcmp(name, "where") == 0;
    for (size_t i = 0; i < rules->config->view_count; i++)
        is_taken |= strcmp(name, rules->config->views[i].directory) == 0;
    return is_taken ? "" : name;
}

/* The name of that number; NULL behind the last. Entered. */
static const char *top_name(struct fs *fs, const struct past_node *top, const struct rules *rules,
                            size_t number)
{
    switch (number) {
    case TOP_RUNS:
        return "runs";
    case TOP_WHERE:
        return "where";
    case TOP_MANIFEST:
        return top_manifest_name(fs, top, rules);
    default:
        number -= TOP_VIEWS;
        return number < rules->config->view_count ? rules->config->views[number].directory : NULL;
    }
}

/* 0 with *like filled; an error of Git's. Entered. */
static int top_like(struct fs *fs, const struct past_node *top, const char *name, size_t number,
                    struct past_node *like, uint64_t *size_bytes)
{
    *size_bytes = 0;
    *like = (struct past_node){.ino = past_ino(top->ino, name), .mode = S_IFDIR | 0777};
    switch (number) {
    case TOP_RUNS:
        past_runs_like(top, like);
        return 0;
    case TOP_WHERE:
        like->past_kind = PAST_QUERY;
        like->node.operations = &past_query_operations;
        return 0;
    case TOP_MANIFEST:
        like->past_kind = PAST_MANIFEST;
        like->node.operations = &past_manifest_operations;
        like->mode = S_IFREG | 0644;
        return past_manifest_size(fs, top, size_bytes);
    default:
        like->past_kind = PAST_FACET;
        like->node.operations = &past_facet_operations;
        return 0;
    }
}

static void revision_lookup(struct fs *fs, fuse_req_t req, struct node *parent, const char *name)
{
    struct past_node *top = (struct past_node *)parent, like;
    const struct rules *rules;
    struct fuse_entry_param entry;
    uint64_t size_bytes;
    int error = past_enter(fs);
    if (error) {
        fuse_reply_err(req, EIO);
        return;
    }
    error = deriver_rules(past_deriver(fs), &past_commit(top)->tree, &rules);
    const char *found = NULL;
    size_t number = 0;
    for (; error == 0 && (found = top_name(fs, top, rules, number)) && strcmp(found, name) != 0; number++)
        ;
    if (error == 0 && found)
        error = top_like(fs, top, name, number, &like, &size_bytes);
    if (error)
        error = past_failed(fs, top, error);
    past_leave(fs);
    if (error == 0 && found) {
        past_entry(fs, parent, name, &like, size_bytes, &entry);
        entry_reply(fs, req, &entry);
    } else {
        fuse_reply_err(req, error ? -error : ENOENT);
    }
}

static void revision_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                          bool plus)
{
    struct past_node *top = (struct past_node *)node;
    struct view_listing listing;
    const struct rules *rules;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = deriver_rules(past_deriver(fs), &past_commit(top)->tree, &rules);
    if (error) {
        error = past_failed(fs, top, error);
        past_leave(fs);
        fuse_reply_err(req, -error);
        return;
    }
    view_listing_begin(&listing, req, size, plus);
    bool fits = view_listing_add_dots(&listing, top->ino, offset);
    size_t at = offset > VIEW_FIRST_OFFSET ? (size_t)offset - VIEW_FIRST_OFFSET : 0;
    for (const char *name; fits && (name = top_name(fs, top, rules, at)); at++)
        fits = !*name || view_listing_add(&listing, name, past_ino(top->ino, name),
                                          at == TOP_MANIFEST ? S_IFREG : S_IFDIR, at + 1 + VIEW_FIRST_OFFSET);
    past_leave(fs);
    view_listing_end(fs, &listing);
}

static void revision_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    revision_list(fs, req, node, size, offset, false);
}

static void revision_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    revision_list(fs, req, node, size, offset, true);
}

const struct node_operations past_revision_operations = {
    .lookup = revision_lookup,
    .getattr = past_getattr,
    .getxattr = past_getxattr,
    .readdir = revision_readdir,
    .readdirplus = revision_readdirplus,
};
