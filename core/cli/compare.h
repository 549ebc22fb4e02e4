/*
 * The manifest that stands on disk against the index, value by value: which entries are missing or too many,
 * which fields differ, the order, the totals.
 */
#ifndef RUNSFS_CLI_COMPARE_H
#define RUNSFS_CLI_COMPARE_H

#include "core/cli/finding.h"
#include "core/manifest/index.h"

/* text is the content of the manifest `name`, valid JSON. Adds what differs to findings; nothing where only
 * the bytes do. What somebody added is no difference. */
void compare_manifest(struct index *index, const char *name, struct slice text,
                      struct finding_list *findings);

#endif
