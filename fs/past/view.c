/*
 * Views and queries of a revision, answered from the index that is made of it. What they hold never changes,
 * so nothing but the index is kept here, and that only for a while.
 */
#include "fs/past/listing.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a value or a query holds. Good while entered. */
struct past_scope {
    struct index *index;
    const struct facet_value *within; /* NULL below where/ */
    unsigned facet;
    struct query *query; /* NULL for a value */
    struct run **cut;    /* what a limit leaves, by address; NULL without one */
    size_t cut_count;
    struct run_set set;
};

/* ---- what is in a value or query ---- */

static int compare_addresses(const void *a, const void *b)
{
    const struct run *first = *(struct run *const *)a, *second = *(struct run *const *)b;
    return (first > second) - (first < second);
}

static bool scope_holds(const struct run *run, const void *context)
{
    const struct past_scope *scope = context;
    if (scope->cut)
        return bsearch(&run, scope->cut, scope->cut_count, sizeof(*scope->cut), compare_addresses) != NULL;
    return (!scope->within || facet_value_holds(scope->within, run)) &&
           (!scope->query || query_matches(scope->query, run));
}

static const struct past_node *parent_of(const struct past_node *node)
{
    return (const struct past_node *)node->parent;
}

static bool is_where(const struct past_node *node)
{
    return node->past_kind == PAST_QUERY && parent_of(node)->past_kind == PAST_REVISION;
}

/* The predicates from where/ or the value on; `name`, which may be NULL, is asked for below the node. */
static void append_predicates(const struct past_node *node, const char *name, struct buffer *text)
{
    if (node->past_kind == PAST_QUERY && !is_where(node))
        append_predicates(parent_of(node), node->name, text);
    if (!name)
        return;
    if (text->length)
        buffer_append_byte(text, '/');
    buffer_append_text(text, name);
}

/* With the node's predicates, and another one (may be NULL) that is asked for below it. 0, to be closed; a
 * code of query_parse's; an error of Git's. */
static int scope_open(struct fs *fs, const struct past_node *node, const char *name, struct past_scope *scope,
                      struct query_error *error)
{
    struct past *past;
    const struct past_node *value = node;
    struct buffer text = {0};
    *scope = (struct past_scope){0};
    int result = past_runs(fs, node, &past);
    if (result) {
        *error = (struct query_error){.code = past_failed(fs, node, result)};
        return error->code;
    }
    scope->index = past->index;
    scope->set = (struct run_set){scope_holds, scope};
    while (value->past_kind == PAST_QUERY && !is_where(value))
        value = parent_of(value);
    if (value->past_kind == PAST_VALUE) {
        scope->facet = (unsigned)facet_of_directory(past->index, parent_of(value)->name);
        scope->within = facet_find(past->index, scope->facet, value->name);
    }
    if (node->past_kind == PAST_VALUE && !name)
        return 0;
    append_predicates(node, name, &text);
    result = query_parse(past->rules->fields, buffer_slice(&text), &scope->query, error);
    buffer_free(&text);
    if (result == 0 && query_has_limit(scope->query)) {
        scope->cut_count = query_evaluate(scope->query, scope->index, scope->within, &scope->cut);
        qsort(scope->cut, scope->cut_count, sizeof(struct run *), compare_addresses);
    }
    return result;
}

static void scope_close(struct past_scope *scope)
{
    query_free(scope->query);
    free(scope->cut);
}

static void add_run(struct past_listing *listing, const struct run *run, const char *name)
{
    struct past_node like;
    past_run_like(listing->node, run, &like);
    past_listing_add(listing, name, &like);
}

static void fill_from_value(struct past_listing *listing, const struct past_scope *scope)
{
    char name[LIMIT_NAME_BYTES + 1];
    uint64_t sequence = 0;
    for (struct run *run;
         (run = facet_value_next((struct facet_value *)scope->within, sequence, &sequence));) {
        facet_run_name(scope->index, scope->facet, run, name);
        add_run(listing, run, name);
    }
}

