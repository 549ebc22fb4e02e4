/*
 * Temporary files beside the manifest: `.<name>.<16 hexadecimal digits>.runsfs`, locked with flock as long as
 * somebody is at work on them, so that what a killed process left can be told from what is being written.
 * Internal to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_FILE_TEMPORARY_H
#define RUNSFS_MANIFEST_FILE_TEMPORARY_H

#include "core/base/limits.h"
#include <sys/types.h>

/* A name that nothing is likely to have. 0, -ENAMETOOLONG or the errno of getrandom. */
int file_temporary_name(const char *name, char temporary[LIMIT_NAME_BYTES + 1]);
/* Creates one and locks it: a descriptor for reading and writing, or a negative errno. */
int file_temporary_create(int directory_fd, const char *name, mode_t mode,
                          char temporary[LIMIT_NAME_BYTES + 1]);
/* Removes those of that name that nobody holds. */
void file_temporary_clean(int directory_fd, const char *name);

#endif
