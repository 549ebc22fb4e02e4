/*
 * May there be commits, and onto what? Whatever Git would do at a commit and is not done here (hooks,
 * signatures, filters that are programs) is a reason to refuse: a commit that lacks it would be a wrong one.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- HEAD ---- */

void head_free(struct head *head)
{
    free(head->branch);
    git_tree_free(head->tree);
    *head = (struct head){0};
}

bool head_equal(const struct head *a, const struct head *b)
{
    return strcmp(a->branch, b->branch) == 0 && a->is_unborn == b->is_unborn &&
           git_oid_equal(&a->tip, &b->tip);
}

/* Does the one name lie below the other? Git's files of branches could not be beside each other then. */
static bool is_below(const char *name, const char *other)
{
    size_t length = strlen(other);
    return strncmp(name, other, length) == 0 && name[length] == '/';
}

/* May there be a branch of that name beside those that are there? A packed one has no file in its way. */
static int check_new_branch(git_repository *handle, const char *branch)
{
    git_reference_iterator *names;
    const char *name;
    int error = 0;
    if (git_reference_iterator_new(&names, handle) != 0)
        return repository_result(-1);
    while (error == 0 && git_reference_next_name(&name, names) == 0)
        if (is_below(name, branch) || is_below(branch, name))
            error = repository_fail(-ENOTSUP, "%s can't be made beside %s: git switch to another branch",
                                    branch, name);
    git_reference_iterator_free(names);
    return error;
}

/* Links are what branches that stand for others were once; a rename would take the place of one. */
static bool is_link(const struct committer *committer, const char *branch)
{
    struct buffer path = {0};
    struct stat info;
    buffer_append_format(&path, "%s%s", committer->common_directory, branch);
    bool is = lstat(path.bytes, &info) == 0 && S_ISLNK(info.st_mode);
    buffer_free(&path);
    return is;
}

static int read_tip(struct committer *committer, struct head *head)
{
    git_repository *handle = committer->repository->handle;
    git_reference *branch;
    git_commit *commit;
    if (is_link(committer, head->branch))
        return repository_fail(-ENOTSUP, "%s is a symbolic link: git switch to another branch", head->branch);
    int result = git_reference_lookup(&branch, handle, head->branch);
    head->is_unborn = result == GIT_ENOTFOUND;
    if (head->is_unborn)
        return check_new_branch(handle, head->branch);
    if (result != 0)
        return repository_result(result);
    bool is_direct = git_reference_type(branch) == GIT_REFERENCE_DIRECT;
    if (is_direct)
        head->tip = *git_reference_target(branch);
    git_reference_free(branch);
    if (!is_direct)
        return repository_fail(-ENOTSUP, "%s stands for another branch; switch to that one", head->branch);
    result = git_commit_lookup(&commit, handle, &head->tip);
    if (result == 0) {
        result = git_commit_tree(&head->tree, commit);
        git_commit_free(commit);
    }
    return repository_result(result) == 0 ? 0 : -EIO;
}

int read_head(struct committer *committer, struct head *head)
{
    git_reference *name;
    *head = (struct head){0};
    git_repository *handle = committer->repository->handle;
    int result = git_reference_lookup(&name, handle, "HEAD");
    if (result != 0)
        return repository_result(result);
    const char *branch = git_reference_symbolic_target(name);
    if (branch)
        head->branch = memory_copy_text(branch, strlen(branch));
    git_reference_free(name);
    if (!branch || strncmp(head->branch, "refs/heads/", strlen("refs/heads/")) != 0) {
        head_free(head);
        return repository_fail(-EBUSY, "HEAD is on no branch (detached): git switch to one");
    }
    int error = read_tip(committer, head);
    if (error)
        head_free(head);
    return error;
}

bool head_is_same(struct committer *committer, const struct head *head)
{
    struct head now;
    bool is_same = read_head(committer, &now) == 0 && head_equal(head, &now);
    head_free(&now);
    return is_same;
}

/* ---- what is going on ---- */

/* Between two commits of a git-cherry-pick(1) or git-revert(1) of several there is but the list of the rest.
 */
static bool has_sequence(const struct committer *committer)
{
    struct buffer path = {0};
    buffer_append_format(&path, "%ssequencer/todo", committer->git_directory);
    bool has = access(path.bytes, F_OK) == 0;
    buffer_free(&path);
    return has;
}

static const char *work_in_progress(const struct committer *committer)
{
    switch (git_repository_state(committer->repository->handle)) {
    case GIT_REPOSITORY_STATE_NONE:
        return has_sequence(committer) ? "cherry-pick or revert" : NULL;
    case GIT_REPOSITORY_STATE_MERGE:
        return "merge";
    case GIT_REPOSITORY_STATE_REVERT:
    case GIT_REPOSITORY_STATE_REVERT_SEQUENCE:
        return "revert";
    case GIT_REPOSITORY_STATE_CHERRYPICK:
    case GIT_REPOSITORY_STATE_CHERRYPICK_SEQUENCE:
        return "cherry-pick";
    case GIT_REPOSITORY_STATE_BISECT:
        return "bisect";
    case GIT_REPOSITORY_STATE_APPLY_MAILBOX:
    case GIT_REPOSITORY_STATE_APPLY_MAILBOX_OR_REBASE:
        return "git am";
    default:
        return "rebase";
    }
}

