/*
 * The command line of runsfs, by the conventions of mount(8) and libfuse.
 */
#ifndef RUNSFS_FS_OPTIONS_H
#define RUNSFS_FS_OPTIONS_H

#include "fs/fs.h"
#include "core/base/log.h"

struct options {
    char *source;      /* absolute */
    char *mount_point; /* absolute */
    bool foreground, single_thread, read_only, to_syslog, low_latency, autocommit;
    enum watch_backend watch;
    enum log_level log_level;
    unsigned poll_interval_ms; /* 0 for the default */
    unsigned descriptors;      /* the caches' share: half for directories, half for open files */
    unsigned open_files;       /* all that may be open at once */
    unsigned max_threads;
    unsigned max_read; /* of one request, in bytes; 0 where nothing is said */
    bool no_index_cache;
    char *index_cache;                /* a directory; NULL for the user's own */
    struct fuse_args mount_arguments; /* what is libfuse's and the kernel's */
};

/* Parses; prints help, version or one line of error by itself. 0 to go on; 1 where all is done (exit 0);
 * -EINVAL for an error that was told. options_free in any case. */
int options_parse(int count, char **arguments, struct options *options);
void options_free(struct options *options);

#endif
