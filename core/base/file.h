/*
 * Whole reads and writes of open files, through interruptions and short counts.
 */
#ifndef RUNSFS_BASE_FILE_H
#define RUNSFS_BASE_FILE_H

#include "core/base/text.h"

/* Writes all of bytes. 0 or a negative errno. */
int file_write_all(int fd, struct slice bytes);
/* Reads just size_bytes. 0; -ENODATA where the file ends before; any errno. */
int file_read_all(int fd, char *bytes, size_t size_bytes);

#endif
