/*
 * The control directory `.runsfs` at the mount's top, which is reached by name and listed nowhere:
 *
 *   status.json   what the daemon says of itself
 *   errors        unreadable files, and the last queries that were refused, with reasons
 *   find/<query>  the entries of the manifest that match, as a JSON array, for programs (`runs find` is one)
 *   refresh       whoever writes anything to it has everything looked at again
 *
 * Every look at a file by name is a file of its own with the state of that moment (report.c), so that a
 * reader never sees half of one state and half of another.
 */
#include "fs/view/report.h"
#include "fs/coherence.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTROL_INO (VIEW_INO_OTHER | 1)
#define FIND_INO (VIEW_INO_OTHER | 2)
#define REFRESH_INO (VIEW_INO_OTHER | 3)
#define REPORT_INO (VIEW_INO_OTHER | 16)

/* The files that are made when they are looked up. */
static const struct report {
    const char *name;
    void (*render)(struct fs *fs, struct buffer *text);
} reports[] = {
    {"status.json", report_status},
    {"errors", report_errors},
};

#define REPORT_COUNT (sizeof(reports) / sizeof(*reports))

bool control_is(const char *name)
{
    return strcmp(name, ".runsfs") == 0;
}

static bool is_find(const struct fs *fs, const struct node *node)
{
    return node == &fs->nodes.find;
}

/* Who may list the views may look; who may write the manifest may have everything looked at again. */
static void control_stat(struct fs *fs, const struct node *node, struct stat *st)
{
    view_model_stat(fs, st);
    st->st_nlink = 2;
    st->st_ino = is_find(fs, node) ? FIND_INO : CONTROL_INO;
    st->st_mtim = st->st_ctim = st->st_atim = fs->mounted_at;
    if (node->kind == NODE_CONTROL)
        return;
    st->st_nlink = 1;
    if (node->kind == NODE_REFRESH) {
        st->st_mode = S_IFREG | 0200 | (st->st_mode & 0022);
        st->st_ino = REFRESH_INO;
        return;
    }
    const struct report_node *report = (const struct report_node *)node;
    st->st_mode = S_IFREG | (st->st_mode & 0444);
    st->st_ino = report->ino;
    st->st_size = (off_t)report->length;
    st->st_mtim = st->st_ctim = st->st_atim = report->made_at;
}

static void control_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st;
    control_stat(fs, node, &st);
    fuse_reply_attr(req, &st, 0);
}

static void reply_control(struct fs *fs, fuse_req_t req, struct node *node)
{
    struct fuse_entry_param entry = {.ino = node_number(&fs->nodes, node)};
    control_stat(fs, node, &entry.attr);
    entry_reply(fs, req, &entry);
}

static void reply_static(struct fs *fs, fuse_req_t req, struct node *node)
{
    nodes_looked_up(&fs->nodes, node);
    reply_control(fs, req, node);
}

void control_lookup(struct fs *fs, fuse_req_t req)
{
    reply_static(fs, req, &fs->nodes.control);
}

static void find_lookup(struct fs *fs, fuse_req_t req, const char *name)
{
    struct buffer text = {0};
    int error = report_find(fs, name, &text);
    if (error)
        fuse_reply_err(req, -error);
    else
        reply_control(fs, req,
                      &nodes_report(&fs->nodes, REPORT_INO | text_hash(slice_of(name)) >> 4, text)->node);
}

static void directory_of_control_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    if (is_find(fs, node)) {
        find_lookup(fs, req, name);
        return;
    }
    if (strcmp(name, "find") == 0 || strcmp(name, "refresh") == 0) {
        reply_static(fs, req, *name == 'f' ? &fs->nodes.find : &fs->nodes.refresh);
        return;
    }
    for (size_t i = 0; i < REPORT_COUNT; i++)
        if (strcmp(name, reports[i].name) == 0) {
            struct buffer text = {0};
            reports[i].render(fs, &text);
            reply_control(fs, req, &nodes_report(&fs->nodes, REPORT_INO + i, text)->node);
            return;
        }
    fuse_reply_err(req, ENOENT);
}

