/*
 * Spellings of revisions that libgit2 (1.5) understands by regular expressions, and never frees what each one
 * that does not match has cost: `:/text`, `REVISION^{/text}`,
 * `BRANCH@{upstream}` and `@{-1}`.
 */
#include "core/base/memory.h"
#include "core/git/repository_internal.h"
#include "core/git/revision.h"
#include "core/git/walk.h"
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* ---- by a commit's message ---- */

/* The C library spells out what is to be repeated, so that a short expression can take all memory there is.
 */
#define COPIES_AT_MOST 4096

static bool is_affordable(const char *pattern)
{
    uint64_t copies = 1;
    for (const char *at = pattern; *at && copies <= COPIES_AT_MOST; at++) {
        if (*at == '+')
            copies *= 2;
        if (*at != '{')
            continue;
        char *end;
        uint64_t least = strtoull(at + 1, &end, 10), most = *end == ',' ? strtoull(end + 1, &end, 10) : 0;
        uint64_t times = (least > most ? least : most) + 1;
        copies = times > COPIES_AT_MOST ? times : copies * times;
    }
    return copies <= COPIES_AT_MOST;
}

/* git's own: `!!` is a `!`, `!-` is for those that do not match; anything else behind `!` is for later. */
static int compile(const char *pattern, regex_t *expression, bool *is_negative)
{
    *is_negative = false;
    if (pattern[0] == '!' && pattern[1] == '-')
        *is_negative = true;
    else if (pattern[0] == '!' && pattern[1] != '!')
        return repository_fail(-ENOENT, "%s: begins with ! and neither - nor another !", pattern);
    if (pattern[0] == '!')
        pattern += *is_negative ? 2 : 1;
    if (!is_affordable(pattern))
        return repository_fail(-ENOENT, "%s: repeats too much", pattern);
    if (regcomp(expression, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return repository_fail(-ENOENT, "%s: is no regular expression", pattern);
    return 0;
}

static int message_matches(struct repository *repository, const struct object_id *id,
                           const regex_t *expression, bool *matches)
{
    git_commit *object;
    git_oid oid = oid_of(id);
    if (repository_result(git_commit_lookup(&object, repository->handle, &oid)) != 0)
        return -EIO;
    *matches = regexec(expression, git_commit_message(object), 0, NULL, 0) == 0;
    git_commit_free(object);
    return 0;
}

/* The youngest commit of a walk whose message matches. */
static int find_in_walk(struct repository *repository, struct walk *walk, const char *pattern,
                        struct object_id *commit)
{
    const struct walk_commit *at;
    regex_t expression;
    bool is_negative, matches = false;
    int error = compile(pattern, &expression, &is_negative);
    if (error)
        return error;
    while (error == 0 && (error = walk_next(walk, &at)) == 0) {
        error = message_matches(repository, &at->id, &expression, &matches);
        if (error == 0 && matches != is_negative) {
            *commit = at->id;
            break;
        }
    }
    regfree(&expression);
    return error == -ENOENT ? repository_fail(error, "%s: no commit says so", pattern) : error;
}

/* Every reference, for `:/text`. */
static int start_everywhere(struct repository *repository, struct walk *walk)
{
    git_reference_iterator *iterator;
    git_reference *reference;
    int error = repository_result(git_reference_iterator_new(&iterator, repository->handle));
    if (error)
        return error;
    while (git_reference_next(&reference, iterator) == 0) {
        git_object *object;
        if (git_reference_peel(&object, reference, GIT_OBJECT_COMMIT) == 0) {
            struct object_id id = id_of(git_object_id(object));
            walk_push(walk, &id);
            git_object_free(object);
        }
        git_reference_free(reference);
    }
    git_reference_iterator_free(iterator);
    return 0;
}

int revision_by_message(struct repository *repository, const struct object_id *from, const char *pattern,
                        struct object_id *commit)
{
    struct walk *walk = walk_create(repository, from);
    int error = from ? 0 : start_everywhere(repository, walk);
    if (error == 0)
        error = find_in_walk(repository, walk, pattern, commit);
    walk_free(walk);
    return error;
}

/* ---- upstream ---- */

struct refspec_search {
    const char *merge; /* the branch, as the other repository calls it */
    git_buf reference; /* as this one does */
};

static int try_refspec(const git_config_entry *entry, void *context)
{
    struct refspec_search *search = context;
    git_refspec *refspec;
    if (search->reference.size || git_refspec_parse(&refspec, entry->value, 1) != 0)
        return 0;
    if (git_refspec_src_matches(refspec, search->merge))
        git_refspec_transform(&search->reference, refspec, search->merge);
    git_refspec_free(refspec);
    return 0;
}

static char *config_text(git_config *config, const char *format, const char *name)
{
    struct buffer key = {0};
    git_buf value = GIT_BUF_INIT;
    char *text = NULL;
    buffer_append_format(&key, format, name);
    if (git_config_get_string_buf(&value, config, key.bytes) == 0)
        text = memory_copy_text(value.ptr, value.size);
    git_buf_dispose(&value);
    buffer_free(&key);
    return text;
}

/* The branch, HEAD's where branch is empty. */
static char *branch_name(struct repository *repository, struct slice branch)
{
    git_reference *head;
    char *name = NULL;
    if (branch.length && !slice_equal(branch, SLICE_LITERAL("HEAD")))
        return memory_copy_text(branch.bytes, branch.length);
    if (git_reference_lookup(&head, repository->handle, "HEAD") != 0)
        return NULL;
    const char *target = git_reference_symbolic_target(head);
    if (target && strncmp(target, "refs/heads/", 11) == 0)
        name = memory_copy_text(target + 11, strlen(target + 11));
    git_reference_free(head);
    return name;
}

int revision_upstream(struct repository *repository, struct slice branch, struct buffer *reference)
{
    struct buffer key = {0};
    git_config *config;
    char *name = branch_name(repository, branch);
    if (!name)
        return repository_fail(-ENOENT, "HEAD is no branch");
    int error = repository_result(git_repository_config_snapshot(&config, repository->handle));
    if (error) {
        free(name);
        return error;
    }
    char *remote = config_text(config, "branch.%s.remote", name);
    char *merge = config_text(config, "branch.%s.merge", name);
    struct refspec_search search = {.merge = merge, .reference = GIT_BUF_INIT};
    if (remote && merge && strcmp(remote, ".") == 0) {
        buffer_append_text(reference, merge);
    } else if (remote && merge) {
        buffer_append_format(&key, "remote.%s.fetch", remote);
        git_config_get_multivar_foreach(config, key.bytes, NULL, try_refspec, &search);
        buffer_append(reference, search.reference.ptr ? search.reference.ptr : "", search.reference.size);
    }
    if (reference->length == 0)
        error = repository_fail(-ENOENT, "%s: has no upstream", name);
    git_buf_dispose(&search.reference);
    git_config_free(config);
    buffer_free(&key);
    free(remote);
    free(merge);
    free(name);
    return error;
}

/* ---- the branch before ---- */

int revision_previous(struct repository *repository, size_t number, struct buffer *reference)
{
    static const char begins[] = "checkout: moving from ";
    git_reflog *log;
    int error = repository_result(git_reflog_read(&log, repository->handle, "HEAD"));
    if (error)
        return error;
    for (size_t i = 0; number > 0 && i < git_reflog_entrycount(log); i++) {
        const char *message = git_reflog_entry_message(git_reflog_entry_byindex(log, i));
        const char *end = message ? strstr(message, " to ") : NULL;
        if (!end || strncmp(message, begins, strlen(begins)) != 0 || --number > 0)
            continue;
        message += strlen(begins);
        buffer_append(reference, message, end > message ? (size_t)(end - message) : 0);
    }
    git_reflog_free(log);
    return reference->length ? 0 : repository_fail(-ENOENT, "HEAD was not switched as often as that");
}
