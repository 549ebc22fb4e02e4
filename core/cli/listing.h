/*
 * What `find` and `list` print: runs as a table, as the manifest's entries, or as paths.
 */
#ifndef RUNSFS_CLI_LISTING_H
#define RUNSFS_CLI_LISTING_H

#include "core/cli/cli.h"

/* Runs in the order in which they are shown; borrowed from an index. */
struct run_list {
    struct run **runs;
    size_t count;
};

/* By the options that are set. CLI_FINDING where there is no run, and CLI_ERROR after an error was printed.
 */
enum cli_status listing_print(const struct run_list *list, unsigned set);
/* In which a status is shown: the parameters of an SGR escape; NULL for the terminal's own. */
const char *listing_status_color(struct slice status);

#endif
