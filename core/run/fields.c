/*
 * Deriving fields: see fields.h. Each file is read once, as a stream. At every value the targets that begin
 * with the way to it are one range of the sorted list; where there are none, it is read over.
 */
#include "core/run/fields.h"

#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/json/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What was found for a source: absent where there is nothing of the field's type. */
struct value {
    struct slice text; /* owned */
    uint64_t count;    /* of CONFIG_COUNT */
    bool is_present;
};

/* The years 1 to 9999, in seconds since 1970. */
#define FIRST_EPOCH (-62135596800ll)
#define END_EPOCH 253402300800ll

/* So many, as most configurations have, are kept on the stack. */
#define FEW_SLOTS 32

struct reading {
    const struct run_plan *plan;
    const struct run_target *targets; /* of the file */
    struct json_reader reader;
    struct value *values; /* by slot */
};

/* ---- values of a type ---- */

static void set_text(struct value *value, struct slice text)
{
    value->text = slice_copy(text);
    value->is_present = true;
}

/* Seconds since 1970 as a time in UTC: "2025-10-15T08:50:59Z", with microseconds where there are any. */
static void set_epoch(struct value *value, struct slice raw)
{
    char digits[48], text[96];
    struct tm utc;

    if (raw.length >= sizeof(digits))
        return;
    memcpy(digits, raw.bytes, raw.length);
    digits[raw.length] = '\0';
    long double seconds = strtold(digits, NULL);
    if (!(seconds >= FIRST_EPOCH && seconds < END_EPOCH))
        return;
    int64_t whole = (int64_t)seconds - (seconds < (long double)(int64_t)seconds); /* rounded down */
    long microseconds = (long)((seconds - (long double)whole) * 1000000 + 0.5L);
    time_t at = (time_t)whole + microseconds / 1000000;
    microseconds %= 1000000;
    if (at >= END_EPOCH || !gmtime_r(&at, &utc))
        return;
    /* %Y of strftime has no leading zeros. */
    int length = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d", utc.tm_year + 1900,
                          utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    if (microseconds)
        snprintf(text + length, sizeof(text) - (size_t)length, ".%06ldZ", microseconds);
    else
        snprintf(text + length, sizeof(text) - (size_t)length, "Z");
    set_text(value, slice_of(text));
}

/* NaN and the infinities are numbers to Python, and to nobody who compares. */
static bool is_finite(struct slice raw)
{
    size_t at = raw.bytes[0] == '-';
    return at < raw.length && raw.bytes[at] >= '0' && raw.bytes[at] <= '9';
}

/* A string, a number, true or false; text is what the string says, or the spelling of all else. */
static void take(const struct reading *reading, const struct run_target *target, enum json_token token,
                 struct slice text)
{
    struct value *value = &reading->values[target->slot];
    bool is_number = token == JSON_INTEGER || token == JSON_FLOAT;

    switch (reading->plan->config->fields[target->field].type) {
    case CONFIG_TEXT:
        if (token == JSON_STRING || target->field >= CONFIG_BUILT_IN_FIELDS)
            set_text(value, text);
        break;
    case CONFIG_COUNT:
        value->is_present = token == JSON_INTEGER && json_count(text, &value->count);
        break;
    case CONFIG_NUMBER:
        if (is_number && is_finite(text))
            set_text(value, text);
        break;
    case CONFIG_TIME:
        if (token == JSON_STRING)
            set_text(value, text);
        break;
    case CONFIG_EPOCH:
        if (is_number && is_finite(text))
            set_epoch(value, text);
        break;
    }
}

/* ---- reading a file ---- */

/* Of duplicate members the last counts, whatever it is: what was said before is forgotten. */
static void forget(const struct reading *reading, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        struct value *value = &reading->values[reading->targets[i].slot];
        slice_free(&value->text);
        value->is_present = false;
    }
}

/* Of the targets from *first to *end those whose step at depth is this one. */
static void narrow(const struct reading *reading, size_t depth, struct slice step, size_t *first, size_t *end)
{
    size_t last = *end;

    while (*first < last && !slice_equal(reading->targets[*first].steps[depth], step))
        ++*first;
    for (*end = *first; *end < last && slice_equal(reading->targets[*end].steps[depth], step);)
        ++*end;
}

