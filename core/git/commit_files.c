/*
 * The tracked files of a run as they stand on disk, and what of them differs from the branch's tip. Only
 * regular files directly in the run's directory; a name that is a link or lies elsewhere is never followed.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A tracked file is small (10 kB); what is larger is none, whatever its name. */
#define TRACKED_FILE_BYTES (1u << 20)

void change_list_cut(struct change_list *changes, size_t count)
{
    while (changes->count > count)
        free(changes->list[--changes->count].path);
}

void change_list_free(struct change_list *changes)
{
    change_list_cut(changes, 0);
    free(changes->list);
    *changes = (struct change_list){0};
}

struct path_change *change_list_add(struct change_list *changes, const char *path)
{
    if (changes->count == changes->capacity) {
        changes->capacity = changes->capacity ? changes->capacity * 2 : 8;
        changes->list = memory_resize(changes->list, changes->capacity * sizeof(*changes->list));
    }
    struct path_change *change = &changes->list[changes->count++];
    *change = (struct path_change){.path = memory_copy_text(path, strlen(path))};
    return change;
}

void seen_run_free(struct seen_run *seen)
{
    for (size_t i = 0; i < seen->count; i++)
        free(seen->files[i].name);
    free(seen->files);
    *seen = (struct seen_run){0};
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

char *path_from_top(const struct repository *repository, const char *path)
{
    struct buffer whole = {0};
    const char *prefix = repository_prefix(repository);
    buffer_append_format(&whole, "%s%s%s", prefix, *prefix && *path ? "/" : "", path);
    return whole.bytes;
}

/* ---- the directory ---- */

static int open_below(int directory_fd, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

bool seen_run_is_same(const struct committer *committer, const char *run_path, const struct seen_run *seen)
{
    CLEANUP_FD int fd = open_below(committer->source_fd, run_path);
    bool is_same = fd >= 0;
    for (size_t i = 0; is_same && i < seen->count; i++) {
        struct stat info;
        is_same = fstatat(fd, seen->files[i].name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                  is_same_file(&info, &seen->files[i].stat);
    }
    return is_same;
}

/* Is the directory a repository of its own? Git sees a submodule there. And would its attributes be read
 * without an end? libgit2 opens whatever has their name, a FIFO too. What is wrong is so of the runs below
 * alone. */
static int check_directory(struct committer *committer, const char *path, size_t length)
{
    struct buffer name = {0};
    struct stat info;
    int error = 0;
    buffer_append_format(&name, "%.*s/.git", (int)length, path);
    if (fstatat(committer->source_fd, name.bytes, &info, AT_SYMLINK_NOFOLLOW) == 0)
        error =
            repository_fail(-EBADMSG, "%s: makes a repository of its own there: move it away", name.bytes);
    buffer_append_text(&name, "attributes");
    if (error == 0 && fstatat(committer->source_fd, name.bytes, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        error = repository_fail(-EBADMSG, "%s: is no regular file: move it away", name.bytes);
    buffer_free(&name);
    return error;
}

/* The run, and the directories above it up to the source. */
static int check_directories(struct committer *committer, const char *run_path)
{
    int error = 0;
    for (const char *end = run_path; error == 0 && *end;) {
        end = strchrnul(*end == '/' ? end + 1 : end, '/');
        error = check_directory(committer, run_path, (size_t)(end - run_path));
    }
    return error;
}

/* ---- files ---- */

struct look {
    struct committer *committer;
    const struct config *config;
    const struct head *head;
    const char *run_path;
    int fd;                /* of the run's directory */
    struct tree *run_tree; /* in the tip; empty where there is none */
    bool keep;
    struct seen_run *seen;
    struct change_list *changes;
};

static void warn(const struct look *look, const char *path, const char *what)
{
    struct buffer line = {0};
    buffer_append_format(&line, "%s: %s", path, what);
    if (look->keep && look->committer->warn)
        look->committer->warn(line.bytes, look->committer->context);
    buffer_free(&line);
}

int blob_of_content(struct committer *committer, const char *path, struct slice content, bool keep,
                    git_oid *id)
{
    git_filter_list *filters = NULL;
    git_buf filtered = GIT_BUF_INIT;
    int error = check_attributes(committer, path);
    if (error)
        return error;
    int result = git_filter_list_load(&filters, committer->repository->handle, NULL, path, GIT_FILTER_TO_ODB,
                                      GIT_FILTER_DEFAULT);
    if (result == 0 && filters) {
        result = git_filter_list_apply_to_buffer(&filtered, filters, content.bytes, content.length);
        content = (struct slice){filtered.ptr ? filtered.ptr : "", filtered.size};
    }
    if (result == 0)
        result = keep ? git_odb_write(id, committer->repository->objects, content.bytes, content.length,
                                      GIT_OBJECT_BLOB)
                      : git_odb_hash(id, content.bytes, content.length, GIT_OBJECT_BLOB);
    git_buf_dispose(&filtered);
    git_filter_list_free(filters);
    return repository_result(result) == 0 ? 0 : -EIO;
}

static git_filemode_t mode_of_entry(const struct tree_entry *entry)
{
    return S_ISLNK(entry->mode)   ? GIT_FILEMODE_LINK
           : S_ISDIR(entry->mode) ? GIT_FILEMODE_TREE
           : entry->mode & 0100   ? GIT_FILEMODE_BLOB_EXECUTABLE
                                  : GIT_FILEMODE_BLOB;
}

static git_filemode_t mode_of_file(const struct look *look, const struct stat *info,
                                   const struct tree_entry *old)
{
    bool is_executable = look->committer->settings.trusts_mode
                             ? info->st_mode & 0100
                             : old && mode_of_entry(old) == GIT_FILEMODE_BLOB_EXECUTABLE;
    return is_executable ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
}

static void note_seen(struct seen_run *seen, const char *name, const struct stat *info)
{
    if (seen->count == seen->capacity) {
        seen->capacity = seen->capacity ? seen->capacity * 2 : 8;
        seen->files = memory_resize(seen->files, seen->capacity * sizeof(*seen->files));
    }
    seen->files[seen->count++] = (struct seen_file){memory_copy_text(name, strlen(name)), *info};
}

/* The content, if the file is the one that was looked at before and behind. */
static int read_content(const struct look *look, const char *name, const struct stat *info,
                        struct buffer *content)
{
    struct stat after;
    int error = file_read_bounded(look->fd, name, TRACKED_FILE_BYTES, content, NULL);
    if (error == -ENOENT || error == -EINVAL || error == -EFBIG)
        return -EAGAIN;
    if (error)
        return repository_fail(error, "%s/%s: %s", look->run_path, name, strerrordesc_np(-error));
    bool is_same = fstatat(look->fd, name, &after, AT_SYMLINK_NOFOLLOW) == 0 && is_same_file(info, &after);
    return is_same ? 0 : -EAGAIN;
}

static void set_old(struct path_change *change, const struct tree_entry *old)
{
    change->has_old = true;
    change->old_id = oid_of(&old->id);
    change->old_mode = mode_of_entry(old);
}

static void compare(struct look *look, const char *path, const struct tree_entry *old, const git_oid *id,
                    git_filemode_t mode, const struct stat *info)
{
    if (old && memcmp(old->id.bytes, id->id, OBJECT_ID_BYTES) == 0 && mode_of_entry(old) == mode)
        return;
    struct path_change *change = change_list_add(look->changes, path);
    change->has_new = true;
    change->new_id = *id;
    change->new_mode = mode;
    change->stat = *info;
    if (old)
        set_old(change, old);
}

/* Is it byte for byte what the tip has? Then no attribute need be looked for, which is most of the work. */
static bool is_as_committed(const struct tree_entry *old, git_filemode_t mode, struct slice content)
{
    git_oid id;
    return old && mode_of_entry(old) == mode &&
           git_odb_hash(&id, content.bytes, content.length, GIT_OBJECT_BLOB) == 0 &&
           memcmp(old->id.bytes, id.id, OBJECT_ID_BYTES) == 0;
}

static int look_at_file(struct look *look, const char *name)
{
    struct stat info;
    struct buffer content = {0}, path = {0};
    git_oid id;
    if (fstatat(look->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        int error = -errno;
        return error == -ENOENT
                   ? -EAGAIN
                   : repository_fail(error, "%s/%s: %s", look->run_path, name, strerrordesc_np(-error));
    }
    if (!S_ISREG(info.st_mode))
        return 0;
    const struct tree_entry *old = tree_find(look->run_tree, name);
    CLEANUP_FREE char *run = path_from_top(look->committer->repository, look->run_path);
    buffer_append_format(&path, "%s/%s", run, name);
    int error = 0;
    note_seen(look->seen, name, &info);
    if (info.st_size > TRACKED_FILE_BYTES) {
        warn(look, path.bytes, "is over 1 MB and so not committed");
    } else {
        git_filemode_t mode = mode_of_file(look, &info, old);
        error = read_content(look, name, &info, &content);
        if (error == 0 && !is_as_committed(old, mode, buffer_slice(&content))) {
            error = blob_of_content(look->committer, path.bytes, buffer_slice(&content), look->keep, &id);
            if (error == 0)
                compare(look, path.bytes, old, &id, mode, &info);
        }
    }
    buffer_free(&content);
    buffer_free(&path);
    return error;
}

static int look_at_files(struct look *look)
{
    int list_fd = openat(look->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
    DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
    if (!list) {
        error = -errno;
        if (list_fd >= 0)
            close(list_fd);
        return repository_fail(error, "%s: %s", look->run_path, strerrordesc_np(-error));
    }
    for (struct dirent *entry; error == 0 && (entry = readdir(list));)
        if ((entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN) &&
            config_is_tracked(look->config, entry->d_name))
            error = look_at_file(look, entry->d_name);
    closedir(list);
    return error;
}

/* Tracked files that the tip has and the disk does not have any more, in whatever form. */
static void look_for_removed(struct look *look)
{
    CLEANUP_FREE char *run = path_from_top(look->committer->repository, look->run_path);
    for (size_t i = 0; i < look->run_tree->count; i++) {
        const struct tree_entry *entry = &look->run_tree->entries[i];
        if (S_ISDIR(entry->mode) || !config_is_tracked(look->config, entry->name) ||
            faccessat(look->fd, entry->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
            continue;
        struct buffer path = {0};
        buffer_append_format(&path, "%s/%s", run, entry->name);
        set_old(change_list_add(look->changes, path.bytes), entry);
        buffer_free(&path);
    }
}

static int look_at_run(struct look *look)
{
    struct object_id id;
    CLEANUP_FREE char *path = path_from_top(look->committer->repository, look->run_path);
    int error = check_directories(look->committer, look->run_path);
    if (error == 0)
        error = tip_find_directory(look->committer, look->head, path, &id);
    if (error == 0)
        error = tree_read(look->committer->repository, &id, &look->run_tree);
    if (error)
        return error;
    error = look_at_files(look);
    if (error == 0)
        look_for_removed(look);
    free(look->run_tree);
    return error;
}

int build_changes(struct committer *committer, const struct config *config, const struct head *head,
                  const char *run_path, bool keep, struct seen_run *seen, struct change_list *changes)
{
    CLEANUP_FD int fd = open_below(committer->source_fd, run_path);
    struct look look = {committer, config, head, run_path, fd, NULL, keep, seen, changes};
    size_t count = changes->count;
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return -ENOENT;
    if (fd < 0)
        return repository_fail(fd, "%s: %s", run_path, strerrordesc_np(-fd));
    int error = look_at_run(&look);
    if (error == 0 && seen->count == 0)
        error = -ENOENT;
    if (error)
        change_list_cut(changes, count);
    return error;
}

/* ---- rest ---- */

static int64_t latest_change_ms(int run_fd, DIR *list, const struct config *config)
{
    int64_t latest = 0;
    for (struct dirent *entry; (entry = readdir(list));) {
        struct stat info;
        if (!config_is_tracked(config, entry->d_name) ||
            fstatat(run_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        int64_t changed = (int64_t)info.st_ctim.tv_sec * 1000 + info.st_ctim.tv_nsec / 1000000;
        if (changed > latest)
            latest = changed;
    }
    return latest;
}

int64_t committer_quiet_ms(struct committer *committer, const struct config *config, const char *run_path)
{
    struct timespec now;
    int fd = open_below(committer->source_fd, run_path);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    int64_t latest = latest_change_ms(fd, list, config);
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t quiet = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - latest;
    closedir(list);
    return quiet > 0 ? quiet : 0;
}
