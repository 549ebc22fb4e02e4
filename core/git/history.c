/*
 * Walking the history of HEAD and telling what each commit changed: see history.h. Trees are compared by
 * their ids and read only where these differ, and of the runs only those are derived whose trees did.
 */
#include "core/git/comparison.h"
#include "core/git/renames.h"
#include "core/git/repository_internal.h"
#include "core/git/walk.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The commit of a walk with the trees of the source in it and in its parents. */
struct step {
    struct commit commit;
    struct object_id *parents; /* their trees of the source */
    size_t parent_count, capacity;
};

struct history {
    struct deriver *deriver;
    struct walk *walk; /* NULL where there is no commit */
    int64_t since_s;
    char **names; /* that the run had, which is asked for; none: all runs are */
    size_t name_count;
    struct step step;
    struct change_draft *drafts;
    size_t draft_count, draft_capacity;
    struct history_commit given;
};

int history_head(struct repository *repository, struct object_id *commit)
{
    git_oid oid;
    int result = git_reference_name_to_id(&oid, repository->handle, "HEAD");
    if (result == GIT_ENOTFOUND && git_repository_head_unborn(repository->handle) == 1)
        return repository_fail(-ENOENT, "the branch has no commit yet");
    if (repository_result(result) != 0)
        return -EIO;
    *commit = id_of(&oid);
    return 0;
}

/* ---- commits ---- */

static int read_step(struct repository *repository, const struct walk_commit *at, struct step *step)
{
    struct commit parent;
    int error = commit_read(repository, &at->id, &step->commit);
    if (step->capacity < at->parent_count) {
        step->capacity = at->parent_count;
        step->parents = memory_resize(step->parents, step->capacity * sizeof(*step->parents));
    }
    step->parent_count = at->parent_count;
    for (size_t i = 0; i < at->parent_count && error == 0; i++) {
        error = commit_read(repository, &at->parents[i], &parent);
        step->parents[i] = parent.tree;
    }
    return error == -ENOENT ? -EIO : error;
}

/* A tree of many runs is read twice, as a commit's and as its child's parent's: what libgit2 keeps of objects
 * has room for it, which by default is for small ones alone. How much it keeps in all stays bounded. */
#define KEPT_TREE_BYTES ((size_t)1 << 20)

void history_keep_trees(void)
{
    git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_TREE, KEPT_TREE_BYTES);
}

/* A walk from HEAD; NULL with 0 where that has no commit. */
static int begin_walk(struct repository *repository, struct walk **walk)
{
    struct object_id head;
    history_keep_trees();
    int error = history_head(repository, &head);
    *walk = error ? NULL : walk_create(repository, &head);
    return error == -ENOENT ? 0 : error;
}

int history_open(struct deriver *deriver, int64_t since_s, const char *path, struct history **history)
{
    struct walk *walk;
    int error = begin_walk(deriver_repository(deriver), &walk);
    if (error)
        return error;
    *history = memory_alloc_zeroed(1, sizeof(**history));
    **history = (struct history){.deriver = deriver, .walk = walk, .since_s = since_s};
    if (path) {
        (*history)->names = memory_alloc(sizeof(char *));
        (*history)->names[(*history)->name_count++] = memory_copy_text(path, strlen(path));
    }
    return 0;
}

static void free_change(struct history_change *change)
{
    free(change->path);
    free(change->old_path);
    history_state_free(&change->before);
    history_state_free(&change->after);
}

static void clear_drafts(struct history *history)
{
    for (size_t i = 0; i < history->draft_count; i++)
        free_change(&history->drafts[i].change);
    history->draft_count = 0;
}

void history_close(struct history *history)
{
    if (!history)
        return;
    clear_drafts(history);
    for (size_t i = 0; i < history->name_count; i++)
        free(history->names[i]);
    free(history->names);
    free(history->drafts);
    free(history->given.changes);
    free(history->step.parents);
    if (history->walk)
        walk_free(history->walk);
    free(history);
}

/* ---- what one commit changed ---- */

