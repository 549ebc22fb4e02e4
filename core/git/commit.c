/*
 * The order in which a commit is made: see commit.h. Whatever others do meanwhile is found out with the
 * locks held, and then all begins anew.
 */
#include "core/git/commit.h"
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <git2/sys/mempack.h>
#include <stdlib.h>
#include <string.h>

/* Somebody's lock is waited for in steps of this. */
#define LOCK_STEP_MS 20
/* Between the index of another branch and HEAD itself git-switch(1) needs less than this. */
#define SETTLE_MS 1000
/* So long the index stays locked behind a commit, and twice what reading it took. */
#define LOCKED_AFTER_MS 4
/* So often an attempt is made, however long one takes. */
#define ATTEMPTS_AT_LEAST 3

/* ---- one commit ---- */

/* What a look found, to be compared with the next one. */
struct settling {
    bool is_set;
    struct head head;
    struct stat index;
};

/* The base is of a tree that is nowhere on disk: it goes back before that is out of memory too. */
static void move_back(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    struct object_id source_tree = {{0}};
    int error =
        attempt->head.tree ? source_tree_of(committer, git_tree_id(attempt->head.tree), &source_tree) : 0;
    if (error || base_move(committer, &source_tree) != 0)
        base_drop(committer);
}

static void attempt_finish(struct attempt *attempt)
{
    char *words = memory_copy_text(repository_error(), strlen(repository_error()));
    if (!attempt->is_placed && attempt->committer->base.index)
        move_back(attempt);
    repository_fail(0, "%s", words);
    free(words);
    placing_end(&attempt->branch);
    user_index_free(&attempt->user);
    change_list_free(&attempt->changes);
    for (size_t i = 0; i < attempt->run_count; i++)
        seen_run_free(&attempt->runs[i].seen);
    head_free(&attempt->head);
    free(attempt->message);
    free(attempt->subject);
    git_mempack_reset(attempt->committer->memory);
}

static void clean(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    struct buffer branch = {0};
    buffer_append_format(&branch, "%s%s", committer->common_directory, attempt->head.branch);
    const char *targets[] = {committer->index_path, branch.bytes};
    placing_clean(committer->git_directory, targets, 2);
    if (strcmp(committer->git_directory, committer->common_directory) != 0)
        placing_clean(committer->common_directory, targets, 2);
    buffer_free(&branch);
}

/* ---- what a look found ---- */

/* Git writes another branch's files, then its index, then HEAD. Where the index has already what the tip
 * lacks, HEAD may be about to move (or the user has staged the run): it is looked at again after a while. */
static bool is_settled(struct attempt *attempt, struct settling *settling)
{
    if (!user_index_holds(&attempt->user, &attempt->changes))
        return true;
    bool is_same = settling->is_set && head_equal(&settling->head, &attempt->head) &&
                   settling->index.st_ino == attempt->user.stat.st_ino &&
                   settling->index.st_mtim.tv_nsec == attempt->user.stat.st_mtim.tv_nsec &&
                   settling->index.st_mtim.tv_sec == attempt->user.stat.st_mtim.tv_sec;
    if (is_same)
        return true;
    head_free(&settling->head);
    settling->is_set = true;
    settling->index = attempt->user.stat;
    settling->head = attempt->head;
    settling->head.tree = NULL;
    settling->head.branch = memory_copy_text(attempt->head.branch, strlen(attempt->head.branch));
    return false;
}

static int build(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    int error = build_tree(attempt);
    if (error)
        return error;
    attempt_compose(attempt, committer->base.index);
    error = build_commit(attempt);
    return error ? error : store_commit(committer, &attempt->commit, &attempt->tree);
}

/* With everything on disk: the locks, a look whether all is as it was, and the two renames. The index stays
 * locked for as long as a Git may take from reading HEAD and the index to its own lock: git-commit(1) would
 * write back an index without the run, git-switch(1) would carry the run to another branch. Now they say that
 * the index is locked, and are repeated. */
