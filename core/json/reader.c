/*
 * The pull reader: a state machine over the text. What Python's scanner accepts was taken from its behaviour,
 * case by case; the unit test holds the cases as data. Strings are read in two steps, so that skipped ones
 * cost no memory: json_string_scan checks one and finds its end, json_string_decode unfolds its escapes.
 */
#include "core/json/reader.h"

#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/json/string_literal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What may come next. */
enum state {
    STATE_VALUE,          /* a value: the text's own, after a name, after a comma in an array */
    STATE_ELEMENT_OR_END, /* just after '[' */
    STATE_MEMBER,         /* a name: after a comma in an object */
    STATE_MEMBER_OR_END,  /* just after '{' */
    STATE_COLON,          /* after a name */
    STATE_AFTER_VALUE,    /* ',' or the end of what encloses the value */
    STATE_FAILED,
};

static enum json_token read_token(struct json_reader *reader);

static const char byte_order_mark[] = "\xef\xbb\xbf";

static size_t mark_length(struct slice input)
{
    size_t length = sizeof(byte_order_mark) - 1;

    return input.length >= length && memcmp(input.bytes, byte_order_mark, length) == 0 ? length : 0;
}

void json_reader_init(struct json_reader *reader, struct slice input)
{
    *reader = (struct json_reader){.input = input, .position = mark_length(input), .state = STATE_VALUE};
    reader->token_start = reader->position;
    reader->stack = memory_alloc(LIMIT_JSON_DEPTH);
}

void json_reader_finish(struct json_reader *reader)
{
    buffer_free(&reader->decoded);
    free(reader->stack);
    reader->stack = NULL;
}

static enum json_token fail(struct json_reader *reader, size_t position, const char *error)
{
    reader->position = position;
    reader->error = error;
    reader->text = SLICE_ABSENT;
    reader->state = STATE_FAILED;
    return JSON_ERROR;
}

/* The byte at position, or -1 behind the end. */
static int byte_at(const struct json_reader *reader, size_t position)
{
    return position < reader->input.length ? (unsigned char)reader->input.bytes[position] : -1;
}

/* Fails at the current position, where something else should stand. */
static enum json_token fail_missing(struct json_reader *reader, const char *error)
{
    if (byte_at(reader, reader->position) >= 0)
        return fail(reader, reader->position, error);
    return fail(reader, reader->position, reader->depth ? "ends too early" : "empty");
}

static void skip_white_space(struct json_reader *reader)
{
    const char *bytes = reader->input.bytes;
    size_t position = reader->position;
    size_t length = reader->input.length;

    while (position < length && (bytes[position] == ' ' || bytes[position] == '\n' ||
                                 bytes[position] == '\r' || bytes[position] == '\t'))
        position++;
    reader->position = position;
}

static enum json_token read_string(struct json_reader *reader, enum json_token token)
{
    struct slice rest = {reader->input.bytes + reader->position, reader->input.length - reader->position};
    struct json_string string;

    if (json_string_scan(rest, &string) < 0)
        return fail(reader, reader->position + string.error_position, string.error);
    if (!reader->is_skipping && string.has_escapes) {
        if (json_string_decode(string.inner, &reader->decoded) < 0)
            return fail(reader, reader->position, "a string too large for the memory");
        reader->text = buffer_slice(&reader->decoded);
    } else if (!reader->is_skipping) {
        reader->text = string.inner;
    }
    reader->position += string.length;
    reader->state = token == JSON_MEMBER ? STATE_COLON : STATE_AFTER_VALUE;
    return token;
}

static size_t skip_digits(const struct json_reader *reader, size_t position)
{
    while (byte_at(reader, position) >= '0' && byte_at(reader, position) <= '9')
        position++;
    return position;
}

