/*
 * The history of the runs: the commits that HEAD leads to, and what each of them changed of the runs, seen
 * against its first parent. Of a merge that is a change which the run has in none of its parents: what came
 * in by a branch was told of at the branch's own commits.
 */
#ifndef RUNSFS_GIT_HISTORY_H
#define RUNSFS_GIT_HISTORY_H

#include "core/git/derive.h"

/* What the history tells of a run at one moment. */
struct history_state {
    bool is_run;
    struct slice status; /* owned; absent where there is no run, like the rest */
    uint64_t tokens_in, tokens_out;
};

enum history_kind { HISTORY_ADDED, HISTORY_REMOVED, HISTORY_RENAMED, HISTORY_CHANGED };

struct history_change {
    enum history_kind kind;
    char *path;     /* of the run below the source; of one that was removed, where it was */
    char *old_path; /* of one that was renamed; else NULL */
    struct history_state before, after;
};

/* A commit that changed runs. The changes are in order of their paths. */
struct history_commit {
    struct object_id id;
    int64_t time_s; /* the committer's, since 1970 */
    struct history_change *changes;
    size_t change_count;
};

/* Of all runs, or of one with all the names that it had. deriver must outlive it. */
struct history;
/* 0 and *history, to be closed, which is empty where HEAD has no commit yet; -EIO. Commits before since_s
 * are left out (INT64_MIN: none); with path, all but those that changed the run there, and further back the
 * run that it was renamed from. */
int history_open(struct deriver *deriver, int64_t since_s, const char *path, struct history **history);
/* 0 and the next commit, the newest first as git-log(1) orders them, good until the next call; -ENOENT at
 * the end; -EIO where an object is missing. */
int history_next(struct history *history, const struct history_commit **commit);
void history_close(struct history *history);

/* Which paths are asked for, and whom to tell of them: each may come several times. */
struct path_search {
    bool (*wants)(const char *path, void *context);
    void (*found)(const char *path, void *context);
    void *context;
};
/* The runs of one tree of the source; those of HEAD; and those that ever were, anywhere in its history. 0;
 * -EIO. */
int search_tree(struct deriver *deriver, const struct object_id *source_tree,
                const struct path_search *search);
int search_head(struct deriver *deriver, const struct path_search *search);
int search_history(struct deriver *deriver, const struct path_search *search);

/* The commit that HEAD is. 0; -ENOENT where its branch has none yet; -EIO. */
int history_head(struct repository *repository, struct object_id *commit);

#endif
