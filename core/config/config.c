/*
 * What a configuration is made of and how it ends: its parts as they are put together, the last touch that
 * makes them quick to ask, its references.
 */
#include "core/config/config_internal.h"

#include "core/base/glob.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

void config_add_text(char ***texts, size_t *count, struct slice text)
{
    /* Room is doubled whenever the count is a power of two. */
    if ((*count & (*count - 1)) == 0)
        *texts = memory_resize(*texts, (*count ? 2 * *count : 1) * sizeof(**texts));
    (*texts)[(*count)++] = memory_copy_text(text.bytes, text.length);
}

void config_free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

unsigned config_intern_file(struct config *config, struct slice name)
{
    for (size_t i = 0; i < config->file_count; i++)
        if (slice_equal(slice_of(config->files[i]), name))
            return (unsigned)i;
    if (config->file_count == LIMIT_CONFIG_FILES)
        return LIMIT_CONFIG_FILES;
    config_add_text(&config->files, &config->file_count, name);
    return (unsigned)config->file_count - 1;
}

/* One step of a pointer: `~1` is '/' and `~0` is '~'. */
static struct slice unescape_step(struct slice step)
{
    char *bytes = memory_alloc(step.length + 1);
    size_t length = 0;

    for (size_t i = 0; i < step.length; i++) {
        if (step.bytes[i] == '~')
            bytes[length++] = step.bytes[++i] == '1' ? '/' : '~';
        else
            bytes[length++] = step.bytes[i];
    }
    bytes[length] = '\0';
    return (struct slice){bytes, length};
}

void config_add_source(struct config_field *field, unsigned file, struct slice pointer)
{
    struct config_source source = {.file = file};
    const char *end = pointer.bytes + pointer.length;

    for (const char *step = pointer.bytes; step < end;) {
        const char *slash = memchr(step + 1, '/', (size_t)(end - step) - 1);
        const char *step_end = slash ? slash : end;

        source.steps = memory_resize(source.steps, (source.step_count + 1) * sizeof(*source.steps));
        source.steps[source.step_count++] =
            unescape_step((struct slice){step + 1, (size_t)(step_end - step) - 1});
        step = step_end;
    }
    field->sources = memory_resize(field->sources, (field->source_count + 1) * sizeof(*field->sources));
    field->sources[field->source_count++] = source;
}

void config_free_sources(struct config_field *field)
{
    for (size_t i = 0; i < field->source_count; i++) {
        for (size_t j = 0; j < field->sources[i].step_count; j++)
            slice_free(&field->sources[i].steps[j]);
        free(field->sources[i].steps);
    }
    free(field->sources);
    field->sources = NULL;
    field->source_count = 0;
}

void config_add_layout(struct config *config, struct slice path)
{
    struct config_layout layout = {0};
    const char *component = path.bytes, *end = path.bytes + path.length;

    while (component <= end) {
        const char *slash = memchr(component, '/', (size_t)(end - component));
        const char *component_end = slash ? slash : end;

        config_add_text(&layout.components, &layout.depth,
                        (struct slice){component, (size_t)(component_end - component)});
        component = component_end + 1;
    }
    config->layouts = memory_resize(config->layouts, (config->layout_count + 1) * sizeof(*config->layouts));
    config->layouts[config->layout_count++] = layout;
}

void config_add_view(struct config *config, struct slice directory, struct slice field)
{
    config->views = memory_resize(config->views, (config->view_count + 1) * sizeof(*config->views));
    config->views[config->view_count++] = (struct config_view){
        .directory = memory_copy_text(directory.bytes, directory.length),
        .field = memory_copy_text(field.bytes, field.length),
    };
}

/* Those files that a source names stay, in the order of their first use. */
static void order_files(struct config *config)
{
    unsigned place[LIMIT_CONFIG_FILES];
    char **used = memory_alloc_zeroed(config->file_count, sizeof(*used));
    size_t used_count = 0;

    for (size_t i = 0; i < config->field_count; i++) {
        for (size_t j = 0; j < config->fields[i].source_count; j++) {
            unsigned *file = &config->fields[i].sources[j].file;

            if (config->files[*file]) {
                place[*file] = (unsigned)used_count;
                used[used_count++] = config->files[*file];
                config->files[*file] = NULL;
            }
            *file = place[*file];
        }
    }
    config_free_texts(config->files, config->file_count);
    config->files = used;
    config->file_count = used_count;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Plain paths are found by their order, not tried one by one. */
static void order_exclude(struct config *config)
{
    struct buffer plain = {0};

    for (size_t i = 0; i < config->exclude_count; i++) {
        char *pattern = config->exclude[i];

        if (!glob_is_plain(slice_of(pattern)))
            continue;
        buffer_clear(&plain);
        glob_unescape(&plain, slice_of(pattern));
        config->exclude[i] = config->exclude[config->exclude_plain_count];
        config->exclude[config->exclude_plain_count++] = memory_copy_text(plain.bytes, plain.length);
        free(pattern);
    }
    buffer_free(&plain);
    if (config->exclude_plain_count)
        qsort(config->exclude, config->exclude_plain_count, sizeof(*config->exclude), compare_texts);
}

static void append_number(struct buffer *buffer, size_t number)
{
    buffer_append_format(buffer, "%zu:", number);
}

static void append_counted(struct buffer *buffer, struct slice text)
{
    append_number(buffer, text.length);
    buffer_append_slice(buffer, text);
}

/* Every text with its length before it, so that no two configurations read alike. */
static uint64_t fingerprint_of(const struct config *config)
{
    struct buffer all = {0};

    for (size_t i = 0; i < config->field_count; i++) {
        const struct config_field *field = &config->fields[i];

        append_counted(&all, slice_of(field->name));
        append_number(&all, (size_t)field->type);
        append_number(&all, field->source_count);
        for (size_t j = 0; j < field->source_count; j++) {
            const struct config_source *source = &field->sources[j];

            append_counted(&all, slice_of(config->files[source->file]));
            append_number(&all, source->step_count);
            for (size_t k = 0; k < source->step_count; k++)
                append_counted(&all, source->steps[k]);
        }
    }
    uint64_t fingerprint = text_hash(buffer_slice(&all));
    buffer_free(&all);
    return fingerprint;
}

void config_finish(struct config *config)
{
    order_files(config);
    order_exclude(config);
    config->fingerprint = fingerprint_of(config);
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config)
{
    if (!config || atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) > 1)
        return;
    free(config->manifest_name);
    for (size_t i = 0; i < config->layout_count; i++)
        config_free_texts(config->layouts[i].components, config->layouts[i].depth);
    free(config->layouts);
    config_free_texts(config->tracked, config->tracked_count);
    config_free_texts(config->exclude, config->exclude_count);
    config_free_texts(config->files, config->file_count);
    for (size_t i = 0; i < config->field_count; i++) {
        free(config->fields[i].name);
        config_free_sources(&config->fields[i]);
    }
    free(config->fields);
    for (size_t i = 0; i < config->view_count; i++) {
        free(config->views[i].directory);
        free(config->views[i].field);
    }
    free(config->views);
    free(config);
}
