/*
 * From the changes of a run to a commit: the tree, the manifest that belongs to it, and the commit itself.
 * All of it is made in memory first, so that what comes to nothing leaves nothing; then what the commit needs
 * is written, each object on disk before the next.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include "core/git/past.h"
#include "core/manifest/render.h"
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

/* The id at path in a tree, "" being the tree itself; none where nothing stands there. */
static int id_at(struct committer *committer, const git_oid *top, const char *path, struct object_id *id)
{
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

static void take_snapshot_text(const struct snapshot *snapshot, struct buffer *text)
{
    char bytes[65536];
    for (size_t length; (length = snapshot_read(snapshot, bytes, sizeof(bytes), text->length)) > 0;)
        buffer_append(text, bytes, length);
}

/* The manifest that the tip has: *entry (to be freed; NULL for none) and its text. */
static int read_recorded(struct committer *committer, const struct head *head, const char *path,
                         git_tree_entry **entry, struct buffer *text)
{
    *entry = NULL;
    if (!head->tree || git_tree_entry_bypath(entry, head->tree, path) != 0)
        return 0;
    struct object_id id = id_of(git_tree_entry_id(*entry));
    if (git_tree_entry_type(*entry) != GIT_OBJECT_BLOB)
        return repository_fail(-ENOTSUP, "%s: is no file in the last commit", path);
    int error = blob_read(committer->repository, &id, LIMIT_MANIFEST_BYTES, text);
    return error == -EFBIG ? 0 : error;
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

/* What stands on disk is taken where it is just this, date included, so that Git sees no difference. */
static int put_manifest(struct committer *committer, struct past *past, const char *path,
                        const struct head *head, const struct buffer *on_disk, const struct stat *info,
                        struct change_list *changes)
{
    struct buffer text = {0}, recorded = {0};
    struct snapshot *manifest;
    git_tree_entry *old = NULL;
    git_oid id;
    int error = past_manifest(past, &manifest);
    if (error)
        return error;
    take_snapshot_text(manifest, &text);
    bool is_on_disk = info->st_ino && slice_equal(buffer_slice(&text), buffer_slice(on_disk));
    error = read_recorded(committer, head, path, &old, &recorded);
    bool is_recorded = old && !is_on_disk && is_same_but_dated(buffer_slice(&text), buffer_slice(&recorded));
    if (error == 0 && !is_recorded) {
        if (!is_on_disk)
            set_date(&text);
        error = blob_of_content(committer, path, buffer_slice(&text), true, &id);
        if (error == 0)
            change_manifest(changes, path, old, &id, is_on_disk ? info : NULL);
    }
    git_tree_entry_free(old);
    buffer_free(&recorded);
    buffer_free(&text);
    return error;
}

static int build_manifest(struct committer *committer, const struct head *head,
                          const struct object_id *source_tree, struct change_list *changes)
{
    struct past *past;
    struct timespec now;
    struct buffer on_disk = {0};
    struct stat info;
    const char *name = committer->manifest_name;
    clock_gettime(CLOCK_REALTIME, &now);
    if (fstatat(committer->source_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode) ||
        file_read_bounded(committer->source_fd, name, LIMIT_MANIFEST_BYTES, &on_disk, NULL) != 0)
        info.st_ino = 0;
    int error = past_create_beside(committer->deriver, source_tree,
                                   info.st_ino ? buffer_slice(&on_disk) : SLICE_ABSENT, &now, &past);
    if (error == 0) {
        const char *configured = past->rules->config->manifest_name;
        CLEANUP_FREE char *path = path_from_top(committer->repository, configured ? configured : name);
        error = put_manifest(committer, past, path, head, &on_disk, &info, changes);
        past_free(past);
    }
    buffer_free(&on_disk);
    return error;
}

/* What the run says in the new tree. */
static int derive_fields(struct committer *committer, const struct object_id *source_tree,
                         const char *run_path, const git_oid *tree, const struct run_fields **fields)
{
    const struct rules *rules;
    const struct run_state *state;
    struct object_id run_tree;
    CLEANUP_FREE char *path = path_from_top(committer->repository, run_path);
    int error = deriver_rules(committer->deriver, source_tree, &rules);
    if (error == 0)
        error = id_at(committer, tree, path, &run_tree);
    if (error == 0)
        error = deriver_run(committer->deriver, rules, &run_tree, &state);
    if (error)
        return error;
    for (size_t i = 0; state->is_run && i < state->file_count; i++)
        if (state->faults[i].reason) {
            char text[200];
            run_fault_describe(&state->faults[i], text, sizeof(text));
            return repository_fail(-EBADMSG, "%s/%s: %s; it is not committed as it is", run_path,
                                   rules->plan->files[i].name, text);
        }
    *fields = state->is_run ? &state->fields : NULL;
    return 0;
}

int build_tree(struct committer *committer, const struct head *head, const char *run_path,
               struct change_list *changes, git_oid *tree, const struct run_fields **fields)
{
    struct object_id source_tree;
    size_t count = changes->count;
    int error = update_tree(committer, head->tree, changes->list, count, tree);
    if (error == 0)
        error = id_at(committer, tree, repository_prefix(committer->repository), &source_tree);
    if (error == 0)
        error = build_manifest(committer, head, &source_tree, changes);
    if (error == 0)
        error = derive_fields(committer, &source_tree, run_path, tree, fields);
    if (error == 0 && changes->count > count)
        error = update_tree(committer, head->tree, changes->list, changes->count, tree);
    return error;
}

/* ---- the commit ---- */

int build_commit(struct committer *committer, const struct head *head, const git_oid *tree_id,
                 const char *message, git_oid *commit)
{
    git_repository *handle = committer->repository->handle;
    git_signature *author = NULL;
    git_tree *tree = NULL;
    git_commit *parent = NULL;
    struct buffer text = {0};
    buffer_append_format(&text, "%s\n", message);
    int result = git_signature_default(&author, handle);
    if (result == 0)
        result = git_tree_lookup(&tree, handle, tree_id);
    if (result == 0 && !head->is_unborn)
        result = git_commit_lookup(&parent, handle, &head->tip);
    const git_commit *parents[] = {parent};
    if (result == 0)
        result = git_commit_create(commit, handle, NULL, author, author, NULL, text.bytes, tree,
                                   parent ? 1 : 0, parents);
    int error = repository_result(result) == 0 ? 0 : -EIO;
    buffer_free(&text);
    git_commit_free(parent);
    git_tree_free(tree);
    git_signature_free(author);
    return error;
}

/* Has an object on disk, if it is a new one. */
static int store(struct committer *committer, const git_oid *id)
{
    git_odb_object *object;
    if (!committer->memory->exists(committer->memory, id) ||
        committer->storage->exists(committer->storage, id))
        return 0;
    int result = git_odb_read(&object, committer->repository->objects, id);
    if (result == 0) {
        result = committer->storage->write(committer->storage, id, git_odb_object_data(object),
                                           git_odb_object_size(object), git_odb_object_type(object));
        git_odb_object_free(object);
    }
    return repository_result(result) == 0 ? 0 : -EIO;
}

/* The trees on the way to path. */
static int store_trees(struct committer *committer, const git_oid *tree, const char *path)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        CLEANUP_FREE char *directory = memory_copy_text(path, (size_t)(slash - path));
        struct object_id id;
        int error = id_at(committer, tree, directory, &id);
        git_oid oid = oid_of(&id);
        if (error == 0 && !object_id_is_none(&id))
            error = store(committer, &oid);
        if (error)
            return error;
    }
    return 0;
}

int build_store(struct committer *committer, const git_oid *commit, const git_oid *tree,
                const struct change_list *changes)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < changes->count; i++) {
        if (changes->list[i].has_new)
            error = store(committer, &changes->list[i].new_id);
        if (error == 0)
            error = store_trees(committer, tree, changes->list[i].path);
    }
    if (error == 0)
        error = store(committer, tree);
    return error ? error : store(committer, commit);
}
