/*
 * The kinds of values that a configuration is made of (objects of known members, strings, arrays of them,
 * names and paths), each read with its faults. A fault never ends the reading; text that is not JSON does.
 */
#include "core/config/config_internal.h"

#include "core/base/glob.h"

#include <errno.h>
#include <string.h>

static bool equals(struct slice text, const char *other)
{
    return slice_equal(text, slice_of(other));
}

int parser_members(struct parser *parser, const struct known_member *known, size_t count, void *context)
{
    unsigned seen = 0;

    for (;;) {
        enum json_token token = json_next(&parser->reader);
        size_t position = parser->reader.token_start;
        struct nearest nearest = {.name = parser->reader.text};
        size_t i = 0;

        if (token != JSON_MEMBER)
            return token == JSON_OBJECT_END ? 0 : -EBADMSG;
        while (i < count && !slice_equal(known[i].name, parser->reader.text))
            nearest_offer(&nearest, known[i++].name);
        if (i == count)
            faults_add(&parser->faults, position, "unknown member %s%s", quoted(parser->reader.text).text,
                       quoted_hint(nearest.best).text);
        else if (seen & 1u << i)
            faults_add(&parser->faults, position, "%s is there twice", quoted(known[i].name).text);
        int result = i == count || seen & 1u << i ? json_skip_next(&parser->reader, NULL)
                                                  : known[i].read(parser, context);
        if (result < 0)
            return result;
        if (i < count)
            seen |= 1u << i;
    }
}

int parser_refuse(struct parser *parser, enum json_token token, const char *what, const char *type)
{
    if (token != JSON_ERROR)
        faults_add(&parser->faults, parser->reader.token_start, "%s has to be %s", what, type);
    return json_skip_value(&parser->reader, token, NULL);
}

int parser_object(struct parser *parser, const char *what, bool *is_object)
{
    enum json_token token = json_next(&parser->reader);

    *is_object = token == JSON_OBJECT_BEGIN;
    return *is_object ? 0 : parser_refuse(parser, token, what, "an object");
}

struct string parser_current(const struct parser *parser)
{
    const struct json_reader *reader = &parser->reader;

    return (struct string){
        .text = reader->text,
        .position = reader->token_start,
        .has_escapes = reader->position - reader->token_start != reader->text.length + 2,
    };
}

int parser_string(struct parser *parser, const char *what, struct string *string)
{
    enum json_token token = json_next(&parser->reader);

    *string = (struct string){0};
    if (token != JSON_STRING)
        return parser_refuse(parser, token, what, "a string");
    *string = parser_current(parser);
    return 0;
}

size_t string_position(const struct string *string, size_t offset)
{
    return string->has_escapes ? string->position : string->position + 1 + offset;
}

static void take_current(struct parser *parser, string_taker *take, void *context)
{
    struct string string = parser_current(parser);

    take(parser, &string, context);
}

int parser_elements(struct parser *parser, const char *what, size_t limit, string_taker *take, void *context)
{
    for (size_t count = 0;; count++) {
        enum json_token token = json_next(&parser->reader);
        int result = 0;

        if (token == JSON_ARRAY_END)
            return 0;
        if (count == limit)
            faults_add(&parser->faults, parser->reader.token_start, "%s has more than %zu entries", what,
                       limit);
        if (token == JSON_STRING && count < limit)
            take_current(parser, take, context);
        else if (token != JSON_STRING && count < limit)
            result = parser_refuse(parser, token, "an entry", "a string");
        else
            result = json_skip_value(&parser->reader, token, NULL);
        if (result < 0)
            return result;
    }
}

int parser_strings(struct parser *parser, const char *what, size_t limit, string_taker *take, void *context)
{
    enum json_token token = json_next(&parser->reader);

    if (token == JSON_ARRAY_BEGIN)
        return parser_elements(parser, what, limit, take, context);
    return parser_refuse(parser, token, what, "an array of strings");
}

int parser_string_or_strings(struct parser *parser, const char *what, size_t limit, string_taker *take,
                             void *context)
{
    enum json_token token = json_next(&parser->reader);

    if (token == JSON_ARRAY_BEGIN)
        return parser_elements(parser, what, limit, take, context);
    if (token != JSON_STRING)
        return parser_refuse(parser, token, what, "a string or an array of strings");
    take_current(parser, take, context);
    return 0;
}

struct slice parser_file_name(struct parser *parser, const struct string *string, struct slice part)
{
    if (!memchr(part.bytes, '\0', part.length) && utf8_take_file_name(part, &parser->name))
        return buffer_slice(&parser->name);
    faults_add(&parser->faults, string->position, "%s can be no file's name", quoted(part).text);
    return SLICE_ABSENT;
}

/* One name of a path, at the offset of the string. */
static bool check_component(struct parser *parser, const struct string *string, struct slice component,
                            size_t offset, bool is_glob)
{
    const char *reason = NULL;
    size_t place = 0;

    if (!component.length)
        reason = "a name is empty here";
    else if (equals(component, ".") || equals(component, ".."))
        reason = "a path has no \".\" and no \"..\"";
    else if (component.length > (is_glob ? 2 * LIMIT_NAME_BYTES : LIMIT_NAME_BYTES))
        reason = "the name is too long";
    else if (is_glob && equals(component, "**"))
        reason = "\"**\" is not known: each \"*\" is one directory; name several layouts";
    else if (is_glob)
        reason = glob_fault(component, &place);
    if (reason)
        faults_add(&parser->faults, string_position(string, offset + place), "%s", reason);
    return !reason;
}

bool parser_check_path(struct parser *parser, const struct string *string, struct slice path, size_t deepest,
                       bool are_globs)
{
    size_t depth = 0;

    if (!path.length || path.bytes[0] == '/') {
        faults_add(&parser->faults, string->position,
                   path.length ? "a path does not begin with '/'" : "the path is empty");
        return false;
    }
    for (size_t start = 0; start <= path.length;) {
        const char *slash = memchr(path.bytes + start, '/', path.length - start);
        size_t end = slash ? (size_t)(slash - path.bytes) : path.length;
        struct slice component = {path.bytes + start, end - start};

        if (!check_component(parser, string, component, start, are_globs))
            return false;
        if (++depth > deepest) {
            if (deepest == 1)
                faults_add(&parser->faults, string_position(string, start - 1), "a name has no '/'");
            else
                faults_add(&parser->faults, string_position(string, start), "a path of more than %zu names",
                           deepest);
            return false;
        }
        start = end + 1;
    }
    return true;
}

bool parser_check_printable(struct parser *parser, const struct string *string)
{
    for (size_t i = 0; i < string->text.length; i++) {
        unsigned char byte = (unsigned char)string->text.bytes[i];

        if (byte >= 0x20 && byte != 0x7f)
            continue;
        faults_add(&parser->faults, string->position, "%s has a control character",
                   quoted(string->text).text);
        return false;
    }
    return true;
}
