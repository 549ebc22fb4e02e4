/*
 * Who commits: what is kept from one commit to the next, and what can be asked beforehand.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <git2/sys/mempack.h>
#include <stdlib.h>
#include <string.h>

/* Above all that is on disk. */
#define MEMORY_PRIORITY 1000
/* zlib's. */
#define Z_BEST_SPEED 1

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
