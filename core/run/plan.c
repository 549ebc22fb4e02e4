/*
 * Compiling a configuration's fields: see plan.h.
 */
#include "core/run/plan.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

static int compare_targets(const void *first, const void *second)
{
    const struct run_target *a = first, *b = second;

    for (size_t i = 0; i < a->step_count && i < b->step_count; i++) {
        int order = slice_compare(a->steps[i], b->steps[i]);
        if (order != 0)
            return order;
    }
    return (a->step_count > b->step_count) - (a->step_count < b->step_count);
}

static void add_target(struct run_plan *plan, unsigned field, const struct config_source *source,
                       unsigned slot)
{
    struct run_plan_file *file = &plan->files[source->file];

    file->targets = memory_resize(file->targets, (file->target_count + 1) * sizeof(*file->targets));
    file->targets[file->target_count++] = (struct run_target){source->steps, source->step_count, field, slot};
}

static void name_file(struct run_plan_file *file, const char *name)
{
    const char *slash = strrchr(name, '/');

    file->name = name;
    file->base = slash ? slash + 1 : name;
    file->directory = slash ? memory_copy_text(name, (size_t)(slash - name)) : NULL;
}

struct run_plan *run_plan_create(struct config *config)
{
    struct run_plan *plan = memory_alloc_zeroed(1, sizeof(*plan));
    unsigned slot = 0;

    plan->config = config_ref(config);
    plan->file_count = config->file_count;
    plan->own_count = config->field_count - CONFIG_BUILT_IN_FIELDS;
    plan->files = memory_alloc_zeroed(plan->file_count + 1, sizeof(*plan->files));
    plan->first_slots = memory_alloc((config->field_count + 1) * sizeof(*plan->first_slots));
    for (size_t i = 0; i < plan->file_count; i++)
        name_file(&plan->files[i], config->files[i]);
    for (size_t i = 0; i < plan->file_count; i++)
        plan->has_directories |= plan->files[i].directory != NULL;
    for (unsigned field = 0; field < config->field_count; field++) {
        plan->first_slots[field] = slot;
        for (size_t i = 0; i < config->fields[field].source_count; i++)
            add_target(plan, field, &config->fields[field].sources[i], slot++);
    }
    plan->first_slots[config->field_count] = slot;
    for (size_t i = 0; i < plan->file_count; i++)
        if (plan->files[i].target_count > 0)
            qsort(plan->files[i].targets, plan->files[i].target_count, sizeof(*plan->files[i].targets),
                  compare_targets);
    return plan;
}

void run_plan_free(struct run_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->file_count; i++) {
        free(plan->files[i].targets);
        free(plan->files[i].directory);
    }
    free(plan->files);
    free(plan->first_slots);
    config_unref(plan->config);
    free(plan);
}

int run_plan_find(const struct run_plan *plan, const char *directory, const char *name)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct run_plan_file *file = &plan->files[i];
        bool is_there =
            directory ? file->directory && strcmp(file->directory, directory) == 0 : !file->directory;
        if (is_there && strcmp(file->base, name) == 0)
            return (int)i;
    }
    return -1;
}

bool run_plan_has_directory(const struct run_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->file_count; i++)
        if (plan->files[i].directory && strcmp(plan->files[i].directory, name) == 0)
            return true;
    return false;
}
