/*
 * What a run takes on disk: its tracked files, and everything else in it.
 */
#ifndef RUNSFS_CLI_USAGE_H
#define RUNSFS_CLI_USAGE_H

#include "core/config/config.h"

struct usage_amount {
    uint64_t disk_bytes;     /* blocks that are taken */
    uint64_t apparent_bytes; /* what is in files and links */
    uint64_t files;          /* whatever is no directory */
};

struct usage_link;

/* {0} to begin with; ended with usage_free. */
struct usage {
    struct usage_amount tracked, ignored;
    struct usage_link *links; /* the files in it that have other names, by identity */
    size_t fault_count;       /* of what could not be looked at, mount points not among them */
    int fault;                /* the first: negative errno */
    char *fault_path;         /* its path below the source */
    char *mount_path;         /* the first mount point in it, which is not looked into; NULL for none */
};

/* Adds up the run directory at path below source_fd; config says what is tracked. Its directories count for
 * the blocks that they take, as ignored. A file with several names in it counts once, as tracked if one of
 * them is. 0, or -errno where the run itself can't be opened. */
int usage_measure(int source_fd, const char *path, const struct config *config, struct usage *usage);
/* Adds a measured run to the sum over several, where what has names in several of them counts once. */
void usage_add(struct usage *sum, const struct usage *usage);
void usage_free(struct usage *usage);

#endif