static void fill_from_query(struct past_listing *listing, const struct past_scope *scope)
{
    char name[LIMIT_NAME_BYTES + 1];
    struct run **runs;
    size_t count = query_evaluate(scope->query, scope->index, scope->within, &runs);
    for (size_t i = 0; i < count; i++) {
        run_set_name(scope->index, &scope->set, runs[i], name);
        add_run(listing, runs[i], name);
    }
    free(runs);
}

/* What the node holds: kept from before, or made anew. 0; a negative errno. Entered. */
static int take_listing(struct fs *fs, const struct past_node *node, struct past_listing **listing)
{
    struct past_scope scope;
    struct query_error error;
    *listing = past_listing_held(past_listings(fs), node);
    if (*listing)
        return 0;
    int result = scope_open(fs, node, NULL, &scope, &error);
    if (result == 0) {
        *listing = past_listing_begin(node);
        if (scope.query)
            fill_from_query(*listing, &scope);
        else
            fill_from_value(*listing, &scope);
        past_listing_hold(past_listings(fs), *listing);
    }
    scope_close(&scope);
    return result;
}

/* ---- lookup ---- */

/* Finds the run of that name. 0 and *like; -ENOENT; an error of Git's. Entered. */
static int find_run(struct fs *fs, const struct past_node *node, const char *name, struct past_node *like)
{
    struct past_listing *listing;
    int error = take_listing(fs, node, &listing);
    if (error)
        return error;
    const struct past_listed *listed = past_listing_find(listing, name);
    if (!listed)
        return -ENOENT;
    past_directory_like(&listed->id, listed->ino, like);
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
    struct past_scope scope;
    struct query_error error = {0};
    int result = scope_open(fs, node, name, &scope, &error);
    if (result && error.reason[0])
        refuse(fs, node, name, error.reason);
    scope_close(&scope);
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
    struct past *past;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = past_runs(fs, facet, &past);
    if (error) {
        error = past_failed(fs, facet, error);
    } else {
        unsigned number = (unsigned)facet_of_directory(past->index, facet->name);
        struct facet_value *value = facet_find(past->index, number, name);
        error = value && facet_value_runs(value) ? 0 : -ENOENT;
    }
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

static bool list_run(struct fs *fs, struct view_listing *reply, struct past_node *node, const char *name,
                     const struct past_listed *listed, uint64_t offset)
{
    struct fuse_entry_param entry = {.attr = {.st_ino = listed->ino, .st_mode = S_IFDIR}};
    struct past_node like;
    past_directory_like(&listed->id, listed->ino, &like);
    if (reply->plus)
        past_entry(fs, &node->node, name, &like, 0, &entry);
    return view_listing_add_entry(fs, reply, name, &entry, offset);
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
            fits = list_run(fs, &reply, past, listing->names.bytes + listing->listed[at].name_at,
                            &listing->listed[at], at + 1 + VIEW_FIRST_OFFSET);
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

static void list_values(struct fs *fs, struct past_node *facet, const struct past *past,
                        struct view_listing *listing, uint64_t sequence)
{
    unsigned number = (unsigned)facet_of_directory(past->index, facet->name);
    for (struct facet_value *value; (value = facet_next(past->index, number, sequence, &sequence));) {
        const char *name = facet_value_name(value);
        struct past_node like;
        value_like(facet, name, &like);
        struct fuse_entry_param entry = {.attr = {.st_ino = like.ino, .st_mode = S_IFDIR}};
        if (listing->plus)
            past_entry(fs, &facet->node, name, &like, 0, &entry);
        if (!view_listing_add_entry(fs, listing, name, &entry, sequence + VIEW_FIRST_OFFSET))
            break;
    }
}

static void facet_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct past_node *facet = (struct past_node *)node;
    struct view_listing listing;
    struct past *past;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    int error = past_runs(fs, facet, &past);
    if (error == 0) {
        view_listing_begin(&listing, req, size, plus);
        if (view_listing_add_dots(&listing, facet->ino, offset))
            list_values(fs, facet, past, &listing,
                        offset > VIEW_FIRST_OFFSET ? (uint64_t)offset - VIEW_FIRST_OFFSET : 0);
    } else {
        error = past_failed(fs, facet, error);
    }
    past_leave(fs);
    if (error)
        fuse_reply_err(req, -error);
    else
        view_listing_end(fs, &listing);
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
