/*
 * The table of spec section 2, as data: which members of which file are looked at, and which of them a field
 * is taken from first. Files are read as a stream; nothing of them is kept but the values of these members.
 */
#include "core/run/fields.h"

#include "core/json/reader.h"

#include <errno.h>

enum text_slot {
    TEXT_START_TIMESTAMP,
    TEXT_START_TIME,
    TEXT_END_TIMESTAMP,
    TEXT_END_TIME,
    TEXT_RECONCILED_STATUS,
    TEXT_STATUS,
    TEXT_SLOTS,
};

enum count_slot { COUNT_SUM_IN, COUNT_SUM_OUT, COUNT_TOTAL_IN, COUNT_TOTAL_OUT, COUNT_SLOTS };

/* What one file says: of each member its last value, where that is of the member's type. */
struct values {
    struct slice texts[TEXT_SLOTS];
    uint64_t counts[COUNT_SLOTS];
    bool has_count[COUNT_SLOTS];
};

struct member {
    enum { MEMBER_TEXT, MEMBER_COUNT, MEMBER_OBJECT } type;
    struct slice name; /* absent at the end of a table */
    unsigned slot;
    const struct member *inner; /* of an object */
};

static const struct member reconciliation_members[] = {
    {MEMBER_TEXT, SLICE_CONSTANT("verification_status"), TEXT_RECONCILED_STATUS, NULL},
    {0},
};

static const struct member aggregate_members[] = {
    {MEMBER_COUNT, SLICE_CONSTANT("TOK_IN"), COUNT_SUM_IN, NULL},
    {MEMBER_COUNT, SLICE_CONSTANT("TOK_OUT"), COUNT_SUM_OUT, NULL},
    {0},
};

static const struct member metrics_members[] = {
    {MEMBER_TEXT, SLICE_CONSTANT("start_timestamp"), TEXT_START_TIMESTAMP, NULL},
    {MEMBER_TEXT, SLICE_CONSTANT("start_time"), TEXT_START_TIME, NULL},
    {MEMBER_TEXT, SLICE_CONSTANT("end_timestamp"), TEXT_END_TIMESTAMP, NULL},
    {MEMBER_TEXT, SLICE_CONSTANT("end_time"), TEXT_END_TIME, NULL},
    {MEMBER_OBJECT, SLICE_CONSTANT("usage_api_reconciliation"), 0, reconciliation_members},
    {MEMBER_TEXT, SLICE_CONSTANT("verification_status"), TEXT_STATUS, NULL},
    {MEMBER_OBJECT, SLICE_CONSTANT("aggregate_metrics"), 0, aggregate_members},
    {MEMBER_COUNT, SLICE_CONSTANT("total_tokens_in"), COUNT_TOTAL_IN, NULL},
    {MEMBER_COUNT, SLICE_CONSTANT("total_tokens_out"), COUNT_TOTAL_OUT, NULL},
    {0},
};

static const struct member metadata_members[] = {
    {MEMBER_TEXT, SLICE_CONSTANT("start_time"), TEXT_START_TIME, NULL},
    {MEMBER_TEXT, SLICE_CONSTANT("end_time"), TEXT_END_TIME, NULL},
    {0},
};

/* Forgets what was said of a member, and of all that is in it. */
static void forget(const struct member *member, struct values *values)
{
    switch (member->type) {
    case MEMBER_TEXT:
        slice_free(&values->texts[member->slot]);
        break;
    case MEMBER_COUNT:
        values->has_count[member->slot] = false;
        break;
    case MEMBER_OBJECT:
        for (const struct member *inner = member->inner; inner->name.bytes; inner++)
            forget(inner, values);
        break;
    }
}

static int read_members(struct json_reader *reader, const struct member *members, struct values *values);

/* Reads the value of a member that is looked at. The last of duplicates counts, whatever it is. */
static int read_member(struct json_reader *reader, const struct member *member, struct values *values)
{
    struct slice raw;

    forget(member, values);
    if (member->type == MEMBER_COUNT) {
        if (json_skip_next(reader, &raw) < 0)
            return -EBADMSG;
        values->has_count[member->slot] = json_count(raw, &values->counts[member->slot]);
        return 0;
    }
    enum json_token token = json_next(reader);
    if (member->type == MEMBER_OBJECT && token == JSON_OBJECT_BEGIN)
        return read_members(reader, member->inner, values);
    if (member->type == MEMBER_TEXT && token == JSON_STRING)
        values->texts[member->slot] = slice_copy(reader->text);
    return json_skip_value(reader, token, NULL);
}

