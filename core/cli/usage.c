/*
 * Adding up what a run takes: see usage.h. Files that have one name are added as they are met; those with
 * more are kept by identity and added in the end.
 */
#include "core/cli/usage.h"
#include "core/base/memory.h"
#include "core/cli/tree.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

struct usage_link {
    struct {
        uint64_t dev, ino;
    } identity;
    struct usage_amount amount;
    bool is_tracked;
    UT_hash_handle hh;
};

struct measuring {
    struct usage *usage;
    const char *path;
    const struct config *config;
};

static void add_amount(struct usage_amount *sum, const struct usage_amount *amount)
{
    sum->disk_bytes += amount->disk_bytes;
    sum->apparent_bytes += amount->apparent_bytes;
    sum->files += amount->files;
}

static struct usage_amount *part(struct usage *usage, bool is_tracked)
{
    return is_tracked ? &usage->tracked : &usage->ignored;
}

/* True where it was not there yet. */
static bool add_link(struct usage *usage, const struct usage_link *link)
{
    struct usage_link *known;
    HASH_FIND(hh, usage->links, &link->identity, sizeof(link->identity), known);
    if (known) {
        known->is_tracked |= link->is_tracked;
        return false;
    }
    known = memory_alloc(sizeof(*known));
    *known = *link;
    HASH_ADD(hh, usage->links, identity, sizeof(known->identity), known);
    return true;
}

static uint64_t disk_bytes(const struct stat *info)
{
    return (uint64_t)info->st_blocks * 512; /* whatever the filesystem's own blocks are */
}

static int meet_file(struct tree_walk *walk, int directory_fd, const char *name, const struct stat *info)
{
    (void)directory_fd;
    const struct measuring *measuring = tree_context(walk);
    struct usage *usage = measuring->usage;
    bool may_be_tracked = tree_depth(walk) == 0 && (S_ISREG(info->st_mode) || S_ISLNK(info->st_mode));
    struct usage_link link = {
        .identity = {info->st_dev, info->st_ino},
        .amount = {disk_bytes(info),
                   S_ISREG(info->st_mode) || S_ISLNK(info->st_mode) ? (uint64_t)info->st_size : 0, 1},
        .is_tracked = may_be_tracked && config_is_tracked(measuring->config, name),
    };
    if (info->st_nlink > 1)
        add_link(usage, &link);
    else
        add_amount(part(usage, link.is_tracked), &link.amount);
    return 0;
}

static int enter_directory(struct tree_walk *walk, int directory_fd, const char *name,
                           const struct stat *info)
{
    (void)directory_fd, (void)name;
    ((struct measuring *)tree_context(walk))->usage->ignored.disk_bytes += disk_bytes(info);
    return 0;
}

static int note_fault(struct tree_walk *walk, int directory_fd, const char *name, int error)
{
    (void)directory_fd;
    const struct measuring *measuring = tree_context(walk);
    struct usage *usage = measuring->usage;
    char **path = error == -EXDEV ? &usage->mount_path : &usage->fault_path;
    if (!*path) {
        struct buffer text = {0};
        buffer_append_format(&text, "%s/", measuring->path);
        tree_append_path(walk, name, &text);
        *path = text.bytes;
        if (error != -EXDEV)
            usage->fault = error;
    }
    usage->fault_count += error != -EXDEV;
    return 0;
}

int usage_measure(int source_fd, const char *path, const struct config *config, struct usage *usage)
{
    struct measuring measuring = {usage, path, config};
    const struct tree_visitor visitor = {meet_file, enter_directory, NULL, note_fault, &measuring};
    struct stat info;
    CLEANUP_FD int fd = tree_open(source_fd, path, true);
    if (fd < 0)
        return fd;
    if (fstat(fd, &info) == 0)
        usage->ignored.disk_bytes += disk_bytes(&info);
    int error = tree_walk(fd, &visitor);
    for (struct usage_link *link = usage->links; link; link = link->hh.next)
        add_amount(part(usage, link->is_tracked), &link->amount);
    return error;
}

void usage_add(struct usage *sum, const struct usage *usage)
{
    struct usage_amount tracked = usage->tracked, ignored = usage->ignored;
    add_amount(&sum->tracked, &tracked);
    add_amount(&sum->ignored, &ignored);
    for (struct usage_link *link = usage->links; link; link = link->hh.next) {
        if (add_link(sum, link))
            continue;
        struct usage_amount *amount = part(sum, link->is_tracked);
        amount->disk_bytes -= link->amount.disk_bytes;
        amount->apparent_bytes -= link->amount.apparent_bytes;
        amount->files -= link->amount.files;
    }
    sum->fault_count += usage->fault_count;
}

void usage_free(struct usage *usage)
{
    struct usage_link *link, *next;
    HASH_ITER(hh, usage->links, link, next)
    {
        HASH_DEL(usage->links, link);
        free(link);
    }
    free(usage->fault_path);
    free(usage->mount_path);
    *usage = (struct usage){0};
}
