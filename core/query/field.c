/*
 * Fields by name, and their values: see field.h.
 */
#include "core/query/field.h"
#include "core/base/nearest.h"
#include "core/query/moment.h"
#include <inttypes.h>
#include <time.h>

static const struct field built_in[] = {
    {"run_id", FIELD_TEXT, FIELD_RUN_ID},
    {"framework", FIELD_TEXT, FIELD_FRAMEWORK},
    {"path", FIELD_TEXT, FIELD_PATH},
    {"start_time", FIELD_TIME, FIELD_START_TIME},
    {"end_time", FIELD_TIME, FIELD_END_TIME},
    {"status", FIELD_TEXT, FIELD_STATUS},
    {"tokens_in", FIELD_NUMBER, FIELD_TOKENS_IN},
    {"tokens_out", FIELD_NUMBER, FIELD_TOKENS_OUT},
    {"tokens", FIELD_NUMBER, FIELD_TOKENS},
    {"duration", FIELD_NUMBER, FIELD_DURATION},
    {"day", FIELD_TEXT, FIELD_DAY},
    {"verification_status", FIELD_TEXT, FIELD_STATUS},
    {"total_tokens_in", FIELD_NUMBER, FIELD_TOKENS_IN},
    {"total_tokens_out", FIELD_NUMBER, FIELD_TOKENS_OUT},
};

const struct field_set *field_set_built_in(void)
{
    static const struct field_set set = {built_in, sizeof(built_in) / sizeof(*built_in)};
    return &set;
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
    return nearest.best.bytes;
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
    buffer_append_slice(scratch, run_framework(run));
    buffer_append_byte(scratch, '/');
    buffer_append_slice(scratch, run->name);
    return text_value(buffer_slice(scratch));
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
    }
    return (struct field_value){0};
}
