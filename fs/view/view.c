/*
 * The derived directories: the mount's top, by-<facet>/ and by-<facet>/<value>/. The entries of a value are
 * runs, and those are the real directories. Queries (where/, and below a value) are query.c's.
 *
 * The kernel keeps no entry of a value and no attribute of a facet or value: every look comes here and is
 * answered from the settled index, so it is true at once, whoever changed what. Listings are kept by the
 * kernel, which checks them against the directory's mtime; that moves, strictly, with every change of the
 * list.
 *
 * Rights. The top has those of the source's root. Who may read the manifest may list the views, which say
 * nothing else. A run is reached through a view only by who could reach it in the source.
 */
#include "fs/view/view.h"
#include "fs/coherence.h"
#include "fs/caller.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Who may read may list and search; and may try to change, so that it is the daemon that says EPERM, and that
 * the last step of `rm -r` of a run reaches it. */
static mode_t readable_as_directory(mode_t mode)
{
    return S_IFDIR | (mode & 0444) | (mode & 0444) >> 1 | (mode & 0444) >> 2;
}

void view_model_stat(struct fs *fs, struct stat *st)
{
    struct stat model;
    *st = (struct stat){.st_blksize = 4096};
    if (fstatat(source_root_fd(fs->source), keeper_manifest_name(fs->keeper), &model, AT_SYMLINK_NOFOLLOW) !=
            0 ||
        !S_ISREG(model.st_mode))
        fstat(source_root_fd(fs->source), &model);
    st->st_mode = readable_as_directory(model.st_mode);
    st->st_uid = model.st_uid;
    st->st_gid = model.st_gid;
}

static void view_stat(struct fs *fs, const struct view_node *view, struct stat *st)
{
    view_model_stat(fs, st);
    struct index *index = keeper_lock(fs->keeper);
    if (view->value) {
        st->st_ino = VIEW_INO | facet_value_number(view->value) << 8 | view->facet;
        st->st_nlink = 2 + facet_value_runs(view->value);
        st->st_mtim = facet_value_changed_at(view->value);
    } else {
        st->st_ino = VIEW_INO | view->facet;
        st->st_nlink = 2 + facet_value_count(index, view->facet);
        st->st_mtim = facet_changed_at(index, view->facet);
    }
    keeper_unlock(fs->keeper);
    st->st_ctim = st->st_atim = st->st_mtim;
}

static void top_stat(struct fs *fs, struct stat *st)
{
    struct stat model;
    fstat(source_root_fd(fs->source), &model);
    struct index *index = keeper_lock(fs->keeper);
    struct timespec changed_at = index_configured_at(index); /* which views there are */
    keeper_unlock(fs->keeper);
    *st = (struct stat){
        .st_ino = FUSE_ROOT_ID,
        .st_mode = S_IFDIR | (model.st_mode & 0555) | (model.st_mode & 0444) >> 1,
        .st_uid = model.st_uid,
        .st_gid = model.st_gid,
        .st_nlink = 1, /* how many views there are is the configuration's */
        .st_blksize = 4096,
        .st_mtim = changed_at,
        .st_ctim = changed_at,
        .st_atim = changed_at,
    };
}

static void view_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st;
    view_stat(fs, (struct view_node *)node, &st);
    fuse_reply_attr(req, &st, 0);
}

/* Before the first answer the kernel believes that nobody may enter, and it drops an answer beside which it
 * is told that the attributes changed: then a user who comes right after mounting is refused. So for a moment
 * it is told nothing, and keeps nothing. */
#define TOP_SETTLES_MS 1000

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool view_top_is_settled(struct fs *fs)
{
    int64_t asked_ms = atomic_load(&fs->top_asked_ms);
    return asked_ms && now_ms() - asked_ms > TOP_SETTLES_MS;
}

static void top_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    (void)node;
    (void)fi;
    struct stat st;
    int64_t never = 0;
    atomic_compare_exchange_strong(&fs->top_asked_ms, &never, now_ms());
    /* Before the look: of what changes after it the kernel is told. */
    bool settled = view_top_is_settled(fs);
    top_stat(fs, &st);
    bool watched = atomic_load(&source_root(fs->source)->watch_state) == WATCH_ACTIVE;
    fuse_reply_attr(req, &st, watched && settled ? CACHE_SECONDS : 0);
}

/* ---- access control lists ---- */

/* As linux/posix_acl_xattr.h has it, little-endian. */
struct acl_entry {
    uint16_t tag, permissions;
    uint32_t id;
};
#define ACL_HEADER_BYTES 4

/* A derived directory has the access list of its model, as it has its mode: the source's root for the top,
 * the manifest for the views. */
