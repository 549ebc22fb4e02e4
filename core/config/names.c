/*
 * The names that have a meaning whatever the configuration says: fields that it can't take from elsewhere or
 * can't name again, and the words of the query language.
 */
#include "core/config/config_internal.h"

static const struct {
    struct slice name, long_name;
} built_in_names[] = {
    {SLICE_CONSTANT("start_time"), SLICE_CONSTANT("start_time")},
    {SLICE_CONSTANT("end_time"), SLICE_CONSTANT("end_time")},
    {SLICE_CONSTANT("verification_status"), SLICE_CONSTANT("verification_status")},
    {SLICE_CONSTANT("status"), SLICE_CONSTANT("verification_status")},
    {SLICE_CONSTANT("total_tokens_in"), SLICE_CONSTANT("total_tokens_in")},
    {SLICE_CONSTANT("tokens_in"), SLICE_CONSTANT("total_tokens_in")},
    {SLICE_CONSTANT("total_tokens_out"), SLICE_CONSTANT("total_tokens_out")},
    {SLICE_CONSTANT("tokens_out"), SLICE_CONSTANT("total_tokens_out")},
};

static const struct slice derived_fields[] = {
    SLICE_CONSTANT("run_id"), SLICE_CONSTANT("framework"), SLICE_CONSTANT("path"),
    SLICE_CONSTANT("tokens"), SLICE_CONSTANT("duration"),  SLICE_CONSTANT("day"),
};

static const struct slice query_words[] = {
    SLICE_CONSTANT("since"),   SLICE_CONSTANT("until"), SLICE_CONSTANT("has"),
    SLICE_CONSTANT("missing"), SLICE_CONSTANT("sort"),  SLICE_CONSTANT("limit"),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct slice config_long_name(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(built_in_names); i++)
        if (slice_equal(name, built_in_names[i].name))
            return built_in_names[i].long_name;
    return SLICE_ABSENT;
}

static bool is_among(struct slice name, const struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(name, names[i]))
            return true;
    return false;
}

bool config_is_derived_field(struct slice name)
{
    return is_among(name, derived_fields, COUNT_OF(derived_fields));
}

bool config_is_query_word(struct slice name)
{
    return is_among(name, query_words, COUNT_OF(query_words));
}

int config_find_field(const struct config *config, struct slice name)
{
    struct slice long_name = config_long_name(name);

    if (long_name.bytes)
        name = long_name;
    for (size_t i = 0; i < config->field_count; i++)
        if (slice_equal(slice_of(config->fields[i].name), name))
            return (int)i;
    return -1;
}

void config_offer_fields(const struct config *config, struct nearest *nearest)
{
    for (size_t i = 0; i < COUNT_OF(built_in_names); i++)
        nearest_offer(nearest, built_in_names[i].name);
    for (size_t i = 0; i < COUNT_OF(derived_fields); i++)
        nearest_offer(nearest, derived_fields[i]);
    for (size_t i = CONFIG_BUILT_IN_FIELDS; i < config->field_count; i++)
        nearest_offer(nearest, slice_of(config->fields[i].name));
}