static bool is_asked_for(const struct history *history, const char *path)
{
    bool is_one = history->name_count == 0;
    for (size_t i = 0; i < history->name_count && !is_one; i++)
        is_one = strcmp(history->names[i], path) == 0;
    return is_one;
}

static bool concerns(const struct history *history, const struct comparison *comparison)
{
    bool does = history->name_count == 0;
    for (size_t i = 0; i < history->name_count && !does; i++)
        does = comparison_find(comparison, history->names[i]);
    return does;
}

/* What differs from the first parent, with what the runs say on both sides. */
static int draft_changes(struct history *history, const struct comparison *comparison)
{
    int error = 0;
    for (size_t i = 0; i < comparison->count && error == 0; i++) {
        const struct comparison_place *place = &comparison->places[i];
        struct history_state before, after = {0};
        error = history_state_read(history->deriver, comparison->old_rules, &place->old_tree, &before);
        if (error == 0)
            error = history_state_read(history->deriver, comparison->new_rules, &place->new_tree, &after);
        if (error || history_state_equal(&before, &after)) {
            history_state_free(&before);
            history_state_free(&after);
            continue;
        }
        if (history->draft_count == history->draft_capacity) {
            history->draft_capacity = history->draft_capacity * 2 + 16;
            history->drafts =
                memory_resize(history->drafts, history->draft_capacity * sizeof(*history->drafts));
        }
        enum history_kind kind = !before.is_run  ? HISTORY_ADDED
                                 : !after.is_run ? HISTORY_REMOVED
                                                 : HISTORY_CHANGED;
        history->drafts[history->draft_count++] = (struct change_draft){
            .change = {kind, memory_copy_text(place->path, strlen(place->path)), NULL, before, after},
            .old_tree = place->old_tree,
            .new_tree = place->new_tree};
    }
    return error;
}

/* Takes the drafts out that are marked. */
static void drop_taken(struct history *history)
{
    size_t kept = 0, count = history->draft_count;
    for (size_t i = 0; i < count; i++) {
        struct change_draft draft = history->drafts[i];
        if (!draft.is_taken) {
            history->drafts[kept++] = draft;
            continue;
        }
        free_change(&draft.change);
    }
    history->draft_count = kept;
}

/* Of a merge: what the run says in another parent as well is no change of the merge's. */
static int drop_inherited(struct history *history, const struct object_id *parent_tree)
{
    struct comparison comparison;
    int error = comparison_begin(&comparison, history->deriver, parent_tree, &history->step.commit.tree);
    for (size_t i = 0; i < history->draft_count && error == 0; i++) {
        struct change_draft *draft = &history->drafts[i];
        const struct comparison_place *place = comparison_find(&comparison, draft->change.path);
        struct history_state there = {0};
        draft->is_taken = !place;
        if (!place)
            continue;
        error = history_state_read(history->deriver, comparison.old_rules, &place->old_tree, &there);
        draft->is_taken = error == 0 && history_state_equal(&there, &draft->change.after);
        history_state_free(&there);
    }
    comparison_free(&comparison);
    drop_taken(history);
    return error;
}

/* Leaves the changes of the run that is asked for; the name that it had before is asked for from now on. */
static void choose(struct history *history)
{
    if (history->name_count == 0)
        return;
    for (size_t i = 0; i < history->draft_count; i++)
        history->drafts[i].is_taken = !is_asked_for(history, history->drafts[i].change.path);
    drop_taken(history);
    for (size_t i = 0; i < history->draft_count; i++) {
        const char *old_path = history->drafts[i].change.old_path;
        if (!old_path || is_asked_for(history, old_path))
            continue;
        history->names = memory_resize(history->names, (history->name_count + 1) * sizeof(*history->names));
        history->names[history->name_count++] = memory_copy_text(old_path, strlen(old_path));
    }
}

