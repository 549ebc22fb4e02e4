/*
 * The mounts of runsfs that this process sees, as the kernel tells of them.
 */
#ifndef RUNSFS_CLI_MOUNTS_H
#define RUNSFS_CLI_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct runsfs_mount {
    uint64_t id;        /* as statx has it */
    const char *path;   /* of the mount point */
    const char *source; /* the path that it was mounted with */
    uid_t owner;        /* whose daemon answers */
};

/* Calls visit for every runsfs that is mounted whole, in the order in which they were mounted, until it
 * returns true; whether it did. What is pointed to is good for the call. */
bool mounts_each(bool (*visit)(const struct runsfs_mount *mount, void *context), void *context);
/* The id of the mount that an open file or directory stands in; 0 where the kernel does not say. */
uint64_t mount_id_of(int fd);

#endif