void view_getxattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size)
{
    char path[PATH_MAX + 32], value[4096];
    bool is_top = node->kind == NODE_ROOT;
    if (strcmp(name, "system.posix_acl_access") != 0) {
        fuse_reply_err(req, ENODATA);
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", source_root_fd(fs->source),
             is_top ? "." : keeper_manifest_name(fs->keeper));
    ssize_t length = lgetxattr(path, name, value, sizeof(value));
    if (length < 0) {
        fuse_reply_err(req, errno == ENOENT ? ENODATA : errno);
        return;
    }
    for (size_t at = ACL_HEADER_BYTES; at + sizeof(struct acl_entry) <= (size_t)length;
         at += sizeof(struct acl_entry)) {
        struct acl_entry entry;
        memcpy(&entry, value + at, sizeof(entry));
        bool readable = entry.permissions & 4, searchable = is_top ? entry.permissions & 1 : readable;
        entry.permissions = (uint16_t)(readable * 6 + searchable);
        memcpy(value + at, &entry, sizeof(entry));
    }
    if (size == 0)
        fuse_reply_xattr(req, (size_t)length);
    else if ((size_t)length > size)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, value, (size_t)length);
}

/* ---- lookup ---- */

static void reply_view(struct fs *fs, fuse_req_t req, struct view_node *view)
{
    struct fuse_entry_param entry = {.ino = node_number(&fs->nodes, &view->node)};
    view_stat(fs, view, &entry.attr);
    entry_reply(fs, req, &entry);
}

static void top_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    if (strcmp(name, "runs") == 0) {
        struct fuse_entry_param entry = {.entry_timeout = CACHE_SECONDS};
        int error = entry_for_directory(fs, node, source_root(fs->source), &entry);
        if (error)
            fuse_reply_err(req, -error);
        else
            entry_reply(fs, req, &entry);
        return;
    }
    if (strcmp(name, "tracked") == 0) {
        tracked_top_lookup(fs, req);
        return;
    }
    if (strcmp(name, "at") == 0) {
        past_top_lookup(fs, req);
        return;
    }
    if (strcmp(name, "where") == 0) {
        query_top_lookup(fs, req);
        return;
    }
    if (control_is(name)) {
        control_lookup(fs, req);
        return;
    }
    struct index *index = keeper_lock(fs->keeper);
    int facet = facet_of_directory(index, name);
    keeper_unlock(fs->keeper);
    if (facet < 0)
        fuse_reply_err(req, ENOENT);
    else
        reply_view(fs, req, nodes_facet(&fs->nodes, (unsigned)facet));
}

static void facet_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    unsigned facet = ((struct view_node *)node)->facet;
    struct index *index = keeper_lock(fs->keeper);
    struct facet_value *value = facet_find(index, facet, name);
    keeper_unlock(fs->keeper);
    struct view_node *view =
        value ? nodes_value(&fs->nodes, facet, value) : view_lingering_value(fs, facet, name);
    if (view)
        reply_view(fs, req, view);
    else
        fuse_reply_err(req, ENOENT);
}

/* The directory shown under name in a value, with a reference; NULL for none. */
static struct directory *find_run_directory(struct fs *fs, const struct view_node *view, const char *name)
{
    struct index *index = keeper_lock(fs->keeper);
    struct run *run = facet_value_find(index, view->value, name);
    struct directory *directory = run ? keeper_run_directory(fs->keeper, run) : NULL;
    keeper_unlock(fs->keeper);
    return directory ? directory : view_lingering(fs, &view->node, name);
}

void view_reply_run(struct fs *fs, fuse_req_t req, struct node *parent, struct directory *directory)
{
    struct buffer path = {0};
    struct fuse_entry_param entry = {0};
    directory_path(fs->source, directory, &path);
    int error = caller_may_reach(fs, req, source_root_fd(fs->source), path.length ? path.bytes : "");
    if (error == 0)
        error = entry_for_directory(fs, parent, directory, &entry);
    buffer_free(&path);
    directory_unref(fs->source, directory);
    if (error)
        fuse_reply_err(req, error == -ESTALE ? ENOENT : -error);
    else
        entry_reply(fs, req, &entry);
}

static void value_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct directory *directory = find_run_directory(fs, (struct view_node *)node, name);
    if (directory)
        view_reply_run(fs, req, node, directory);
    else if (query_is_name(name))
        query_reply(fs, req, node, name);
    else
        fuse_reply_err(req, ENOENT);
}

/* ---- removal ---- */

/* The last step of `rm -r` of a run through a view. A run that still is one is not empty, and not to be
 * removed like this. */
void view_rmdir(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct directory *directory = view_lingering(fs, node, name);
    if (!directory) {
        fuse_reply_err(req, EPERM);
        return;
    }
    struct buffer place = {0};
    struct directory *parent = directory_place(fs->source, directory, &place);
    const char *real_name = place.bytes;
    struct descriptor descriptor;
    int error = source_borrow(fs->source, parent, &descriptor);
    if (error == 0) {
        caller_assume(fs, req);
        error = unlinkat(descriptor.fd, real_name, AT_REMOVEDIR) == 0 ? 0 : -errno;
        caller_restore(fs);
        if (error == 0) {
            keeper_note(fs->keeper, parent, real_name);
            coherence_entry_changed(fs, parent, real_name, true, NULL, NULL);
        }
        source_release(fs->source, &descriptor);
    }
    if (error == 0) {
        nodes_directory_removed(&fs->nodes, directory);
        source_forget_descriptor(fs->source, directory);
        view_linger_end(fs, directory);
    }
    directory_unref(fs->source, parent);
    directory_unref(fs->source, directory);
    buffer_free(&place);
    fuse_reply_err(req, -error);
}

