/*
 * at/<revision>/: what there is of a commit.
 */
#include "fs/past/past.h"
#include <errno.h>
#include <string.h>

/* What there is in a revision: runs/, where/, the manifest, and a directory for each view. */
enum { TOP_RUNS, TOP_WHERE, TOP_MANIFEST, TOP_VIEWS };

/* "" where its name is another's here. */
static const char *top_manifest_name(struct fs *fs, const struct past_node *top, const struct rules *rules)
{
    const char *name = past_manifest_name(past_repository(fs), rules, &past_node_commit(top)->tree);
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
    error = deriver_rules(past_deriver(fs), &past_node_commit(top)->tree, &rules);
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
    int error = deriver_rules(past_deriver(fs), &past_node_commit(top)->tree, &rules);
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
