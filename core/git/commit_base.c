/*
 * The runs of the tree on which commits are made. Deriving them takes reading three objects of each run, some
 * 20 s where there are 100,000; from one commit to the next only those are read that differ.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include "core/manifest/existing.h"
#include "core/manifest/snapshot.h"
#include <errno.h>
#include <string.h>
#include <time.h>

/* The change of a run can't be put into the index that is there. */
#define BEGIN_ANEW 1

struct move {
    struct committer *committer;
    bool is_new; /* the index is being filled */
};

/* The run of that path in the base, which may be none. */
static struct run *find_run(struct commit_base *base, const char *path, struct slice *place,
                            struct slice *name)
{
    const char *slash = strrchr(path, '/');
    *place = (struct slice){path, slash ? (size_t)(slash - path) : 0};
    *name = slice_of(slash ? slash + 1 : path);
    return index_find(base->index, *place, *name);
}

/* A run whose files are broken keeps what it said last, and what that was depends on where one comes from. */
static int take_change(const char *path, const struct object_id *old_run_tree,
                       const struct object_id *new_run_tree, void *context)
{
    const struct move *move = context;
    struct commit_base *base = &move->committer->base;
    const struct run_state *state = NULL;
    struct slice place, name;
    bool changed;
    (void)old_run_tree;
    if (new_run_tree) {
        int error = deriver_run(move->committer->deriver, base->rules, new_run_tree, &state);
        if (error)
            return error;
        if (state->is_run && !state->is_whole && !move->is_new)
            return BEGIN_ANEW;
    }
    struct run *run = find_run(base, path, &place, &name);
    if (state && state->is_run)
        index_put(base->index, place, name, state, &changed);
    else if (run)
        index_remove(base->index, run);
    return 0;
}

void base_drop(struct committer *committer)
{
    struct commit_base *base = &committer->base;
    if (base->index)
        index_destroy(base->index);
    *base = (struct commit_base){0};
}

static int fill(struct committer *committer, const struct rules *rules, const struct object_id *source_tree)
{
    static const struct object_id none;
    struct commit_base *base = &committer->base;
    struct move move = {committer, true};
    base_drop(committer);
    *base = (struct commit_base){.tree = *source_tree, .rules = rules, .index = index_create()};
    query_views_configure(&base->views, base->index, rules->plan, rules->fields,
                          repository_source_name(committer->repository));
    index_begin_filling(base->index);
    int error = deriver_each_change(committer->deriver, rules, &none, source_tree, take_change, &move);
    index_end_filling(base->index);
    return error;
}

int base_move(struct committer *committer, const struct object_id *source_tree)
{
    struct commit_base *base = &committer->base;
    struct move move = {committer, false};
    const struct rules *rules;
    int result = deriver_rules(committer->deriver, source_tree, &rules);
    if (result == 0 && base->index && base->rules == rules)
        result = deriver_each_change(committer->deriver, rules, &base->tree, source_tree, take_change, &move);
    else if (result == 0)
        result = BEGIN_ANEW;
    base->tree = *source_tree;
    if (result == BEGIN_ANEW)
        result = fill(committer, rules, source_tree);
    if (result)
        base_drop(committer);
    return result;
}

struct snapshot *base_manifest(struct committer *committer, struct slice recorded)
{
    struct commit_base *base = &committer->base;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    /* Only the first may say what is not in the files of broken runs; from then on the latest alone counts.
     */
    enum existing_verdict verdict = existing_adopt(base->index, recorded, base->is_adopted, NULL, NULL);
    bool is_read = verdict != EXISTING_BROKEN && verdict != EXISTING_EMPTY;
    existing_keep_last_updated(base->index, is_read ? recorded : SLICE_LITERAL(""), &now);
    base->is_adopted = true;
    return snapshot_take(base->index);
}
