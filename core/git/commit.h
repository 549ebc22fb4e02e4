/*
 * Commits of runs: of their tracked files and the manifest, on top of the branch that HEAD names. What else
 * is in the index, the working tree or an unfinished merge stays as it is.
 *
 * One run is one commit, unless many are due at once in a source with many runs: each commit has the whole
 * manifest in it, so that a burst of commits costs (commits x runs). committer_batch bounds that.
 *
 * The order makes a crash leave either no commit or a whole one: objects first, on disk; then, with both
 * locks of Git's held for a moment, the user's index follows (only the entries of what is committed, and of
 * those only what the user has not staged otherwise) and the branch moves. docs/git.md says why the index
 * follows at all.
 */
#ifndef RUNSFS_GIT_COMMIT_H
#define RUNSFS_GIT_COMMIT_H

#include "core/config/config.h"
#include "core/git/repository.h"
#include "core/manifest/index.h"

/* A burst of commits has manifests of this many bytes in it, or each run that is due a commit of its own. */
#define COMMIT_BURST_BYTES ((uint64_t)512 << 20)

struct committer;

struct committer_setup {
    struct repository *repository; /* must outlive the committer, and is used by nobody else meanwhile */
    int source_fd;                 /* of the source, good as long as the committer */
    const char *manifest_name;     /* in the source */
    /* Told of what is left out, a printable line each time. */
    void (*warn)(const char *line, void *context);
    void *context;
};

/* 0 and *committer; -errno, of which repository_error tells. */
int committer_create(const struct committer_setup *setup, struct committer **committer);
void committer_free(struct committer *committer); /* may be NULL */

/* May there be commits now? 0; -EBUSY during a merge and the like; -ENOTSUP where it takes what is not done
 * here; repository_error has the line. */
int committer_check(struct committer *committer);
/* The branch's tip: none before the first commit. */
int committer_tip(struct committer *committer, struct object_id *tip);
/* The runs of the tip, good until the next call of anything here. 0 or -errno. */
int committer_runs(struct committer *committer, struct index **runs);
/* Do the tracked files of a run differ from the tip that committer_check has found? 1, 0, or -errno. */
int committer_differs(struct committer *committer, const struct config *config, const char *run_path);

/* For how long no tracked file of the run has changed, by the clock of the files; 0 where that can't be
 * said. */
int64_t committer_quiet_ms(struct committer *committer, const struct config *config, const char *run_path);
/* How many of run_count runs that are due are to be in one commit: 1 where as many manifests stay within
 * COMMIT_BURST_BYTES. */
size_t committer_batch(const struct committer *committer, size_t run_count);
size_t commit_batch(uint64_t manifest_bytes, size_t run_count);

/* A run that is to be committed, and what became of it. */
struct run_to_commit {
    const char *path; /* below the source; the caller's, like the rest of the list */
    /* 1: it is in the commit. 0: there is nothing to commit. What is this run's alone, and stops no other:
     * -EBADMSG where something of it is broken; -ENOTSUP where it takes what is not done here; -ETXTBSY where
     * its files change all the time; -EIO and the like where they can't be read. */
    int result;
    char *text; /* the run's line in the message, or why it is not committed; owned by the caller; may be NULL
                 */
};

/* Commits these runs in one commit; config says what is tracked. 1 and *id where it was made; 0 where there
 * is nothing to commit; else what stops all commits (and runs[].result is 0): -EBUSY where somebody else is
 * at work (a merge, a lock) for longer than patience_ms; -ENOTSUP where it can't be done here; -errno.
 * repository_error has the line then. */
int commit_runs(struct committer *committer, const struct config *config, struct run_to_commit *runs,
                size_t count, unsigned patience_ms, struct object_id *id);

/* A run's line: `chatdev/0a1b: verified, 287761 tokens in, 91329 out`. fields: NULL for a run that is none
 * any more. */
void commit_message_append(struct buffer *message, const char *run_path, const struct run_fields *fields);

#endif