static int read_value(struct reading *reading, enum json_token token, size_t first, size_t end, size_t depth);

static int read_object(struct reading *reading, size_t first, size_t end, size_t depth)
{
    for (;;) {
        size_t from = first, to = end;
        int result;

        enum json_token token = json_next(&reading->reader);
        if (token == JSON_OBJECT_END)
            return 0;
        if (token == JSON_ERROR)
            return -EBADMSG;
        narrow(reading, depth, reading->reader.text, &from, &to);
        if (from < to) {
            forget(reading, from, to);
            result = read_value(reading, json_next(&reading->reader), from, to, depth + 1);
        } else {
            result = json_skip_next(&reading->reader, NULL);
        }
        if (result < 0)
            return result;
    }
}

static int read_array(struct reading *reading, size_t first, size_t end, size_t depth)
{
    for (size_t index = 0;; index++) {
        char digits[24];
        size_t from = first, to = end;

        enum json_token token = json_next(&reading->reader);
        if (token == JSON_ARRAY_END)
            return 0;
        if (token == JSON_ERROR)
            return -EBADMSG;
        snprintf(digits, sizeof(digits), "%zu", index);
        narrow(reading, depth, slice_of(digits), &from, &to);
        int result = from < to ? read_value(reading, token, from, to, depth + 1)
                               : json_skip_value(&reading->reader, token, NULL);
        if (result < 0)
            return result;
    }
}

/* Reads a value, of which the first token was just got: that of the targets from first to end, all of which
 * have at least `depth` steps, and the same ones so far. Those that end here stand first. */
static int read_value(struct reading *reading, enum json_token token, size_t first, size_t end, size_t depth)
{
    struct json_reader *reader = &reading->reader;
    size_t inner = first;

    while (inner < end && reading->targets[inner].step_count == depth)
        inner++;
    if (token == JSON_OBJECT_BEGIN && inner < end)
        return read_object(reading, inner, end, depth);
    if (token == JSON_ARRAY_BEGIN && inner < end)
        return read_array(reading, inner, end, depth);
    if (token == JSON_STRING) {
        for (size_t i = first; i < inner; i++)
            take(reading, &reading->targets[i], token, reader->text);
    } else if (token == JSON_INTEGER || token == JSON_FLOAT || token == JSON_TRUE || token == JSON_FALSE) {
        struct slice raw = {reader->input.bytes + reader->token_start,
                            reader->position - reader->token_start};
        for (size_t i = first; i < inner; i++)
            take(reading, &reading->targets[i], token, raw);
    }
    return json_skip_value(reader, token, NULL);
}

static int set_fault(struct run_fault *fault, struct slice content, size_t position, const char *reason)
{
    fault->reason = reason;
    if (content.length)
        json_position(content, position, &fault->line, &fault->column);
    return -EBADMSG;
}

/* Reads one file into the values of its targets, which stay absent where it is absent or faulty. */
static int read_content(const struct run_plan *plan, size_t file, struct slice content, struct value *values,
                        struct run_fault *fault)
{
    struct reading reading = {.plan = plan, .targets = plan->files[file].targets, .values = values};
    size_t count = plan->files[file].target_count;
    int result;

    *fault = (struct run_fault){0};
    if (!content.bytes)
        return 0;
    json_reader_init(&reading.reader, content);
    enum json_token token = json_next(&reading.reader);
    size_t start = reading.reader.token_start;
    if (token == JSON_OBJECT_BEGIN)
        result = read_object(&reading, 0, count, 0);
    else
        result = json_skip_value(&reading.reader, token, NULL);
    if (result == 0 && json_next(&reading.reader) != JSON_END)
        result = -EBADMSG;
    if (result < 0)
        set_fault(fault, content, reading.reader.position, reading.reader.error);
    else if (token != JSON_OBJECT_BEGIN)
        result = set_fault(fault, content, start, "not an object");
    json_reader_finish(&reading.reader);
    if (result < 0)
        forget(&reading, 0, count);
    return result;
}

/* ---- fields ---- */

