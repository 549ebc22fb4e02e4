/*
 * Taking on the caller's identity for one operation: see caller.h.
 */
#include "fs/caller.h"
#include "core/base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GROUPS_MAX 1024

static _Thread_local bool has_own_umask;
static _Thread_local bool is_assumed;

/* The supplementary groups of a thread, from /proc/<tid>/status: the process's own, which the group database
 * does not know. Their number; 0 where the thread is gone. */
static size_t read_groups(pid_t tid, gid_t groups[GROUPS_MAX])
{
    char path[64], text[16384];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t length = 0;
    for (ssize_t got; length < sizeof(text) - 1; length += (size_t)got) {
        got = read(fd, text + length, sizeof(text) - 1 - length);
        if (got <= 0)
            break;
    }
    close(fd);
    text[length] = '\0';

    char *line = strstr(text, "\nGroups:");
    size_t count = 0;
    if (!line)
        return 0;
    char *end = strchr(line + 1, '\n');
    for (char *at = line + strlen("\nGroups:"); at < end && count < GROUPS_MAX;) {
        char *next;
        unsigned long group = strtoul(at, &next, 10);
        if (next == at)
            break;
        groups[count++] = (gid_t)group;
        at = next;
        while (*at == ' ' || *at == '\t')
            at++;
    }
    return count;
}

/* The umask belongs to the process unless the thread has a filesystem context of its own. */
static void set_umask(mode_t mask)
{
    if (!has_own_umask) {
        if (unshare(CLONE_FS) != 0)
            log_error("a thread can't have an umask of its own: %s", strerrordesc_np(errno));
        has_own_umask = true;
    }
    umask(mask);
}

void caller_assume(struct fs *fs, fuse_req_t req)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    set_umask(context->umask);
    if (!fs->is_root || (context->uid == 0 && context->gid == 0))
        return;
    gid_t groups[GROUPS_MAX];
    size_t count = context->uid == 0 ? 0 : read_groups(context->pid, groups);
    syscall(SYS_setgroups, count, groups);
    setfsgid(context->gid);
    setfsuid(context->uid); /* last: it takes the capabilities away */
    is_assumed = true;
}

void caller_restore(struct fs *fs)
{
    (void)fs;
    if (!is_assumed)
        return;
    setfsuid(0);
    setfsgid(0);
    syscall(SYS_setgroups, 0, NULL);
    is_assumed = false;
}

void caller_assume_for_space(struct fs *fs, fuse_req_t req)
{
    if (fs->is_root && fuse_req_ctx(req)->uid != 0)
        setfsuid(fuse_req_ctx(req)->uid);
}

void caller_restore_for_space(struct fs *fs, fuse_req_t req)
{
    if (fs->is_root && fuse_req_ctx(req)->uid != 0)
        setfsuid(0);
}

/* For a daemon without the right to act as others: the mode bits alone decide. */
static int may_search_by_mode(const struct fuse_ctx *context, int directory_fd, const char *path)
{
    char parent[PATH_MAX];
    struct stat st;
    for (const char *end = path;; end++) {
        end = strchrnul(end, '/');
        if (*end == '\0')
            return 0;
        if ((size_t)(end - path) >= sizeof(parent))
            return -ENAMETOOLONG;
        memcpy(parent, path, (size_t)(end - path));
        parent[end - path] = '\0';
        if (fstatat(directory_fd, parent, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0)
            return -errno;
        mode_t bit = st.st_uid == context->uid ? S_IXUSR : st.st_gid == context->gid ? S_IXGRP : S_IXOTH;
        if (!(st.st_mode & bit))
            return -EACCES;
    }
}

int caller_may_reach(struct fs *fs, fuse_req_t req, int directory_fd, const char *path)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    if (context->uid == 0 || context->uid == fs->own_uid)
        return 0;
    if (!fs->is_root)
        return may_search_by_mode(context, directory_fd, path);
    struct stat st;
    caller_assume(fs, req);
    int result = fstatat(directory_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    caller_restore(fs);
    return result;
}

void caller_init(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0)
        return;
    data[0].effective &= ~(1u << CAP_SYS_RESOURCE);
    syscall(SYS_capset, &header, data);
    syscall(SYS_setgroups, 0, NULL);
}
