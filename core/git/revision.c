/*
 * Revisions: names of commits. What `git rev-parse` takes is libgit2's to understand; dates are ours.
 *
 * Steps from a commit (`~3`, `^2`) and dates can take a walk over thousands of commits, but lead from the
 * same commit to the same one for ever: they are kept. What may mean another commit any time (HEAD, a branch,
 * a reflog's entry) is looked up every time.
 */
#include "core/git/revision.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/git/repository_internal.h"
#include "core/git/walk.h"
#include "core/query/moment.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ways that are kept, at most. */
#define STEPS_AT_MOST 1024
/* What steps from a commit consist of. */
#define STEPS "~^0123456789"

struct step {
    char *key; /* the commit from which it goes, in digits, and how */
    struct object_id commit;
    UT_hash_handle hh;
};

static void forget_steps(struct repository *repository)
{
    struct step *step, *next;
    HASH_ITER(hh, repository->steps, step, next)
    {
        HASH_DEL(repository->steps, step);
        free(step->key);
        free(step);
    }
}

void revisions_forget(struct repository *repository)
{
    forget_steps(repository);
    ancestors_free(repository->ancestors);
    free(repository->recent);
}

static bool find_step(struct repository *repository, const char *key, struct object_id *commit)
{
    struct step *step;
    HASH_FIND_STR(repository->steps, key, step);
    if (step)
        *commit = step->commit;
    return step;
}

static void keep_step(struct repository *repository, const char *key, const struct object_id *commit)
{
    if (HASH_COUNT(repository->steps) >= STEPS_AT_MOST)
        forget_steps(repository);
    struct step *step = memory_alloc(sizeof(*step));
    step->key = memory_copy_text(key, strlen(key));
    step->commit = *commit;
    HASH_ADD_KEYPTR(hh, repository->steps, step->key, strlen(step->key), step);
}

/* Was the last error of libgit2's one of reading, and not one of understanding? */
static bool is_about_storage(void)
{
    const git_error *error = git_error_last();
    return error && (error->klass == GIT_ERROR_ODB || error->klass == GIT_ERROR_OS ||
                     error->klass == GIT_ERROR_ZLIB || error->klass == GIT_ERROR_FILESYSTEM);
}

/* Was it that an object is not there? */
static bool is_about_missing(void)
{
    const git_error *error = git_error_last();
    return error && error->klass == GIT_ERROR_ODB;
}

/* The commit to which a branch, a tag or the like leads; -EIO where that should be there and is not. -EINVAL
 * where there is no reference of that name. Done here, since libgit2 (1.5) does not free a reference whose
 * object it can't find. */
static int parse_reference(struct repository *repository, const char *name, struct object_id *commit)
{
    git_reference *reference;
    git_object *object = NULL, *peeled = NULL;
    struct object_id id;
    if (!*name || object_id_parse(name, &id) || git_reference_dwim(&reference, repository->handle, name) != 0)
        return -EINVAL;
    int error = repository_result(
        git_object_lookup(&object, repository->handle, git_reference_target(reference), GIT_OBJECT_ANY));
    if (error == 0)
        error = repository_result(git_object_peel(&peeled, object, GIT_OBJECT_COMMIT));
    if (error == 0)
        *commit = id_of(git_object_id(peeled));
    else if (is_about_missing() || is_about_storage())
        error = -EIO;
    else
        error = -ENOENT;
    git_object_free(peeled);
    git_object_free(object);
    git_reference_free(reference);
    return error;
}

/* The commit that an expression of gitrevisions(7) means. */
static int parse(struct repository *repository, const char *text, struct object_id *commit)
{
    git_object *object = NULL, *peeled = NULL;
    int error = parse_reference(repository, text, commit);
    if (error != -EINVAL)
        return error;
    error = repository_result(git_revparse_single(&object, repository->handle, text));
    if (error == 0)
        error = repository_result(git_object_peel(&peeled, object, GIT_OBJECT_COMMIT));
    if (error == 0)
        *commit = id_of(git_object_id(peeled));
    else if (error == -EIO && !is_about_storage())
        error = -ENOENT;
    git_object_free(peeled);
    git_object_free(object);
    return error;
}

/* How many steps to the first parent those are, where they are nothing else: `~3`, `^`, `~^1~2`; else -1. */
static int64_t steps_to_first_parents(const char *steps)
{
    int64_t sum = 0;
    while (*steps) {
        bool is_count = *steps++ == '~';
        size_t digits = strspn(steps, "0123456789");
        unsigned long number = digits ? strtoul(steps, NULL, 10) : 1;
        if (digits > 8 || (!is_count && number != 1))
            return -1;
        sum += (int64_t)number;
        steps += digits;
    }
    return sum;
}

/* The steps from a commit, by the text of both. */
static int walk_steps(struct repository *repository, const char *text, const char *steps,
                      struct object_id *commit)
{
    int64_t ancestor = steps_to_first_parents(steps);
    struct object_id from = *commit;
    if (ancestor >= 0)
        return ancestor_of(repository, &from, (size_t)ancestor, commit);
    int error = parse(repository, text, commit);
    bool is_broken = error == -ENOENT && is_about_missing();
    return is_broken && !git_repository_is_shallow(repository->handle) ? -EIO : error;
}

