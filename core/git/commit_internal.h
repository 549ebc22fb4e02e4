/*
 * What the files of commits share: commit.c (the order in which things are done), commit_files.c (a run's
 * files), commit_build.c (trees, the manifest, the commit), commit_check.c (may it be done at all),
 * commit_beside.c (others at work),
 * user_index.c (the user's index follows), branch.c (the branch moves). Internal to core/git.
 */
#ifndef RUNSFS_GIT_COMMIT_INTERNAL_H
#define RUNSFS_GIT_COMMIT_INTERNAL_H

#include "core/git/commit.h"
#include "core/git/placing.h"
#include "core/git/repository_internal.h"
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

/* A tracked file of the run as it was read. */
struct seen_file {
    char *name;
    struct stat stat;
};

struct seen_run {
    int fd; /* of its directory */
    struct seen_file *files;
    size_t count, capacity;
};
void seen_run_free(struct seen_run *run);

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
    char *run_path; /* NULL for none */
    char *branch;
    git_oid parent, commit;
};
#define RECENT_COMMITS 8

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
    struct recent_commit recent[RECENT_COMMITS];
    size_t recent_at; /* the oldest */
};

/* ---- commit_files.c ---- */

/* The file of that path as a blob, by the filters that are built in; with keep it is in memory then. 0;
 * -ENOTSUP; -EIO. */
int blob_of_content(struct committer *committer, const char *path, struct slice content, bool keep,
                    git_oid *id);
/* One more change, of nothing yet; good until the next. */
struct path_change *change_list_add(struct change_list *changes, const char *path);
/* Looks at the tracked files of a run: changes holds what differs from the tree, seen all that was read.
 * With keep the new blobs are in memory. 0; -ENOENT where there is no such run, or nothing tracked in it;
 * -EAGAIN where a file changed meanwhile; -ENOTSUP; -errno. */
int build_changes(struct committer *committer, const struct config *config, const struct head *head,
                  const char *run_path, bool keep, struct seen_run *seen, struct change_list *changes);
/* Are the files still those that were read? */
bool seen_run_is_same(const struct seen_run *seen);
/* The path below the top of the working tree of what lies at path in the source; owned by the caller. */
char *path_from_top(const struct repository *repository, const char *path);

/* ---- commit_build.c ---- */

/* The tree with the changes, and with the manifest that belongs to it, which may add a change; *fields
 * (the deriver's) are what the run says there. 0; -EBADMSG where a file of the run can't be read as JSON;
 * -errno. */
int build_tree(struct committer *committer, const struct head *head, const char *run_path,
               struct change_list *changes, git_oid *tree, const struct run_fields **fields);
/* The commit, in memory. 0 or -errno. */
int build_commit(struct committer *committer, const struct head *head, const git_oid *tree,
                 const char *message, git_oid *commit);
/* Has on disk what is in memory and belongs to the commit. 0 or -errno. */
int build_store(struct committer *committer, const git_oid *commit, const git_oid *tree,
                const struct change_list *changes);

/* ---- commit_check.c ---- */

/* 0 and *head, to be freed; -EBUSY where it can't be done now; -ENOTSUP where it can't be done. */
int check_repository(struct committer *committer, struct head *head);
int read_head(struct committer *committer, struct head *head);
/* Is HEAD still there where it was? */
bool head_is_same(struct committer *committer, const struct head *head);
/* May the file be taken as it is, or with the filters that are built in? 0; -ENOTSUP. */
int check_attributes(struct committer *committer, const char *path);

/* ---- user_index.c ---- */

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
/* 0; -EBUSY where it has conflicts; -ENOTSUP where it can't be written as it was; -errno. user_index_free in
 * any case. */
int user_index_load(struct committer *committer, struct user_index *user);
void user_index_free(struct user_index *user);
/* Takes the removals out of the changes of files that sparse-checkout(1) keeps out of the working tree: these
 * are not there, and yet not gone. */
void user_index_keep_sparse(const struct user_index *user, struct change_list *changes);
/* Does it hold all that the changes are to make? */
bool user_index_holds(const struct user_index *user, const struct change_list *changes);
/* Has it anything still as it was before the changes? */
bool user_index_lacks(const struct user_index *user, const struct change_list *changes);
/* Has the copy follow, but for what the user has staged, and on disk. 0 or -errno. */
int user_index_follow(struct committer *committer, struct user_index *user,
                      const struct change_list *changes);
/* Is the user's index still the one that was loaded? */
bool user_index_is_same(const struct committer *committer, const struct user_index *user);

/* One attempt at a commit. */
struct attempt {
    struct committer *committer;
    const char *run_path;
    struct head head;
    struct seen_run seen;
    struct change_list changes;
    struct user_index user;
    struct placing branch;
    ino_t index_ino;  /* of the one that was put in place */
    bool is_restless; /* the run's files changed meanwhile */
    git_oid tree, commit;
    char *message;
};

/* ---- branch.c ---- */

/* Readies the branch's new value, and takes its lock. 0; -EAGAIN where somebody has it, or it has moved. */
int branch_lock(struct committer *committer, const struct head *head, const git_oid *commit,
                struct placing *placing);
/* What git-reflog(1) tells of the commit, after it. */
void branch_log(struct committer *committer, const struct head *head, const git_oid *commit,
                const char *message);

/* ---- commit_beside.c ---- */

int64_t commit_now_ms(void);
void commit_sleep_ms(unsigned milliseconds);
/* Remembers a commit that was made. */
void note_recent(struct attempt *attempt);
/* After it, for a moment: what another Git undid is put back. */
void watch_over(struct attempt *attempt);
/* git switch -c takes no lock: where it had read HEAD before the commit, the new branch begins before it, and
 * the run is staged there. It is given the same commit, as if it had been made a moment later. 0 or -errno.
 */
int carry_over(struct committer *committer, const struct head *head, const git_oid *commit);
/* The commit of this run that is to be carried over: another branch has it on top of the very tip that HEAD
 * has, and the index has its files. NULL for none. */
const git_oid *commit_to_carry_over(const struct attempt *attempt);

#endif
