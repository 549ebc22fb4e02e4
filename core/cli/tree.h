/*
 * Walking a directory tree without leaving it: never through a link, never across a mount point, whatever
 * anybody moves meanwhile, at two open descriptors however deep it is.
 */
#ifndef RUNSFS_CLI_TREE_H
#define RUNSFS_CLI_TREE_H

#include "core/base/text.h"
#include <sys/stat.h>

struct tree_walk;

/* What a walk tells. Names are such in directory_fd; depth is 0 for what stands directly in the top. A result
 * other than 0 ends the walk, which returns it. */
struct tree_visitor {
    /* Anything that is no directory. */
    int (*file)(struct tree_walk *walk, int directory_fd, const char *name, const struct stat *info);
    /* A directory, before what is in it; it may be made readable here. May be NULL. */
    int (*enter)(struct tree_walk *walk, int directory_fd, const char *name, const struct stat *info);
    /* The same after all that is in it; TREE_AGAIN has it listed anew. May be NULL. */
    int (*leave)(struct tree_walk *walk, int directory_fd, const char *name);
    /* What can't be looked at or into, for the reason error (negative errno; -EXDEV for a mount point). */
    int (*fault)(struct tree_walk *walk, int directory_fd, const char *name, int error);
    void *context;
};

#define TREE_AGAIN 1

/* Walks all that is in the directory top_fd (open for reading). 0, or what ended it; -ESTALE where the
 * directory that is being walked was moved elsewhere meanwhile. */
int tree_walk(int top_fd, const struct tree_visitor *visitor);

/* For visitors: what visitor->context is, */
void *tree_context(const struct tree_walk *walk);
/* how many directories stand between the top and what is told of, */
unsigned tree_depth(const struct tree_walk *walk);
/* and its path below the top, appended. */
void tree_append_path(const struct tree_walk *walk, const char *name, struct buffer *path);

/* Opens the directory at path below directory_fd for reading: through no link, and unless across_mounts over
 * no mount point. A descriptor or -errno (-EXDEV for a mount point, -ELOOP for a link). */
int tree_open(int directory_fd, const char *path, bool across_mounts);

#endif
