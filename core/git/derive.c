/*
 * Runs of the past. What the scan of a source does with directories and files, this does with trees and
 * blobs: the layout says which trees are places of runs, the plan which blobs hold the fields.
 */
#include "core/git/derive.h"
#include "core/base/memory.h"
#include "core/git/repository_internal.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Derived runs that are kept, at most: some 300 bytes each. */
#define KEPT_RUNS_AT_MOST 32768

/* What the rules of one runsfs.json take, about, and for each byte of that. */
#define RULES_BYTES ((size_t)16 << 10)
#define RULES_BYTES_PER_BYTE 4

struct known_rules {
    struct object_id file; /* runsfs.json; none where there is none */
    struct rules rules;
    struct known_rules *next;
};

struct run_key {
    const struct rules *rules;
    struct object_id tree;
    uint32_t zero; /* no byte of a key may be by chance */
};

/* A run_state without its stamps, which the past has none of. */
struct kept_run {
    struct run_key key;
    bool is_run, is_whole;
    struct run_fields fields;
    struct run_fault *faults; /* NULL where the run is whole */
    UT_hash_handle hh;
};

struct deriver {
    struct repository *repository;
    struct known_rules *known;
    struct kept_run *runs; /* the first made first */
    size_t run_bytes, rules_bytes;
    struct run_state state; /* the last that was given out; its fields are a kept run's */
};

struct deriver *deriver_create(struct repository *repository)
{
    struct deriver *deriver = memory_alloc_zeroed(1, sizeof(*deriver));
    deriver->repository = repository;
    return deriver;
}

static size_t block_bytes(const void *block)
{
    return block ? malloc_usable_size((void *)block) + sizeof(size_t) : 0;
}

/* But for the hash's table, which has a pointer or two for each. */
static size_t kept_bytes(const struct kept_run *run)
{
    const struct run_fields *fields = &run->fields;
    return block_bytes(run) + block_bytes(run->faults) + block_bytes(fields->start_time.bytes) +
           block_bytes(fields->end_time.bytes) + block_bytes(fields->status.bytes) + block_bytes(fields->own);
}

static void forget_run(struct deriver *deriver, struct kept_run *run)
{
    HASH_DEL(deriver->runs, run);
    deriver->run_bytes -= kept_bytes(run);
    run_fields_free(&run->fields);
    free(run->faults);
    free(run);
}

void deriver_free(struct deriver *deriver)
{
    struct kept_run *run, *next;
    if (!deriver)
        return;
    HASH_ITER(hh, deriver->runs, run, next)
    {
        forget_run(deriver, run);
    }
    while (deriver->known) {
        struct known_rules *known = deriver->known;
        deriver->known = known->next;
        field_set_free(known->rules.fields);
        run_plan_free(known->rules.plan);
        config_unref(known->rules.config);
        free(known);
    }
    free(deriver);
}

struct repository *deriver_repository(const struct deriver *deriver)
{
    return deriver->repository;
}

size_t deriver_bytes(const struct deriver *deriver)
{
    return deriver->run_bytes + deriver->rules_bytes;
}

void deriver_trim(struct deriver *deriver, size_t limit_bytes)
{
    while (deriver->runs && deriver_bytes(deriver) > limit_bytes)
        forget_run(deriver, deriver->runs);
}

/* ---- rules ---- */

/* The configuration in a blob; the built-in one where that is none. */
static int read_config(struct repository *repository, const struct object_id *file, struct config **config,
                       size_t *text_bytes)
{
    struct buffer text = {0};
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    size_t count;
    int error = object_id_is_none(file) ? -EFBIG : blob_read(repository, file, LIMIT_CONFIG_BYTES, &text);
    if (error == -EFBIG || (error == 0 && config_parse(buffer_slice(&text), config, faults, &count) != 0)) {
        *config = config_built_in();
        error = 0;
    }
    *text_bytes = text.length;
    buffer_free(&text);
    return error;
}