/* ---- what Git would run ---- */

static char *hooks_directory(struct committer *committer, git_config *config)
{
    git_buf configured = GIT_BUF_INIT;
    struct buffer path = {0};
    if (git_config_get_path(&configured, config, "core.hookspath") == 0) {
        if (configured.ptr[0] != '/')
            buffer_append_text(&path, repository_top(committer->repository));
        buffer_append_text(&path, configured.ptr);
        buffer_append_byte(&path, '/');
    } else {
        buffer_append_format(&path, "%shooks/", committer->common_directory);
    }
    git_buf_dispose(&configured);
    return path.bytes;
}

static int check_hooks(struct committer *committer, git_config *config)
{
    static const char *const names[] = {"pre-commit", "prepare-commit-msg", "commit-msg",
                                        "reference-transaction"};
    CLEANUP_FREE char *directory = hooks_directory(committer, config);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct buffer path = {0};
        struct stat info;
        buffer_append_format(&path, "%s%s", directory, names[i]);
        bool runs = access(path.bytes, X_OK) == 0 && stat(path.bytes, &info) == 0 && S_ISREG(info.st_mode);
        int error = runs ? repository_fail(-ENOTSUP,
                                           "the hook %s is to see every commit, and no hooks are "
                                           "run here: use git commit",
                                           path.bytes)
                         : 0;
        buffer_free(&path);
        if (error)
            return error;
    }
    return 0;
}

static int check_config(struct committer *committer)
{
    git_config *config;
    int is_signed = 0;
    int error = repository_result(git_repository_config_snapshot(&config, committer->repository->handle));
    if (error)
        return -EIO;
    int trusts_mode = 1, wants_logs = 1;
    git_config_get_bool(&trusts_mode, config, "core.filemode");
    git_config_get_bool(&wants_logs, config, "core.logallrefupdates"); /* "always" is wanted too */
    committer->settings.trusts_mode = trusts_mode;
    committer->settings.wants_logs = wants_logs;
    error = shared_read(config, &committer->settings.shared);
    if (error == 0 && git_config_get_bool(&is_signed, config, "commit.gpgsign") == 0 && is_signed)
        error = repository_fail(-ENOTSUP, "commit.gpgsign asks for signatures, which are not made here: use "
                                          "git commit");
    if (error == 0)
        error = check_hooks(committer, config);
    git_config_free(config);
    return error;
}

static int check_author(git_repository *handle)
{
    git_signature *author;
    if (git_signature_default(&author, handle) != 0)
        return repository_fail(-ENOTSUP, "Git does not know who commits: set user.name and user.email "
                                         "(git config)");
    git_signature_free(author);
    return 0;
}

/* Is the source itself out of Git's sight? And would its attributes be read without an end? libgit2 opens
 * whatever has their name. */
static int check_source(struct committer *committer)
{
    struct stat info;
    if (fstatat(committer->source_fd, ".gitattributes", &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISFIFO(info.st_mode))
        return repository_fail(-ENOTSUP, ".gitattributes: is a FIFO: move it away");
    const char *prefix = repository_prefix(committer->repository);
    int is_ignored = 0;
    struct buffer path = {0};
    if (!*prefix)
        return 0;
    buffer_append_format(&path, "%s/", prefix);
    int result = git_ignore_path_is_ignored(&is_ignored, committer->repository->handle, path.bytes);
    buffer_free(&path);
    if (result == 0 && is_ignored)
        return repository_fail(-ENOTSUP,
                               "%s: Git is told to ignore it; take that out of the .gitignore above", prefix);
    return result == 0 ? 0 : (repository_result(result), -EIO);
}

int check_repository(struct committer *committer, struct head *head)
{
    git_repository *handle = committer->repository->handle;
    const char *work = work_in_progress(committer);
    *head = (struct head){0};
    if (work)
        return repository_fail(-EBUSY, "a %s is not finished: finish it, or abort it", work);
    int error = check_config(committer);
    if (error == 0)
        error = check_author(handle);
    if (error == 0)
        error = check_source(committer);
    return error ? error : read_head(committer, head);
}

/* ---- attributes ---- */

int check_attributes(struct committer *committer, const char *path)
{
    /* Neither is what libgit2 could apply: one is a program, the other is not known to it. */
    static const char *const names[] = {"filter", "working-tree-encoding"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = NULL;
        if (git_attr_get(&value, committer->repository->handle, GIT_ATTR_CHECK_FILE_THEN_INDEX, path,
                         names[i]) == 0 &&
            git_attr_value(value) == GIT_ATTR_VALUE_STRING)
            return repository_fail(-ENOTSUP,
                                   "%s: .gitattributes gives it %s=%s, which is not done here: use "
                                   "git add and git commit",
                                   path, names[i], value);
    }
    return 0;
}
