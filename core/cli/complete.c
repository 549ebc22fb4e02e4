/*
 * Candidates for queries: the names of fields, then the values that occur in them.
 */
#include "core/cli/complete.h"
#include "core/base/memory.h"
#include "core/query/moment.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

void candidates_add(struct candidates *candidates, struct slice candidate, struct slice about)
{
    struct slice typed = candidates->typed;
    if (candidate.length < typed.length || memcmp(candidate.bytes, typed.bytes, typed.length) != 0 ||
        memchr(candidate.bytes, '\n', candidate.length) || memchr(candidate.bytes, '\t', candidate.length))
        return;
    buffer_append_slice(&candidates->lines, candidate);
    if (about.bytes && !memchr(about.bytes, '\n', about.length)) {
        buffer_append_byte(&candidates->lines, '\t');
        buffer_append_slice(&candidates->lines, about);
    }
    buffer_append_byte(&candidates->lines, '\n');
}

/* ---- the language ---- */

static const struct {
    const char *form, *about;
} forms[] = {
    {"since=", "started at or after"},
    {"until=", "started at or before"},
    {"sort=", "by a field; -FIELD from the top"},
    {"limit=", "at most so many runs"},
    {"has=", "the field is there"},
    {"missing=", "the field is not there"},
};

/* Before a field's name; offered once something is typed, or there would be too many. */
static const struct {
    struct slice prefix;
    const char *about;
    bool is_of_text, is_of_order;
} prefixes[] = {
    {SLICE_CONSTANT("not_"), "differs from", true, true},
    {SLICE_CONSTANT("min_"), "at least", false, true},
    {SLICE_CONSTANT("max_"), "at most", false, true},
    {SLICE_CONSTANT("starts_"), "begins with", true, false},
    {SLICE_CONSTANT("ends_"), "ends with", true, false},
    {SLICE_CONSTANT("contains_"), "has in it", true, false},
};
#define PREFIX_COUNT (sizeof(prefixes) / sizeof(*prefixes))

/* A word taken apart: what stays (predicates before, or all up to a value), and what is to be completed. */
struct word {
    struct slice head, predicate;
    struct slice left; /* of the predicate's '='; absent where it has none */
};

static struct word take_apart(struct slice typed)
{
    struct word word = {.predicate = typed};
    for (size_t i = typed.length; i > 0; i--) {
        if (typed.bytes[i - 1] != ',' && typed.bytes[i - 1] != '/')
            continue;
        word.predicate = (struct slice){typed.bytes + i, typed.length - i};
        break;
    }
    const char *equals = memchr(word.predicate.bytes, '=', word.predicate.length);
    const char *begin = word.predicate.bytes;
    if (equals) {
        word.left = (struct slice){begin, (size_t)(equals - begin)};
        begin = equals + 1;
        /* "a+b": either; the last is the one being typed. */
        for (const char *end = typed.bytes + typed.length; end > begin; end--)
            if (end[-1] == '+') {
                begin = end;
                break;
            }
    }
    word.head = (struct slice){typed.bytes, (size_t)(begin - typed.bytes)};
    return word;
}

bool complete_query_needs_values(struct slice typed)
{
    return take_apart(typed).left.bytes != NULL;
}

/* The candidate is head followed by the parts. */
static void add(struct candidates *candidates, struct slice head, const char *mark, struct slice name,
                const char *operator, const char * about)
{
    struct buffer line = {0};
    buffer_append_slice(&line, head);
    buffer_append_text(&line, mark);
    buffer_append_slice(&line, name);
    buffer_append_text(&line, operator);
    candidates_add(candidates, buffer_slice(&line), about ? slice_of(about) : SLICE_ABSENT);
    buffer_free(&line);
}

/* ---- fields ---- */

static void add_prefixed(struct candidates *candidates, const struct field_set *fields, struct slice head)
{
    for (size_t i = 0; i < PREFIX_COUNT; i++)
        for (size_t j = 0; j < fields->count; j++) {
            const struct field *field = &fields->fields[j];
            if (field->type == FIELD_TEXT ? prefixes[i].is_of_text : prefixes[i].is_of_order)
                add(candidates, head, prefixes[i].prefix.bytes, slice_of(field->name), "=",
                    prefixes[i].about);
        }
}

static void complete_left(struct candidates *candidates, const struct field_set *fields,
                          const struct word *word)
{
    static const char *const abouts[] = {
        [FIELD_TEXT] = "text", [FIELD_NUMBER] = "number", [FIELD_TIME] = "time"};
    for (size_t i = 0; i < fields->count; i++)
        add(candidates, word->head, "", slice_of(fields->fields[i].name), "=",
            abouts[fields->fields[i].type]);
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        add(candidates, word->head, "", slice_of(forms[i].form), "", forms[i].about);
    if (word->predicate.length > 0)
        add_prefixed(candidates, fields, word->head);
}

