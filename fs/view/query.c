/*
 * Directories that are queries: where/, whatever is asked below it, and below a view's value. A query's
 * directory is never listed, only reached by name; it exists as soon as its name can be read as predicates,
 * and what is in it are the runs that match when somebody looks.
 *
 * Nothing of an answer is kept: a lookup finds the run of that name and asks whether it matches, a listing
 * evaluates the query. Only what a limit cuts needs a whole answer for one look, and that is good for one
 * state of the index (result.c).
 */
#include "fs/view/result.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

uint64_t query_ino(const struct query_node *query)
{
    return VIEW_INO_QUERY | query->node.generation;
}

bool query_is_name(const char *name)
{
    return strpbrk(name, "=~") != NULL;
}

static void query_stat(struct fs *fs, const struct query_node *query, struct stat *st)
{
    view_model_stat(fs, st);
    struct index *index = keeper_lock(fs->keeper);
    st->st_mtim = index_changed_at(index); /* any change may change the answer */
    keeper_unlock(fs->keeper);
    st->st_ctim = st->st_atim = st->st_mtim;
    st->st_ino = query_ino(query);
    st->st_nlink = 1; /* how many directories are in it is not known */
}

static void query_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st;
    query_stat(fs, (struct query_node *)node, &st);
    fuse_reply_attr(req, &st, 0);
}

/* ---- lookup ---- */

static void reply_node(struct fs *fs, fuse_req_t req, struct query_node *query)
{
    struct fuse_entry_param entry = {.ino = node_number(&fs->nodes, &query->node)};
    query_stat(fs, query, &entry.attr);
    entry_reply(fs, req, &entry);
}

void query_top_lookup(struct fs *fs, fuse_req_t req)
{
    nodes_looked_up(&fs->nodes, &fs->nodes.where.node);
    reply_node(fs, req, &fs->nodes.where);
}

/* "by-status/verified/min_tokens=1", as it stands below the mount. */
static void append_path(struct fs *fs, struct buffer *path, const struct query_node *query)
{
    if (query->within) {
        struct index *index = keeper_lock(fs->keeper);
        const char *directory = facet_directory(index, facet_value_facet(query->within));
        buffer_append_text(path, directory ? directory : "by-...");
        keeper_unlock(fs->keeper);
        buffer_append_byte(path, '/');
        buffer_append_text(path, facet_value_name(query->within));
    } else {
        buffer_append_text(path, "where");
    }
    if (*query->text) {
        buffer_append_byte(path, '/');
        buffer_append_text(path, query->text);
    }
}

static void refuse(struct fs *fs, const struct query_node *query, const struct query_error *error)
{
    struct buffer path = {0};
    append_path(fs, &path, query);
    refused_add(fs, path.bytes, error->reason);
    buffer_free(&path);
}

/* Every query below another has all predicates of that one, and somebody may walk into them without end. */
static bool is_too_long(const struct node *parent, const char *name)
{
    size_t length = parent->kind == NODE_QUERY ? strlen(((const struct query_node *)parent)->text) : 0;
    return length + 1 + strlen(name) >= PATH_MAX;
}

void query_reply(struct fs *fs, fuse_req_t req, struct node *parent, const char *name)
{
    if (is_too_long(parent, name)) {
        fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    struct query_node *node = nodes_query(&fs->nodes, parent, name);
    struct query *query;
    struct query_error error;
    keeper_lock(fs->keeper); /* for the fields */
    int result = query_parse(keeper_fields(fs->keeper), slice_of(node->text), &query, &error);
    keeper_unlock(fs->keeper);
    if (result == 0) {
        query_free(query);
        reply_node(fs, req, node);
        return;
    }
    refuse(fs, node, &error);
    nodes_forget(&fs->nodes, &node->node, 1);
    fuse_reply_err(req, -error.code);
}

/* The directory of the run that is shown under name, with a reference; NULL for none. */
static struct directory *find_run(struct fs *fs, const struct query_node *node, const char *name)
{
    struct directory *directory = NULL;
    struct query_scope scope;
    struct index *index = keeper_lock(fs->keeper);
    if (query_scope_open(fs, index, node, &scope) == 0) {
        struct run *run = run_set_find(index, &scope.set, name);
        directory = run ? keeper_run_directory(fs->keeper, run) : NULL;
        query_scope_close(&scope);
    }
    keeper_unlock(fs->keeper);
    return directory ? directory : view_lingering(fs, &node->node, name);
}

static void query_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct directory *directory = find_run(fs, (struct query_node *)node, name);
    if (directory)
        view_reply_run(fs, req, node, directory);
    else if (query_is_name(name))
        query_reply(fs, req, node, name);
    else
        fuse_reply_err(req, ENOENT);
}

bool query_run_name(struct fs *fs, struct index *index, const struct query_node *node, const struct run *run,
                    char name[LIMIT_NAME_BYTES + 1])
{
    struct query_scope scope;
    if (query_scope_open(fs, index, node, &scope) != 0)
        return false;
    bool holds = scope.set.holds(run, scope.set.context);
    if (holds)
        run_set_name(index, &scope.set, run, name);
    query_scope_close(&scope);
    return holds;
}

/* ---- listing ---- */

static void query_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct query_node *query = (struct query_node *)node;
    struct query_listing *answer;
    int error = query_listing_take(fs, query, offset, &answer);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    struct view_listing listing;
    view_listing_begin(&listing, req, size, plus);
    view_listing_add_dots(&listing, query_ino(query), offset);
    size_t first = query_listing_position(offset), position = first;
    for (; position < answer->count; position++) {
        const struct query_listed *listed = &answer->listed[position];
        if (!view_listing_add(&listing, answer->names.bytes + listed->name_at, listed->ino, S_IFDIR,
                              query_listing_offset(answer, position + 1)))
            break;
    }
    query_listing_give(fs, answer, first >= answer->count);
    view_listing_end(fs, &listing);
}

static void query_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    query_list(fs, req, node, size, offset, false);
}

static void query_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    query_list(fs, req, node, size, offset, true);
}

const struct node_operations query_operations = {
    .lookup = query_lookup,
    .getxattr = view_getxattr,
    .getattr = query_getattr,
    .rmdir = view_rmdir,
    .readdir = query_readdir,
    .readdirplus = query_readdirplus,
};
