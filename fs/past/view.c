/*
 * Views and queries of a revision. What they hold never changes (views.c).
 */
#include "fs/past/views.h"
#include <errno.h>
#include <string.h>

/* What a value or a query holds. 0; a negative errno, of which the log was told. Entered. */
static int take_listing(struct fs *fs, const struct past_node *node, struct past_listing **listing)
{
    const struct past_views *views;
    if (node->past_kind == PAST_QUERY && !past_is_where(node))
        return past_query(fs, node, listing);
    int error = past_views(fs, node, &views);
    if (error)
        return error;
    if (node->past_kind == PAST_QUERY) {
        *listing = views->where;
        return 0;
    }
    const struct past_node *parent = (const struct past_node *)node->parent;
    const struct past_value *value = past_facet_value(past_views_facet(views, parent->name), node->name);
    *listing = value->runs;
    return 0;
}

/* ---- lookup ---- */

/* Finds the run of that name. 0 and *like; -ENOENT; an error of Git's. Entered. */
static int find_run(struct fs *fs, const struct past_node *node, const char *name, struct past_node *like)
{
    struct past_listing *listing;
    int error = take_listing(fs, node, &listing);
    if (error)
        return error;
    const struct past_place *place = past_listing_find(past_places(fs), listing, name);
    if (!place)
        return -ENOENT;
    past_run_like(node, place, like);
    return 0;
}

static void refuse(struct fs *fs, const struct past_node *node, const char *name, const char *reason)
{
    struct buffer path = {0};
    past_append_path(node, &path);
    buffer_append_byte(&path, '/');
    buffer_append_text(&path, name);
    refused_add(fs, path.bytes, reason);
    buffer_free(&path);
}

/* Can it be asked for below the node? 0 and *like; why not. Entered. */
static int find_query(struct fs *fs, const struct past_node *node, const char *name, struct past_node *like)
{
    const struct rules *rules;
    struct query *query = NULL;
    struct query_error error = {0};
    struct buffer text = {0};
    int result = deriver_rules(past_deriver(fs), &past_node_commit(node)->tree, &rules);
    if (result)
        return past_failed(fs, node, result);
    past_append_predicates(node, name, &text);
    result = query_parse(rules->fields, buffer_slice(&text), &query, &error);
    if (result)
        refuse(fs, node, name, error.reason);
    query_free(query);
    buffer_free(&text);
    *like = (struct past_node){
        .node.operations = &past_query_operations,
        .ino = past_ino(node->ino, name),
        .mode = S_IFDIR | 0777,
        .past_kind = PAST_QUERY,
    };
    return result;
}

static void view_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct past_node *parent = (struct past_node *)node, like;
    struct fuse_entry_param entry;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = find_run(fs, parent, name, &like);
    if (error == -ENOENT && query_is_name(name))
        error = find_query(fs, parent, name, &like);
    past_leave(fs);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    past_entry(fs, node, name, &like, 0, &entry);
    entry_reply(fs, req, &entry);
}

static void value_like(const struct past_node *facet, const char *name, struct past_node *like)
{
    *like = (struct past_node){
        .node.operations = &past_value_operations,
        .ino = past_ino(facet->ino, name),
        .mode = S_IFDIR | 0777,
        .past_kind = PAST_VALUE,
    };
}

static void facet_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct past_node *facet = (struct past_node *)node, like;
    struct fuse_entry_param entry;
    const struct past_views *views;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = past_views(fs, facet, &views);
    if (error == 0 && !past_facet_value(past_views_facet(views, facet->name), name))
        error = -ENOENT;
    past_leave(fs);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    value_like(facet, name, &like);
    past_entry(fs, node, name, &like, 0, &entry);
    entry_reply(fs, req, &entry);
}

/* ---- listing ---- */

static bool list_run(struct fs *fs, struct view_listing *reply, struct past_node *node,
                     const struct past_listing *listing, size_t number)
{
    const struct past_places *places = past_places(fs);
    const char *name = past_listing_name(places, listing, number);
    struct past_node like;
    past_run_like(node, past_listing_place(places, listing, number), &like);
    struct fuse_entry_param entry = {.attr = {.st_ino = like.ino, .st_mode = S_IFDIR}};
    if (reply->plus)
        past_entry(fs, &node->node, name, &like, 0, &entry);
    return view_listing_add_entry(fs, reply, name, &entry, number + 1 + VIEW_FIRST_OFFSET);
}

static void view_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct past_node *past = (struct past_node *)node;
    struct past_listing *listing;
    struct view_listing reply;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = take_listing(fs, past, &listing);
    if (error == 0) {
        size_t at = offset > VIEW_FIRST_OFFSET ? (size_t)offset - VIEW_FIRST_OFFSET : 0;
        view_listing_begin(&reply, req, size, plus);
        bool fits = view_listing_add_dots(&reply, past->ino, offset);
        for (; fits && at < listing->count; at++)
            fits = list_run(fs, &reply, past, listing, at);
    }
    past_leave(fs);
    if (error)
        fuse_reply_err(req, -error);
    else
        view_listing_end(fs, &reply);
}

static void view_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    view_list(fs, req, node, size, offset, false);
}

static void view_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    view_list(fs, req, node, size, offset, true);
}

static bool list_value(struct fs *fs, struct view_listing *reply, struct past_node *facet,
                       const struct past_value *value, uint64_t offset)
{
    struct past_node like;
    value_like(facet, value->name, &like);
    struct fuse_entry_param entry = {.attr = {.st_ino = like.ino, .st_mode = S_IFDIR}};
    if (reply->plus)
        past_entry(fs, &facet->node, value->name, &like, 0, &entry);
    return view_listing_add_entry(fs, reply, value->name, &entry, offset);
}

static void facet_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct past_node *past = (struct past_node *)node;
    struct view_listing reply;
    const struct past_views *views;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = past_views(fs, past, &views);
    if (error == 0) {
        const struct past_facet *facet = past_views_facet(views, past->name);
        size_t at = offset > VIEW_FIRST_OFFSET ? (size_t)offset - VIEW_FIRST_OFFSET : 0;
        view_listing_begin(&reply, req, size, plus);
        bool fits = view_listing_add_dots(&reply, past->ino, offset);
        for (; fits && at < facet->count; at++)
            fits = list_value(fs, &reply, past, &facet->values[at], at + 1 + VIEW_FIRST_OFFSET);
    }
    past_leave(fs);
    if (error)
        fuse_reply_err(req, -error);
    else
        view_listing_end(fs, &reply);
}

static void facet_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    facet_list(fs, req, node, size, offset, false);
}

static void facet_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    facet_list(fs, req, node, size, offset, true);
}

const struct node_operations past_facet_operations = {
    .lookup = facet_lookup,
    .getattr = past_getattr,
    .getxattr = past_getxattr,
    .readdir = facet_readdir,
    .readdirplus = facet_readdirplus,
};

const struct node_operations past_value_operations = {
    .lookup = view_lookup,
    .getattr = past_getattr,
    .getxattr = past_getxattr,
    .readdir = view_readdir,
    .readdirplus = view_readdirplus,
};

const struct node_operations past_query_operations = {
    .lookup = view_lookup,
    .getattr = past_getattr,
    .getxattr = past_getxattr,
    .readdir = view_readdir,
    .readdirplus = view_readdirplus,
};
