/*
 * The order in which a commit is made: see commit.h. Whatever others do meanwhile is found out with the
 * locks held, and then all begins anew.
 */
#include "core/git/commit.h"
#include "core/base/escape.h"
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <git2/sys/mempack.h>
#include <stdlib.h>
#include <string.h>

/* Somebody's lock is waited for in steps of this. */
#define LOCK_STEP_MS 20
/* Between the index of another branch and HEAD itself git-switch(1) needs less than this. */
#define SETTLE_MS 1000
/* So long the index stays locked behind a commit, and twice what reading it took. */
#define LOCKED_AFTER_MS 4
/* Above all that is on disk. */
#define MEMORY_PRIORITY 1000
/* zlib's. */
#define Z_BEST_SPEED 1
/* So often an attempt is made, however long one takes. */
#define ATTEMPTS_AT_LEAST 3

/* ---- life ---- */

static int compression_of(struct committer *committer)
{
    git_config *config;
    int level = Z_BEST_SPEED;
    if (git_repository_config_snapshot(&config, committer->repository->handle) != 0)
        return level;
    if (git_config_get_int32(&level, config, "core.loosecompression") != 0)
        git_config_get_int32(&level, config, "core.compression");
    git_config_free(config);
    return level >= -1 && level <= 9 ? level : Z_BEST_SPEED;
}

static int add_backends(struct committer *committer)
{
    git_odb_backend *memory, *storage;
    if (git_mempack_new(&memory) != 0)
        return -EIO;
    if (git_odb_add_backend(committer->repository->objects, memory, MEMORY_PRIORITY) != 0) {
        memory->free(memory);
        return -EIO;
    }
    committer->memory = memory;
    /* As git-config(1) has it: fast, where nothing else is asked for. */
    if (git_odb_backend_loose(&storage, repository_objects(committer->repository), compression_of(committer),
                              1, 0, 0) != 0)
        return -EIO;
    committer->storage = storage;
    return 0;
}

int committer_create(const struct committer_setup *setup, struct committer **created)
{
    struct committer *committer = memory_alloc_zeroed(1, sizeof(*committer));
    struct repository *repository = setup->repository;
    git_buf index = GIT_BUF_INIT;
    const char *common = git_repository_commondir(repository->handle);
    const char *directory = repository_directory(repository);
    *committer = (struct committer){
        .repository = repository,
        .deriver = deriver_create(repository),
        .source_fd = setup->source_fd,
        .manifest_name = memory_copy_text(setup->manifest_name, strlen(setup->manifest_name)),
        .warn = setup->warn,
        .context = setup->context,
        .git_directory = memory_copy_text(directory, strlen(directory)),
        .common_directory = memory_copy_text(common, strlen(common)),
    };
    int error =
        repository_result(git_repository_item_path(&index, repository->handle, GIT_REPOSITORY_ITEM_INDEX));
    if (error == 0)
        committer->index_path = memory_copy_text(index.ptr, strlen(index.ptr));
    git_buf_dispose(&index);
    if (error == 0 && (error = add_backends(committer)) != 0)
        repository_result(-1);
    if (error == 0)
        error = user_index_lend(committer, NULL);
    if (error == 0)
        *created = committer;
    else
        committer_free(committer);
    return error;
}

void committer_free(struct committer *committer)
{
    if (!committer)
        return;
    base_drop(committer); /* before the deriver, of whose rules it is */
    tip_forget(committer);
    head_free(&committer->looked_at);
    deriver_free(committer->deriver);
    if (committer->memory) /* the database's, which goes on without what is in it */
        git_mempack_reset(committer->memory);
    if (committer->storage)
        committer->storage->free(committer->storage);
    free(committer->manifest_name);
    free(committer->git_directory);
    free(committer->common_directory);
    free(committer->index_path);
    for (size_t i = 0; i < RECENT_COMMITS; i++)
        free(committer->recent[i].branch);
    free(committer);
}

/* ---- looks ---- */

int committer_check(struct committer *committer)
{
    head_free(&committer->looked_at);
    return check_repository(committer, &committer->looked_at);
}

int committer_tip(struct committer *committer, struct object_id *tip)
{
    struct head head;
    int error = read_head(committer, &head);
    *tip = error || head.is_unborn ? (struct object_id){{0}} : id_of(&head.tip);
    head_free(&head);
    return error;
}

int committer_runs(struct committer *committer, struct index **runs)
{
    struct head head;
    struct object_id source_tree = {{0}};
    int error = read_head(committer, &head);
    if (error == 0 && head.tree)
        error = source_tree_of(committer, git_tree_id(head.tree), &source_tree);
    if (error == 0)
        error = base_move(committer, &source_tree);
    *runs = committer->base.index;
    head_free(&head);
    return error;
}

int committer_differs(struct committer *committer, const struct config *config, const char *run_path)
{
    struct seen_run seen = {0};
    struct change_list changes = {0};
    int error = build_changes(committer, config, &committer->looked_at, run_path, false, &seen, &changes);
    int result = error == -ENOENT ? 0 : error == -EAGAIN ? 1 : error ? error : changes.count > 0;
    change_list_free(&changes);
    seen_run_free(&seen);
    return result;
}

size_t commit_batch(uint64_t manifest_bytes, size_t run_count)
{
    size_t commits = manifest_bytes ? (size_t)(COMMIT_BURST_BYTES / manifest_bytes) : run_count;
    if (commits == 0)
        commits = 1;
    return run_count > commits ? (run_count + commits - 1) / commits : 1;
}

size_t committer_batch(const struct committer *committer, size_t run_count)
{
    struct stat info;
    bool is_there = fstatat(committer->source_fd, committer->manifest_name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    return commit_batch(is_there ? (uint64_t)info.st_size : 0, run_count);
}

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