/* Steps from a name: what the name means now, and from there on what is known or is walked once. */
static int parse_steps(struct repository *repository, struct slice name, const char *steps,
                       struct object_id *commit)
{
    char digits[OBJECT_ID_DIGITS + 1];
    struct buffer text = {0};
    buffer_append_slice(&text, name);
    int error = parse(repository, text.bytes, commit);
    if (error == 0 && *steps) {
        object_id_format(commit, digits);
        buffer_clear(&text);
        buffer_append_text(&text, digits);
        buffer_append_text(&text, steps);
        if (!find_step(repository, text.bytes, commit)) {
            error = walk_steps(repository, text.bytes, steps, commit);
            if (error == 0)
                keep_step(repository, text.bytes, commit);
        }
    }
    buffer_free(&text);
    return error;
}

/* The last commit in the history of a commit that is not younger than time_s. */
static int walk_to_time(struct repository *repository, const struct object_id *from, int64_t time_s,
                        struct object_id *commit)
{
    struct walk *walk = walk_create(repository, from);
    const struct walk_commit *at;
    int error;
    while ((error = walk_next(walk, &at)) == 0 && at->time_s > time_s)
        ;
    if (error == 0)
        *commit = at->id;
    else if (error == -ENOENT)
        repository_fail(error, "there is no commit as old as that");
    walk_free(walk);
    return error;
}

/* A day means its end, a moment itself. -EINVAL for what is neither. */
static int parse_date(struct repository *repository, const char *text, struct object_id *commit)
{
    int64_t microseconds;
    char key[OBJECT_ID_DIGITS + 64], digits[OBJECT_ID_DIGITS + 1];
    struct object_id head;
    if (strlen(text) > 40 || moment_parse(slice_of(text), &microseconds) != 0)
        return -EINVAL;
    bool is_day = strlen(text) == strlen("2025-10-16");
    int64_t time_s = moment_seconds(microseconds) + (is_day ? 24 * 60 * 60 - 1 : 0);
    int error = parse(repository, "HEAD", &head);
    if (error)
        return error;
    object_id_format(&head, digits);
    snprintf(key, sizeof(key), "%s<%s", digits, text);
    if (find_step(repository, key, commit))
        return 0;
    error = walk_to_time(repository, &head, time_s, commit);
    if (error == 0)
        keep_step(repository, key, commit);
    return error;
}

/* The last place in text where part stands; NULL for none. */
static const char *last_of(const char *text, const char *part)
{
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, part)); at++)
        last = at;
    return last;
}

/* `:/text` and `REVISION^{/text}`, the latter with steps behind it. -EINVAL where it is neither. */
static int parse_message(struct repository *repository, const char *text, struct object_id *commit)
{
    const char *search = last_of(text, "^{/"), *end = search ? strrchr(search, '}') : NULL;
    struct object_id from;
    bool is_fixed;
    if (strncmp(text, ":/", 2) == 0 && text[2])
        return revision_by_message(repository, NULL, text + 2, commit);
    if (!search)
        return -EINVAL;
    if (!end || strspn(end + 1, STEPS) != strlen(end + 1))
        return repository_fail(-ENOENT, "%s: has no end", text);
    struct buffer part = {0};
    buffer_append(&part, text, (size_t)(search - text));
    int error = revision_resolve(repository, part.bytes ? part.bytes : "", &from, &is_fixed);
    if (error == 0) {
        buffer_clear(&part);
        buffer_append(&part, search + 3, (size_t)(end - search) - 3);
        error = revision_by_message(repository, &from, part.bytes ? part.bytes : "", commit);
    }
    if (error == 0 && end[1]) {
        char digits[OBJECT_ID_DIGITS + 1];
        object_id_format(commit, digits);
        error = parse_steps(repository, slice_of(digits), end + 1, commit);
    }
    buffer_free(&part);
    return error;
}

/* `BRANCH@{upstream}` or `@{-1}`, and what may stand behind it, with the name of the reference in its place.
 * -EINVAL where there is none in the text. */
static int parse_other_branch(struct repository *repository, const char *text, struct object_id *commit)
{
    static const char *const spellings[] = {"@{upstream}", "@{u}"};
    struct buffer reference = {0};
    const char *at = NULL;
    size_t length = 0;
    int error = -EINVAL;
    bool is_fixed;
    for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings) && !at; i++)
        if ((at = strcasestr(text, spellings[i])))
            length = strlen(spellings[i]);
    if (at) {
        error = revision_upstream(repository, (struct slice){text, (size_t)(at - text)}, &reference);
    } else if (strncmp(text, "@{-", 3) == 0 && (at = strchr(text, '}'))) {
        error = revision_previous(repository, strtoul(text + 3, NULL, 10), &reference);
        length = 1;
    }
    if (error == 0) {
        buffer_append_text(&reference, at + length);
        error = revision_resolve(repository, reference.bytes, commit, &is_fixed);
    }
    buffer_free(&reference);
    return error;
}