/* The first source of the field that has a value; NULL for none. */
static struct value *first_value(const struct run_plan *plan, unsigned field, struct value *values)
{
    for (unsigned slot = plan->first_slots[field]; slot < plan->first_slots[field + 1]; slot++)
        if (values[slot].is_present)
            return &values[slot];
    return NULL;
}

static struct slice take_text(const struct run_plan *plan, unsigned field, struct value *values)
{
    struct value *value = first_value(plan, field, values);
    if (!value)
        return SLICE_ABSENT;
    struct slice text = value->text;
    value->text = SLICE_ABSENT;
    return text;
}

static uint64_t count_of(const struct run_plan *plan, unsigned field, struct value *values)
{
    const struct value *value = first_value(plan, field, values);
    return value ? value->count : 0;
}

struct run_own *run_own_copy(const struct slice *values, size_t count)
{
    size_t bytes = 0;

    if (count == 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].bytes ? values[i].length + 1 : 0;
    struct run_own *own = memory_alloc(sizeof(*own) + count * sizeof(*own->values) + bytes);
    char *at = (char *)&own->values[count];
    own->count = count;
    for (size_t i = 0; i < count; i++) {
        own->values[i] = SLICE_ABSENT;
        if (!values[i].bytes)
            continue;
        memcpy(at, values[i].bytes, values[i].length);
        at[values[i].length] = '\0';
        own->values[i] = (struct slice){at, values[i].length};
        at += values[i].length + 1;
    }
    return own;
}

static struct run_own *own_values(const struct run_plan *plan, struct value *values)
{
    struct slice texts[LIMIT_CONFIG_FIELDS];

    for (unsigned i = 0; i < plan->own_count; i++) {
        const struct value *value = first_value(plan, CONFIG_BUILT_IN_FIELDS + i, values);
        texts[i] = value ? value->text : SLICE_ABSENT;
    }
    return run_own_copy(texts, plan->own_count);
}

int run_fields_derive(const struct run_plan *plan, const struct slice *contents, struct run_fields *fields,
                      struct run_fault *faults)
{
    size_t slot_count = plan->first_slots[plan->config->field_count];
    struct value few[FEW_SLOTS], *values = few;
    int result = 0;

    if (slot_count > FEW_SLOTS)
        values = memory_alloc(slot_count * sizeof(*values));
    memset(values, 0, slot_count * sizeof(*values));

    for (size_t file = 0; file < plan->file_count; file++) {
        int of_file = read_content(plan, file, contents[file], values, &faults[file]);
        result = result < 0 ? result : of_file;
    }
    fields->start_time = take_text(plan, CONFIG_START_TIME, values);
    fields->end_time = take_text(plan, CONFIG_END_TIME, values);
    fields->status = take_text(plan, CONFIG_STATUS, values);
    if (!fields->status.bytes)
        fields->status = slice_copy(SLICE_LITERAL("pending"));
    fields->tokens_in = count_of(plan, CONFIG_TOKENS_IN, values);
    fields->tokens_out = count_of(plan, CONFIG_TOKENS_OUT, values);
    fields->own = own_values(plan, values);
    for (size_t slot = 0; slot < slot_count; slot++)
        slice_free(&values[slot].text);
    if (values != few)
        free(values);
    return result;
}

static bool own_equal(const struct run_own *a, const struct run_own *b)
{
    if (!a || !b || a->count != b->count)
        return a == b;
    for (size_t i = 0; i < a->count; i++)
        if (!slice_equal(a->values[i], b->values[i]))
            return false;
    return true;
}

bool run_fields_equal(const struct run_fields *a, const struct run_fields *b)
{
    return slice_equal(a->start_time, b->start_time) && slice_equal(a->end_time, b->end_time) &&
           slice_equal(a->status, b->status) && a->tokens_in == b->tokens_in &&
           a->tokens_out == b->tokens_out && own_equal(a->own, b->own);
}

void run_fields_free(struct run_fields *fields)
{
    slice_free(&fields->start_time);
    slice_free(&fields->end_time);
    slice_free(&fields->status);
    free(fields->own);
    *fields = (struct run_fields){0};
}
