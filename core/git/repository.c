/*
 * Opening the repository of a source, and where the source lies in it. Errors of libgit2 become errno here,
 * and its words are kept for people.
 */
#include "core/base/memory.h"
#include "core/git/guard.h"
#include "core/git/repository_internal.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What libgit2 may keep of objects, and have mapped of packs. */
#define CACHED_OBJECT_BYTES ((ssize_t)8 << 20)
#define PACK_WINDOW_BYTES ((size_t)4 << 20)
#define MAPPED_PACK_BYTES ((size_t)32 << 20)
/* The same of objects where memory is bounded. It counts content alone, of which small objects have little
 * beside what they take. No commits: the way to an old one would drive out all else. */
#define SAVED_OBJECT_BYTES ((ssize_t)512 << 10)
/* Packs that are open at once; one more closes the one that was not used for longest. */
#define OPEN_PACKS ((size_t)16)

static _Thread_local char error_text[400];

void repositories_begin(bool any_owner)
{
    allocation_begin();
    if (git_libgit2_init() > 1) /* what was set since then stays */
        return;
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, CACHED_OBJECT_BYTES);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, PACK_WINDOW_BYTES);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, MAPPED_PACK_BYTES);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, OPEN_PACKS);
    /* Like git itself: what is read is checked by its compression's checksum, not hashed once more. */
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
    guard_install();
    if (any_owner)
        git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
}

void repositories_save_memory(void)
{
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, SAVED_OBJECT_BYTES);
    git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_COMMIT, (size_t)0);
}

void repositories_set_home(const char *home)
{
    struct buffer xdg = {0};
    buffer_append_format(&xdg, *home ? "%s/.config/git" : "%s", home);
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, home);
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, xdg.bytes);
    buffer_free(&xdg);
}

/* Has the words one line without anything that steers a terminal. */
static void clean_error_text(void)
{
    for (char *at = error_text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}

int repository_fail(int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error_text, sizeof(error_text), format, arguments);
    va_end(arguments);
    clean_error_text();
    return error;
}

int repository_result(int git_result)
{
    if (git_result >= 0)
        return 0;
    const git_error *error = git_error_last();
    snprintf(error_text, sizeof(error_text), "%s",
             error && error->message ? error->message : "unknown error");
    clean_error_text();
    switch (git_result) {
    case GIT_ENOTFOUND:
    case GIT_EAMBIGUOUS:
    case GIT_EINVALIDSPEC:
    case GIT_EUNBORNBRANCH:
    case GIT_EPEEL:
        return -ENOENT;
    case GIT_EOWNER:
        return -EPERM;
    default:
        return -EIO;
    }
}

const char *repository_error(void)
{
    return error_text;
}

/* The part of path below directory; NULL where it is not below it. Both are absolute and resolved. */
static const char *path_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    while (length && directory[length - 1] == '/')
        length--;
    if (strncmp(path, directory, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    while (path[length] == '/')
        length++;
    return path + length;
}

static int find_prefix(struct repository *repository, const char *source)
{
    const char *workdir = git_repository_workdir(repository->handle);
    char top[PATH_MAX];
    if (!workdir || git_repository_is_bare(repository->handle))
        return repository_fail(-ENOENT, "%s: is a bare repository, without a working tree",
                               git_repository_path(repository->handle));
    const char *prefix = realpath(workdir, top) ? path_below(source, top) : NULL;
    if (!prefix || strcmp(prefix, ".git") == 0 || strncmp(prefix, ".git/", 5) == 0)
        return repository_fail(-ENOENT, "%s: does not lie in the working tree of %s", source,
                               git_repository_path(repository->handle));
    const char *name = strrchr(source, '/');
    repository->prefix = memory_copy_text(prefix, strlen(prefix));
    repository->source_name = memory_copy_text(name + 1, strlen(name + 1));
    return 0;
}

static int open_objects(struct repository *repository)
{
    return repository_result(git_repository_odb(&repository->objects, repository->handle));
}

static int find_objects(struct repository *repository)
{
    git_buf path = GIT_BUF_INIT;
    int error =
        repository_result(git_repository_item_path(&path, repository->handle, GIT_REPOSITORY_ITEM_OBJECTS));
    if (error == 0)
        repository->object_directory = memory_copy_text(path.ptr, strlen(path.ptr));
    git_buf_dispose(&path);
    return error ? error : open_objects(repository);
}

int repository_let_go(struct repository *repository)
{
    git_odb_free(repository->objects);
    repository->objects = NULL;
    git_repository__cleanup(repository->handle);
    return open_objects(repository);
}

/* When a pack last came or went; 0 where there is no directory of packs. */
static struct timespec packs_changed_at(const struct repository *repository)
{
    struct buffer path = {0};
    struct stat st;
    buffer_append_format(&path, "%spack", repository->object_directory);
    if (stat(path.bytes, &st) != 0)
        st.st_mtim = (struct timespec){0};
    buffer_free(&path);
    return st.st_mtim;
}

bool repository_has_other_packs(const struct repository *repository)
{
    struct timespec now = packs_changed_at(repository), then = repository->packs_changed_at;
    return now.tv_sec != then.tv_sec || now.tv_nsec != then.tv_nsec;
}

/* A number of what stands at path; another one when something else does, or that was changed. */
static uint64_t mark_of(const char *path, bool with_time)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return 0;
    uint64_t mark = st.st_ino * 0x9e3779b97f4a7c15ull ^ st.st_dev;
    if (with_time)
        mark = (mark ^ (uint64_t)st.st_mtim.tv_sec) * 0x9e3779b97f4a7c15ull ^ (uint64_t)st.st_mtim.tv_nsec;
    return mark | 1;
}

