/*
 * Where a run stands in the branch's tip. The directories of runs have thousands of entries, which libgit2
 * would unpack and sort out for each run anew: the last few are kept as they were read.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tip_forget(struct committer *committer)
{
    for (size_t i = 0; i < READ_TREES; i++) {
        free(committer->read_trees[i].tree);
        committer->read_trees[i] = (struct read_tree){0};
    }
}

static int read_kept(struct committer *committer, const struct object_id *id, const struct tree **tree)
{
    for (size_t i = 0; i < READ_TREES; i++)
        if (committer->read_trees[i].tree && object_id_equal(&committer->read_trees[i].id, id)) {
            *tree = committer->read_trees[i].tree;
            return 0;
        }
    struct tree *read;
    int error = tree_read(committer->repository, id, &read);
    if (error)
        return error;
    struct read_tree *kept = &committer->read_trees[committer->read_tree_at];
    committer->read_tree_at = (committer->read_tree_at + 1) % READ_TREES;
    free(kept->tree);
    *kept = (struct read_tree){*id, read};
    *tree = read;
    return 0;
}

int tip_find_directory(struct committer *committer, const struct head *head, const char *path,
                       struct object_id *id)
{
    const char *end;
    *id = head->tree ? id_of(git_tree_id(head->tree)) : (struct object_id){{0}};
    for (const char *at = path; *at && !object_id_is_none(id); at = *end ? end + 1 : end) {
        const struct tree *tree;
        int error = read_kept(committer, id, &tree);
        if (error)
            return error;
        end = strchrnul(at, '/');
        CLEANUP_FREE char *name = memory_copy_text(at, (size_t)(end - at));
        const struct tree_entry *entry = tree_find(tree, name);
        if (entry && (!S_ISDIR(entry->mode) || object_id_is_none(&entry->id)))
            return repository_fail(-ENOTSUP, "%.*s: is no directory in the last commit: git add it yourself",
                                   (int)(end - path), path);
        *id = entry ? entry->id : (struct object_id){{0}};
    }
    return 0;
}
