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

/* The same among runs of the past, which are known by their paths below the source. Begun with what is looked
 * for, it is told of paths, the same one perhaps often; those that do not fit cost nothing. */
struct path_choice;
struct path_choice *path_choice_create(const char *text);
bool path_choice_fits(const struct path_choice *choice, const char *path);
void path_choice_add(struct path_choice *choice, const char *path);
size_t path_choice_count(const struct path_choice *choice);
/* CLI_OK and *path, which the choice owns; CLI_FINDING where there is none, and nothing was printed;
 * CLI_ERROR where there are several, and an error was printed. */
enum cli_status path_choice_end(const struct path_choice *choice, const char **path);
void path_choice_free(struct path_choice *choice);

#endif
