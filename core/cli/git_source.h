/*
 * The source that a command means together with the Git repository that it lies in.
 */
#ifndef RUNSFS_CLI_GIT_SOURCE_H
#define RUNSFS_CLI_GIT_SOURCE_H

#include "core/cli/cli.h"
#include "core/git/derive.h"

struct git_source {
    char *path; /* on disk, also where the command was called in a mount */
    struct repository *repository;
    struct deriver *deriver;
};

/* By what -C says. CLI_OK and *source, to be closed; CLI_ERROR after an error was printed. */
enum cli_status git_source_open(const char *directory, struct git_source *source);
void git_source_close(struct git_source *source);
/* Prints why the repository of the source at path could not be opened: error is what repository_open
 * returned. */
void git_source_tell(const char *path, int error);
/* Prints why something of the repository could not be read. CLI_ERROR. */
enum cli_status git_source_fail(const struct git_source *source);

#endif