static int place(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    int error = placing_lock(&attempt->user.placing);
    if (error == 0 && !user_index_is_same(committer, &attempt->user))
        error = -EAGAIN;
    if (error == 0)
        error = branch_lock(committer, &attempt->head, &attempt->commit, &attempt->branch);
    if (error == 0 && !attempt_is_same(attempt))
        error = -EAGAIN;
    if (error == 0)
        error = placing_finish(&attempt->user.placing);
    if (error == 0)
        error = placing_finish(&attempt->branch);
    if (error)
        return error;
    struct stat info;
    attempt->is_placed = true;
    attempt->index_ino = fstat(attempt->user.placing.fd, &info) == 0 ? info.st_ino : 0;
    /* With the branch's lock, so that the logs have the order of the commits. */
    branch_log(committer, &attempt->head, &attempt->commit, attempt->subject);
    placing_end(&attempt->branch);
    commit_sleep_ms(LOCKED_AFTER_MS + 2 * attempt->user.load_ms);
    placing_end(&attempt->user.placing);
    note_recent(attempt);
    watch_over(attempt);
    return 0;
}

/* 1 where the commit was made; 0 where there is nothing; -EAGAIN to try again, after SETTLE_MS with
 * *unsettled. */
static int try_once(struct attempt *attempt, struct settling *settling, bool *unsettled)
{
    struct committer *committer = attempt->committer;
    *unsettled = false;
    int error = check_repository(committer, &attempt->head);
    if (error)
        return error;
    clean(attempt);
    /* Before the files, whose attributes may be in it. */
    int64_t began_ms = commit_now_ms();
    error = user_index_load(committer, &attempt->user);
    attempt->user.load_ms = (unsigned)(commit_now_ms() - began_ms);
    if (error == 0)
        error = user_index_lend(committer, &attempt->user);
    if (error == 0)
        error = attempt_look(attempt);
    if (error || attempt->changes.count == 0)
        return error;
    if (!is_settled(attempt, settling)) {
        *unsettled = true;
        return -EAGAIN;
    }
    const git_oid *carried = commit_to_carry_over(attempt);
    if (carried) { /* and then there is nothing more to commit of its runs */
        error = carry_over(committer, &attempt->head, carried);
        return error ? error : -EAGAIN;
    }
    error = build(attempt);
    if (error == 0)
        error = user_index_follow(committer, &attempt->user, &attempt->changes);
    if (error == 0)
        error = place(attempt);
    return error ? error : 1;
}

static int fail_busy(const struct committer *committer, struct attempt_run *runs, size_t count)
{
    if (count == 1 && runs[0].restless > 0) {
        attempt_give_up(&runs[0]);
        return 0;
    }
    return repository_fail(
        -EBUSY, "somebody is at work on the repository all the time; if no git runs, remove %s.lock",
        committer->index_path);
}

/* The texts of what did not come to be committed say nothing. */
static void conclude(struct attempt_run *runs, size_t count, bool is_made)
{
    for (size_t i = 0; i < count; i++) {
        struct run_to_commit *run = runs[i].run;
        if (is_made && runs[i].is_in) {
            run->result = 1;
        } else if (run->result == 0) {
            free(run->text);
            run->text = NULL;
        }
    }
}

int commit_runs(struct committer *committer, const struct config *config, struct run_to_commit *runs,
                size_t count, unsigned patience_ms, struct object_id *id)
{
    struct settling settling = {0};
    struct attempt_run *attempted = memory_alloc_zeroed(count, sizeof(*attempted));
    int64_t until_ms = commit_now_ms() + patience_ms;
    unsigned attempts = 0;
    int result;
    for (size_t i = 0; i < count; i++) {
        runs[i].result = 0;
        runs[i].text = NULL;
        attempted[i].run = &runs[i];
    }
    do {
        struct attempt attempt = {.committer = committer,
                                  .config = config,
                                  .runs = attempted,
                                  .run_count = count,
                                  .user.placing.fd = -1,
                                  .branch.fd = -1};
        bool unsettled;
        result = try_once(&attempt, &settling, &unsettled);
        *id = id_of(&attempt.commit);
        attempt_finish(&attempt);
        if (result == -EAGAIN)
            commit_sleep_ms(unsettled ? SETTLE_MS : LOCK_STEP_MS);
    } while (result == -EAGAIN && (commit_now_ms() < until_ms || ++attempts < ATTEMPTS_AT_LEAST));
    head_free(&settling.head);
    if (result == -EAGAIN)
        result = fail_busy(committer, attempted, count);
    conclude(attempted, count, result == 1);
    free(attempted);
    return result;
}
