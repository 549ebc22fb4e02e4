/*
 * The manifest that stands on disk against the index, value by value: which entries are missing or too many,
 * which fields differ, the order, the totals.
 */
#ifndef RUNSFS_CLI_COMPARE_H
#define RUNSFS_CLI_COMPARE_H

#include "core/cli/finding.h"
#include "core/manifest/index.h"

/* text is the content of the manifest `name`, valid JSON. Adds what differs to findings; nothing where only
 * the bytes do. What somebody added is no difference. Entries below a directory in source_fd (-1: there is
 * none) that can't be listed are taken as they are: false where there are such. */
bool compare_manifest(struct index *index, int source_fd, const char *name, struct slice text,
                      struct finding_list *findings);

#endif
