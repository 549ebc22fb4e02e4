/*
 * The configuration of a source that has none: the table of spec section 2, as data.
 */
#include "core/config/config_internal.h"

#include "core/base/memory.h"

#include <string.h>

#define METRICS "metrics.json"
#define METADATA "metadata.json"
#define SOURCES_AT_MOST 3

struct built_in_source {
    const char *file; /* NULL behind the last one */
    const char *pointer;
};

static const struct built_in_field {
    const char *name;
    enum config_type type;
    struct built_in_source sources[SOURCES_AT_MOST + 1];
} built_in_fields[CONFIG_BUILT_IN_FIELDS] = {
    [CONFIG_START_TIME] = {"start_time",
                           CONFIG_TIME,
                           {{METRICS, "/start_timestamp"},
                            {METRICS, "/start_time"},
                            {METADATA, "/start_time"}}},
    [CONFIG_END_TIME] = {"end_time",
                         CONFIG_TIME,
                         {{METRICS, "/end_timestamp"}, {METRICS, "/end_time"}, {METADATA, "/end_time"}}},
    [CONFIG_STATUS] = {"verification_status",
                       CONFIG_TEXT,
                       {{METRICS, "/usage_api_reconciliation/verification_status"},
                        {METRICS, "/verification_status"}}},
    [CONFIG_TOKENS_IN] = {"total_tokens_in",
                          CONFIG_COUNT,
                          {{METRICS, "/aggregate_metrics/TOK_IN"}, {METRICS, "/total_tokens_in"}}},
    [CONFIG_TOKENS_OUT] = {"total_tokens_out",
                           CONFIG_COUNT,
                           {{METRICS, "/aggregate_metrics/TOK_OUT"}, {METRICS, "/total_tokens_out"}}},
};

static const char *const built_in_tracked[] = {METRICS, METADATA, "commit.txt", "*.md"};

static void add_field(struct config *config, const struct built_in_field *built_in)
{
    struct config_field *field = &config->fields[config->field_count++];

    field->name = memory_copy_text(built_in->name, strlen(built_in->name));
    field->type = built_in->type;
    for (const struct built_in_source *source = built_in->sources; source->file; source++)
        config_add_source(field, config_intern_file(config, slice_of(source->file)),
                          slice_of(source->pointer));
}

struct config *config_new(void)
{
    struct config *config = memory_alloc_zeroed(1, sizeof(*config));

    atomic_init(&config->references, 1);
    config_add_layout(config, SLICE_LITERAL("*/*"));
    for (size_t i = 0; i < sizeof(built_in_tracked) / sizeof(built_in_tracked[0]); i++)
        config_add_text(&config->tracked, &config->tracked_count, slice_of(built_in_tracked[i]));
    config->fields = memory_alloc_zeroed(LIMIT_CONFIG_FIELDS, sizeof(*config->fields));
    for (size_t i = 0; i < CONFIG_BUILT_IN_FIELDS; i++)
        add_field(config, &built_in_fields[i]);
    config_add_view(config, SLICE_LITERAL("by-status"), SLICE_LITERAL("verification_status"));
    config_add_view(config, SLICE_LITERAL("by-framework"), SLICE_LITERAL("framework"));
    return config;
}

struct config *config_built_in(void)
{
    struct config *config = config_new();

    config_finish(config);
    return config;
}
