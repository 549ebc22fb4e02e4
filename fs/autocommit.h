/*
 * `-o autocommit`: a thread that commits a run when it is completed, or its status changes.
 */
#ifndef RUNSFS_FS_AUTOCOMMIT_H
#define RUNSFS_FS_AUTOCOMMIT_H

#include "fs/fs.h"

struct autocommit;

/* Before anything is mounted: is there a repository, and one in which commits can be made at all? 0 and
 * *autocommit; -errno after a line that says what to do. */
int autocommit_create(struct keeper *keeper, const char *source_path, struct autocommit **autocommit);
/* Before keeper_start. 0 or -errno. autocommit may be NULL, here and below. */
int autocommit_start(struct autocommit *autocommit);
/* Commits what is due, without waiting any longer for files to come to rest, and ends the thread. The keeper
 * still runs. */
void autocommit_stop(struct autocommit *autocommit);
void autocommit_free(struct autocommit *autocommit);

#endif