/* ---- the files ---- */

/* As soon as the reply is written, the kernel may forget the node; but who sends may look at the text until
 * it returns. */
static void report_read(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                        struct fuse_file_info *fi)
{
    (void)fi;
    const struct report_node *report = (const struct report_node *)node;
    size_t at = (uint64_t)offset < report->length ? (size_t)offset : report->length;
    size_t left = report->length - at;
    node_ref(&fs->nodes, node);
    fuse_reply_buf(req, report->text + at, left < size ? left : size);
    node_unref(&fs->nodes, node);
}

static void report_lseek(struct fs *fs, fuse_req_t req, struct node *node, off_t offset, int whence,
                         struct fuse_file_info *fi)
{
    (void)fs;
    (void)fi;
    off_t size = (off_t)((const struct report_node *)node)->length;
    if (offset < 0 || offset >= size)
        fuse_reply_err(req, ENXIO);
    else
        fuse_reply_lseek(req, whence == SEEK_HOLE ? size : offset);
}

static void refresh_write(struct fs *fs, fuse_req_t req, struct node *node, const char *bytes, size_t size,
                          off_t offset, struct fuse_file_info *fi)
{
    (void)node;
    (void)bytes;
    (void)offset;
    (void)fi;
    keeper_note_all(fs->keeper);
    coherence_examine_all(fs);
    keeper_lock(fs->keeper); /* settles: it is done when the write returns */
    keeper_unlock(fs->keeper);
    fuse_reply_write(req, size);
}

/* `>` truncates first. */
static void refresh_setattr(struct fs *fs, fuse_req_t req, struct node *node, struct stat *attr, int to_set,
                            struct fuse_file_info *fi)
{
    (void)attr;
    if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
        fuse_reply_err(req, EPERM);
    else
        control_getattr(fs, req, node, fi);
}

static void no_xattr(struct fs *fs, fuse_req_t req, struct node *node, const char *name, size_t size)
{
    (void)fs;
    (void)node;
    (void)name;
    (void)size;
    fuse_reply_err(req, ENODATA);
}

/* ---- listing ---- */

static void control_list(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                         bool plus)
{
    static const struct {
        const char *name;
        uint64_t ino;
        mode_t type;
    } others[] = {{"refresh", REFRESH_INO, S_IFREG}, {"find", FIND_INO, S_IFDIR}};
    struct view_listing listing;
    view_listing_begin(&listing, req, size, plus);
    bool fits = view_listing_add_dots(&listing, is_find(fs, node) ? FIND_INO : CONTROL_INO, offset);
    size_t at = offset > VIEW_FIRST_OFFSET ? (size_t)offset - VIEW_FIRST_OFFSET : 0;
    for (; fits && !is_find(fs, node) && at < REPORT_COUNT + 2; at++) {
        if (at < REPORT_COUNT)
            fits = view_listing_add(&listing, reports[at].name, REPORT_INO + at, S_IFREG,
                                    at + 1 + VIEW_FIRST_OFFSET);
        else
            fits = view_listing_add(&listing, others[at - REPORT_COUNT].name, others[at - REPORT_COUNT].ino,
                                    others[at - REPORT_COUNT].type, at + 1 + VIEW_FIRST_OFFSET);
    }
    view_listing_end(fs, &listing);
}

static void control_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    control_list(fs, req, node, size, offset, false);
}

static void control_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    control_list(fs, req, node, size, offset, true);
}

const struct node_operations control_operations = {
    .lookup = directory_of_control_lookup,
    .getxattr = no_xattr,
    .getattr = control_getattr,
    .readdir = control_readdir,
    .readdirplus = control_readdirplus,
};

const struct node_operations report_operations = {
    .getattr = control_getattr,
    .getxattr = no_xattr,
    .read = report_read,
    .lseek = report_lseek,
};

const struct node_operations refresh_operations = {
    .getattr = control_getattr,
    .setattr = refresh_setattr,
    .getxattr = no_xattr,
    .write = refresh_write,
};
