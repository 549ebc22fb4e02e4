/*
 * A branch moves: its file, by Git's lock, and the logs of it and of HEAD. libgit2 would leave its lock
 * behind when it is killed (see placing.h); what Git does here is a line of text each.
 */
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Makes the directories of path below the first `top` bytes of it. */
static int make_directories(char *path, size_t top, int shared)
{
    for (char *slash = strchr(path + top, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int error = mkdir(path, 0777) == 0 ? shared_adjust(shared, path) : errno == EEXIST ? 0 : -errno;
        *slash = '/';
        if (error)
            return error;
    }
    return 0;
}

static int write_new_value(const char *own, const git_oid *commit, int shared)
{
    char line[GIT_OID_HEXSZ + 2];
    CLEANUP_FD int fd = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    git_oid_tostr(line, sizeof(line) - 1, commit);
    line[GIT_OID_HEXSZ] = '\n';
    int error = file_write_all(fd, (struct slice){line, GIT_OID_HEXSZ + 1});
    return error ? error : shared_adjust(shared, own);
}

int branch_lock(struct committer *committer, const struct head *head, const git_oid *commit,
                struct placing *placing)
{
    struct buffer target = {0};
    int shared = committer->settings.shared;
    char *own = placing_name(committer->common_directory);
    buffer_append_format(&target, "%s%s", committer->common_directory, head->branch);
    int error = write_new_value(own, commit, shared);
    if (error == 0)
        error = make_directories(target.bytes, strlen(committer->common_directory), shared);
    if (error == 0) {
        error = placing_begin(placing, own, target.bytes);
        own = NULL;
    }
    if (error == 0)
        error = placing_lock(placing);
    if (error == -ENOENT) /* Git has just taken an empty directory away */
        error = -EAGAIN;
    /* With the lock: nobody moves it any more. */
    if (error == 0 && !head_is_same(committer, head))
        error = -EAGAIN;
    if (own) {
        unlink(own);
        free(own);
    }
    buffer_free(&target);
    return error;
}

/* ---- logs ---- */

static void append_line(const struct committer *committer, const char *directory, const char *name,
                        const struct buffer *line)
{
    struct buffer path = {0};
    bool is_wanted = committer->settings.wants_logs;
    int shared = committer->settings.shared;
    buffer_append_format(&path, "%slogs/%s", directory, name);
    if (is_wanted)
        make_directories(path.bytes, strlen(directory), shared);
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC;
    CLEANUP_FD int fd = open(path.bytes, flags);
    if (fd < 0 && errno == ENOENT && is_wanted) {
        fd = open(path.bytes, flags | O_CREAT, 0666);
        shared_adjust(shared, path.bytes);
    }
    if (fd >= 0)
        file_write_all(fd, buffer_slice(line));
    buffer_free(&path);
}

void branch_log(struct committer *committer, const struct head *head, const git_oid *commit,
                const char *subject)
{
    char old_id[GIT_OID_HEXSZ + 1], new_id[GIT_OID_HEXSZ + 1];
    git_signature *author;
    struct buffer line = {0};
    git_repository *handle = committer->repository->handle;
    if (git_signature_default(&author, handle) != 0)
        return;
    int offset = author->when.offset;
    git_oid_tostr(old_id, sizeof(old_id), &head->tip);
    git_oid_tostr(new_id, sizeof(new_id), commit);
    buffer_append_format(&line, "%s %s %s <%s> %lld %c%02d%02d\tcommit%s: %s\n", old_id, new_id, author->name,
                         author->email, (long long)author->when.time, offset < 0 ? '-' : '+',
                         abs(offset) / 60, abs(offset) % 60, head->is_unborn ? " (initial)" : "", subject);
    append_line(committer, committer->git_directory, "HEAD", &line);
    append_line(committer, committer->common_directory, head->branch, &line);
    buffer_free(&line);
    git_signature_free(author);
}
