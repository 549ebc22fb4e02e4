/*
 * From the changes of runs to a commit: the tree, the manifest that belongs to it, and the commit itself. All
 * of it is made in memory, so that what comes to nothing leaves nothing.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include "core/manifest/render.h"
#include "core/manifest/snapshot.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- trees ---- */

static int update_tree(struct committer *committer, git_tree *base, const struct path_change *changes,
                       size_t count, git_oid *tree)
{
    git_tree_update *updates = memory_alloc_zeroed(count, sizeof(*updates));
    for (size_t i = 0; i < count; i++)
        updates[i] = (git_tree_update){
            .action = changes[i].has_new ? GIT_TREE_UPDATE_UPSERT : GIT_TREE_UPDATE_REMOVE,
            .id = changes[i].new_id,
            .filemode = changes[i].new_mode,
            .path = changes[i].path,
        };
    int result = git_tree_create_updated(tree, committer->repository->handle, base, count, updates);
    free(updates);
    return repository_result(result) == 0 ? 0 : -EIO;
}

int source_tree_of(struct committer *committer, const git_oid *top, struct object_id *id)
{
    const char *path = repository_prefix(committer->repository);
    git_tree *tree;
    git_tree_entry *entry;
    *id = id_of(top);
    if (!*path)
        return 0;
    int result = git_tree_lookup(&tree, committer->repository->handle, top);
    if (result != 0)
        return repository_result(result), -EIO;
    result = git_tree_entry_bypath(&entry, tree, path);
    if (result == 0) {
        *id = id_of(git_tree_entry_id(entry));
        git_tree_entry_free(entry);
    } else if (result == GIT_ENOTFOUND) {
        *id = (struct object_id){{0}};
        result = 0;
    }
    git_tree_free(tree);
    return result == 0 ? 0 : (repository_result(result), -EIO);
}

/* ---- the manifest ---- */

/* What stands on disk. */
struct manifest_file {
    struct buffer text;
    struct stat info; /* st_ino 0 where there is none */
};

