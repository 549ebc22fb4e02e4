/*
 * Names in real directories: making, moving and removing them, as the caller, by the source's own rules.
 * Whatever changed is noted for the keeper and told to the other places of the directory before the reply.
 */
#include "fs/real/real.h"
#include "fs/view/view.h"
#include "fs/caller.h"
#include "fs/coherence.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A change of one name in one directory: from _begin (which has replied if it returns false) to _end. */
struct change_of_name {
    struct fs *fs;
    fuse_req_t req;
    struct directory_node *parent;
    const char *name;
    struct file_node *linked; /* that gets another name; NULL for none */
    struct descriptor descriptor;
};

static bool change_begin(struct change_of_name *change, struct fs *fs, fuse_req_t req, struct node *parent,
                         const char *name)
{
    *change = (struct change_of_name){
        .fs = fs, .req = req, .parent = (struct directory_node *)parent, .name = name};
    int error = source_borrow(fs->source, change->parent->directory, &change->descriptor);
    if (error) {
        fuse_reply_err(req, -error);
        return false;
    }
    return true;
}

/* From here to change_done the thread is the caller. Returns the directory's descriptor. */
static int change_as_caller(struct change_of_name *change)
{
    caller_assume(change->fs, change->req);
    return change->descriptor.fd;
}

/* The system call is done, with result 0 or -1 and errno: takes back the caller's identity and tells of the
 * change. Returns 0 or -errno. */
static int change_done(struct change_of_name *change, int result, bool removed)
{
    int error = result < 0 ? -errno : 0;
    caller_restore(change->fs);
    if (error == 0) {
        if (change->linked)
            file_note_places(change->fs, change->linked);
        keeper_note(change->fs->keeper, change->parent->directory, change->name);
        coherence_configuration_changed(change->fs, change->parent->directory, change->name);
        coherence_entry_changed(change->fs, change->parent->directory, change->name, removed, change->parent,
                                NULL);
    }
    return error;
}

static void change_end(struct change_of_name *change)
{
    source_release(change->fs->source, &change->descriptor);
}

/* Replies with the entry that was made. */
static void change_reply_entry(struct change_of_name *change, int result)
{
    struct fuse_entry_param entry;
    int error = change_done(change, result, false);
    if (error == 0)
        error = entry_lookup(change->fs, change->parent, change->descriptor.fd, change->name, &entry);
    change_end(change);
    if (error)
        fuse_reply_err(change->req, -error);
    else
        entry_reply(change->fs, change->req, &entry);
}

void directory_mknod(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode,
                     dev_t rdev)
{
    struct change_of_name change;
    if (change_begin(&change, fs, req, parent, name))
        change_reply_entry(&change, mknodat(change_as_caller(&change), name, mode, rdev));
}

void directory_mkdir(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode)
{
    struct change_of_name change;
    if (change_begin(&change, fs, req, parent, name))
        change_reply_entry(&change, mkdirat(change_as_caller(&change), name, mode));
}

void directory_symlink(struct fs *fs, fuse_req_t req, struct node *parent, const char *name,
                       const char *target)
{
    struct change_of_name change;
    if (change_begin(&change, fs, req, parent, name))
        change_reply_entry(&change, symlinkat(target, change_as_caller(&change), name));
}

void real_link(struct fs *fs, fuse_req_t req, struct node *node, struct directory_node *parent,
               const char *name)
{
    struct real_fd real;
    int error = -EPERM;
    if (node->operations->open_path && tracked_allows(fs, parent, name))
        error = node->operations->open_path(fs, node, &real);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    struct change_of_name change;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", real.fd);
    if (change_begin(&change, fs, req, &parent->node, name)) {
        change.linked = node->kind == NODE_FILE ? (struct file_node *)node : NULL;
        change_reply_entry(&change,
                           linkat(AT_FDCWD, path, change_as_caller(&change), name, AT_SYMLINK_FOLLOW));
    }
    real_fd_close(fs, &real);
}

void directory_create(struct fs *fs, fuse_req_t req, struct node *parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    struct change_of_name change;
    struct fuse_entry_param entry;
    if (!change_begin(&change, fs, req, parent, name))
        return;
    int flags = fi->flags & (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC);
    int fd = openat(change_as_caller(&change), name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);
    int error = change_done(&change, fd, false);
    if (error == 0)
        error = entry_lookup(fs, change.parent, change.descriptor.fd, name, &entry);
    change_end(&change);
    struct stat made;
    if (error == 0 && (fstat(fd, &made) != 0 || made.st_ino != entry.attr.st_ino || !S_ISREG(made.st_mode))) {
        /* something else took the name meanwhile */
        nodes_forget(&fs->nodes, node_of_number(&fs->nodes, entry.ino), 1);
        error = -ESTALE;
    }
    if (error) {
        if (fd >= 0)
            close(fd);
        fuse_reply_err(req, -entry_from_error(error));
        return;
    }
    struct file_node *file = (struct file_node *)node_of_number(&fs->nodes, entry.ino);
    /* A file that its owner may not open again (as Git makes its objects) needs the descriptor that made it.
     */
    struct handle *handle = NULL;
    if (!fs->is_root && (mode & 0600) != 0600)
        handle = handle_add(&fs->nodes, &file->handles, fd, flags & O_ACCMODE, HANDLE_KEPT, true);
    if (handle)
        handle_unref(&fs->nodes, handle);
    else
        close(fd);
    /* The kernel takes the attributes of a CREATE for newer than any other. Of a file that it knew already
     * (it came here by another place) they may be older than a write that is just being answered. */
    if (nodes_is_shared(&fs->nodes, &file->node))
        entry.attr_timeout = 0;
    fi->keep_cache = 1;
    if (fuse_reply_create(req, &entry, fi) == -ENOENT)
        nodes_forget(&fs->nodes, &file->node, 1);
}

