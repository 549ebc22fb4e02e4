/*
 * What changed in the tracked files of a run since a revision, as git-diff(1) prints it.
 */
#ifndef RUNSFS_GIT_DIFFERENCE_H
#define RUNSFS_GIT_DIFFERENCE_H

#include "core/config/config.h"
#include "core/git/repository.h"

/* What a line of a difference is, for whoever colours it. */
enum difference_part {
    DIFFERENCE_HEADER,  /* "diff --git" and what follows it */
    DIFFERENCE_HUNK,    /* "@@ -1,3 +1,4 @@", without what follows it */
    DIFFERENCE_CONTEXT, /* and all else that is plain */
    DIFFERENCE_REMOVED,
    DIFFERENCE_ADDED,
};
/* Gets whole lines, or parts of one, each with the newline where it ends there. */
typedef void difference_writer(enum difference_part part, struct slice text, void *context);

/* The differences from the tree of the source old_tree to what stands now in the run at path below the source
 * (open as run_fd, -1 where it is gone), of the files directly in it that config tracks. Bytes as they are:
 * no filter is run, and nothing but core.fileMode, core.quotePath and core.abbrev is looked at. 0; 1 where
 * there is none; -EIO where an object is missing, any errno of reading: repository_error says more. */
int difference_of_run(struct repository *repository, const struct config *config,
                      const struct object_id *old_tree, const char *path, int run_fd,
                      difference_writer *write, void *context);

#endif