/* Fills the drafts for history->step. */
static int compare(struct history *history)
{
    static const struct object_id none;
    const struct step *step = &history->step;
    const struct object_id *parent = step->parent_count ? &step->parents[0] : &none;
    struct comparison comparison;
    clear_drafts(history);
    int error = comparison_begin(&comparison, history->deriver, parent, &step->commit.tree);
    if (error == 0 && concerns(history, &comparison)) {
        error = draft_changes(history, &comparison);
        for (size_t i = 1; i < step->parent_count && error == 0 && history->draft_count > 0; i++)
            error = drop_inherited(history, &step->parents[i]);
        if (error == 0)
            error = renames_find(&comparison, history->drafts, history->draft_count);
        drop_taken(history);
        choose(history);
    }
    comparison_free(&comparison);
    return error;
}

static void give(struct history *history)
{
    struct history_commit *given = &history->given;
    given->id = history->step.commit.id;
    given->time_s = history->step.commit.time_s;
    given->changes = memory_resize(given->changes, history->draft_count * sizeof(*given->changes));
    given->change_count = history->draft_count;
    for (size_t i = 0; i < history->draft_count; i++)
        given->changes[i] = history->drafts[i].change;
}

int history_next(struct history *history, const struct history_commit **commit)
{
    const struct walk_commit *at;
    int error = history->walk ? 0 : -ENOENT;
    while (error == 0 && (error = walk_next(history->walk, &at)) == 0) {
        if (at->time_s < history->since_s)
            continue;
        error = read_step(deriver_repository(history->deriver), at, &history->step);
        if (error == 0)
            error = compare(history);
        if (error == 0 && history->draft_count > 0) {
            give(history);
            *commit = &history->given;
            return 0;
        }
    }
    return error;
}

/* ---- which runs there are and were ---- */

struct searching {
    struct deriver *deriver;
    const struct rules *rules;
    const struct path_search *search;
};

static int look_at_place(const char *path, const struct object_id *run_tree, void *context)
{
    const struct searching *searching = context;
    const struct path_search *search = searching->search;
    const struct run_state *state;
    if (!search->wants(path, search->context))
        return 0;
    int error = deriver_run(searching->deriver, searching->rules, run_tree, &state);
    if (error == 0 && state->is_run)
        search->found(path, search->context);
    return error;
}

int search_tree(struct deriver *deriver, const struct object_id *source_tree,
                const struct path_search *search)
{
    struct searching searching = {.deriver = deriver, .search = search};
    int error = deriver_rules(deriver, source_tree, &searching.rules);
    return error ? error
                 : deriver_each_place(deriver, searching.rules, source_tree, look_at_place, &searching);
}

int search_head(struct deriver *deriver, const struct path_search *search)
{
    struct repository *repository = deriver_repository(deriver);
    struct object_id head;
    struct commit commit;
    int error = history_head(repository, &head);
    if (error)
        return error == -ENOENT ? 0 : error;
    error = commit_read(repository, &head, &commit);
    return error ? error : search_tree(deriver, &commit.tree, search);
}

/* A run that ever was is in the tree of HEAD, or was removed somewhere against a first parent or by another.
 */
static int look_at_removed(struct searching *searching, const struct object_id *parent,
                           const struct object_id *tree)
{
    struct comparison comparison;
    int error = comparison_begin(&comparison, searching->deriver, parent, tree);
    searching->rules = comparison.old_rules;
    for (size_t i = 0; i < comparison.count && error == 0; i++)
        if (!object_id_is_none(&comparison.places[i].old_tree))
            error = look_at_place(comparison.places[i].path, &comparison.places[i].old_tree, searching);
    comparison_free(&comparison);
    return error;
}

int search_history(struct deriver *deriver, const struct path_search *search)
{
    struct repository *repository = deriver_repository(deriver);
    struct searching searching = {.deriver = deriver, .search = search};
    struct step step = {0};
    struct walk *walk;
    const struct walk_commit *at;
    int error = search_head(deriver, search);
    if (error == 0)
        error = begin_walk(repository, &walk);
    if (error || !walk)
        return error;
    while (error == 0 && (error = walk_next(walk, &at)) == 0) {
        error = read_step(repository, at, &step);
        for (size_t i = 0; i < step.parent_count && error == 0; i++)
            error = look_at_removed(&searching, &step.parents[i], &step.commit.tree);
    }
    free(step.parents);
    walk_free(walk);
    return error == -ENOENT ? 0 : error;
}
