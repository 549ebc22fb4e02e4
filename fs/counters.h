/*
 * Counters: how many requests the kernel has sent, by kind and by what they were about, so that anybody can
 * see what is answered from the kernel's caches (.runsfs/status.json shows them).
 */
#ifndef RUNSFS_FS_COUNTERS_H
#define RUNSFS_FS_COUNTERS_H

#include "fs/fs.h"
#include "core/base/text.h"

struct fuse_in_header;

/* One request, before it is served (its node is still known). */
void counters_count(struct fs *fs, const struct fuse_in_header *header);
/* Appends them to text as the members of a JSON object, two levels deep. */
void counters_render(struct fs *fs, struct buffer *text);

#endif
