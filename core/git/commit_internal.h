/*
 * What the files of commits share: committer.c (what is kept between them), commit.c (the order in which
 * things are done), commit_runs.c (which runs are in it, and what is said of them), commit_tip.c (where a run
 * is in the tip), commit_files.c (a run's files), commit_build.c (trees, the manifest, the commit),
 * commit_base.c (the runs of a tree, from one commit to the next), commit_store.c (objects on disk),
 * commit_check.c (may it be done at all), commit_shared.c (who else is to read and write it), commit_beside.c
 * (others at work), user_index.c (the user's index follows), branch.c (the branch moves). Internal to
 * core/git.
 */
#ifndef RUNSFS_GIT_COMMIT_INTERNAL_H
#define RUNSFS_GIT_COMMIT_INTERNAL_H

#include "core/git/commit.h"
#include "core/git/derive.h"
#include "core/git/placing.h"
#include "core/git/repository_internal.h"
#include "core/query/views.h"
#include <git2/sys/odb_backend.h>

/* A file whose entry in the tree is another one after the commit. */
struct path_change {
    char *path; /* below the top of the working tree */
    bool has_old, has_new;
    git_oid old_id, new_id;
    git_filemode_t old_mode, new_mode;
    struct stat stat; /* of the file with just that content; st_ino 0 where there is none */
};

struct change_list {
    struct path_change *list;
    size_t count, capacity;
};
void change_list_free(struct change_list *changes);
/* Frees those from count on. */
void change_list_cut(struct change_list *changes, size_t count);
/* One more change, of nothing yet; good until the next. */
struct path_change *change_list_add(struct change_list *changes, const char *path);

/* A tracked file of a run as it was read. */
struct seen_file {
    char *name;
    struct stat stat;
};

struct seen_run {
    struct seen_file *files;
    size_t count, capacity;
};
void seen_run_free(struct seen_run *seen);

/* Where a commit goes. */
struct head {
    char *branch; /* "refs/heads/main" */
    bool is_unborn;
    git_oid tip;
    git_tree *tree; /* of tip; NULL for none */
};
void head_free(struct head *head);
bool head_equal(const struct head *a, const struct head *b);

/* A commit that was just made. */
struct recent_commit {
    char *branch; /* NULL for none */
    git_oid parent, commit;
};
#define RECENT_COMMITS 8

/* The runs of one tree of the source. */
struct commit_base {
    struct object_id tree;
    const struct rules *rules; /* NULL: there is no index */
    struct index *index;
    struct query_views views;
    bool is_adopted; /* a manifest was, at least once */
};

/* A tree that was read: of directories with many runs, each of which is looked for in it. */
struct read_tree {
    struct object_id id;
    struct tree *tree; /* NULL for none */
};
#define READ_TREES 8

/* What of Git's configuration counts for a commit. */
struct commit_settings {
    bool trusts_mode; /* core.fileMode */
    int shared;       /* core.sharedRepository, see commit_shared.c */
    bool wants_logs;  /* core.logAllRefUpdates */
};

struct committer {
    struct repository *repository;
    struct deriver *deriver;
    int source_fd; /* the caller's */
    char *manifest_name;
    void (*warn)(const char *line, void *context);
    void *context;
    git_odb_backend *memory;  /* takes what is written until it is known to be wanted; the database's */
    git_odb_backend *storage; /* of loose objects */
    char *git_directory;      /* with "/" at its end: where the index lies */
    char *common_directory;   /* and the branches, with "/" at its end */
    char *index_path;
    struct commit_settings settings; /* of the last check */
    struct head looked_at;           /* by committer_check */
    struct commit_base base;
    struct read_tree read_trees[READ_TREES];
    size_t read_tree_at; /* the oldest */
    struct recent_commit recent[RECENT_COMMITS];
    size_t recent_at; /* the oldest */
};

/* The user's index at one moment, and the one that is to take its place. */
struct user_index {
    git_index *index; /* a copy of the user's own */
    char *own;        /* its file; NULL once placing has it */
    bool exists;
    struct stat stat;           /* of the user's, */
    unsigned char checksum[20]; /* and its end */
    struct placing placing;
    unsigned load_ms; /* what loading it took */
};

/* A run of an attempt. */
struct attempt_run {
    struct run_to_commit *run;
    struct seen_run seen;
    unsigned restless; /* in so many attempts its files changed meanwhile */
    bool is_in;        /* it is to be in the commit */
};

/* One attempt at a commit. */
struct attempt {
    struct committer *committer;
    const struct config *config;
    struct attempt_run *runs;
    size_t run_count;
    struct head head;
    struct change_list changes;
    struct user_index user;
    struct placing branch;
    ino_t index_ino; /* of the one that was put in place */
    bool is_placed;
    git_oid tree, commit;
    char *message, *subject;
};

/* ---- commit_runs.c ---- */

/* Looks at the files of all runs that have no result yet. 0, also where none is to be in the commit; -EAGAIN;
 * -errno. */
int attempt_look(struct attempt *attempt);
/* The run has its result: its files change all the time. */
void attempt_give_up(struct attempt_run *run);
/* How many are to be in the commit? */
size_t attempt_count(const struct attempt *attempt);
/* Gives those whose JSON is broken in the new tree their result: they are not in the commit. Returns how
 * many.
 */
size_t attempt_drop_broken(struct attempt *attempt, struct index *runs);
/* Are the files still those that were read? */
bool attempt_is_same(struct attempt *attempt);
/* Has the message say what the runs say there. */
void attempt_compose(struct attempt *attempt, struct index *runs);

/* ---- commit_tip.c ---- */

/* The tree of the directory at that path from the top, none where there is none. 0; -ENOTSUP where something
 * else stands there; -EIO. */
