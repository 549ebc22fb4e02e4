/*
 * Counting requests: see counters.h.
 */
#include "fs/counters.h"
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>

static const char *const operation_names[COUNTED_OPERATIONS] = {
    [FUSE_LOOKUP] = "lookup",
    [FUSE_FORGET] = "forget",
    [FUSE_GETATTR] = "getattr",
    [FUSE_SETATTR] = "setattr",
    [FUSE_READLINK] = "readlink",
    [FUSE_SYMLINK] = "symlink",
    [FUSE_MKNOD] = "mknod",
    [FUSE_MKDIR] = "mkdir",
    [FUSE_UNLINK] = "unlink",
    [FUSE_RMDIR] = "rmdir",
    [FUSE_RENAME] = "rename",
    [FUSE_LINK] = "link",
    [FUSE_OPEN] = "open",
    [FUSE_READ] = "read",
    [FUSE_WRITE] = "write",
    [FUSE_STATFS] = "statfs",
    [FUSE_RELEASE] = "release",
    [FUSE_FSYNC] = "fsync",
    [FUSE_SETXATTR] = "setxattr",
    [FUSE_GETXATTR] = "getxattr",
    [FUSE_LISTXATTR] = "listxattr",
    [FUSE_REMOVEXATTR] = "removexattr",
    [FUSE_FLUSH] = "flush",
    [FUSE_INIT] = "init",
    [FUSE_OPENDIR] = "opendir",
    [FUSE_READDIR] = "readdir",
    [FUSE_RELEASEDIR] = "releasedir",
    [FUSE_FSYNCDIR] = "fsyncdir",
    [FUSE_ACCESS] = "access",
    [FUSE_CREATE] = "create",
    [FUSE_INTERRUPT] = "interrupt",
    [FUSE_IOCTL] = "ioctl",
    [FUSE_BATCH_FORGET] = "batch_forget",
    [FUSE_FALLOCATE] = "fallocate",
    [FUSE_READDIRPLUS] = "readdirplus",
    [FUSE_RENAME2] = "rename2",
    [FUSE_LSEEK] = "lseek",
    [FUSE_COPY_FILE_RANGE] = "copy_file_range",
};

/* What the kernel gives back is no request for anything: a cache that shrinks is not one that was missed. */
static bool asks_something(uint32_t operation)
{
    return operation != FUSE_FORGET && operation != FUSE_BATCH_FORGET && operation != FUSE_INTERRUPT &&
           operation != FUSE_INIT;
}

void counters_count(struct fs *fs, const struct fuse_in_header *header)
{
    uint32_t operation = header->opcode;
    atomic_fetch_add_explicit(&fs->counted[operation < COUNTED_OPERATIONS ? operation : 0], 1,
                              memory_order_relaxed);
    if (!asks_something(operation))
        return;
    atomic_fetch_add_explicit(&fs->counted_total, 1, memory_order_relaxed);
    const struct node *node = header->nodeid ? node_of_number(&fs->nodes, header->nodeid) : NULL;
    if (node && (node->kind == NODE_DIRECTORY || node->kind == NODE_FILE))
        atomic_fetch_add_explicit(&fs->counted_below_views, 1, memory_order_relaxed);
}

void counters_render(struct fs *fs, struct buffer *text)
{
    char line[96];
    snprintf(line, sizeof(line), "    \"total\": %" PRIu64 ",\n    \"below_views\": %" PRIu64 ",\n",
             (uint64_t)fs->counted_total, (uint64_t)fs->counted_below_views);
    buffer_append_text(text, line);
    buffer_append_text(text, "    \"by_operation\": {");
    const char *separator = "\n";
    for (int operation = 0; operation < COUNTED_OPERATIONS; operation++) {
        uint64_t count = fs->counted[operation];
        if (!count)
            continue;
        snprintf(line, sizeof(line), "%s      \"%s\": %" PRIu64, separator,
                 operation_names[operation] ? operation_names[operation] : "other", count);
        buffer_append_text(text, line);
        separator = ",\n";
    }
    buffer_append_text(text, "\n    }\n");
}
