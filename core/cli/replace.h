/*
 * Replacing a small file in the source, as the manifest is replaced: whole, at once, and to last.
 */
#ifndef RUNSFS_CLI_REPLACE_H
#define RUNSFS_CLI_REPLACE_H

#include "core/base/text.h"

/* Gives the file `name` in directory_fd that content; it keeps its mode, owner and attributes. A new one gets
 * 0644 less the umask, and the owner of the directory. 0; -EINVAL where something stands there that is no
 * regular file; any errno, and then it is as it was. */
int replace_file(int directory_fd, const char *name, struct slice content);

#endif