/* ---- listing ---- */

static void list_top(struct fs *fs, struct view_listing *listing, off_t offset)
{
    enum { TOP_RUNS, TOP_TRACKED, TOP_WHERE, TOP_AT, TOP_FACETS };
    static const char *const names[] = {"runs", "tracked", "where", "at"};
    if (!view_listing_add_dots(listing, FUSE_ROOT_ID, offset))
        return;
    struct stat st;
    fstat(source_root_fd(fs->source), &st);
    size_t at = offset > VIEW_FIRST_OFFSET ? (size_t)offset - VIEW_FIRST_OFFSET : 0;
    struct index *index = keeper_lock(fs->keeper);
    for (; at < TOP_FACETS + facet_count(index); at++) {
        const char *name = at < TOP_FACETS ? names[at] : facet_directory(index, (unsigned)(at - TOP_FACETS));
        if (!name)
            continue;
        uint64_t ino = at < TOP_WHERE    ? st.st_ino
                       : at == TOP_WHERE ? query_ino(&fs->nodes.where)
                       : at == TOP_AT    ? PAST_INO
                                         : VIEW_INO | (at - TOP_FACETS);
        if (!view_listing_add(listing, name, ino, S_IFDIR, at + 1 + VIEW_FIRST_OFFSET))
            break;
    }
    keeper_unlock(fs->keeper);
}

static void list_facet(struct fs *fs, struct view_listing *listing, const struct view_node *view,
                       off_t offset)
{
    if (!view_listing_add_dots(listing, VIEW_INO | view->facet, offset))
        return;
    uint64_t sequence = offset > VIEW_FIRST_OFFSET ? (uint64_t)offset - VIEW_FIRST_OFFSET : 0;
    struct index *index = keeper_lock(fs->keeper);
    for (struct facet_value *value; (value = facet_next(index, view->facet, sequence, &sequence));) {
        uint64_t ino = VIEW_INO | facet_value_number(value) << 8 | view->facet;
        if (!view_listing_add(listing, facet_value_name(value), ino, S_IFDIR, sequence + VIEW_FIRST_OFFSET))
            break;
    }
    keeper_unlock(fs->keeper);
}

static void list_value(struct fs *fs, struct view_listing *listing, const struct view_node *view,
                       off_t offset)
{
    if (!view_listing_add_dots(listing, VIEW_INO | facet_value_number(view->value) << 8 | view->facet,
                               offset))
        return;
    char name[LIMIT_NAME_BYTES + 1];
    uint64_t sequence = offset > VIEW_FIRST_OFFSET ? (uint64_t)offset - VIEW_FIRST_OFFSET : 0;
    struct index *index = keeper_lock(fs->keeper);
    for (struct run *run; (run = facet_value_next(view->value, sequence, &sequence));) {
        facet_run_name(index, view->facet, run, name);
        struct directory *directory = keeper_run_directory(fs->keeper, run);
        bool fits =
            view_listing_add(listing, name, directory->identity.ino, S_IFDIR, sequence + VIEW_FIRST_OFFSET);
        directory_unref(fs->source, directory);
        if (!fits)
            break;
    }
    keeper_unlock(fs->keeper);
}

static void view_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset, bool plus)
{
    struct view_listing listing;
    view_listing_begin(&listing, req, size, plus);
    if (node->kind == NODE_ROOT)
        list_top(fs, &listing, offset);
    else if (node->kind == NODE_FACET)
        list_facet(fs, &listing, (struct view_node *)node, offset);
    else
        list_value(fs, &listing, (struct view_node *)node, offset);
    view_listing_end(fs, &listing);
}

static void view_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    view_list(fs, req, node, size, offset, false);
}

static void view_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    view_list(fs, req, node, size, offset, true);
}

const struct node_operations root_operations = {
    .lookup = top_lookup,
    .getxattr = view_getxattr,
    .getattr = top_getattr,
    .readdir = view_readdir,
    .readdirplus = view_readdirplus,
};

const struct node_operations facet_operations = {
    .lookup = facet_lookup,
    .getxattr = view_getxattr,
    .getattr = view_getattr,
    .readdir = view_readdir,
    .readdirplus = view_readdirplus,
};

const struct node_operations value_operations = {
    .lookup = value_lookup,
    .getxattr = view_getxattr,
    .getattr = view_getattr,
    .rmdir = view_rmdir,
    .readdir = view_readdir,
    .readdirplus = view_readdirplus,
};
