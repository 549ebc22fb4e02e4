/*
 * Listing runs under `exclude` in the configuration of their source.
 */
#ifndef RUNSFS_CLI_EXCLUDE_H
#define RUNSFS_CLI_EXCLUDE_H

#include "core/cli/cli.h"

/* Adds the paths (of runs, below the source) to `exclude` in the runsfs.json of source_fd, whose path is
 * source_path, in one step; makes that file where there is none. Paths that are excluded already do no harm.
 * CLI_OK, or CLI_ERROR after an error was printed: then the file is as it was. */
enum cli_status exclude_paths(int source_fd, const char *source_path, const char *const *paths, size_t count);

#endif