/* Like Python, takes the longest number that stands there: "1.", "1e" and "01" fail on what is left over. */
static enum json_token read_number(struct json_reader *reader)
{
    size_t digits = reader->position + (byte_at(reader, reader->position) == '-');
    size_t end = byte_at(reader, digits) == '0' ? digits + 1 : skip_digits(reader, digits);
    enum json_token token = JSON_INTEGER;

    if (end == digits)
        return fail(reader, reader->position, "'-' without a number");
    size_t integer_digits = end - digits;
    if (byte_at(reader, end) == '.') {
        size_t fraction_end = skip_digits(reader, end + 1);

        if (fraction_end > end + 1) {
            end = fraction_end;
            token = JSON_FLOAT;
        }
    }
    if (byte_at(reader, end) == 'e' || byte_at(reader, end) == 'E') {
        int sign = byte_at(reader, end + 1);
        size_t exponent = end + 1 + (sign == '+' || sign == '-');
        size_t exponent_end = skip_digits(reader, exponent);

        if (exponent_end > exponent) {
            end = exponent_end;
            token = JSON_FLOAT;
        }
    }
    if (token == JSON_INTEGER && integer_digits > LIMIT_JSON_INTEGER_DIGITS)
        return fail(reader, reader->position, "an integer of more than 4300 digits");
    reader->position = end;
    reader->state = STATE_AFTER_VALUE;
    return token;
}

/* The literals of JSON and those of Python's writer. */
static enum json_token read_literal(struct json_reader *reader)
{
    static const struct {
        struct slice text;
        enum json_token token;
    } literals[] = {
        {SLICE_CONSTANT("true"), JSON_TRUE},      {SLICE_CONSTANT("false"), JSON_FALSE},
        {SLICE_CONSTANT("null"), JSON_NULL},      {SLICE_CONSTANT("NaN"), JSON_FLOAT},
        {SLICE_CONSTANT("Infinity"), JSON_FLOAT}, {SLICE_CONSTANT("-Infinity"), JSON_FLOAT},
    };
    size_t available = reader->input.length - reader->position;

    for (size_t i = 0; i < sizeof(literals) / sizeof(*literals); i++) {
        struct slice text = literals[i].text;

        if (text.length <= available &&
            memcmp(reader->input.bytes + reader->position, text.bytes, text.length) == 0) {
            reader->position += text.length;
            reader->state = STATE_AFTER_VALUE;
            return literals[i].token;
        }
    }
    return fail_missing(reader, "a value is missing");
}

static enum json_token begin_container(struct json_reader *reader, bool is_object)
{
    if (reader->depth == LIMIT_JSON_DEPTH)
        return fail(reader, reader->position, "nested too deeply");
    reader->stack[reader->depth++] = is_object ? '}' : ']';
    reader->position++;
    reader->state = is_object ? STATE_MEMBER_OR_END : STATE_ELEMENT_OR_END;
    return is_object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
}

static enum json_token end_container(struct json_reader *reader)
{
    reader->depth--;
    reader->position++;
    reader->state = STATE_AFTER_VALUE;
    return reader->stack[reader->depth] == '}' ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static enum json_token read_value(struct json_reader *reader)
{
    int first = byte_at(reader, reader->position);

    switch (first) {
    case '"':
        return read_string(reader, JSON_STRING);
    case '{':
        return begin_container(reader, true);
    case '[':
        return begin_container(reader, false);
    case '-':
        if (byte_at(reader, reader->position + 1) == 'I')
            return read_literal(reader);
        return read_number(reader);
    default:
        return first >= '0' && first <= '9' ? read_number(reader) : read_literal(reader);
    }
}

/* Behind a value: the next member or element, the end of what encloses it, or the end of the text. */
static enum json_token read_after_value(struct json_reader *reader)
{
    int byte = byte_at(reader, reader->position);