/* ---- values ---- */

struct values {
    struct slice *list; /* owned */
    size_t count, capacity;
};

static void values_add(struct values *values, struct slice value)
{
    if (values->count == values->capacity) {
        values->capacity = values->capacity * 2 + 16;
        values->list = memory_resize(values->list, values->capacity * sizeof(*values->list));
    }
    values->list[values->count++] = slice_copy(value);
}

static int by_bytes(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Moves the distinct ones to the front, in order; called whenever so many have come together. */
static void values_unite(struct values *values)
{
    size_t count = 0;
    if (values->count == 0)
        return;
    qsort(values->list, values->count, sizeof(*values->list), by_bytes);
    for (size_t i = 0; i < values->count; i++) {
        if (count > 0 && slice_equal(values->list[count - 1], values->list[i]))
            slice_free(&values->list[i]);
        else
            values->list[count++] = values->list[i];
    }
    values->count = count;
}

static void add_day(struct values *values, struct slice time)
{
    int64_t microseconds;
    char day[32];
    struct tm utc;
    if (moment_parse(time, &microseconds) != 0)
        return;
    time_t seconds = (time_t)moment_seconds(microseconds);
    gmtime_r(&seconds, &utc);
    strftime(day, sizeof(day), "%Y-%m-%d", &utc);
    values_add(values, slice_of(day));
}

/* Numbers are not worth choosing from. */
static void add_value(struct values *values, const struct run *run, const struct field *field,
                      struct buffer *scratch)
{
    struct field_value value = field_value_of(field, run, false, scratch);
    if (value.is_present && field->type == FIELD_TIME)
        add_day(values, value.text);
    else if (value.is_present && field->type == FIELD_TEXT)
        values_add(values, value.text);
}

/* The field before a '=', as a query reads it; NULL for none. */
static const struct field *field_of(const struct field_set *fields, struct slice left)
{
    const struct field *field = field_find(fields, left);
    if (slice_equal(left, SLICE_LITERAL("since")) || slice_equal(left, SLICE_LITERAL("until")))
        return field ? field : field_find(fields, SLICE_LITERAL("start_time"));
    for (size_t i = 0; !field && i < PREFIX_COUNT; i++) {
        struct slice prefix = prefixes[i].prefix;
        if (left.length > prefix.length && memcmp(left.bytes, prefix.bytes, prefix.length) == 0)
            field =
                field_find(fields, (struct slice){left.bytes + prefix.length, left.length - prefix.length});
    }
    return field;
}

/* A value as a query spells it. */
static void append_escaped(struct buffer *out, struct slice value)
{
    if (value.length == 0)
        buffer_append_byte(out, '%');
    for (size_t i = 0; i < value.length; i++) {
        unsigned char byte = (unsigned char)value.bytes[i];
        if (byte < 0x20 || byte == 0x7f || strchr(",/+%", byte))
            buffer_append_format(out, "%%%02X", byte);
        else
            buffer_append_byte(out, (char)byte);
    }
}

static void complete_value(struct candidates *candidates, const struct word *word, const struct field *field,
                           struct index *index)
{
    struct values values = {0};
    struct buffer scratch = {0};
    size_t united = 0;
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        add_value(&values, run, field, &scratch);
        if (values.count >= 2 * united + 1024) {
            values_unite(&values);
            united = values.count;
        }
    }
    values_unite(&values);
    for (size_t i = 0; i < values.count; i++) {
        struct buffer escaped = {0};
        append_escaped(&escaped, values.list[i]);
        add(candidates, word->head, "", buffer_slice(&escaped), "", NULL);
        buffer_free(&escaped);
        slice_free(&values.list[i]);
    }
    free(values.list);
    buffer_free(&scratch);
}

static void complete_field_name(struct candidates *candidates, const struct field_set *fields,
                                struct slice head, bool with_direction)
{
    for (size_t i = 0; i < fields->count; i++) {
        struct slice name = slice_of(fields->fields[i].name);
        add(candidates, head, "", name, "", with_direction ? "from the least" : NULL);
        if (with_direction)
            add(candidates, head, "-", name, "", "from the greatest");
    }
}

void complete_query(struct candidates *candidates, const struct field_set *fields, struct index *index)
{
    struct word word = take_apart(candidates->typed);
    bool is_sort = slice_equal(word.left, SLICE_LITERAL("sort"));
    const struct field *field = word.left.bytes ? field_of(fields, word.left) : NULL;
    if (!word.left.bytes)
        complete_left(candidates, fields, &word);
    else if (field && index)
        complete_value(candidates, &word, field, index);
    else if (!field && (is_sort || slice_equal(word.left, SLICE_LITERAL("has")) ||
                        slice_equal(word.left, SLICE_LITERAL("missing"))))
        complete_field_name(candidates, fields, word.head, is_sort);
}
