/*
 * What a Git that runs beside a commit may do to it, having read HEAD or the index before and written it
 * after, and how that is mended. Git itself knows no better: its commands look first and lock then.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* And so long after that it is looked whether somebody has undone that. */
#define WATCHED_AFTER_MS 30

int64_t commit_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void commit_sleep_ms(unsigned milliseconds)
{
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000L}, NULL);
}

/* Puts the run back into an index that has lost it. */
static void put_back(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    struct user_index user;
    struct head head;
    int error = user_index_load(committer, &user);
    if (error == 0 && user_index_lacks(&user, &attempt->changes) && read_head(committer, &head) == 0) {
        bool is_ours = strcmp(head.branch, attempt->head.branch) == 0 && !head.is_unborn &&
                       git_oid_equal(&head.tip, &attempt->commit);
        head_free(&head);
        if (is_ours && user_index_follow(committer, &user, &attempt->changes) == 0 &&
            placing_lock(&user.placing) == 0 && user_index_is_same(committer, &user))
            placing_finish(&user.placing);
    }
    user_index_free(&user);
}

/* ---- a branch that was switched to meanwhile ---- */

void note_recent(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    struct recent_commit *recent = &committer->recent[committer->recent_at];
    committer->recent_at = (committer->recent_at + 1) % RECENT_COMMITS;
    free(recent->branch);
    *recent = (struct recent_commit){memory_copy_text(attempt->head.branch, strlen(attempt->head.branch)),
                                     attempt->head.tip, attempt->commit};
}

int carry_over(struct committer *committer, const struct head *head, const git_oid *commit)
{
    static const char message[] = "branch made beside it";
    struct placing branch = {.fd = -1};
    int error = branch_lock(committer, head, commit, &branch);
    if (error == 0)
        error = placing_finish(&branch);
    placing_end(&branch);
    if (error == 0)
        branch_log(committer, head, commit, message);
    return error;
}

/* Has the index what was committed? Where somebody switched to another branch in the usual way it has not. */
static bool index_holds(struct attempt *attempt)
{
    struct user_index user;
    bool holds =
        user_index_load(attempt->committer, &user) == 0 && user_index_holds(&user, &attempt->changes);
    user_index_free(&user);
    return holds;
}

static void carry_over_if_switched(struct attempt *attempt)
{
    struct head head;
    if (attempt->head.is_unborn || read_head(attempt->committer, &head) != 0)
        return;
    if (strcmp(head.branch, attempt->head.branch) != 0 && !head.is_unborn &&
        git_oid_equal(&head.tip, &attempt->head.tip) && index_holds(attempt))
        carry_over(attempt->committer, &head, &attempt->commit);
    head_free(&head);
}

/* The files that a commit changed. 0 or -errno. */
static int read_changes(struct committer *committer, const struct recent_commit *recent,
                        struct change_list *changes)
{
    git_repository *handle = committer->repository->handle;
    git_commit *parent = NULL, *commit = NULL;
    git_tree *old_tree = NULL, *new_tree = NULL;
    git_diff *diff = NULL;
    int result = git_commit_lookup(&parent, handle, &recent->parent);
    if (result == 0)
        result = git_commit_lookup(&commit, handle, &recent->commit);
    if (result == 0)
        result = git_commit_tree(&old_tree, parent);
    if (result == 0)
        result = git_commit_tree(&new_tree, commit);
    if (result == 0)
        result = git_diff_tree_to_tree(&diff, handle, old_tree, new_tree, NULL);
    for (size_t i = 0; result == 0 && i < git_diff_num_deltas(diff); i++) {
        const git_diff_delta *delta = git_diff_get_delta(diff, i);
        struct path_change *change = change_list_add(changes, delta->new_file.path);
        change->has_new = delta->status != GIT_DELTA_DELETED;
        change->new_id = delta->new_file.id;
        change->new_mode = (git_filemode_t)delta->new_file.mode;
    }
    git_diff_free(diff);
    git_tree_free(new_tree);
    git_tree_free(old_tree);
    git_commit_free(commit);
    git_commit_free(parent);
    return repository_result(result);
}

const git_oid *commit_to_carry_over(const struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    for (size_t i = 0; i < RECENT_COMMITS && !attempt->head.is_unborn; i++) {
        const struct recent_commit *recent = &committer->recent[i];
        struct change_list changes = {0};
        if (!recent->branch || strcmp(recent->branch, attempt->head.branch) == 0 ||
            !git_oid_equal(&recent->parent, &attempt->head.tip))
            continue;
        bool is_staged =
            read_changes(committer, recent, &changes) == 0 && user_index_holds(&attempt->user, &changes);
        change_list_free(&changes);
        if (is_staged)
            return &recent->commit;
    }
    return NULL;
}

/* A Git that was slower still than the lock was held has written its older index over ours by now, or does so
 * any moment, before it fails at the branch that has moved. */
void watch_over(struct attempt *attempt)
{
    const char *path = attempt->committer->index_path;
    struct stat before, now;
    int64_t until_ms = commit_now_ms() + WATCHED_AFTER_MS;
    bool is_known = stat(path, &before) == 0 && attempt->index_ino == before.st_ino;
    do {
        if (!is_known || stat(path, &now) != 0 || now.st_ino != before.st_ino) {
            is_known = stat(path, &before) == 0;
            put_back(attempt);
        }
        carry_over_if_switched(attempt);
        commit_sleep_ms(1);
    } while (commit_now_ms() < until_ms);
}