/* The source itself, and each `.git` that would be nearer to it than the repository's: there may be some that
 * are none. */
static uint64_t nearer_mark(const struct repository *repository)
{
    struct buffer path = {0};
    size_t length = strlen(repository->source), top = length - strlen(repository->prefix);
    uint64_t mark = mark_of(repository->source, false);
    buffer_append(&path, repository->source, length);
    while (length > top) {
        path.length = length;
        buffer_append_text(&path, "/.git");
        mark = mark * 31 + mark_of(path.bytes, true);
        while (length > top && path.bytes[--length] != '/')
            ;
    }
    buffer_free(&path);
    return mark;
}

bool repository_is_nearest(const struct repository *repository)
{
    return nearer_mark(repository) == repository->nearer;
}

int repository_open(const char *source_path, struct repository **opened)
{
    char source[PATH_MAX];
    if (!realpath(source_path, source))
        return repository_fail(-errno, "%s: %s", source_path, strerrordesc_np(errno));
    struct repository *repository = memory_alloc_zeroed(1, sizeof(*repository));
    int error = repository_result(git_repository_open_ext(&repository->handle, source, 0, NULL));
    if (error == 0)
        error = find_prefix(repository, source);
    if (error == 0)
        error = find_objects(repository);
    if (error == 0) {
        repository->packs_changed_at = packs_changed_at(repository);
        repository->source = memory_copy_text(source, strlen(source));
        repository->nearer = nearer_mark(repository);
        *opened = repository;
    } else {
        repository_close(repository);
    }
    return error;
}

void repository_close(struct repository *repository)
{
    if (!repository)
        return;
    revisions_forget(repository);
    git_odb_free(repository->objects);
    git_repository_free(repository->handle);
    free(repository->prefix);
    free(repository->source_name);
    free(repository->object_directory);
    free(repository->source);
    free(repository);
}

int repository_check_owner(const struct repository *repository, uid_t owner)
{
    const char *directories[] = {git_repository_path(repository->handle),
                                 git_repository_commondir(repository->handle)};
    for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
        struct stat info;
        if (stat(directories[i], &info) != 0)
            return repository_fail(-errno, "%s: %s", directories[i], strerrordesc_np(errno));
        if (info.st_uid != owner)
            return repository_fail(-EPERM, "%s: belongs to another user than the .git that leads to it",
                                   directories[i]);
    }
    return 0;
}

const char *repository_prefix(const struct repository *repository)
{
    return repository->prefix;
}

const char *repository_source_name(const struct repository *repository)
{
    return repository->source_name;
}

const char *repository_directory(const struct repository *repository)
{
    return git_repository_path(repository->handle);
}

const char *repository_top(const struct repository *repository)
{
    return git_repository_workdir(repository->handle);
}

const char *repository_objects(const struct repository *repository)
{
    return repository->object_directory;
}
