/*
 * Commits of runs: one commit for one run, of its tracked files and the manifest, on top of the branch that
 * HEAD names. What else is in the index, the working tree or an unfinished merge stays as it is.
 *
 * The order makes a crash leave either no commit or a whole one: objects first, on disk; then, with both
 * locks of Git's held for a moment, the user's index follows (only the entries of what is committed, and of
 * those only what the user has not staged otherwise) and the branch moves. docs/git.md says why the index
 * follows at all.
 */
#ifndef RUNSFS_GIT_COMMIT_H
#define RUNSFS_GIT_COMMIT_H

#include "core/git/derive.h"

struct committer;

struct committer_setup {
    struct repository *repository; /* must outlive the committer, and is used by nobody else meanwhile */
    const char *source_path;
    int source_fd;             /* of the source, good as long as the committer */
    const char *manifest_name; /* in the source */
    /* Told of what is left out, a printable line each time. */
    void (*warn)(const char *line, void *context);
    void *context;
};

/* 0 and *committer; -errno, of which repository_error tells. */
int committer_create(const struct committer_setup *setup, struct committer **committer);
void committer_free(struct committer *committer); /* may be NULL */
struct deriver *committer_deriver(struct committer *committer);

/* May there be commits now? 0; -EBUSY during a merge and the like; -ENOTSUP where it takes what is not done
 * here; repository_error has the line. */
int committer_check(struct committer *committer);
/* The branch's tip: none before the first commit. */
int committer_tip(struct committer *committer, struct object_id *tip);
/* Do the tracked files of a run differ from the tip's? 1, 0, or -errno. */
int committer_differs(struct committer *committer, const struct config *config, const char *run_path);

/* For how long no tracked file of the run has changed, by the clock of the files; 0 where that can't be
 * said. */
int64_t committer_quiet_ms(struct committer *committer, const struct config *config, const char *run_path);

struct commit_made {
    struct object_id id;
    char *message; /* owned by the caller */
};

/* Commits the run at that path below the source. config says what is tracked. 1 and *made; 0 where there is
 * nothing to commit; -EBUSY where somebody else is at work (a merge, a lock) for longer than patience_ms;
 * -ENOTSUP where it can't be done here; -EBADMSG where something of the run is broken;
 * -ETXTBSY where its files change all the time; -errno.
 * repository_error has the line then. */
int commit_run(struct committer *committer, const struct config *config, const char *run_path,
               unsigned patience_ms, struct commit_made *made);

/* A run's line: `chatdev/0a1b: verified, 287761 tokens in, 91329 out`. */
void commit_message_append(struct buffer *message, const char *run_path, const struct run_fields *fields);

#endif