int deriver_rules(struct deriver *deriver, const struct object_id *source_tree, const struct rules **rules)
{
    struct tree_entry entry;
    struct object_id file = {{0}};
    struct config *config;
    size_t text_bytes;
    int error = tree_entry_of(deriver->repository, source_tree, CONFIG_FILE_NAME, &entry);
    if (error == 0 && S_ISREG(entry.mode))
        file = entry.id;
    else if (error && error != -ENOENT)
        return error;
    struct known_rules *known = deriver->known;
    while (known && !object_id_equal(&known->file, &file))
        known = known->next;
    if (!known) {
        error = read_config(deriver->repository, &file, &config, &text_bytes);
        if (error)
            return error;
        known = memory_alloc_zeroed(1, sizeof(*known));
        *known = (struct known_rules){.file = file, .next = deriver->known};
        known->rules.config = config;
        known->rules.plan = run_plan_create(config);
        known->rules.fields = field_set_create(config);
        deriver->known = known;
        deriver->rules_bytes += RULES_BYTES + text_bytes * RULES_BYTES_PER_BYTE;
    }
    *rules = &known->rules;
    return 0;
}

/* ---- places of runs ---- */

/* Two trees of one directory that are gone through side by side; one of them may be none. */
struct side_by_side {
    struct deriver *deriver;
    const struct rules *rules;
    change_visitor *visit;
    void *context;
    struct buffer path; /* of the directory in which they are */
};

static int look_in(struct side_by_side *look, const struct object_id *old_tree,
                   const struct object_id *new_tree);

/* A directory that is not the same in both. */
static int look_at(struct side_by_side *look, const char *name, const struct object_id *old_tree,
                   const struct object_id *new_tree)
{
    const struct config *config = look->rules->config;
    size_t length = look->path.length;
    int result = 0;
    if (length)
        buffer_append_byte(&look->path, '/');
    buffer_append_text(&look->path, name);
    const char *path = look->path.bytes;
    /* Of two layouts the one that goes on counts, as in a scan. */
    if (config_is_excluded(config, path))
        ;
    else if (config_leads_to_runs(config, path))
        result = look_in(look, old_tree, new_tree);
    else if (config_is_run_path(config, path))
        result = look->visit(path, old_tree, new_tree, look->context);
    look->path.length = length;
    look->path.bytes[length] = '\0';
    return result;
}

/* The next directory of a tree from at on. */
static const struct tree_entry *next_directory(const struct tree *tree, size_t *at)
{
    while (*at < tree->count &&
           (!S_ISDIR(tree->entries[*at].mode) || object_id_is_none(&tree->entries[*at].id)))
        ++*at;
    return *at < tree->count ? &tree->entries[*at] : NULL;
}

static int look_at_each(struct side_by_side *look, const struct tree *old_tree, const struct tree *new_tree)
{
    size_t old_at = 0, new_at = 0;
    int result = 0;
    while (result == 0) {
        const struct tree_entry *old_entry = next_directory(old_tree, &old_at);
        const struct tree_entry *new_entry = next_directory(new_tree, &new_at);
        if (!old_entry && !new_entry)
            break;
        int order = !old_entry   ? 1
                    : !new_entry ? -1
                                 : tree_name_compare(old_entry->name, true, new_entry->name, true);
        if (order <= 0)
            old_at++;
        if (order >= 0)
            new_at++;
        if (order == 0 && object_id_equal(&old_entry->id, &new_entry->id))
            continue;
        result = look_at(look, order <= 0 ? old_entry->name : new_entry->name,
                         order <= 0 ? &old_entry->id : NULL, order >= 0 ? &new_entry->id : NULL);
    }
    return result;
}

static int look_in(struct side_by_side *look, const struct object_id *old_id, const struct object_id *new_id)
{
    static const struct object_id none;
    struct tree *old_tree, *new_tree;
    int error = tree_read_differing(look->deriver->repository, old_id ? old_id : &none,
                                    new_id ? new_id : &none, &old_tree, &new_tree);
    if (error)
        return error;
    int result = look_at_each(look, old_tree, new_tree);
    free(old_tree);
    free(new_tree);
    return result;
}

int deriver_each_change(struct deriver *deriver, const struct rules *rules, const struct object_id *old_tree,
                        const struct object_id *new_tree, change_visitor *visit, void *context)
{
    struct side_by_side look = {.deriver = deriver, .rules = rules, .visit = visit, .context = context};
    if (object_id_equal(old_tree, new_tree))
        return 0;
    int result = look_in(&look, old_tree, new_tree);
    buffer_free(&look.path);
    return result;
}

struct each_place {
    place_visitor *visit;
    void *context;
};

static int visit_new(const char *path, const struct object_id *old_run_tree,
                     const struct object_id *new_run_tree, void *context)
{
    const struct each_place *each = context;
    (void)old_run_tree;
    return each->visit(path, new_run_tree, each->context);
}

