/*
 * Autocommit from the inside: what autocommit.c (the thread and its commits) and autocommit_due.c (which runs
 * are to be committed, and when) share.
 */
#ifndef RUNSFS_FS_AUTOCOMMIT_INTERNAL_H
#define RUNSFS_FS_AUTOCOMMIT_INTERNAL_H

#include "fs/autocommit.h"
#include "fs/owner.h"
#include "core/git/commit.h"
#include <uthash.h>

/* Changes come in bursts: so long after the first is looked at what they are. */
#define GATHER_MS 200
/* So long a run's files are to be at rest, and so long at most that is waited for. */
#define QUIET_MS 1000
#define DELAY_MS 30000
/* The manifest on disk is waited for, so that it is what is committed; so long at most. */
#define MANIFEST_STEP_MS 100
#define MANIFEST_PATIENCE_MS 5000
/* Where somebody else is at work on the repository. */
#define PATIENCE_MS 3000
#define LAST_PATIENCE_MS 1000
#define RETRY_FIRST_MS 1000
#define RETRY_LONGEST_MS 60000
/* So long after the last work the repository is closed: in a large one that is 100 MB. */
#define REST_MS 30000
/* At the end no more than this is spent; the next mount does the rest. */
#define END_MS 30000
/* Buckets of the index looked at before others get their turn. */
#define BUCKETS_AT_ONCE 4096

/* A run of the tip. */
struct known_run {
    uint64_t path, status; /* hashes */
};

/* A run that the tip does not have, or not with this status. */
struct waiting {
    char *path;
    struct slice end_time, name;
    uint64_t state; /* hash of what it is: a run that was tried is tried again when that is another */
    int64_t since_ms, due_ms; /* monotonic; before that it is not looked at */
    bool is_tried;
    char *told;    /* what the log was told of it; NULL for nothing */
    unsigned look; /* that last met it */
    UT_hash_handle hh;
};

struct autocommit {
    struct keeper *keeper;
    char *source_path;
    struct repository *repository; /* NULL: it is not open */
    struct stat directory;         /* of the repository, when it was opened */
    struct committer *committer;
    struct config *config; /* of the last look */
    bool is_root;
    struct owner owner;

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards the next two; a leaf */
    pthread_cond_t wake;
    bool changed, stopping;

    struct object_id tip;
    bool has_tip; /* known is of it */
    struct known_run *known;
    size_t known_count;
    struct waiting *waiting;
    unsigned look;
    int64_t manifest_until_ms; /* so long the manifest is waited for; 0: it is not */
    int64_t rest_at_ms;        /* -1: it rests */
    bool is_blocked;           /* nothing can be committed until retry_at_ms */
    int64_t retry_at_ms;
    unsigned retry_ms;
    char *last_error;
};

/* Milliseconds of the monotonic clock. */
int64_t autocommit_now_ms(void);

/* ---- autocommit_repository.c ---- */

/* Finds who owns the repository of the source, where the process is root: 0, -ENOENT, -errno. */
int autocommit_find_owner(struct autocommit *autocommit);
/* Opens the repository; with the owner's rights. 0 or -errno, of which repository_error tells. */
int autocommit_open(struct autocommit *autocommit);
void autocommit_close(struct autocommit *autocommit);
/* Opens it where it is not open, or not any more what was opened, as that was. 0 or -errno. */
int autocommit_renew(struct autocommit *autocommit);

/* ---- autocommit_due.c: called by the thread alone ---- */

/* Enters every run that is to be committed and is not waiting yet, and drops those that are not any longer.
 * 0; -errno. */
int autocommit_look_at_runs(struct autocommit *autocommit);
void autocommit_forget(struct autocommit *autocommit, struct waiting *waiting);
/* For HASH_SORT: in the order in which they are committed. */
int autocommit_compare_waiting(struct waiting *a, struct waiting *b);

#endif
