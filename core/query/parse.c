/*
 * From text to predicates. Every error knows the byte at which it was met, and says what would have been
 * right.
 */
#include "core/query/query_internal.h"
#include "core/base/escape.h"
#include "core/base/glob.h"
#include "core/base/memory.h"
#include "core/query/moment.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    const struct field_set *fields;
    const char *start; /* of the whole text */
    struct query *query;
    struct query_error *error;
};

/* `place` is where in the text; names in the reason must be printable. */
static int fail(struct parser *parser, int code, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int fail(struct parser *parser, int code, const char *place, const char *format, ...)
{
    va_list arguments;
    parser->error->code = code;
    parser->error->position = (size_t)(place - parser->start);
    va_start(arguments, format);
    vsnprintf(parser->error->reason, sizeof(parser->error->reason), format, arguments);
    va_end(arguments);
    return code;
}

/* A piece of the text for a reason: cut, and without what is not printable. */
struct shown {
    char text[48];
};

static struct shown show(struct slice piece)
{
    struct shown shown;
    size_t length = 0;
    for (size_t i = 0; i < piece.length && length + 4 < sizeof(shown.text); i++) {
        unsigned char byte = (unsigned char)piece.bytes[i];
        shown.text[length++] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    if (length < piece.length)
        length += (size_t)snprintf(shown.text + length, sizeof(shown.text) - length, "...");
    shown.text[length] = '\0';
    return shown;
}

static struct slice slice_between(const char *from, const char *to)
{
    return (struct slice){from, (size_t)(to - from)};
}

static bool take_prefix(struct slice *text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (text->length < length || memcmp(text->bytes, prefix, length) != 0)
        return false;
    text->bytes += length;
    text->length -= length;
    return true;
}

/* ---- fields ---- */

static int unknown_field(struct parser *parser, struct slice name)
{
    const char *nearest = field_nearest(parser->fields, name);
    if (nearest)
        return fail(parser, -ENOENT, name.bytes, "there is no field \"%s\"; did you mean \"%s\"?",
                    show(name).text, nearest);
    return fail(parser, -ENOENT, name.bytes, "there is no field \"%s\"; \"status\" and \"tokens\" are such",
                show(name).text);
}

static int find_field(struct parser *parser, struct slice name, const struct field **field)
{
    *field = field_find(parser->fields, name);
    return *field ? 0 : unknown_field(parser, name);
}

/* ---- operands ---- */

/* "12", "-1.5", "1e6"; the whole of text. */
static bool parse_number(struct slice text, long double *number)
{
    char copy[64];
    size_t at = 0, digits = 0;
    if (text.length == 0 || text.length >= sizeof(copy))
        return false;
    at += text.bytes[0] == '-';
    for (; at < text.length && text.bytes[at] >= '0' && text.bytes[at] <= '9'; at++)
        digits++;
    if (at < text.length && text.bytes[at] == '.')
        for (at++; at < text.length && text.bytes[at] >= '0' && text.bytes[at] <= '9'; at++)
            digits++;
    if (digits == 0)
        return false;
    if (at < text.length && (text.bytes[at] == 'e' || text.bytes[at] == 'E')) {
        size_t exponent = 0;
        at++;
        at += at < text.length && (text.bytes[at] == '-' || text.bytes[at] == '+');
        for (; at < text.length && text.bytes[at] >= '0' && text.bytes[at] <= '9'; at++)
            exponent++;
        if (exponent == 0)
            return false;
    }
    if (at < text.length)
        return false;
    memcpy(copy, text.bytes, text.length);
    copy[text.length] = '\0';
    *number = strtold(copy, NULL);
    return true;
}

/* raw without its escapes. Of a glob, what was escaped stands for itself: behind a backslash. */
static int unescape(struct parser *parser, struct slice raw, bool is_glob, struct buffer *text)
{
    bool is_quoted = false; /* by a backslash that stands there already */
    buffer_append(text, "", 0);
    if (raw.length == 1 && raw.bytes[0] == '%') /* the name of the empty text */
        return 0;
    for (size_t i = 0; i < raw.length; i++) {
        if (raw.bytes[i] != '%') {
            buffer_append_byte(text, raw.bytes[i]);
            is_quoted = raw.bytes[i] == '\\' && !is_quoted;
            continue;
        }
        struct slice escape = {raw.bytes + i, raw.length - i < 3 ? raw.length - i : 3};
        if (is_glob && !is_quoted)
            buffer_append_byte(text, '\\');
        if (escape.length < 3 || escape_decode(escape, text) != 0)
            return fail(parser, -EINVAL, escape.bytes,
                        "a %% begins an escape of two hexadecimal digits; write %%25 for the character");
        is_quoted = false;
        i += 2;
    }
    return 0;
}

/* Where in raw that stands which unescape put at `position` of a glob. */
static const char *place_in_glob(struct slice raw, size_t position)
{
    const char *at = raw.bytes, *end = raw.bytes + raw.length;
    bool is_quoted = false;
    for (size_t length = 0; at < end; at += *at == '%' ? 3 : 1) {
        length += *at == '%' && !is_quoted ? 2 : 1;
        if (length > position)
            break;
        is_quoted = *at == '\\' && !is_quoted;
    }
    return at;
}

static int check_glob(struct parser *parser, struct slice glob, struct slice raw)
{
    size_t position;
    const char *fault = glob_fault(glob, &position);
    return fault ? fail(parser, -EINVAL, place_in_glob(raw, position), "this is no glob: %s", fault) : 0;
}

static int add_operand(struct parser *parser, struct predicate *predicate, struct slice raw)
{
    if (raw.length == 0)
        return fail(parser, -EINVAL, raw.bytes, "a value is missing here; the empty text is written %%");
    struct buffer text = {0};
    int error = unescape(parser, raw, predicate->kind == PREDICATE_GLOB, &text);
    if (error) {
        buffer_free(&text);
        return error;
    }
    predicate->operands =
        memory_resize(predicate->operands, (predicate->operand_count + 1) * sizeof(*predicate->operands));
    struct operand *operand = &predicate->operands[predicate->operand_count++];
    *operand = (struct operand){.text = {text.bytes, text.length}};

    bool compares = predicate->kind == PREDICATE_EQUALS || predicate->kind == PREDICATE_MIN ||
                    predicate->kind == PREDICATE_MAX;
    if (compares && predicate->field->type == FIELD_NUMBER) {
        operand->is_number = parse_number(operand->text, &operand->number);
        if (!operand->is_number)
            return fail(parser, -EINVAL, raw.bytes, "\"%s\" is no number, which %s is compared with",
                        show(raw).text, predicate->field->name);
    } else if (compares && predicate->field->type == FIELD_TIME) {
        int64_t microseconds = 0;
        operand->is_number = moment_parse(operand->text, &microseconds) == 0;
        operand->number = microseconds;
        if (!operand->is_number && predicate->kind != PREDICATE_EQUALS)
            return fail(parser, -EINVAL, raw.bytes,
                        "\"%s\" is no time; write 2025-10-16 or 2025-10-16T12:00:30Z", show(raw).text);
    }
    return predicate->kind == PREDICATE_GLOB ? check_glob(parser, operand->text, raw) : 0;
}

/* Is it a time as it stands, with a '+' of its zone and not between two values? */
static bool is_one_time(const struct predicate *predicate, struct slice raw)
{
    int64_t microseconds;
    return predicate->field->type == FIELD_TIME && moment_parse(raw, &microseconds) == 0;
}

static int parse_operands(struct parser *parser, struct predicate *predicate, struct slice raw)
{
    bool has_alternatives = predicate->kind == PREDICATE_EQUALS || predicate->kind == PREDICATE_STARTS ||
                            predicate->kind == PREDICATE_ENDS || predicate->kind == PREDICATE_CONTAINS;
    if (!has_alternatives || is_one_time(predicate, raw))
        return add_operand(parser, predicate, raw);
    for (;;) {
        const char *plus = memchr(raw.bytes, '+', raw.length);
        const char *end = plus ? plus : raw.bytes + raw.length;
        int error = add_operand(parser, predicate, slice_between(raw.bytes, end));
        if (error || !plus)
            return error;
        raw = slice_between(plus + 1, raw.bytes + raw.length);
    }
}

/* ---- predicates ---- */

static struct predicate *add_predicate(struct query *query, enum predicate_kind kind)
{
    query->predicates =
        memory_resize(query->predicates, (query->predicate_count + 1) * sizeof(*query->predicates));
    struct predicate *predicate = &query->predicates[query->predicate_count++];
    *predicate = (struct predicate){.kind = kind};
    return predicate;
}

static int parse_compared(struct parser *parser, enum predicate_kind kind, bool is_negated, struct slice name,
                          struct slice raw)
{
    const struct field *field;
    int error = find_field(parser, name, &field);
    if (error)
        return error;
    if ((kind == PREDICATE_MIN || kind == PREDICATE_MAX) && field->type == FIELD_TEXT)
        return fail(parser, -EINVAL, name.bytes, "%s is a text, which has no least and no most value",
                    field->name);
    struct predicate *predicate = add_predicate(parser->query, kind);
    predicate->is_negated = is_negated;
    predicate->field = field;
    return parse_operands(parser, predicate, raw);
}

static int parse_presence(struct parser *parser, bool is_negated, struct slice raw)
{
    const struct field *field;
    int error = find_field(parser, raw, &field);
    if (error)
        return error;
    struct predicate *predicate = add_predicate(parser->query, PREDICATE_HAS);
    predicate->is_negated = is_negated;
    predicate->field = field;
    return 0;
}

static int parse_sort(struct parser *parser, struct slice raw)
{
    struct query *query = parser->query;
    const struct field *field;
    bool is_descending = take_prefix(&raw, "-");
    int error = find_field(parser, raw, &field);
    if (error)
        return error;
    /* What was sorted by already decides nothing more, and every key is found and kept for every run. */
    for (size_t i = 0; i < query->key_count; i++)
        if (query->keys[i].field->kind == field->kind && query->keys[i].field->own == field->own)
            return 0;
    query->keys = memory_resize(query->keys, (query->key_count + 1) * sizeof(*query->keys));
    query->keys[query->key_count++] = (struct sort_key){field, is_descending};
    return 0;
}

static int parse_limit(struct parser *parser, struct slice raw)
{
    uint64_t limit = 0;
    for (size_t i = 0; i < raw.length; i++) {
        if (raw.bytes[i] < '0' || raw.bytes[i] > '9' || raw.length > 18)
            return fail(parser, -EINVAL, raw.bytes + (raw.length > 18 ? 0 : i),
                        "limit is a number of runs, like limit=10");
        limit = limit * 10 + (uint64_t)(raw.bytes[i] - '0');
    }
    if (raw.length == 0)
        return fail(parser, -EINVAL, raw.bytes, "limit is a number of runs, like limit=10");
    if (!parser->query->has_limit || limit < parser->query->limit)
        parser->query->limit = limit;
    parser->query->has_limit = true;
    return 0;
}

/* The forms NAME=... other than a field's. */
static int parse_word(struct parser *parser, struct slice word, struct slice raw, bool *is_word)
{
    *is_word = true;
    if (slice_equal(word, SLICE_LITERAL("since")))
        return parse_compared(parser, PREDICATE_MIN, false, SLICE_LITERAL("start_time"), raw);
    if (slice_equal(word, SLICE_LITERAL("until")))
        return parse_compared(parser, PREDICATE_MAX, false, SLICE_LITERAL("start_time"), raw);
    if (slice_equal(word, SLICE_LITERAL("has")))
        return parse_presence(parser, false, raw);
    if (slice_equal(word, SLICE_LITERAL("missing")))
        return parse_presence(parser, true, raw);
    if (slice_equal(word, SLICE_LITERAL("sort")))
        return parse_sort(parser, raw);
    if (slice_equal(word, SLICE_LITERAL("limit")))
        return parse_limit(parser, raw);
    *is_word = false;
    return 0;
}

static const struct {
    const char *prefix;
    enum predicate_kind kind;
    bool is_negated;
} prefixes[] = {
    {"not_", PREDICATE_EQUALS, true}, {"min_", PREDICATE_MIN, false},
    {"max_", PREDICATE_MAX, false},   {"starts_", PREDICATE_STARTS, false},
    {"ends_", PREDICATE_ENDS, false}, {"contains_", PREDICATE_CONTAINS, false},
};

static int parse_predicate(struct parser *parser, struct slice text)
{
    const char *end = text.bytes + text.length, *mark = text.bytes;
    if (text.length == 0)
        return fail(parser, -EINVAL, text.bytes, "a predicate is missing here, like status=verified");
    while (mark < end && *mark != '=' && *mark != '~')
        mark++;
    if (mark == end)
        return fail(parser, -EINVAL, text.bytes, "\"%s\" is no predicate; write %s=VALUE", show(text).text,
                    field_find(parser->fields, text) ? show(text).text : "FIELD");
    struct slice left = slice_between(text.bytes, mark), raw = slice_between(mark + 1, end);
    if (left.length == 0)
        return fail(parser, -EINVAL, text.bytes, "a field is missing before the '%c'", *mark);
    if (*mark == '~')
        return parse_compared(parser, PREDICATE_GLOB, false, left, raw);
    if (field_find(parser->fields, left))
        return parse_compared(parser, PREDICATE_EQUALS, false, left, raw);
    bool is_word;
    int error = parse_word(parser, left, raw, &is_word);
    if (is_word)
        return error;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        struct slice name = left;
        if (take_prefix(&name, prefixes[i].prefix))
            return parse_compared(parser, prefixes[i].kind, prefixes[i].is_negated, name, raw);
    }
    return unknown_field(parser, left);
}

static const char *find_joint(const char *at, const char *end)
{
    while (at < end && *at != ',' && *at != '/')
        at++;
    return at;
}

int query_parse(const struct field_set *fields, struct slice text, struct query **query,
                struct query_error *error)
{
    struct parser parser = {.fields = fields, .start = text.bytes, .error = error};
    const char *at = text.bytes, *end = text.bytes + text.length;
    int result = 0;
    *error = (struct query_error){0};
    parser.query = memory_alloc_zeroed(1, sizeof(*parser.query));
    while (text.length > 0 && result == 0) {
        const char *joint = find_joint(at, end);
        result = parse_predicate(&parser, slice_between(at, joint));
        if (joint == end)
            break;
        at = joint + 1;
    }
    if (result != 0) {
        query_free(parser.query);
        parser.query = NULL;
    }
    *query = parser.query;
    return result;
}

void query_free(struct query *query)
{
    if (!query)
        return;
    for (size_t i = 0; i < query->predicate_count; i++) {
        for (size_t j = 0; j < query->predicates[i].operand_count; j++)
            slice_free(&query->predicates[i].operands[j].text);
        free(query->predicates[i].operands);
    }
    free(query->predicates);
    free(query->keys);
    buffer_free(&query->scratch);
    free(query);
}
