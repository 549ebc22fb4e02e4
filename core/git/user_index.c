/*
 * The user's index follows a commit: the entries of the files that were committed become what the commit
 * has, as `git commit --only` does it. Were they left, the user's next commit would take them out again.
 * What he has staged himself, of these files or others, stays.
 */
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <git2/sys/repository.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECKSUM_BYTES 20

static bool is_same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* ---- a copy ---- */

static bool read_checksum(int fd, const struct stat *info, unsigned char checksum[CHECKSUM_BYTES])
{
    return info->st_size >= CHECKSUM_BYTES &&
           pread(fd, checksum, CHECKSUM_BYTES, info->st_size - CHECKSUM_BYTES) == CHECKSUM_BYTES;
}

static int copy_bytes(int from_fd, int to_fd)
{
    char bytes[65536];
    for (ssize_t length; (length = read(from_fd, bytes, sizeof(bytes))) != 0;) {
        if (length < 0)
            return -errno;
        int error = file_write_all(to_fd, (struct slice){bytes, (size_t)length});
        if (error)
            return error;
    }
    return 0;
}

static int copy_index(struct committer *committer, struct user_index *user)
{
    struct stat info;
    if (lstat(committer->index_path, &info) == 0 && S_ISLNK(info.st_mode))
        return -ELOOP; /* Git follows it; a rename would take its place */
    CLEANUP_FD int from_fd = open(committer->index_path, O_RDONLY | O_CLOEXEC);
    if (from_fd < 0)
        return errno == ENOENT ? 0 : -errno;
    user->exists = true;
    if (fstat(from_fd, &user->stat) != 0 || !read_checksum(from_fd, &user->stat, user->checksum))
        return -EIO;
    CLEANUP_FD int to_fd = open(user->own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return to_fd < 0 ? -errno : copy_bytes(from_fd, to_fd);
}

/* Takes libgit2's words into ours. */
static int refuse_index(void)
{
    char words[200];
    const git_error *error = git_error_last();
    snprintf(words, sizeof(words), "%s", error ? error->message : "");
    return repository_fail(-ENOTSUP,
                           "the index can't be written as Git has it (%s): git update-index "
                           "--no-split-index, git sparse-checkout reapply --no-sparse-index",
                           words);
}

int user_index_load(struct committer *committer, struct user_index *user)
{
    *user = (struct user_index){.own = placing_name(committer->git_directory), .placing.fd = -1};
    int error = copy_index(committer, user);
    if (error == -ELOOP)
        return repository_fail(-ENOTSUP, "%s: is a symbolic link: use git commit", committer->index_path);
    if (error)
        return repository_fail(error, "%s: %s", committer->index_path, strerrordesc_np(-error));
    if (git_index_open(&user->index, user->own) != 0)
        return refuse_index();
    for (size_t i = 0; i < git_index_entrycount(user->index); i++)
        if (git_index_get_byindex(user->index, i)->mode == GIT_FILEMODE_TREE)
            return refuse_index(); /* a sparse one */
    if (git_index_has_conflicts(user->index))
        return repository_fail(-EBUSY, "the index has conflicts: resolve them");
    return 0;
}

/* ---- attributes ---- */

static bool is_attributes_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, ".gitattributes") == 0;
}

/* A .gitattributes of the index counts where there is none in the working tree; to libgit2 both would. */
static int lend_attributes(git_index *lent, const struct repository *repository, const git_index_entry *entry)
{
    struct buffer path = {0};
    struct stat info;
    buffer_append_format(&path, "%s%s", repository_top(repository), entry->path);
    bool is_there = lstat(path.bytes, &info) == 0;
    buffer_free(&path);
    return is_there ? 0 : git_index_add(lent, entry);
}

int user_index_lend(struct committer *committer, const struct user_index *user)
{
    git_index *lent;
    int result = git_index_new(&lent);
    if (result != 0)
        return repository_result(result);
    for (size_t i = 0; result == 0 && user && i < git_index_entrycount(user->index); i++) {
        const git_index_entry *entry = git_index_get_byindex(user->index, i);
        if (is_attributes_file(entry->path))
            result = lend_attributes(lent, committer->repository, entry);
    }
    if (result == 0)
        result = git_repository_set_index(committer->repository->handle, lent);
    git_index_free(lent);
    return repository_result(result) == 0 ? 0 : -EIO;
}

void user_index_free(struct user_index *user)
{
    placing_end(&user->placing);
    git_index_free(user->index);
    if (user->own) {
        struct buffer lock = {0}; /* of libgit2's own writing */
        buffer_append_format(&lock, "%s.lock", user->own);
        unlink(user->own);
        unlink(lock.bytes);
        buffer_free(&lock);
    }
    free(user->own);
    *user = (struct user_index){.placing.fd = -1};
}

