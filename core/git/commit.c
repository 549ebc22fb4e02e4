/*
 * The order in which a commit is made: see commit.h. Whatever others do meanwhile is found out with the
 * locks held, and then all begins anew.
 */
#include "core/git/commit.h"
#include "core/base/escape.h"
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
/* Above all that is on disk. */
#define MEMORY_PRIORITY 1000
/* zlib's own default. */
#define COMPRESSION (-1)

/* ---- life ---- */

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
    if (git_odb_backend_loose(&storage, repository_objects(committer->repository), COMPRESSION, 1, 0, 0) != 0)
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
        *created = committer;
    else
        committer_free(committer);
    return error;
}

void committer_free(struct committer *committer)
{
    if (!committer)
        return;
    deriver_free(committer->deriver);
    if (committer->memory) /* the database's, which goes on without what is in it */
        git_mempack_reset(committer->memory);
    if (committer->storage)
        committer->storage->free(committer->storage);
    free(committer->manifest_name);
    free(committer->git_directory);
    free(committer->common_directory);
    free(committer->index_path);
    for (size_t i = 0; i < RECENT_COMMITS; i++) {
        free(committer->recent[i].run_path);
        free(committer->recent[i].branch);
    }
    free(committer);
}

struct deriver *committer_deriver(struct committer *committer)
{
    return committer->deriver;
}

/* ---- looks ---- */

int committer_check(struct committer *committer)
{
    struct head head;
    int error = check_repository(committer, &head);
    head_free(&head);
    return error;
}

int committer_tip(struct committer *committer, struct object_id *tip)
{
    struct head head;
    int error = read_head(committer, &head);
    *tip = error || head.is_unborn ? (struct object_id){{0}} : id_of(&head.tip);
    head_free(&head);
    return error;
}

int committer_differs(struct committer *committer, const struct config *config, const char *run_path)
{
    struct head head;
    struct seen_run seen = {.fd = -1};
    struct change_list changes = {0};
    int error = read_head(committer, &head);
    if (error == 0)
        error = build_changes(committer, config, &head, run_path, false, &seen, &changes);
    int result = error == -ENOENT ? 0 : error == -EAGAIN ? 1 : error ? error : changes.count > 0;
    change_list_free(&changes);
    seen_run_free(&seen);
    head_free(&head);
    return result;
}

void commit_message_append(struct buffer *message, const char *run_path, const struct run_fields *fields)
{
    for (const char *at = run_path; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            buffer_append_format(message, "%%%02X", (unsigned char)*at);
        else
            buffer_append_byte(message, *at);
    }
    if (!fields)
        return;
    buffer_append_text(message, ": ");
    for (size_t i = 0; i < fields->status.length; i++) {
        unsigned char byte = (unsigned char)fields->status.bytes[i];
        buffer_append_byte(message, byte < ' ' || byte == 0x7f ? '?' : (char)byte);
    }
    buffer_append_format(message, ", %llu tokens in, %llu out", (unsigned long long)fields->tokens_in,
                         (unsigned long long)fields->tokens_out);
}

/* ---- one commit ---- */

/* What a look found, to be compared with the next one. */
struct settling {
    bool is_set;
    struct head head;
    struct stat index;
};

