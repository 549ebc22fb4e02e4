/*
 * `runs show RUN --diff REV`.
 */
#ifndef RUNSFS_CLI_SHOW_DIFFERENCE_H
#define RUNSFS_CLI_SHOW_DIFFERENCE_H

#include "core/cli/cli.h"

/* Prints what changed in the tracked files of the run that options names. CLI_FINDING where nothing did, or
 * there is no such run. */
enum cli_status show_difference(const struct cli_options *options);

#endif
