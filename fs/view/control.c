/*
 * The control directory `.runsfs` at the mount's top, which is reached by name and listed nowhere: what the
 * daemon says of itself. status.json: every look at it by name is a file of its own with the state of that
 * moment, so that a reader never sees half of one and half of another.
 */
#include "core/base/memory.h"
#include "fs/counters.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTROL_INO (1ull << 63 | 0xfe)
#define STATUS_INO (1ull << 63 | 0xff)
#define STATUS_NAME "status.json"

bool control_is(const char *name)
{
    return strcmp(name, ".runsfs") == 0;
}

/* Who may list the views may look. */
static void control_stat(struct fs *fs, const struct node *node, struct stat *st)
{
    view_stat(fs, &fs->nodes.facets[0], st);
    st->st_nlink = 2;
    st->st_ino = CONTROL_INO;
    st->st_mtim = st->st_ctim = st->st_atim = fs->mounted_at;
    if (node->kind == NODE_CONTROL)
        return;
    const struct status_node *status = (const struct status_node *)node;
    st->st_mode = S_IFREG | (st->st_mode & 0444);
    st->st_nlink = 1;
    st->st_ino = STATUS_INO;
    st->st_size = (off_t)status->length;
    st->st_mtim = st->st_ctim = st->st_atim = status->made_at;
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

void control_lookup(struct fs *fs, fuse_req_t req)
{
    nodes_looked_up(&fs->nodes, &fs->nodes.control);
    reply_control(fs, req, &fs->nodes.control);
}

/* ---- status.json ---- */

static void render_status(struct fs *fs, struct buffer *text)
{
    struct index *index = keeper_lock(fs->keeper);
    size_t runs = index_count(index);
    uint64_t generation = index_generation(index);
    keeper_unlock(fs->keeper);
    struct watch *watch = keeper_watch(fs->keeper);
    buffer_append_text(text, "{\n  \"version\": \"" RUNSFS_VERSION "\",\n");
    buffer_append_format(text, "  \"runs\": %zu,\n  \"generation\": %llu,\n", runs,
                         (unsigned long long)generation);
    buffer_append_format(text, "  \"watch\": {\n    \"kind\": \"%s\",\n    \"directories\": %zu\n  },\n",
                         watch_backend_name(watch_backend_in_use(watch)), watch_count(watch));
    buffer_append_text(text, "  \"requests\": {\n");
    counters_render(fs, text);
    buffer_append_text(text, "  }\n}\n");
}

static void status_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    (void)node;
    if (strcmp(name, STATUS_NAME) != 0) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    struct buffer text = {0};
    render_status(fs, &text);
    reply_control(fs, req, &nodes_status(&fs->nodes, text.bytes, text.length)->node);
}

static void status_read(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                        struct fuse_file_info *fi)
{
    (void)fs;
    (void)fi;
    const struct status_node *status = (const struct status_node *)node;
    size_t at = (uint64_t)offset < status->length ? (size_t)offset : status->length;
    size_t left = status->length - at;
    fuse_reply_buf(req, status->text + at, left < size ? left : size);
}

static void status_lseek(struct fs *fs, fuse_req_t req, struct node *node, off_t offset, int whence,
                         struct fuse_file_info *fi)
{
    (void)fs;
    (void)fi;
    off_t size = (off_t)((const struct status_node *)node)->length;
    if (offset < 0 || offset >= size)
        fuse_reply_err(req, ENXIO);
    else
        fuse_reply_lseek(req, whence == SEEK_HOLE ? size : offset);
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

static void control_list(fuse_req_t req, size_t size, off_t offset, bool plus)
{
    static const struct {
        const char *name;
        uint64_t ino;
        mode_t mode;
    } entries[] = {
        {".", CONTROL_INO, S_IFDIR}, {"..", FUSE_ROOT_ID, S_IFDIR}, {STATUS_NAME, STATUS_INO, S_IFREG}};
    char bytes[1024];
    size_t used = 0, room = size < sizeof(bytes) ? size : sizeof(bytes);
    for (size_t at = (size_t)offset; at < sizeof(entries) / sizeof(*entries); at++) {
        struct fuse_entry_param entry = {.attr = {.st_ino = entries[at].ino, .st_mode = entries[at].mode}};
        size_t need = plus ? fuse_add_direntry_plus(req, bytes + used, room - used, entries[at].name, &entry,
                                                    (off_t)at + 1)
                           : fuse_add_direntry(req, bytes + used, room - used, entries[at].name, &entry.attr,
                                               (off_t)at + 1);
        if (need > room - used)
            break;
        used += need;
    }
    fuse_reply_buf(req, bytes, used);
}

static void control_readdir(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    (void)fs;
    (void)node;
    control_list(req, size, offset, false);
}

static void control_readdirplus(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset)
{
    (void)fs;
    (void)node;
    control_list(req, size, offset, true);
}

const struct node_operations control_operations = {
    .lookup = status_lookup,
    .getxattr = no_xattr,
    .getattr = control_getattr,
    .readdir = control_readdir,
    .readdirplus = control_readdirplus,
};

const struct node_operations status_operations = {
    .getattr = control_getattr,
    .getxattr = no_xattr,
    .read = status_read,
    .lseek = status_lseek,
};
