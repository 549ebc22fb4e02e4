/*
 * What files of the past hold: a blob, or the manifest that is derived from a revision's runs.
 */
#include "fs/coherence.h"
#include "fs/past/past.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int past_manifest_size(struct fs *fs, const struct past_node *node, uint64_t *size_bytes)
{
    struct past *past;
    struct snapshot *manifest;
    int error = past_runs(fs, node, &past);
    if (error == 0)
        error = past_manifest(past, &manifest);
    if (error == 0)
        *size_bytes = snapshot_size(manifest);
    return error;
}

/* Entered. */
static int size_of(struct fs *fs, const struct past_node *node, uint64_t *size_bytes)
{
    if (node->past_kind == PAST_MANIFEST)
        return past_manifest_size(fs, node, size_bytes);
    return blob_size(past_repository(fs), &node->id, size_bytes);
}

void past_content_getattr(struct fs *fs, fuse_req_t req, struct node *node, struct fuse_file_info *fi)
{
    struct past_node *past = (struct past_node *)node;
    uint64_t size_bytes = 0;
    struct stat st;
    (void)fi;
    int error = past_enter(fs);
    if (error == 0) {
        error = size_of(fs, past, &size_bytes);
        if (error)
            error = past_failed(fs, past, error);
        past_leave(fs);
    } else {
        error = -EIO;
    }
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    past_stat(fs, past, size_bytes, &st);
    fuse_reply_attr(req, &st, CACHE_SECONDS);
}

/* A piece of a file that is not kept in memory. Entered. */
static void reply_large(struct fs *fs, fuse_req_t req, const struct past_node *past, size_t size,
                        off_t offset)
{
    struct past_spools *spools = past_kept_spools(past_kept(fs));
    int fd = past_spool_find(spools, &past->id);
    int error = fd < 0 ? past_spool_make(spools, past_repository(fs), &past->id, &fd) : 0;
    char *bytes = error ? NULL : malloc(size);
    ssize_t length = bytes ? pread(fd, bytes, size, offset) : -1;
    if (error)
        fuse_reply_err(req, -past_failed(fs, past, error));
    else if (length < 0)
        fuse_reply_err(req, bytes ? errno : ENOMEM);
    else
        fuse_reply_buf(req, bytes, (size_t)length);
    free(bytes);
}

static void file_read(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                      struct fuse_file_info *fi)
{
    struct past_node *past = (struct past_node *)node;
    struct slice content;
    (void)fi;
    if (past_enter(fs) != 0) {
        fuse_reply_err(req, EIO);
        return;
    }
    bool is_large = past_spool_find(past_kept_spools(past_kept(fs)), &past->id) >= 0;
    int error = is_large ? -EFBIG : past_blob(fs, &past->id, &content);
    if (error == -EFBIG) {
        reply_large(fs, req, past, size, offset);
    } else if (error) {
        fuse_reply_err(req, -past_failed(fs, past, error));
    } else {
        size_t from = (uint64_t)offset < content.length ? (size_t)offset : content.length;
        size_t length = content.length - from < size ? content.length - from : size;
        fuse_reply_buf(req, content.bytes + from, length);
    }
    past_leave(fs);
}

static void manifest_read(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
                          struct fuse_file_info *fi)
{
    struct past_node *node_of_past = (struct past_node *)node;
    struct snapshot *manifest = NULL;
    struct past *past;
    (void)fi;
    int error = past_enter(fs);
    if (error == 0) {
        error = past_runs(fs, node_of_past, &past);
        if (error == 0)
            error = past_manifest(past, &manifest);
        if (error)
            error = past_failed(fs, node_of_past, error);
        else
            snapshot_ref(manifest);
        past_leave(fs);
    } else {
        error = -EIO;
    }
    char *bytes = error ? NULL : malloc(size);
    if (error || !bytes)
        fuse_reply_err(req, error ? -error : ENOMEM);
    else
        fuse_reply_buf(req, bytes, snapshot_read(manifest, bytes, size, (uint64_t)offset));
    snapshot_unref(manifest);
    free(bytes);
}

/* The kernel opens files by itself, for writing too. A write(2) fails by this, and leaves nothing behind; but
 * who has mapped the file has changed its pages by now, and others would read them. */
static void refuse_write(struct fs *fs, fuse_req_t req, struct node *node, const char *bytes, size_t size,
                         off_t offset, struct fuse_file_info *fi)
{
    (void)bytes;
    (void)size;
    (void)offset;
    if (fi->writepage)
        coherence_pages_refused(fs, node);
    fuse_reply_err(req, EROFS);
}

/* There are no holes in it. */
static void file_lseek(struct fs *fs, fuse_req_t req, struct node *node, off_t offset, int whence,
                       struct fuse_file_info *fi)
{
    struct past_node *past = (struct past_node *)node;
    uint64_t size_bytes = 0;
    (void)fi;
    int error = past_enter(fs);
    if (error == 0) {
        error = size_of(fs, past, &size_bytes);
        past_leave(fs);
    }
    if (error)
        fuse_reply_err(req, EIO);
    else if (offset < 0 || (uint64_t)offset >= size_bytes)
        fuse_reply_err(req, ENXIO);
    else
        fuse_reply_lseek(req, whence == SEEK_HOLE ? (off_t)size_bytes : offset);
}

const struct node_operations past_file_operations = {
    .getattr = past_content_getattr,
    .getxattr = past_getxattr,
    .read = file_read,
    .write = refuse_write,
    .lseek = file_lseek,
};

const struct node_operations past_manifest_operations = {
    .getattr = past_content_getattr,
    .getxattr = past_getxattr,
    .read = manifest_read,
    .write = refuse_write,
    .lseek = file_lseek,
};
