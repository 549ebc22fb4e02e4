/*
 * What one file takes over from another: owner, mode, extended attributes, content. Internal to
 * core/manifest.
 */
#ifndef RUNSFS_MANIFEST_FILE_COPY_H
#define RUNSFS_MANIFEST_FILE_COPY_H

#include "core/base/text.h"
#include <sys/stat.h>

/* As far as the process may: an ordinary user may not give a file away, but may put it in its groups. */
void file_give_owner(int fd, uid_t uid, gid_t gid);
/* Gives fd the owner, extended attributes (access lists among them) and mode of `name`, whose stat is info;
 * each as far as that goes. */
void file_copy_attributes(int directory_fd, const char *name, const struct stat *info, int fd);
/* Copies a regular file's content into a new file `copy` of the same mode. 0 or a negative errno, and then
 * there is no copy. */
int file_copy(int directory_fd, const char *name, const char *copy);

#endif
