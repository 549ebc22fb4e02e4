/*
 * Which run is meant by what somebody typed.
 */
#ifndef RUNSFS_CLI_PICK_H
#define RUNSFS_CLI_PICK_H

#include "core/cli/cli.h"

/* The run that text means: RUN or FRAMEWORK/RUN, where RUN is a run id or the beginning of just one; a slash
 * at the end does not count. An id that is whole is meant even where others begin with it. CLI_OK and *run;
 * CLI_FINDING where there is none; CLI_ERROR where there are several; an error was printed then. The caller
 * holds the index's lock. */
enum cli_status pick_run(struct index *index, const char *text, struct run **run);

#endif
