/*
 * Asking a mount of the source, which knows already what a scan would find.
 */
#ifndef RUNSFS_CLI_ASK_MOUNT_H
#define RUNSFS_CLI_ASK_MOUNT_H

#include "core/cli/answer.h"

/* Has a mount of the source answer a query that is known to be one. False where there is none, or none that
 * can be relied on: then the source is to be scanned. The answer is to be freed. */
bool ask_mount(const char *source_path, struct slice query, struct answer *answer);

#endif
