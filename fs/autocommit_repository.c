/*
 * The repository into which a mount commits: opened by the rights of its owner, and again when it has become
 * another one, or has other packs, since libgit2 never lets go of those that it has opened.
 */
#include "fs/autocommit_internal.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The `.git` in the directory or above it, whatever it is: nothing of it is read here. */
static int find_git(const char *source_path, struct stat *info)
{
    char path[PATH_MAX + sizeof("/.git")];
    if (!realpath(source_path, path))
        return -errno;
    for (char *end = path + strlen(path);; *end = '\0') {
        if (end == path + 1)
            end = path;
        strcpy(end, "/.git");
        if (lstat(path, info) == 0)
            return 0;
        if (end == path)
            return -ENOENT;
        *end = '\0';
        end = strrchr(path, '/');
    }
}

int autocommit_find_owner(struct autocommit *autocommit)
{
    struct stat info;
    const char *own_home = getenv("HOME");
    int error = autocommit->is_root ? find_git(autocommit->source_path, &info) : -ENOENT;
    if (error)
        return error;
    owner_set(&autocommit->owner, info.st_uid, info.st_gid);
    repositories_set_home(info.st_uid == 0 && own_home ? own_home : autocommit->owner.home);
    return 0;
}

static void warn(const char *line, void *context)
{
    (void)context;
    log_warning("autocommit: %s", line);
}

int autocommit_open(struct autocommit *autocommit)
{
    int error = repository_open(autocommit->source_path, &autocommit->repository);
    if (error == 0 && autocommit->is_root)
        error = repository_check_owner(autocommit->repository, autocommit->owner.uid);
    if (error == 0 && stat(repository_directory(autocommit->repository), &autocommit->directory) != 0)
        error = -errno;
    const struct committer_setup setup = {
        .repository = autocommit->repository,
        .source_fd = source_root_fd(keeper_source(autocommit->keeper)),
        .manifest_name = keeper_manifest_name(autocommit->keeper),
        .warn = warn,
    };
    if (error == 0)
        error = committer_create(&setup, &autocommit->committer);
    if (error)
        autocommit_close(autocommit);
    else
        autocommit->rest_at_ms = autocommit_now_ms() + REST_MS;
    return error;
}

void autocommit_close(struct autocommit *autocommit)
{
    committer_free(autocommit->committer);
    repository_close(autocommit->repository);
    autocommit->committer = NULL;
    autocommit->repository = NULL;
}

static bool is_still_there(const struct autocommit *autocommit)
{
    struct stat info;
    return stat(repository_directory(autocommit->repository), &info) == 0 &&
           info.st_dev == autocommit->directory.st_dev && info.st_ino == autocommit->directory.st_ino &&
           !repository_has_other_packs(autocommit->repository);
}

int autocommit_renew(struct autocommit *autocommit)
{
    if (autocommit->repository && is_still_there(autocommit))
        return 0;
    autocommit_close(autocommit);
    return autocommit_open(autocommit);
}
