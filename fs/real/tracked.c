/*
 * tracked/: the tree of the source with the tracked files alone. Its directories are places of the real ones,
 * so files are the same nodes as under runs/, and what is done to a file is done to it; a directory shows
 * less. On the way to runs: the directories that lead to a place of one, and in the source's own the files
 * that keep it in order. In such a place: regular files and links whose names are tracked, be it a run yet,
 * or an aborted one, as Git has it.
 *
 * Names that are not shown can't be made here either. On the way to runs the kernel keeps nothing. In a run
 * all is as under runs/.
 */
#include "fs/real/real.h"
#include "fs/view/view.h"
#include <errno.h>
#include <string.h>

/* In the source's directory, besides the manifest. */
static bool is_of_source(const char *name)
{
    return strcmp(name, CONFIG_FILE_NAME) == 0 || strcmp(name, ".gitignore") == 0;
}

static bool is_run(struct fs *fs, const struct directory_node *node)
{
    keeper_lock(fs->keeper);
    bool is = keeper_role(fs->keeper, node->directory) == KEEPER_RUN;
    keeper_unlock(fs->keeper);
    return is;
}

bool tracked_is_inner(struct fs *fs, const struct directory_node *node)
{
    return !is_run(fs, node);
}

static bool may_hold(struct fs *fs, const struct directory_node *node, const char *name)
{
    keeper_lock(fs->keeper);
    bool is_of_run = keeper_role(fs->keeper, node->directory) == KEEPER_RUN;
    bool is_tracked = is_of_run && config_is_tracked(keeper_config(fs->keeper), name);
    keeper_unlock(fs->keeper);
    return is_tracked || (!is_of_run && node->directory == source_root(fs->source) &&
                          (is_of_source(name) || keeper_is_manifest(fs->keeper, node->directory, name)));
}

bool tracked_allows(struct fs *fs, const struct directory_node *node, const char *name)
{
    return !node->tracked || may_hold(fs, node, name);
}

bool tracked_shows(struct fs *fs, const struct directory_node *node, const char *name, mode_t type)
{
    if (S_ISDIR(type)) {
        keeper_lock(fs->keeper);
        bool leads = keeper_leads_to_place(fs->keeper, node->directory, name);
        keeper_unlock(fs->keeper);
        return leads;
    }
    return (S_ISREG(type) || S_ISLNK(type)) && may_hold(fs, node, name);
}

/* The times of a directory on the way to runs move with every change of the index, since the kernel tells by
 * them whether the listing that it keeps is still good. */
static void change_times(struct fs *fs, struct stat *st)
{
    struct index *index = keeper_lock(fs->keeper);
    struct timespec changed_at = index_changed_at(index);
    keeper_unlock(fs->keeper);
    if (changed_at.tv_sec > st->st_mtim.tv_sec ||
        (changed_at.tv_sec == st->st_mtim.tv_sec && changed_at.tv_nsec > st->st_mtim.tv_nsec))
        st->st_mtim = st->st_ctim = changed_at;
}

static void reply_entry(struct fs *fs, fuse_req_t req, const struct directory_node *parent,
                        struct fuse_entry_param *entry)
{
    const struct node *node = node_of_number(&fs->nodes, entry->ino);
    if (!parent || !is_run(fs, parent))
        entry->entry_timeout = 0;
    if (node->kind == NODE_DIRECTORY && !is_run(fs, (const struct directory_node *)node)) {
        change_times(fs, &entry->attr);
        entry->attr_timeout = 0;
    }
    entry_reply(fs, req, entry);
}

static void tracked_lookup(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    struct directory_node *parent = (struct directory_node *)node;
    if (keeper_is_manifest(fs->keeper, parent->directory, name)) {
        manifest_lookup(fs, req, parent);
        return;
    }
    struct descriptor descriptor;
    struct fuse_entry_param entry;
    int error = source_borrow(fs->source, parent->directory, &descriptor);
    if (error == 0) {
        error = entry_lookup(fs, parent, descriptor.fd, name, &entry);
        source_release(fs->source, &descriptor);
    }
    if (error == 0 && !tracked_shows(fs, parent, name, entry.attr.st_mode)) {
        nodes_forget(&fs->nodes, node_of_number(&fs->nodes, entry.ino), 1);
        error = -ENOENT;
    }
    if (error)
        fuse_reply_err(req, -error);
    else
        reply_entry(fs, req, parent, &entry);
}

void tracked_top_lookup(struct fs *fs, fuse_req_t req)
{
    struct node *top = &fs->nodes.tracked->node;
    struct attributes attributes;
    int error = source_stat_at(source_root_fd(fs->source), "", &attributes);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    struct fuse_entry_param entry = {.ino = node_number(&fs->nodes, top), .attr = attributes.stat};
    nodes_looked_up(&fs->nodes, top);
    reply_entry(fs, req, NULL, &entry);
}

static void tracked_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    struct real_fd real;
    struct attributes attributes;
    if (is_run(fs, (struct directory_node *)node)) {
        directory_getattr(fs, req, node, fi);
        return;
    }
    int error = directory_open_path(fs, node, &real);
    if (error == 0) {
        error = source_stat_at(real.fd, "", &attributes);
        real_fd_close(fs, &real);
    }
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    change_times(fs, &attributes.stat);
    fuse_reply_attr(req, &attributes.stat, 0);
}

/* The attributes of a run's directory are everyone's; those above it are changed under runs/. */
static void tracked_setattr(struct fs *fs, fuse_req_t req, struct node *node, struct stat *attr, int to_set,
                            struct fuse_file_info *fi)
{
    if (is_run(fs, (struct directory_node *)node))
        real_setattr(fs, req, node, attr, to_set, fi);
    else
        fuse_reply_err(req, EPERM);
}

/* ---- changes: of tracked names alone ---- */

static bool refuse(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    bool refused = !may_hold(fs, (struct directory_node *)node, name);
    if (refused)
        fuse_reply_err(req, EPERM);
    return refused;
}

static void tracked_symlink(struct fs *fs, fuse_req_t req, struct node *node, const char *name,
                            const char *target)
{
    if (!refuse(fs, req, node, name))
        directory_symlink(fs, req, node, name, target);
}

static void tracked_unlink(struct fs *fs, fuse_req_t req, struct node *node, const char *name)
{
    if (!refuse(fs, req, node, name))
        directory_unlink(fs, req, node, name);
}

static void tracked_create(struct fs *fs, fuse_req_t req, struct node *node, const char *name, mode_t mode,
                           struct fuse_file_info *fi)
{
    if (!refuse(fs, req, node, name))
        directory_create(fs, req, node, name, mode, fi);
}

static void tracked_mknod(struct fs *fs, fuse_req_t req, struct node *node, const char *name, mode_t mode,
                          dev_t rdev)
{
    if (S_ISREG(mode) && may_hold(fs, (struct directory_node *)node, name))
        directory_mknod(fs, req, node, name, mode, rdev);
    else
        fuse_reply_err(req, EPERM);
}

const struct node_operations tracked_operations = {
    .lookup = tracked_lookup,
    .getattr = tracked_getattr,
    .setattr = tracked_setattr,
    .mknod = tracked_mknod,
    .symlink = tracked_symlink,
    .unlink = tracked_unlink,
    .create = tracked_create,
    .readdir = directory_readdir,
    .readdirplus = directory_readdirplus,
    .fsyncdir = directory_fsyncdir,
    .open_path = directory_open_path,
    .open_data = directory_open_data,
};
