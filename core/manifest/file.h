/*
 * The manifest's file: which name it has in a source, reading it, and replacing it atomically and durably
 * (temporary file, fsync, rename, fsync of the directory). At every instant the name holds a whole manifest,
 * old or new.
 */
#ifndef RUNSFS_MANIFEST_FILE_H
#define RUNSFS_MANIFEST_FILE_H

#include "core/manifest/snapshot.h"

/* "runs_manifest.json", or "manifest.json" where that is what the source has. Static text. */
const char *manifest_file_name(int source_fd);

/* Replaces the file `name` in source_fd by the snapshot. Keeps mode, owner (where it may) and extended
 * attributes of the file that is there; a new one gets 0644 less the umask and the owner of the source. The
 * temporary file is
 * `.<name>.<random>.runsfs`, locked with flock while it is written. stamp is set to the new file's.
 * expected, where not NULL, is the stamp of the file that is to be replaced (all zero: none): -EAGAIN if
 * another stands there by now. 0; -EISDIR or -EINVAL where something stands there that is no regular file;
 * -EROFS, -ENOSPC and any errno of writing: then the old file is untouched and no temporary file is left. */
int manifest_file_replace(int source_fd, const char *name, const struct snapshot *snapshot,
                          const struct file_stamp *expected, struct file_stamp *stamp);
/* Keeps a copy of a file that is about to be replaced and that could not be understood: a hard link (or copy)
 * `<name>.broken`, the one before it overwritten. */
int manifest_file_keep_broken(int source_fd, const char *name);
/* Removes temporary files that a killed process left: those that nobody holds a lock on. */
void manifest_file_clean(int source_fd, const char *name);

#endif
