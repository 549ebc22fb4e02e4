/*
 * Answering a query, which is what `find` and `list` do.
 */
#ifndef RUNSFS_CLI_SEARCH_H
#define RUNSFS_CLI_SEARCH_H

#include "core/cli/cli.h"

/* Prints the runs that match by the options given, or why the text is no query. */
enum cli_status search_print(const struct cli_options *options, struct slice text);

#endif
