/*
 * Everything that `runs check` looks at, collected from a keeper.
 */
#ifndef RUNSFS_CLI_INSPECT_H
#define RUNSFS_CLI_INSPECT_H

#include "core/cli/finding.h"
#include "core/keeper/keeper.h"

void inspect_source(struct keeper *keeper, struct finding_list *findings);

#endif