static void read_manifest_file(const struct committer *committer, struct manifest_file *file)
{
    const char *name = committer->manifest_name;
    if (fstatat(committer->source_fd, name, &file->info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(file->info.st_mode) ||
        file_read_bounded(committer->source_fd, name, LIMIT_MANIFEST_BYTES, &file->text, NULL) != 0)
        file->info.st_ino = 0;
}

/* The manifest that the tip has: *entry (to be freed; NULL for none). */
static int find_recorded(const struct head *head, const char *path, git_tree_entry **entry)
{
    *entry = NULL;
    if (!head->tree || git_tree_entry_bypath(entry, head->tree, path) != 0)
        return 0;
    if (git_tree_entry_type(*entry) == GIT_OBJECT_BLOB)
        return 0;
    git_tree_entry_free(*entry);
    *entry = NULL;
    return repository_fail(-ENOTSUP, "%s: is no file in the last commit", path);
}

static int read_recorded(struct committer *committer, const git_tree_entry *entry, struct buffer *text)
{
    struct object_id id = entry ? id_of(git_tree_entry_id(entry)) : (struct object_id){{0}};
    int error = entry ? blob_read(committer->repository, &id, LIMIT_MANIFEST_BYTES, text) : 0;
    return error == -EFBIG ? 0 : error;
}

static void take_snapshot_text(const struct snapshot *snapshot, struct buffer *text)
{
    char bytes[65536];
    for (size_t length; (length = snapshot_read(snapshot, bytes, sizeof(bytes), text->length)) > 0;)
        buffer_append(text, bytes, length);
}

/* Where the value of last_updated stands in a manifest as it is rendered: false for any other text. */
static bool find_last_updated(struct slice text, size_t *from, size_t *to)
{
    static const char member[] = "\n  \"last_updated\": ";
    const char *at = text.length ? memmem(text.bytes, text.length, member, sizeof(member) - 1) : NULL;
    if (!at)
        return false;
    at += sizeof(member) - 1;
    const char *end = memchr(at, '\n', text.length - (size_t)(at - text.bytes));
    if (!end)
        return false;
    *from = (size_t)(at - text.bytes);
    *to = (size_t)(end - text.bytes);
    return true;
}

/* Do two manifests say the same but for the time? */
static bool is_same_but_dated(struct slice a, struct slice b)
{
    size_t a_from, a_to, b_from, b_to;
    if (!find_last_updated(a, &a_from, &a_to) || !find_last_updated(b, &b_from, &b_to))
        return slice_equal(a, b);
    return slice_equal((struct slice){a.bytes, a_from}, (struct slice){b.bytes, b_from}) &&
           slice_equal((struct slice){a.bytes + a_to, a.length - a_to},
                       (struct slice){b.bytes + b_to, b.length - b_to});
}

static void set_date(struct buffer *text)
{
    struct timespec now;
    struct buffer dated = {0};
    size_t from, to;
    if (!find_last_updated(buffer_slice(text), &from, &to))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    buffer_append(&dated, text->bytes, from);
    buffer_append_byte(&dated, '"');
    render_time(&dated, now);
    buffer_append_text(&dated, "\",");
    buffer_append(&dated, text->bytes + to, text->length - to);
    buffer_free(text);
    *text = dated;
}

static void change_manifest(struct change_list *changes, const char *path, const git_tree_entry *old,
                            const git_oid *id, const struct stat *info)
{
    if (old && git_oid_equal(git_tree_entry_id(old), id))
        return;
    struct path_change *change = change_list_add(changes, path);
    change->has_new = true;
    change->new_id = *id;
    change->new_mode = GIT_FILEMODE_BLOB;
    if (info)
        change->stat = *info;
    if (old) {
        change->has_old = true;
        change->old_id = *git_tree_entry_id(old);
        change->old_mode = git_tree_entry_filemode(old);
        if (change->old_mode ==
            GIT_FILEMODE_BLOB_EXECUTABLE) /* and not a link, which this would be the aim of */
            change->new_mode = change->old_mode;
    }
}

/* A manifest that is not what stands on disk: it has the time of the commit, if it says anything new. */
static int put_own_manifest(struct attempt *attempt, const struct snapshot *manifest, const char *path,
                            const git_tree_entry *old, struct buffer *recorded)
{
    struct buffer text = {0};
    git_oid id;
    int error = 0;
    take_snapshot_text(manifest, &text);
    if (!old || !is_same_but_dated(buffer_slice(&text), buffer_slice(recorded))) {
        buffer_free(recorded);
        set_date(&text);
        error = blob_of_content(attempt->committer, path, buffer_slice(&text), true, &id);
        if (error == 0)
            change_manifest(&attempt->changes, path, old, &id, NULL);
    }
    buffer_free(&text);
    return error;
}

/* What stands on disk is taken where it is just this, date included, so that Git sees no difference. */
static int put_manifest(struct attempt *attempt, struct manifest_file *file, const char *path,
                        const git_tree_entry *old)
{
    struct committer *committer = attempt->committer;
    struct buffer recorded = {0};
    git_oid id;
    int error = file->info.st_ino ? 0 : read_recorded(committer, old, &recorded);
    if (error)
        return error;
    struct snapshot *manifest =
        base_manifest(committer, buffer_slice(file->info.st_ino ? &file->text : &recorded));
    if (file->info.st_ino && snapshot_equals_bytes(manifest, buffer_slice(&file->text))) {
        error = blob_of_content(committer, path, buffer_slice(&file->text), true, &id);
        if (error == 0)
            change_manifest(&attempt->changes, path, old, &id, &file->info);
    } else {
        buffer_free(&file->text);
        if (file->info.st_ino)
            error = read_recorded(committer, old, &recorded);
        if (error == 0)
            error = put_own_manifest(attempt, manifest, path, old, &recorded);
    }
    snapshot_unref(manifest);
    buffer_free(&recorded);
    return error;
}

static int build_manifest(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    const char *configured = committer->base.rules->config->manifest_name;
    CLEANUP_FREE char *path =
        path_from_top(committer->repository, configured ? configured : committer->manifest_name);
    struct manifest_file file = {0};
    git_tree_entry *old;
    int error = find_recorded(&attempt->head, path, &old);
    if (error)
        return error;
    read_manifest_file(committer, &file);
    error = put_manifest(attempt, &file, path, old);
    buffer_free(&file.text);
    git_tree_entry_free(old);
    return error;
}

/* Has the base be of the attempt's tree. */
static int follow_tree(struct attempt *attempt)
{
    struct object_id source_tree;
    int error = source_tree_of(attempt->committer, &attempt->tree, &source_tree);
    return error ? error : base_move(attempt->committer, &source_tree);
}

/* Puts changes that came since into the attempt's tree. */
static int add_to_tree(struct attempt *attempt, size_t from)
{
    struct committer *committer = attempt->committer;
    const struct change_list *changes = &attempt->changes;
    git_tree *tree;
    int error = repository_result(git_tree_lookup(&tree, committer->repository->handle, &attempt->tree));
    if (error)
        return -EIO;
    error = update_tree(committer, tree, changes->list + from, changes->count - from, &attempt->tree);
    git_tree_free(tree);
    return error;
}

int build_tree(struct attempt *attempt)
{
    struct committer *committer = attempt->committer;
    struct change_list *changes = &attempt->changes;
    size_t count = changes->count;
    int error = update_tree(committer, attempt->head.tree, changes->list, count, &attempt->tree);
    if (error == 0)
        error = follow_tree(attempt);
    if (error == 0 && attempt_drop_broken(attempt, committer->base.index) > 0)
        error = -EAGAIN;
    if (error == 0)
        error = build_manifest(attempt);
    if (error || changes->count == count)
        return error;
    error = add_to_tree(attempt, count);
    return error ? error : follow_tree(attempt);
}

/* ---- the commit ---- */

int build_commit(struct attempt *attempt)
{
    git_repository *handle = attempt->committer->repository->handle;
    git_signature *author = NULL;
    git_tree *tree = NULL;
    git_commit *parent = NULL;
    int result = git_signature_default(&author, handle);
    if (result == 0)
        result = git_tree_lookup(&tree, handle, &attempt->tree);
    if (result == 0 && !attempt->head.is_unborn)
        result = git_commit_lookup(&parent, handle, &attempt->head.tip);
    const git_commit *parents[] = {parent};
    if (result == 0)
        result = git_commit_create(&attempt->commit, handle, NULL, author, author, NULL, attempt->message,
                                   tree, parent ? 1 : 0, parents);
    git_commit_free(parent);
    git_tree_free(tree);
    git_signature_free(author);
    return repository_result(result) == 0 ? 0 : -EIO;
}