static void attempt_finish(struct attempt *attempt)
{
    placing_end(&attempt->branch);
    user_index_free(&attempt->user);
    change_list_free(&attempt->changes);
    seen_run_free(&attempt->seen);
    head_free(&attempt->head);
    free(attempt->message);
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
    const struct run_fields *fields;
    struct buffer message = {0};
    int error =
        build_tree(committer, &attempt->head, attempt->run_path, &attempt->changes, &attempt->tree, &fields);
    if (error)
        return error;
    commit_message_append(&message, attempt->run_path, fields);
    attempt->message = message.bytes;
    error = build_commit(committer, &attempt->head, &attempt->tree, attempt->message, &attempt->commit);
    return error ? error : build_store(committer, &attempt->commit, &attempt->tree, &attempt->changes);
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
    if (error == 0 && !seen_run_is_same(&attempt->seen)) {
        attempt->is_restless = true;
        error = -EAGAIN;
    }
    if (error == 0)
        error = placing_finish(&attempt->user.placing);
    if (error == 0)
        error = placing_finish(&attempt->branch);
    if (error)
        return error;
    struct stat info;
    attempt->index_ino = fstat(attempt->user.placing.fd, &info) == 0 ? info.st_ino : 0;
    /* With the branch's lock, so that the logs have the order of the commits. */
    branch_log(committer, &attempt->head, &attempt->commit, attempt->message);
    placing_end(&attempt->branch);
    commit_sleep_ms(LOCKED_AFTER_MS + 2 * attempt->user.load_ms);
    placing_end(&attempt->user.placing);
    note_recent(attempt);
    watch_over(attempt);
    return 0;
}

/* 1 where the commit was made; 0 where there is nothing; -EAGAIN to try again, after SETTLE_MS with
 * *unsettled. */
static int try_once(struct attempt *attempt, const struct config *config, struct settling *settling,
                    bool *unsettled)
{
    struct committer *committer = attempt->committer;
    *unsettled = false;
    int error = check_repository(committer, &attempt->head);
    if (error)
        return error;
    clean(attempt);
    /* Before the files: libgit2 reads the index for their attributes, and has words of its own for one that
     * it can't read. */
    int64_t began_ms = commit_now_ms();
    error = user_index_load(committer, &attempt->user);
    attempt->user.load_ms = (unsigned)(commit_now_ms() - began_ms);
    if (error)
        return error;
    error = build_changes(committer, config, &attempt->head, attempt->run_path, true, &attempt->seen,
                          &attempt->changes);
    attempt->is_restless = error == -EAGAIN;
    if (error == 0)
        user_index_keep_sparse(&attempt->user, &attempt->changes);
    if (error == -ENOENT || (error == 0 && attempt->changes.count == 0))
        return 0;
    if (error == 0 && !is_settled(attempt, settling)) {
        *unsettled = true;
        return -EAGAIN;
    }
    const git_oid *carried = error == 0 ? commit_to_carry_over(attempt) : NULL;
    if (carried)
        return carry_over(committer, &attempt->head, carried);
    if (error == 0)
        error = build(attempt);
    if (error == 0)
        error = user_index_follow(committer, &attempt->user, &attempt->changes);
    if (error == 0)
        error = place(attempt);
    return error ? error : 1;
}

int commit_run(struct committer *committer, const struct config *config, const char *run_path,
               unsigned patience_ms, struct commit_made *made)
{
    struct settling settling = {0};
    int64_t until_ms = commit_now_ms() + patience_ms;
    bool is_restless;
    int result;
    do {
        struct attempt attempt = {.committer = committer,
                                  .run_path = run_path,
                                  .seen.fd = -1,
                                  .user.placing.fd = -1,
                                  .branch.fd = -1};
        bool unsettled;
        result = try_once(&attempt, config, &settling, &unsettled);
        if (result == 1) {
            *made = (struct commit_made){id_of(&attempt.commit), attempt.message};
            attempt.message = NULL;
        }
        is_restless = attempt.is_restless;
        attempt_finish(&attempt);
        if (result == -EAGAIN)
            commit_sleep_ms(unsettled ? SETTLE_MS : LOCK_STEP_MS);
    } while (result == -EAGAIN && commit_now_ms() < until_ms);
    head_free(&settling.head);
    if (result == -EAGAIN && is_restless)
        result = repository_fail(-ETXTBSY, "%s: its files change all the time", run_path);
    else if (result == -EAGAIN)
        result = repository_fail(
            -EBUSY, "somebody is at work on the repository all the time; if no git runs, remove %s.lock",
            committer->index_path);
    return result;
}
