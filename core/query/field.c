/*
 * Fields by name, and their values: see field.h.
 */
#include "core/query/field.h"
#include "core/base/memory.h"
#include "core/base/nearest.h"
#include "core/query/moment.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct field built_in[] = {
    {"run_id", FIELD_TEXT, FIELD_RUN_ID, 0},
    {"framework", FIELD_TEXT, FIELD_FRAMEWORK, 0},
    {"path", FIELD_TEXT, FIELD_PATH, 0},
    {"start_time", FIELD_TIME, FIELD_START_TIME, 0},
    {"end_time", FIELD_TIME, FIELD_END_TIME, 0},
    {"status", FIELD_TEXT, FIELD_STATUS, 0},
    {"tokens_in", FIELD_NUMBER, FIELD_TOKENS_IN, 0},
    {"tokens_out", FIELD_NUMBER, FIELD_TOKENS_OUT, 0},
    {"tokens", FIELD_NUMBER, FIELD_TOKENS, 0},
    {"duration", FIELD_NUMBER, FIELD_DURATION, 0},
    {"day", FIELD_TEXT, FIELD_DAY, 0},
    {"verification_status", FIELD_TEXT, FIELD_STATUS, 0},
    {"total_tokens_in", FIELD_NUMBER, FIELD_TOKENS_IN, 0},
    {"total_tokens_out", FIELD_NUMBER, FIELD_TOKENS_OUT, 0},
};

const struct field_set *field_set_built_in(void)
{
    static const struct field_set set = {built_in, sizeof(built_in) / sizeof(*built_in)};
    return &set;
}

static enum field_type type_of(enum config_type type)
{
    switch (type) {
    case CONFIG_COUNT:
    case CONFIG_NUMBER:
        return FIELD_NUMBER;
    case CONFIG_TIME:
    case CONFIG_EPOCH:
        return FIELD_TIME;
    case CONFIG_TEXT:
        break;
    }
    return FIELD_TEXT;
}

struct field_set *field_set_create(const struct config *config)
{
    struct field_set *set = memory_alloc(sizeof(*set));
    const struct field_set *base = field_set_built_in();
    size_t own_count = config->field_count - CONFIG_BUILT_IN_FIELDS;
    struct field *fields = memory_alloc((base->count + own_count) * sizeof(*fields));
    memcpy(fields, base->fields, base->count * sizeof(*fields));
    for (size_t i = 0; i < own_count; i++) {
        const struct config_field *own = &config->fields[CONFIG_BUILT_IN_FIELDS + i];
        fields[base->count + i] = (struct field){own->name, type_of(own->type), FIELD_OWN, i};
    }
    *set = (struct field_set){fields, base->count + own_count};
    return set;
}

void field_set_free(struct field_set *fields)
{
    if (fields)
        free((void *)fields->fields);
    free(fields);
}

const struct field *field_find(const struct field_set *fields, struct slice name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (slice_equal(slice_of(fields->fields[i].name), name))
            return &fields->fields[i];
    return NULL;
}

const char *field_nearest(const struct field_set *fields, struct slice name)
{
    struct nearest nearest = {.name = name};
    for (size_t i = 0; i < fields->count; i++)
        nearest_offer(&nearest, slice_of(fields->fields[i].name));
    return nearest.best.bytes; /* of a whole name, and so ends with a NUL */
}

/* ---- values ---- */

static struct field_value text_value(struct slice text)
{
    return (struct field_value){.is_present = text.bytes != NULL, .text = text};
}

static struct field_value time_value(struct slice text)
{
    struct field_value value = text_value(text);
    int64_t microseconds = 0;
    value.is_number = text.bytes && moment_parse(text, &microseconds) == 0;
    value.number = microseconds;
    return value;
}

static struct field_value number_value(int64_t number, bool with_text, struct buffer *scratch)
{
    struct field_value value = {.is_present = true, .is_number = true, .number = number};
    if (with_text) {
        buffer_clear(scratch);
        buffer_append_format(scratch, "%" PRId64, number);
        value.text = buffer_slice(scratch);
    }
    return value;
}

static struct field_value path_value(const struct run *run, struct buffer *scratch)
{
    buffer_clear(scratch);
    run_append_path(run, scratch);
    return text_value(buffer_slice(scratch));
}

/* A number is kept as it was spelled. */
static struct field_value own_value(const struct field *field, const struct run *run)
{
    const struct run_own *own = run->fields.own;
    struct slice text = own && field->own < own->count ? own->values[field->own] : SLICE_ABSENT;
    struct field_value value = field->type == FIELD_TIME ? time_value(text) : text_value(text);
    if (field->type == FIELD_NUMBER && text.bytes) {
        value.is_number = true;
        value.number = strtold(text.bytes, NULL);
    }
    return value;
}

static struct field_value duration_value(const struct run *run, bool with_text, struct buffer *scratch)
{
    int64_t start, end;
    if (moment_parse(run->fields.start_time, &start) != 0 || moment_parse(run->fields.end_time, &end) != 0)
        return (struct field_value){0};
    return number_value(moment_seconds(end - start), with_text, scratch);
}

static struct field_value day_value(const struct run *run, struct buffer *scratch)
{
    int64_t start;
    if (moment_parse(run->fields.start_time, &start) != 0)
        return (struct field_value){0};
    time_t seconds = moment_seconds(start);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    buffer_clear(scratch);
    buffer_append_format(scratch, "%04d-%02d-%02d", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
    return text_value(buffer_slice(scratch));
}

struct field_value field_value_of(const struct field *field, const struct run *run, bool with_text,
                                  struct buffer *scratch)
{
    const struct run_fields *fields = &run->fields;
    switch (field->kind) {
    case FIELD_RUN_ID:
        return text_value(run->name);
    case FIELD_FRAMEWORK:
        return text_value(run_framework(run));
    case FIELD_PATH:
        return path_value(run, scratch);
    case FIELD_START_TIME:
        return time_value(fields->start_time);
    case FIELD_END_TIME:
        return time_value(fields->end_time);
    case FIELD_STATUS:
        return text_value(fields->status);
    case FIELD_TOKENS_IN:
        return number_value((int64_t)fields->tokens_in, with_text, scratch);
    case FIELD_TOKENS_OUT:
        return number_value((int64_t)fields->tokens_out, with_text, scratch);
    case FIELD_TOKENS:
        return number_value((int64_t)(fields->tokens_in + fields->tokens_out), with_text, scratch);
    case FIELD_DURATION:
        return duration_value(run, with_text, scratch);
    case FIELD_DAY:
        return day_value(run, scratch);
    case FIELD_OWN:
        return own_value(field, run);
    }
    return (struct field_value){0};
}