bool user_index_is_same(const struct committer *committer, const struct user_index *user)
{
    struct stat info;
    unsigned char checksum[CHECKSUM_BYTES];
    CLEANUP_FD int fd = open(committer->index_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT && !user->exists;
    return user->exists && fstat(fd, &info) == 0 && is_same_stat(&info, &user->stat) &&
           read_checksum(fd, &info, checksum) && memcmp(checksum, user->checksum, CHECKSUM_BYTES) == 0;
}

/* ---- entries ---- */

static bool is_entry(const git_index_entry *entry, bool is_there, const git_oid *id, git_filemode_t mode)
{
    /* `git add -N` stages nothing yet. */
    if (!entry || (entry->flags_extended & GIT_INDEX_ENTRY_INTENT_TO_ADD))
        return !is_there;
    return is_there && entry->mode == (uint32_t)mode && git_oid_equal(&entry->id, id);
}

void user_index_keep_sparse(const struct user_index *user, struct change_list *changes, size_t from)
{
    size_t kept = from;
    for (size_t i = from; i < changes->count; i++) {
        struct path_change change = changes->list[i];
        const git_index_entry *entry = git_index_get_bypath(user->index, change.path, 0);
        if (!change.has_new && entry && (entry->flags_extended & GIT_INDEX_ENTRY_SKIP_WORKTREE))
            free(change.path);
        else
            changes->list[kept++] = change;
    }
    changes->count = kept;
}

bool user_index_holds(const struct user_index *user, const struct change_list *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct path_change *change = &changes->list[i];
        const git_index_entry *entry = git_index_get_bypath(user->index, change->path, 0);
        if (!is_entry(entry, change->has_new, &change->new_id, change->new_mode))
            return false;
    }
    return true;
}

bool user_index_lacks(const struct user_index *user, const struct change_list *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct path_change *change = &changes->list[i];
        const git_index_entry *entry = git_index_get_bypath(user->index, change->path, 0);
        if (is_entry(entry, change->has_old, &change->old_id, change->old_mode))
            return true;
    }
    return false;
}

/* Has somebody staged a file where the path has a directory, or files below the path? An index with both has
 * no tree. */
static bool is_in_the_way(git_index *index, const char *path)
{
    struct buffer below = {0};
    buffer_append_format(&below, "%s/", path);
    bool is = git_index_find_prefix(NULL, index, below.bytes) == 0;
    buffer_free(&below);
    if (is)
        return true;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        CLEANUP_FREE char *above = memory_copy_text(path, (size_t)(slash - path));
        if (git_index_get_bypath(index, above, 0))
            return true;
    }
    return false;
}

/* What Git compares to know, without reading it, that a file is what it was. With a size of 0 it reads.
 * Times are compared by the second, as some builds of Git do. */
static void set_stat(git_index_entry *entry, const struct stat *info)
{
    if (info->st_ino == 0)
        return;
    entry->ctime = (git_index_time){(int32_t)info->st_ctim.tv_sec, (uint32_t)info->st_ctim.tv_nsec};
    entry->mtime = (git_index_time){(int32_t)info->st_mtim.tv_sec, (uint32_t)info->st_mtim.tv_nsec};
    entry->dev = (uint32_t)info->st_dev;
    entry->ino = (uint32_t)info->st_ino;
    entry->uid = info->st_uid;
    entry->gid = info->st_gid;
    entry->file_size = info->st_mtim.tv_sec + 1 < time(NULL) ? (uint32_t)info->st_size : 0;
}

static int follow_one(git_index *index, const struct path_change *change)
{
    const git_index_entry *standing = git_index_get_bypath(index, change->path, 0);
    if (!is_entry(standing, change->has_old, &change->old_id, change->old_mode))
        return 0; /* the user has staged something else there */
    if (!change->has_new)
        return repository_result(git_index_remove(index, change->path, 0));
    if (!standing && is_in_the_way(index, change->path))
        return 0;
    git_index_entry entry = {.path = change->path, .id = change->new_id, .mode = (uint32_t)change->new_mode};
    set_stat(&entry, &change->stat);
    return repository_result(git_index_add(index, &entry));
}

/* An entry whose file changed in the very second in which the index was written may be of another content
 * than its stat says, and Git, which knows that by the index's own time, reads it. The new index is younger:
 * so these entries are marked. */
static void mark_racy(struct user_index *user)
{
    for (size_t i = 0; user->exists && i < git_index_entrycount(user->index); i++) {
        git_index_entry *entry = (git_index_entry *)git_index_get_byindex(user->index, i);
        if (entry->mtime.seconds >= (int32_t)user->stat.st_mtim.tv_sec)
            entry->file_size = 0;
    }
}

static int write_own(struct user_index *user, int shared)
{
    mark_racy(user);
    if (git_index_write(user->index) != 0)
        return repository_result(-1);
    if (user->exists && chmod(user->own, user->stat.st_mode & 0777) != 0)
        return -errno;
    return shared_adjust(shared, user->own);
}

int user_index_follow(struct committer *committer, struct user_index *user, const struct change_list *changes)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < changes->count; i++)
        error = follow_one(user->index, &changes->list[i]);
    if (error == 0)
        error = write_own(user, committer->settings.shared);
    if (error == 0) {
        error = placing_begin(&user->placing, user->own, committer->index_path);
        user->own = NULL;
    }
    return error;
}
