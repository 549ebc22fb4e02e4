/*
 * Pairing removals with additions: see renames.h. What is compared is a key of 20 bytes, of which the
 * removals' are sorted, so that a framework of 100,000 runs may have another name.
 */
#include "core/git/renames.h"
#include "core/base/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum likeness { SAME_TREE_AND_NAME, SAME_TREE, SAME_NAME, SAME_FILE, LIKENESS_COUNT };

struct removal {
    struct object_id key;
    struct change_draft *draft;
    size_t next; /* of the first of those with one key: how many of them are known to be taken */
};

struct pairing {
    const struct comparison *comparison;
    struct removal *removals; /* that have a key, in its order */
    size_t count;
};

static const char *run_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The id of the first file of the rules in a run; none where there is none, or nothing in it. */
static int file_key(struct deriver *deriver, const struct rules *rules, const struct object_id *run_tree,
                    struct object_id *key)
{
    struct repository *repository = deriver_repository(deriver);
    const struct run_plan_file *file = rules->plan->file_count ? &rules->plan->files[0] : NULL;
    struct tree_entry entry = {.id = *run_tree};
    uint64_t size_bytes = 0;
    int error = file ? 0 : -ENOENT;
    if (error == 0 && file->directory)
        error = tree_entry_of(repository, run_tree, file->directory, &entry);
    if (error == 0)
        error = tree_entry_of(repository, &entry.id, file->base, &entry);
    if (error == 0 && S_ISREG(entry.mode))
        error = blob_size(repository, &entry.id, &size_bytes);
    *key = size_bytes ? entry.id : (struct object_id){{0}};
    return error == -ENOENT ? 0 : error;
}

/* By what a run is known again; none where it can't be. */
static int key_of(const struct pairing *pairing, enum likeness likeness, const struct change_draft *draft,
                  struct object_id *key)
{
    bool is_old = draft->change.kind == HISTORY_REMOVED;
    const struct object_id *tree = is_old ? &draft->old_tree : &draft->new_tree;
    const struct comparison *comparison = pairing->comparison;
    const char *name = run_name(draft->change.path);
    uint64_t hash = text_hash(slice_of(name));
    *key = (struct object_id){{0}};
    switch (likeness) {
    case SAME_TREE:
        *key = *tree;
        return 0;
    case SAME_TREE_AND_NAME: /* names are compared besides their hashes */
        *key = *tree;
        memcpy(key->bytes, &hash, sizeof(hash));
        return 0;
    case SAME_NAME:
        memcpy(key->bytes, &hash, sizeof(hash));
        return 0;
    default:
        return file_key(comparison->deriver, is_old ? comparison->old_rules : comparison->new_rules, tree,
                        key);
    }
}

static int by_key(const void *a, const void *b)
{
    const struct removal *one = a, *other = b;
    int order = memcmp(one->key.bytes, other->key.bytes, sizeof(one->key.bytes));
    if (order == 0)
        order = strcmp(one->draft->change.path, other->draft->change.path);
    return order;
}

/* The first removal that has the key, or the count. */
static size_t first_with(const struct pairing *pairing, const struct object_id *key)
{
    size_t low = 0, high = pairing->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(pairing->removals[middle].key.bytes, key->bytes, sizeof(key->bytes)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct change_draft *find_removal(struct pairing *pairing, const struct object_id *key,
                                         enum likeness likeness, const char *path)
{
    size_t first = first_with(pairing, key);
    if (first == pairing->count)
        return NULL;
    for (size_t at = first + pairing->removals[first].next;
         at < pairing->count && object_id_equal(&pairing->removals[at].key, key); at++) {
        struct change_draft *draft = pairing->removals[at].draft;
        bool has_name = likeness == SAME_NAME || likeness == SAME_TREE_AND_NAME;
        if (!draft->is_taken && (!has_name || strcmp(run_name(draft->change.path), run_name(path)) == 0))
            return draft;
        if (draft->is_taken && at == first + pairing->removals[first].next)
            pairing->removals[first].next++;
    }
    return NULL;
}

static int read_removals(struct pairing *pairing, enum likeness likeness, struct change_draft *drafts,
                         size_t count)
{
    int error = 0;
    pairing->count = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        struct removal *removal = &pairing->removals[pairing->count];
        if (drafts[i].change.kind != HISTORY_REMOVED || drafts[i].is_taken)
            continue;
        *removal = (struct removal){.draft = &drafts[i]};
        error = key_of(pairing, likeness, &drafts[i], &removal->key);
        pairing->count += !object_id_is_none(&removal->key);
    }
    if (pairing->count > 1)
        qsort(pairing->removals, pairing->count, sizeof(*pairing->removals), by_key);
    return error;
}

static void join(struct change_draft *addition, struct change_draft *removal)
{
    removal->is_taken = true;
    addition->change.kind = HISTORY_RENAMED;
    addition->change.old_path = removal->change.path;
    addition->change.before = removal->change.before;
    removal->change.path = NULL;
    removal->change.before = (struct history_state){0};
}

static int pair(struct pairing *pairing, enum likeness likeness, struct change_draft *drafts, size_t count)
{
    int error = read_removals(pairing, likeness, drafts, count);
    for (size_t i = 0; i < count && error == 0 && pairing->count > 0; i++) {
        struct object_id key;
        if (drafts[i].change.kind != HISTORY_ADDED)
            continue;
        error = key_of(pairing, likeness, &drafts[i], &key);
        if (error || object_id_is_none(&key))
            continue;
        struct change_draft *removal = find_removal(pairing, &key, likeness, drafts[i].change.path);
        if (removal)
            join(&drafts[i], removal);
    }
    return error;
}

int renames_find(const struct comparison *comparison, struct change_draft *drafts, size_t count)
{
    size_t removed = 0, added = 0;
    int error = 0;
    for (size_t i = 0; i < count; i++) {
        removed += drafts[i].change.kind == HISTORY_REMOVED;
        added += drafts[i].change.kind == HISTORY_ADDED;
    }
    if (removed == 0 || added == 0)
        return 0;
    struct pairing pairing = {.comparison = comparison,
                              .removals = memory_alloc(removed * sizeof(*pairing.removals))};
    for (enum likeness likeness = SAME_TREE_AND_NAME; likeness < LIKENESS_COUNT && error == 0; likeness++)
        error = pair(&pairing, likeness, drafts, count);
    free(pairing.removals);
    return error;
}
