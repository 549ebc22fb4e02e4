/*
 * What a commit needs is written, each object on disk before the next that names it. All of it was made in
 * memory, so that what comes to nothing leaves nothing.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_unwritten(struct committer *committer, const git_oid *id)
{
    return committer->memory->exists(committer->memory, id) &&
           !committer->storage->exists(committer->storage, id);
}

/* The file of a loose object: the directory of it, and where its name begins. */
static char *object_path(struct committer *committer, const git_oid *id, size_t *directory_length)
{
    char digits[GIT_OID_HEXSZ + 1];
    struct buffer path = {0};
    git_oid_tostr(digits, sizeof(digits), id);
    buffer_append_format(&path, "%s%.2s", repository_objects(committer->repository), digits);
    *directory_length = path.length;
    buffer_append_format(&path, "/%s", digits + 2);
    return path.bytes;
}

static int write_object(struct committer *committer, const git_oid *id, git_odb_object *object)
{
    int shared = committer->settings.shared;
    size_t directory_length;
    CLEANUP_FREE char *path = object_path(committer, id, &directory_length);
    path[directory_length] = '\0';
    bool is_directory_new = shared && access(path, F_OK) != 0;
    int error = repository_result(
        committer->storage->write(committer->storage, id, git_odb_object_data(object),
                                  git_odb_object_size(object), git_odb_object_type(object)));
    if (error)
        return -EIO;
    if (is_directory_new)
        error = shared_adjust(shared, path);
    path[directory_length] = '/';
    return error ? error : shared_adjust(shared, path);
}

static int store(struct committer *committer, const git_oid *id)
{
    git_odb_object *object;
    if (!is_unwritten(committer, id))
        return 0;
    if (repository_result(git_odb_read(&object, committer->repository->objects, id)) != 0)
        return -EIO;
    int error = write_object(committer, id, object);
    git_odb_object_free(object);
    return error;
}

/* A tree behind all that is in it. What is in memory can only be named by a tree that is, too. */
static int store_tree(struct committer *committer, const git_oid *id)
{
    struct object_id tree_id = id_of(id);
    struct tree *tree;
    if (!is_unwritten(committer, id))
        return 0;
    int error = tree_read(committer->repository, &tree_id, &tree);
    if (error)
        return error;
    for (size_t i = 0; error == 0 && i < tree->count; i++) {
        git_oid entry = oid_of(&tree->entries[i].id);
        if (!object_id_is_none(&tree->entries[i].id))
            error = S_ISDIR(tree->entries[i].mode) ? store_tree(committer, &entry) : store(committer, &entry);
    }
    free(tree);
    return error ? error : store(committer, id);
}

int store_commit(struct committer *committer, const git_oid *commit, const git_oid *tree)
{
    int error = store_tree(committer, tree);
    return error ? error : store(committer, commit);
}
