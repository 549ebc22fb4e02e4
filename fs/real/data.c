/*
 * The data of real files: read, write and what moves bytes without their passing through here.
 */
#include "fs/real/real.h"
#include "core/base/limits.h"
#include "fs/caller.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define SPARE_BUFFERS 4

static int open_data(struct fs *fs, struct node *node, struct fuse_file_info *fi, int flags,
                     struct real_fd *real)
{
    if (!node->operations->open_data)
        return -EISDIR;
    return node->operations->open_data(fs, node, fi, flags, real);
}

static void changed(struct fs *fs, struct node *node)
{
    if (node->operations->changed)
        node->operations->changed(fs, node);
}

/* ---- reading ---- */

/* Buffers of the largest read, kept for the next ones: the first touch of fresh memory costs more than the
 * read itself. Not splice(2): it saves one copy from memory that is hot, and costs a pipe and two descriptors
 * a thread. */
struct read_buffer {
    struct read_buffer *next;
    char bytes[];
};

static struct read_buffer *spare_buffers;
static unsigned spare_count;
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;

static struct read_buffer *take_buffer(void)
{
    pthread_mutex_lock(&spare_lock);
    struct read_buffer *buffer = spare_buffers;
    if (buffer) {
        spare_buffers = buffer->next;
        spare_count--;
    }
    pthread_mutex_unlock(&spare_lock);
    return buffer ? buffer : malloc(sizeof(*buffer) + LIMIT_REQUEST_BYTES);
}

static void give_buffer(struct read_buffer *buffer)
{
    pthread_mutex_lock(&spare_lock);
    bool spare = spare_count < SPARE_BUFFERS;
    if (spare) {
        buffer->next = spare_buffers;
        spare_buffers = buffer;
        spare_count++;
    }
    pthread_mutex_unlock(&spare_lock);
    if (!spare)
        free(buffer);
}

void real_data_finish(void)
{
    for (struct read_buffer *next; spare_buffers; spare_buffers = next) {
        next = spare_buffers->next;
        free(spare_buffers);
    }
    spare_count = 0;
}

void real_read(struct fs *fs, fuse_req_t req, struct node *node, size_t size, off_t offset,
               struct fuse_file_info *fi)
{
    struct real_fd real;
    int error = open_data(fs, node, fi, O_RDONLY, &real);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    struct read_buffer *buffer = take_buffer();
    ssize_t got = -1;
    if (!buffer)
        errno = ENOMEM;
    else
        got = pread(real.fd, buffer->bytes, size < LIMIT_REQUEST_BYTES ? size : LIMIT_REQUEST_BYTES, offset);
    if (got < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_buf(req, buffer->bytes, (size_t)got);
    if (buffer)
        give_buffer(buffer);
    real_fd_close(fs, &real);
}

/* ---- writing ---- */

/* What the caller's open flags ask of one write. An append goes to the end as it is on disk, not as the
 * kernel last heard of it: two who append never overwrite each other. */
static int write_flags(const struct fuse_file_info *fi)
{
    int flags = 0;
    if (fi->writepage)
        return 0;
    if (fi->flags & O_APPEND)
        flags |= RWF_APPEND;
    if ((fi->flags & O_SYNC) == O_SYNC)
        flags |= RWF_SYNC;
    else if (fi->flags & O_DSYNC)
        flags |= RWF_DSYNC;
    return flags;
}

void real_write(struct fs *fs, fuse_req_t req, struct node *node, const char *bytes, size_t size,
                off_t offset, struct fuse_file_info *fi)
{
    struct real_fd real;
    int error = open_data(fs, node, fi, O_WRONLY, &real);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    size_t done = 0;
    int flags = write_flags(fi);
    caller_assume_for_space(fs, req);
    while (done < size) {
        struct iovec vector = {.iov_base = (void *)(bytes + done), .iov_len = size - done};
        ssize_t written = pwritev2(real.fd, &vector, 1, offset + (off_t)done, flags);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            error = written < 0 ? -errno : -EIO;
            break;
        }
        done += (size_t)written;
    }
    caller_restore_for_space(fs, req);
    real_fd_close(fs, &real);
    if (done)
        changed(fs, node);
    if (done == 0 && error)
        fuse_reply_err(req, -error);
    else
        fuse_reply_write(req, done);
}

void real_fsync(struct fs *fs, fuse_req_t req, struct node *node, int datasync, struct fuse_file_info *fi)
{
    struct real_fd real;
    int error = open_data(fs, node, fi, O_RDONLY, &real);
    if (error == 0) {
        error = (datasync ? fdatasync(real.fd) : fsync(real.fd)) == 0 ? 0 : -errno;
        real_fd_close(fs, &real);
    }
    fuse_reply_err(req, -error);
}

void real_fallocate(struct fs *fs, fuse_req_t req, struct node *node, int mode, off_t offset, off_t length,
                    struct fuse_file_info *fi)
{
    struct real_fd real;
    int error = open_data(fs, node, fi, O_WRONLY, &real);
    if (error == 0) {
        caller_assume_for_space(fs, req);
        error = fallocate(real.fd, mode, offset, length) == 0 ? 0 : -errno;
        caller_restore_for_space(fs, req);
        real_fd_close(fs, &real);
        changed(fs, node);
    }
    fuse_reply_err(req, -error);
}

void real_lseek(struct fs *fs, fuse_req_t req, struct node *node, off_t offset, int whence,
                struct fuse_file_info *fi)
{
    struct real_fd real;
    int error = open_data(fs, node, fi, O_RDONLY, &real);
    if (error == 0) {
        offset = lseek(real.fd, offset, whence);
        error = offset < 0 ? -errno : 0;
        real_fd_close(fs, &real);
    }
    if (error)
        fuse_reply_err(req, -error);
    else
        fuse_reply_lseek(req, offset);
}

void real_copy_file_range(struct fs *fs, fuse_req_t req, struct node *in, off_t in_offset,
                          struct fuse_file_info *in_fi, struct node *out, off_t out_offset,
                          struct fuse_file_info *out_fi, size_t length, int flags)
{
    struct real_fd from, to;
    int error = open_data(fs, in, in_fi, O_RDONLY, &from);
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    ssize_t copied = open_data(fs, out, out_fi, O_WRONLY, &to);
    if (copied == 0) {
        caller_assume_for_space(fs, req);
        copied = copy_file_range(from.fd, &in_offset, to.fd, &out_offset, length, (unsigned)flags);
        copied = copied < 0 ? -errno : copied;
        caller_restore_for_space(fs, req);
        real_fd_close(fs, &to);
        if (copied > 0)
            changed(fs, out);
    }
    real_fd_close(fs, &from);
    if (copied < 0)
        fuse_reply_err(req, (int)-copied);
    else
        fuse_reply_write(req, (size_t)copied);
}
