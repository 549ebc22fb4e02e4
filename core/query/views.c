/*
 * The views of a configuration, as an index wants to be told of them.
 */
#include "core/query/views.h"

static struct slice view_text(const struct run *run, size_t view, struct buffer *scratch, void *context)
{
    const struct query_views *views = context;
    struct field_value value = field_value_of(views->fields[view], run, true, scratch);
    return value.is_present ? value.text : SLICE_ABSENT;
}

void query_views_configure(struct query_views *views, struct index *index, const struct run_plan *plan,
                           const struct field_set *fields, const char *source_name)
{
    const struct config *config = plan->config;
    struct index_view own[LIMIT_CONFIG_VIEWS];
    size_t count = 0;
    for (size_t i = FACET_BUILT_IN; i < config->view_count; i++) {
        own[count] = (struct index_view){config->views[i].directory, config->views[i].field};
        views->fields[count++] = field_find(fields, slice_of(config->views[i].field));
    }
    struct index_setup setup = {
        .source_name = slice_of(source_name),
        .file_count = plan->file_count,
        .view_count = count,
        .views = own,
        .view_text = view_text,
        .context = views,
    };
    index_configure(index, &setup);
}