int revision_resolve(struct repository *repository, const char *text, struct object_id *commit,
                     bool *is_fixed)
{
    struct object_id id;
    struct slice name = {text, strcspn(text, "~^")};
    const char *steps = text + name.length;
    *is_fixed = object_id_parse(text, &id);
    if (slice_equal(name, SLICE_LITERAL("@")))
        name = SLICE_LITERAL("HEAD");
    int error =
        *text ? parse_message(repository, text, commit) : repository_fail(-ENOENT, "no revision is named");
    if (error == -EINVAL)
        error = parse_other_branch(repository, text, commit);
    if (error != -EINVAL)
        return error;
    error = name.length && strspn(steps, STEPS) == strlen(steps)
                ? parse_steps(repository, name, steps, commit)
                : parse(repository, text, commit);
    if (error != -ENOENT && error != -EIO)
        return error;
    /* What can't be read at all may still be a date; what can't be found stays what it is. */
    struct buffer reason = {0};
    buffer_append_text(&reason, repository_error());
    int date_error = parse_date(repository, text, commit);
    if (date_error == -EINVAL)
        repository_fail(error, "%s", reason.bytes);
    buffer_free(&reason);
    return date_error == -EINVAL ? error : date_error;
}

/* ---- names to choose from ---- */

/* Did something of the source change in the commit: is it another than in each of its parents? */
static int changes_source(struct repository *repository, const struct walk_commit *at, bool *changes)
{
    struct commit commit, parent;
    int error = commit_read(repository, &at->id, &commit);
    *changes = at->parent_count > 0 || (error == 0 && !object_id_is_none(&commit.tree));
    for (size_t i = 0; error == 0 && i < at->parent_count && *changes; i++) {
        error = commit_read(repository, &at->parents[i], &parent);
        *changes = error == 0 && !object_id_equal(&commit.tree, &parent.tree);
    }
    return error;
}

/* Fills repository->recent, which is good as long as HEAD is the same. */
static int find_recent(struct repository *repository, const struct object_id *head, size_t count)
{
    if (repository->recent && repository->recent_wanted == count &&
        object_id_equal(&repository->recent_head, head))
        return 0;
    struct walk *walk = walk_create(repository, head);
    const struct walk_commit *at;
    int error = 0;
    repository->recent = memory_resize(repository->recent, (count + 1) * sizeof(*repository->recent));
    repository->recent_count = 0;
    while (error == 0 && repository->recent_count < count && (error = walk_next(walk, &at)) == 0) {
        bool changes;
        error = changes_source(repository, at, &changes);
        if (error == 0 && changes)
            repository->recent[repository->recent_count++] = at->id;
    }
    walk_free(walk);
    if (error == -ENOENT) /* the end of the history */
        error = 0;
    repository->recent_head = *head;
    repository->recent_wanted = error ? SIZE_MAX : count;
    return error;
}

/* Is there a branch of that name that leads to a commit? It is looked for by its whole name: most tags are no
 * branch's, and rev-parse would try them as everything else. */
static bool is_branch(struct repository *repository, const char *short_name)
{
    struct buffer name = {0};
    git_oid target;
    struct object_id commit;
    buffer_append_text(&name, "refs/heads/");
    buffer_append_text(&name, short_name);
    bool is_one = git_reference_name_to_id(&target, repository->handle, name.bytes) == 0 &&
                  parse(repository, name.bytes, &commit) == 0;
    buffer_free(&name);
    return is_one;
}

/* Branches or tags, by their short names. */
static int each_reference(struct repository *repository, const char *prefix,
                          int (*visit)(const char *name, void *context), void *context)
{
    git_reference_iterator *iterator;
    const char *name;
    char glob[64];
    int stop = 0;
    snprintf(glob, sizeof(glob), "%s*", prefix);
    int error = repository_result(git_reference_iterator_glob_new(&iterator, repository->handle, glob));
    while (error == 0 && stop == 0 && git_reference_next_name(&name, iterator) == 0) {
        struct object_id commit;
        const char *short_name = name + strlen(prefix);
        bool is_second = strcmp(prefix, "refs/tags/") == 0 && is_branch(repository, short_name);
        if (!is_second && parse(repository, name, &commit) == 0)
            stop = visit(short_name, context);
    }
    if (error == 0)
        git_reference_iterator_free(iterator);
    return error ? error : stop;
}

int revision_each_name(struct repository *repository, size_t commit_count,
                       int (*visit)(const char *name, void *context), void *context)
{
    char digits[OBJECT_ID_DIGITS + 1];
    struct object_id head;
    bool has_head = parse(repository, "HEAD", &head) == 0;
    int result = has_head ? visit("HEAD", context) : 0;
    if (result == 0)
        result = each_reference(repository, "refs/heads/", visit, context);
    if (result == 0)
        result = each_reference(repository, "refs/tags/", visit, context);
    if (result == 0 && has_head)
        result = find_recent(repository, &head, commit_count);
    for (size_t i = 0; result == 0 && has_head && i < repository->recent_count; i++) {
        object_id_format(&repository->recent[i], digits);
        result = visit(digits, context);
    }
    return result;
}