/* Reads to the end of an object that has just begun. */
static int read_members(struct json_reader *reader, const struct member *members, struct values *values)
{
    for (;;) {
        const struct member *member = members;
        int result;

        enum json_token token = json_next(reader);
        if (token == JSON_OBJECT_END)
            return 0;
        if (token == JSON_ERROR)
            return -EBADMSG;
        while (member->name.bytes && !slice_equal(member->name, reader->text))
            member++;
        if (member->name.bytes)
            result = read_member(reader, member, values);
        else
            result = json_skip_next(reader, NULL);
        if (result < 0)
            return result;
    }
}

static void values_free(struct values *values)
{
    for (size_t i = 0; i < TEXT_SLOTS; i++)
        slice_free(&values->texts[i]);
}

static int set_fault(struct run_fault *fault, struct slice content, size_t position, const char *reason)
{
    fault->reason = reason;
    if (content.length)
        json_position(content, position, &fault->line, &fault->column);
    return -EBADMSG;
}

/* Reads one file into values, which are those of {} where it is absent or faulty. */
static int read_content(struct slice content, const struct member *members, struct values *values,
                        struct run_fault *fault)
{
    struct json_reader reader;
    int result;

    *values = (struct values){0};
    *fault = (struct run_fault){0};
    if (!content.bytes)
        return 0;
    json_reader_init(&reader, content);
    enum json_token token = json_next(&reader);
    size_t start = reader.token_start;
    if (token == JSON_OBJECT_BEGIN)
        result = read_members(&reader, members, values);
    else
        result = json_skip_value(&reader, token, NULL);
    if (result == 0 && json_next(&reader) != JSON_END)
        result = -EBADMSG;
    if (result < 0)
        set_fault(fault, content, reader.position, reader.error);
    else if (token != JSON_OBJECT_BEGIN)
        result = set_fault(fault, content, start, "not an object");
    json_reader_finish(&reader);
    if (result < 0) {
        values_free(values);
        *values = (struct values){0};
    }
    return result;
}

/* Moves the first of the texts that is there to field; the others stay where they are. */
static void take_first_text(struct slice *field, struct slice *const candidates[], size_t count)
{
    *field = SLICE_ABSENT;
    for (size_t i = 0; i < count && !field->bytes; i++) {
        *field = *candidates[i];
        *candidates[i] = SLICE_ABSENT;
    }
}

static uint64_t first_count(const struct values *values, enum count_slot first, enum count_slot second)
{
    if (values->has_count[first])
        return values->counts[first];
    return values->has_count[second] ? values->counts[second] : 0;
}

int run_fields_derive(struct slice metrics, struct slice metadata, struct run_fields *fields,
                      struct run_fault *metrics_fault, struct run_fault *metadata_fault)
{
    struct values from_metrics, from_metadata;
    int metrics_result = read_content(metrics, metrics_members, &from_metrics, metrics_fault);
    int metadata_result = read_content(metadata, metadata_members, &from_metadata, metadata_fault);

    struct slice *const start_times[] = {&from_metrics.texts[TEXT_START_TIMESTAMP],
                                         &from_metrics.texts[TEXT_START_TIME],
                                         &from_metadata.texts[TEXT_START_TIME]};
    struct slice *const end_times[] = {&from_metrics.texts[TEXT_END_TIMESTAMP],
                                       &from_metrics.texts[TEXT_END_TIME],
                                       &from_metadata.texts[TEXT_END_TIME]};
    struct slice *const statuses[] = {&from_metrics.texts[TEXT_RECONCILED_STATUS],
                                      &from_metrics.texts[TEXT_STATUS]};

    take_first_text(&fields->start_time, start_times, 3);
    take_first_text(&fields->end_time, end_times, 3);
    take_first_text(&fields->status, statuses, 2);
    if (!fields->status.bytes)
        fields->status = slice_copy(SLICE_LITERAL("pending"));
    fields->tokens_in = first_count(&from_metrics, COUNT_SUM_IN, COUNT_TOTAL_IN);
    fields->tokens_out = first_count(&from_metrics, COUNT_SUM_OUT, COUNT_TOTAL_OUT);
    values_free(&from_metrics);
    values_free(&from_metadata);
    return metrics_result < 0 ? metrics_result : metadata_result;
}

bool run_fields_equal(const struct run_fields *a, const struct run_fields *b)
{
    return slice_equal(a->start_time, b->start_time) && slice_equal(a->end_time, b->end_time) &&
           slice_equal(a->status, b->status) && a->tokens_in == b->tokens_in &&
           a->tokens_out == b->tokens_out;
}

void run_fields_free(struct run_fields *fields)
{
    slice_free(&fields->start_time);
    slice_free(&fields->end_time);
    slice_free(&fields->status);
    *fields = (struct run_fields){0};
}