int tip_find_directory(struct committer *committer, const struct head *head, const char *path,
                       struct object_id *id);
/* Frees what was read for it. */
void tip_forget(struct committer *committer);

/* ---- commit_files.c ---- */

/* The file of that path as a blob, by the filters that are built in; with keep it is in memory then. 0;
 * -ENOTSUP; -EIO. */
int blob_of_content(struct committer *committer, const char *path, struct slice content, bool keep,
                    git_oid *id);
/* Looks at the tracked files of a run: what differs from the tree is added to changes, all that was read to
 * seen. With keep the new blobs are in memory. 0; -ENOENT where there is no such run, or nothing tracked in
 * it; -EAGAIN where a file changed meanwhile; -EMFILE, -ENFILE, -ENOMEM; all else is of this run. */
int build_changes(struct committer *committer, const struct config *config, const struct head *head,
                  const char *run_path, bool keep, struct seen_run *seen, struct change_list *changes);
/* Are the files of that run still those that were read? */
bool seen_run_is_same(const struct committer *committer, const char *run_path, const struct seen_run *seen);
/* The path below the top of the working tree of what lies at path in the source; owned by the caller. */
char *path_from_top(const struct repository *repository, const char *path);

/* ---- commit_build.c ---- */

/* The source's tree in a tree of the top. 0 or -EIO. */
int source_tree_of(struct committer *committer, const git_oid *top, struct object_id *tree);
/* The tree with the changes, and with the manifest that belongs to it, which may add a change. -EAGAIN where
 * a run turned out to be broken, and was left out; -errno. */
int build_tree(struct attempt *attempt);
/* The commit, in memory. 0 or -errno. */
int build_commit(struct attempt *attempt);

/* ---- commit_base.c ---- */

/* Has the base be of that tree of the source. 0 or -errno: then there is none. */
int base_move(struct committer *committer, const struct object_id *source_tree);
void base_drop(struct committer *committer);
/* The manifest that belongs to the base's tree; what a manifest adds to the files is taken from `recorded`,
 * last_updated too (now, where it has none). */
struct snapshot *base_manifest(struct committer *committer, struct slice recorded);

/* ---- commit_store.c ---- */

/* Has on disk what is in memory and belongs to the tree and the commit. 0 or -errno. */
int store_commit(struct committer *committer, const git_oid *commit, const git_oid *tree);

/* ---- commit_check.c ---- */

/* 0 and *head, to be freed; -EBUSY where it can't be done now; -ENOTSUP where it can't be done. */
int check_repository(struct committer *committer, struct head *head);
int read_head(struct committer *committer, struct head *head);
/* Is HEAD still there where it was? */
bool head_is_same(struct committer *committer, const struct head *head);
/* May the file be taken as it is, or with the filters that are built in? 0; -ENOTSUP. */
int check_attributes(struct committer *committer, const char *path);

/* ---- commit_shared.c ---- */

/* core.sharedRepository as the functions below take it. 0; -ENOTSUP for a value that Git does not take. */
int shared_read(git_config *config, int *shared);
/* Gives a file or directory that was made the permissions that go with it. 0 or -errno. */
int shared_adjust(int shared, const char *path);

/* ---- user_index.c ---- */

/* 0; -EBUSY where it has conflicts; -ENOTSUP where it can't be written as it was; -errno. user_index_free in
 * any case. */
int user_index_load(struct committer *committer, struct user_index *user);
void user_index_free(struct user_index *user);
/* Lends libgit2 what of it (NULL: nothing) counts for attributes, so that it neither reads the whole itself
 * nor goes on by one that it read long ago. 0 or -errno. */
int user_index_lend(struct committer *committer, const struct user_index *user);
/* Takes the removals from number `from` on out of the changes of files that sparse-checkout(1) keeps out of
 * the working tree: these are not there, and yet not gone. */
void user_index_keep_sparse(const struct user_index *user, struct change_list *changes, size_t from);
/* Does it hold all that the changes are to make? */
bool user_index_holds(const struct user_index *user, const struct change_list *changes);
/* Has it anything still as it was before the changes? */
bool user_index_lacks(const struct user_index *user, const struct change_list *changes);
/* Has the copy follow, but for what the user has staged, and on disk. 0 or -errno. */
int user_index_follow(struct committer *committer, struct user_index *user,
                      const struct change_list *changes);
/* Is the user's index still the one that was loaded? */
bool user_index_is_same(const struct committer *committer, const struct user_index *user);

/* ---- branch.c ---- */

/* Readies the branch's new value, and takes its lock. 0; -EAGAIN where somebody has it, or it has moved. */
int branch_lock(struct committer *committer, const struct head *head, const git_oid *commit,
                struct placing *placing);
/* What git-reflog(1) tells of the commit, after it. */
void branch_log(struct committer *committer, const struct head *head, const git_oid *commit,
                const char *subject);

/* ---- commit_beside.c ---- */

int64_t commit_now_ms(void);
void commit_sleep_ms(unsigned milliseconds);
/* Remembers a commit that was made. */
void note_recent(struct attempt *attempt);
/* After it, for a moment: what another Git undid is put back. */
void watch_over(struct attempt *attempt);
/* git switch -c takes no lock: where it had read HEAD before the commit, the new branch begins before it, and
 * the runs are staged there. It is given the same commit, as if it had been made a moment later. 0 or -errno.
 */
int carry_over(struct committer *committer, const struct head *head, const git_oid *commit);
/* A commit that is to be carried over: another branch has it on top of the very tip that HEAD has, and the
 * index has its files. NULL for none. */
const git_oid *commit_to_carry_over(const struct attempt *attempt);

#endif