    if (reader->depth == 0)
        return byte < 0 ? JSON_END : fail(reader, reader->position, "something follows the value");
    bool is_object = reader->stack[reader->depth - 1] == '}';
    if (byte == reader->stack[reader->depth - 1])
        return end_container(reader);
    if (byte != ',')
        return fail_missing(reader, is_object ? "',' or '}' is missing" : "',' or ']' is missing");
    reader->position++;
    reader->state = is_object ? STATE_MEMBER : STATE_VALUE;
    return read_token(reader);
}

static enum json_token read_after_name(struct json_reader *reader)
{
    if (byte_at(reader, reader->position) != ':')
        return fail_missing(reader, "':' is missing");
    reader->position++;
    reader->state = STATE_VALUE;
    return read_token(reader);
}

static enum json_token read_name(struct json_reader *reader)
{
    if (byte_at(reader, reader->position) != '"')
        return fail_missing(reader, "a name in double quotes is missing");
    return read_string(reader, JSON_MEMBER);
}

/* Calls itself once at most, behind a comma or a colon. */
static enum json_token read_token(struct json_reader *reader)
{
    skip_white_space(reader);
    reader->token_start = reader->position;
    switch ((enum state)reader->state) {
    case STATE_VALUE:
        return read_value(reader);
    case STATE_ELEMENT_OR_END:
        return byte_at(reader, reader->position) == ']' ? end_container(reader) : read_value(reader);
    case STATE_MEMBER:
        return read_name(reader);
    case STATE_MEMBER_OR_END:
        return byte_at(reader, reader->position) == '}' ? end_container(reader) : read_name(reader);
    case STATE_COLON:
        return read_after_name(reader);
    case STATE_AFTER_VALUE:
        return read_after_value(reader);
    case STATE_FAILED:
        break;
    }
    return JSON_ERROR;
}

enum json_token json_next(struct json_reader *reader)
{
    if (reader->state == STATE_FAILED)
        return JSON_ERROR;
    reader->text = SLICE_ABSENT;
    return read_token(reader);
}

int json_skip_value(struct json_reader *reader, enum json_token token, struct slice *raw)
{
    size_t start = reader->token_start;

    if (token == JSON_OBJECT_BEGIN || token == JSON_ARRAY_BEGIN) {
        unsigned depth = reader->depth;

        reader->is_skipping = true;
        while (reader->depth >= depth && token != JSON_ERROR)
            token = json_next(reader);
        reader->is_skipping = false;
        reader->token_start = start;
    }
    if (token == JSON_ERROR)
        return -EBADMSG;
    if (raw)
        *raw = (struct slice){reader->input.bytes + start, reader->position - start};
    return 0;
}

int json_skip_next(struct json_reader *reader, struct slice *raw)
{
    reader->is_skipping = true;
    enum json_token token = json_next(reader);
    reader->is_skipping = false;
    return json_skip_value(reader, token, raw);
}

bool json_member_is(const struct json_reader *reader, const char *name)
{
    return slice_equal(reader->text, slice_of(name));
}

void json_position(struct slice input, size_t position, unsigned *line, unsigned *column)
{
    size_t line_start = mark_length(input);

    *line = 1;
    for (size_t i = line_start; i < position && i < input.length; i++) {
        if (input.bytes[i] == '\n') {
            ++*line;
            line_start = i + 1;
        }
    }
    *column = position > line_start ? (unsigned)(position - line_start) + 1 : 1;
}

bool json_count(struct slice lexeme, uint64_t *count)
{
    uint64_t value = 0;

    if (slice_equal(lexeme, SLICE_LITERAL("-0"))) {
        *count = 0;
        return true;
    }
    /* LIMIT_COUNT has 16 digits, so no longer lexeme is one and no shorter one overflows. */
    if (lexeme.length == 0 || lexeme.length > 16 || (lexeme.length > 1 && lexeme.bytes[0] == '0'))
        return false;
    for (size_t i = 0; i < lexeme.length; i++) {
        if (lexeme.bytes[i] < '0' || lexeme.bytes[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(lexeme.bytes[i] - '0');
    }
    if (value > LIMIT_COUNT)
        return false;
    *count = value;
    return true;
}
