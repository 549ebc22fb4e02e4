/*
 * Opening the repository of a source, with the errors that a user can act on.
 */
#include "core/cli/git_source.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum cli_status git_source_open(const char *directory, struct git_source *source)
{
    *source = (struct git_source){.path = find_source_on_disk(directory)};
    if (!source->path)
        return CLI_ERROR;
    repositories_begin(false);
    int error = repository_open(source->path, &source->repository);
    if (error == 0) {
        source->deriver = deriver_create(source->repository);
        return CLI_OK;
    }
    git_source_tell(source->path, error);
    git_source_close(source);
    return CLI_ERROR;
}

void git_source_tell(const char *path, int error)
{
    /* Where that is set nowhere, libgit2 1.5 says this of a repository of somebody else. */
    if (error == -ENOENT && strstr(repository_error(), "safe.directory"))
        cli_error("%s: its Git repository belongs to somebody else; git status there says how to allow that",
                  path);
    else if (error == -ENOENT)
        cli_error("%s: lies in no Git repository with a working tree; git init makes one, then runs init",
                  path);
    else if (error == -EPERM)
        cli_error("%s: %s; git config --global --add safe.directory allows it", path, repository_error());
    else
        cli_error("%s: its Git repository can't be used (%s); git status there may tell more", path,
                  repository_error());
}

void git_source_close(struct git_source *source)
{
    deriver_free(source->deriver);
    repository_close(source->repository);
    free(source->path);
    *source = (struct git_source){0};
}

enum cli_status git_source_fail(const struct git_source *source)
{
    cli_error("%s: Git's history can't be read (%s); git fsck may tell more", source->path,
              repository_error());
    return CLI_ERROR;
}
