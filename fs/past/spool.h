/*
 * Large files of the past. Git gives an object from its beginning or in one piece, the kernel asks for pieces
 * in any order: so a large one is written once into a file without a name (in $TMPDIR, else /var/tmp or
 * /tmp), and read from there.
 */
#ifndef RUNSFS_FS_PAST_SPOOL_H
#define RUNSFS_FS_PAST_SPOOL_H

#include "core/base/limits.h"
#include "core/git/repository.h"

struct past_spool {
    struct object_id id;
    int fd;
    uint64_t used; /* 0: there is none here */
};

struct past_spools {
    struct past_spool all[LIMIT_PAST_SPOOLS];
    uint64_t uses;
};

/* Its content's descriptor if it is there, else -1. */
int past_spool_find(struct past_spools *spools, const struct object_id *id);
/* Has it written: 0 and *fd, good until the next call of this; as blob_write fails. */
int past_spool_make(struct past_spools *spools, struct repository *repository, const struct object_id *id,
                    int *fd);
void past_spools_close(struct past_spools *spools);
bool past_spools_are_empty(const struct past_spools *spools);

#endif