int deriver_each_place(struct deriver *deriver, const struct rules *rules,
                       const struct object_id *source_tree, place_visitor *visit, void *context)
{
    static const struct object_id none;
    struct each_place each = {visit, context};
    return deriver_each_change(deriver, rules, &none, source_tree, visit_new, &each);
}

/* ---- one run ---- */

/* One of the plan's files, in the run's tree or a directory of it. 0 with content absent where it is not
 * there or is no file that is read, of which the state is told. */
static int read_file(struct deriver *deriver, const struct run_plan_file *file, const struct tree *tree,
                     size_t number, struct buffer *buffer, struct slice *content)
{
    struct run_state *state = &deriver->state;
    struct tree_entry found;
    const struct tree_entry *entry = tree_find(tree, file->directory ? file->directory : file->base);
    *content = SLICE_ABSENT;
    if (entry && file->directory) {
        int error = S_ISDIR(entry->mode) ? tree_entry_of(deriver->repository, &entry->id, file->base, &found)
                                         : -ENOENT;
        if (error && error != -ENOENT)
            return error;
        entry = error ? NULL : &found;
    }
    if (!entry)
        return 0;
    state->is_run = true;
    int error = S_ISREG(entry->mode)
                    ? blob_read(deriver->repository, &entry->id, LIMIT_RUN_FILE_BYTES, buffer)
                    : -EINVAL;
    if (error == 0)
        *content = buffer_slice(buffer);
    else if (error == -EFBIG || error == -EINVAL)
        state->faults[number].reason = run_file_fault(entry->mode & S_IFMT, -error);
    else
        return error;
    return 0;
}

/* Fills deriver->state, whose fields become the caller's. */
static int derive(struct deriver *deriver, const struct rules *rules, const struct object_id *run_tree)
{
    const struct run_plan *plan = rules->plan;
    struct buffer buffers[RUN_FILES_AT_MOST];
    struct slice contents[RUN_FILES_AT_MOST];
    struct tree *tree;
    int error = tree_read(deriver->repository, run_tree, &tree);
    if (error)
        return error;
    memset(buffers, 0, plan->file_count * sizeof(*buffers));
    deriver->state = (struct run_state){.file_count = plan->file_count};
    for (size_t i = 0; i < plan->file_count && error == 0; i++)
        error = read_file(deriver, &plan->files[i], tree, i, &buffers[i], &contents[i]);
    if (error == 0 && deriver->state.is_run)
        run_state_derive(plan, &deriver->state, contents);
    for (size_t i = 0; i < plan->file_count; i++)
        buffer_free(&buffers[i]);
    free(tree);
    return error;
}

static struct kept_run *keep(struct deriver *deriver, const struct run_key *key)
{
    const struct run_state *state = &deriver->state;
    if (HASH_COUNT(deriver->runs) >= KEPT_RUNS_AT_MOST)
        forget_run(deriver, deriver->runs);
    struct kept_run *run = memory_alloc_zeroed(1, sizeof(*run));
    run->key = *key;
    run->is_run = state->is_run;
    run->is_whole = state->is_whole;
    run->fields = state->fields;
    if (state->is_run && !state->is_whole) {
        run->faults = memory_alloc(state->file_count * sizeof(*run->faults));
        memcpy(run->faults, state->faults, state->file_count * sizeof(*run->faults));
    }
    HASH_ADD(hh, deriver->runs, key, sizeof(run->key), run);
    deriver->run_bytes += kept_bytes(run);
    return run;
}

int deriver_run(struct deriver *deriver, const struct rules *rules, const struct object_id *run_tree,
                const struct run_state **state)
{
    struct run_key key;
    struct kept_run *run;
    memset(&key, 0, sizeof(key));
    key.rules = rules;
    key.tree = *run_tree;
    *state = &deriver->state;
    HASH_FIND(hh, deriver->runs, &key, sizeof(key), run);
    if (run) {
        deriver->state = (struct run_state){.is_run = run->is_run,
                                            .is_whole = run->is_whole,
                                            .fields = run->fields,
                                            .file_count = rules->plan->file_count};
        if (run->faults)
            memcpy(deriver->state.faults, run->faults, deriver->state.file_count * sizeof(*run->faults));
        return 0;
    }
    int error = derive(deriver, rules, run_tree);
    if (error == 0)
        keep(deriver, &key);
    return error;
}