void directory_unlink(struct fs *fs, fuse_req_t req, struct node *parent, const char *name)
{
    struct change_of_name change;
    if (!change_begin(&change, fs, req, parent, name))
        return;
    struct handle *kept;
    int error = file_keep_open(fs, change.parent->directory, change.descriptor.fd, name, &kept);
    if (error == 0) {
        /* A run that is removed through a view stays reachable there for who removes it. */
        view_linger(fs, change.parent, name);
        error = change_done(&change, unlinkat(change_as_caller(&change), name, 0), true);
        file_kept(fs, kept, error == 0);
        if (error)
            view_linger_end(fs, change.parent->directory);
        else if (keeper_is_manifest(fs->keeper, change.parent->directory, name))
            manifest_removed(fs);
    }
    change_end(&change);
    fuse_reply_err(req, -error);
}

void directory_rmdir(struct fs *fs, fuse_req_t req, struct node *parent, const char *name)
{
    struct change_of_name change;
    if (!change_begin(&change, fs, req, parent, name))
        return;
    struct attributes attributes;
    struct directory *directory = NULL;
    if (source_stat_at(change.descriptor.fd, name, &attributes) == 0)
        directory = source_directory_known(fs->source, &attributes.identity);
    int error = change_done(&change, unlinkat(change_as_caller(&change), name, AT_REMOVEDIR), true);
    change_end(&change);
    if (directory) {
        if (error == 0) {
            nodes_directory_removed(&fs->nodes, directory);
            source_forget_descriptor(fs->source, directory);
        }
        directory_unref(fs->source, directory);
    }
    fuse_reply_err(req, -error);
}

/* ---- rename ---- */

/* What stands at name in the directory shown by parent came there by a rename from the one shown by
 * old_parent. */
static void arrived(struct fs *fs, struct directory_node *old_parent, struct directory_node *parent,
                    int directory_fd, const char *name)
{
    struct attributes attributes;
    if (source_stat_at(directory_fd, name, &attributes) != 0)
        return;
    if (!S_ISDIR(attributes.stat.st_mode)) {
        struct file_node *file = nodes_file_known(&fs->nodes, &attributes.identity);
        if (file) {
            nodes_file_at(&fs->nodes, file, parent->directory, name, &attributes);
            if (keeper_is_manifest(fs->keeper, parent->directory, name))
                coherence_attributes_changed(fs, &file->node); /* so that opening it by this name asks */
            node_unref(&fs->nodes, &file->node);
        }
        return;
    }
    struct directory *directory = source_directory_known(fs->source, &attributes.identity);
    if (!directory)
        return;
    directory_unref(fs->source,
                    source_directory_at(fs->source, parent->directory, name, &attributes.identity));
    struct directory_node *node = nodes_directory_known(&fs->nodes, &old_parent->node, directory);
    if (node) {
        nodes_directory_moved(&fs->nodes, node, &parent->node);
        node_unref(&fs->nodes, &node->node);
    }
    directory_unref(fs->source, directory);
}

void real_rename(struct fs *fs, fuse_req_t req, struct directory_node *parent, const char *name,
                 struct directory_node *new_parent, const char *new_name, unsigned flags)
{
    struct descriptor from, to;
    int error = -EPERM;
    if (tracked_allows(fs, parent, name) && tracked_allows(fs, new_parent, new_name))
        error = source_borrow(fs->source, parent->directory, &from);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    error = source_borrow(fs->source, new_parent->directory, &to);
    if (error) {
        source_release(fs->source, &from);
        fuse_reply_err(req, -error);
        return;
    }
    bool replaces = !(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE));
    struct handle *kept = NULL;
    error = replaces ? file_keep_open(fs, new_parent->directory, to.fd, new_name, &kept) : 0;
    if (error == 0) {
        pthread_rwlock_wrlock(&fs->rename_lock);
        caller_assume(fs, req);
        error = syscall(SYS_renameat2, from.fd, name, to.fd, new_name, flags) == 0 ? 0 : -errno;
        caller_restore(fs);
        if (error == 0) {
            arrived(fs, parent, new_parent, to.fd, new_name);
            if (flags & RENAME_EXCHANGE)
                arrived(fs, new_parent, parent, from.fd, name);
        }
        pthread_rwlock_unlock(&fs->rename_lock);
        file_kept(fs, kept, error == 0);
    }
    if (error == 0) {
        keeper_note_move(fs->keeper, parent->directory, name, new_parent->directory, new_name);
        coherence_configuration_changed(fs, parent->directory, name);
        coherence_configuration_changed(fs, new_parent->directory, new_name);
        if (keeper_is_manifest(fs->keeper, parent->directory, name) && !(flags & RENAME_EXCHANGE))
            manifest_removed(fs);
        coherence_entry_changed(fs, parent->directory, name, true, parent, new_parent);
        coherence_entry_changed(fs, new_parent->directory, new_name, true, parent, new_parent);
        /* The kernel now takes what was moved for the manifest; it shall look again. */
        if (keeper_is_manifest(fs->keeper, new_parent->directory, new_name))
            coherence_examine(fs, new_parent->directory, new_name, true);
    }
    source_release(fs->source, &to);
    source_release(fs->source, &from);
    fuse_reply_err(req, -error);
}
