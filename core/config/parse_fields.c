/*
 * The members `fields` and `views` of a configuration: what is taken from where, and what stands by it.
 */
#include "core/config/config_internal.h"

#include "core/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum config_type type;
} types[] = {
    {"text", CONFIG_TEXT},
    {"number", CONFIG_NUMBER},
    {"time", CONFIG_TIME},
    {"epoch", CONFIG_EPOCH},
};

/* The pointer of a source, which begins at the offset of the string: is it well formed? */
static bool check_pointer(struct parser *parser, const struct string *string, struct slice pointer,
                          size_t offset)
{
    const char *reason = NULL;
    size_t steps = 0, i = 0;

    if (!pointer.length || pointer.bytes[0] != '/')
        reason = "the pointer behind '#' has to begin with '/', like \"#/start_time\"";
    for (; i < pointer.length && !reason; i++) {
        char next = i + 1 < pointer.length ? pointer.bytes[i + 1] : '\0';

        if (pointer.bytes[i] == '~' && next != '0' && next != '1')
            reason = "in a pointer '~' is written \"~0\" (and '/' in a name \"~1\")";
        else if (pointer.bytes[i] == '/' && ++steps > LIMIT_CONFIG_POINTER_STEPS)
            reason = "a pointer of too many steps";
        if (reason)
            break;
    }
    if (reason)
        faults_add(&parser->faults, string_position(string, offset + i), "%s", reason);
    return !reason;
}

/* FILE#POINTER, a source of the field. */
static void take_source(struct parser *parser, const struct string *string, void *field)
{
    struct slice text = string->text;
    const char *hash = memchr(text.bytes, '#', text.length);

    if (!hash) {
        faults_add(&parser->faults, string->position, "%s names no value; write FILE#/MEMBER",
                   quoted(text).text);
        return;
    }
    struct slice file_part = {text.bytes, (size_t)(hash - text.bytes)};
    struct slice pointer = {hash + 1, text.length - file_part.length - 1};
    struct slice file = parser_file_name(parser, string, file_part);
    bool is_path = file.bytes && parser_check_path(parser, string, file, 2, false);

    if (!check_pointer(parser, string, pointer, file_part.length + 1) || !is_path)
        return;
    unsigned index = config_intern_file(parser->config, file);
    if (index == LIMIT_CONFIG_FILES)
        faults_add(&parser->faults, string->position, "fields from more than %d files", LIMIT_CONFIG_FILES);
    else
        config_add_source(field, index, pointer);
}

static int parse_from(struct parser *parser, void *field)
{
    return parser_string_or_strings(parser, "the source", LIMIT_CONFIG_FIELD_SOURCES, take_source, field);
}

/* May a field be of this type? The built-in ones have their own; times are written in two ways. */
static bool admits_type(const struct config_field *field, size_t index, enum config_type type)
{
    if (index >= CONFIG_BUILT_IN_FIELDS)
        return true;
    if (index == CONFIG_START_TIME || index == CONFIG_END_TIME)
        return type == CONFIG_TIME || type == CONFIG_EPOCH;
    return field->type == CONFIG_COUNT ? type == CONFIG_NUMBER : type == field->type;
}

static int parse_type(struct parser *parser, void *context)
{
    static const char *const admitted[CONFIG_BUILT_IN_FIELDS] = {
        "\"time\" or \"epoch\"", "\"time\" or \"epoch\"", "\"text\"", "\"number\"", "\"number\"",
    };
    struct config_field *field = context;
    size_t index = (size_t)(field - parser->config->fields);
    struct string string;
    int result = parser_string(parser, "\"type\"", &string);

    if (!string.text.bytes)
        return result;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (!slice_equal(string.text, slice_of(types[i].name)) || !admits_type(field, index, types[i].type))
            continue;
        if (field->type != CONFIG_COUNT)
            field->type = types[i].type;
        return 0;
    }
    if (index < CONFIG_BUILT_IN_FIELDS)
        faults_add(&parser->faults, string.position, "the type of \"%s\" is %s", field->name,
                   admitted[index]);
    else
        faults_add(&parser->faults, string.position, "a type is \"text\", \"number\", \"time\" or \"epoch\"");
    return 0;
}

/* SOURCE, [SOURCE, ...] or {"from": ..., "type": ...} */
static int parse_field_value(struct parser *parser, struct config_field *field)
{
    static const struct known_member members[] = {
        {SLICE_CONSTANT("from"), parse_from},
        {SLICE_CONSTANT("type"), parse_type},
    };
    enum json_token token = json_next(&parser->reader);
    struct string string = parser_current(parser);

    switch (token) {
    case JSON_OBJECT_BEGIN:
        return parser_members(parser, members, sizeof(members) / sizeof(members[0]), field);
    case JSON_ARRAY_BEGIN:
        return parser_elements(parser, "the field", LIMIT_CONFIG_FIELD_SOURCES, take_source, field);
    case JSON_STRING:
        take_source(parser, &string, field);
        return 0;
    default:
        return parser_refuse(parser, token, "a field", "FILE#POINTER, an array of those, or an object");
    }
}

/* Reads the sources of a field. A built-in one may have none: then it is never taken from a file. */
static int parse_sources(struct parser *parser, struct config_field *field, size_t name_position)
{
    size_t fault_count = parser->faults.count;
    bool is_built_in = field - parser->config->fields < CONFIG_BUILT_IN_FIELDS;

    config_free_sources(field);
    int result = parse_field_value(parser, field);
    if (result == 0 && !field->source_count && !is_built_in && parser->faults.count == fault_count)
        faults_add(&parser->faults, name_position, "the field is taken from nowhere");
    return result;
}

/* Why no own field can have this name; NULL where one can. */
static const char *name_fault(const struct config *config, struct slice name)
{
    if (!name.length || name.length > LIMIT_CONFIG_FIELD_NAME_BYTES)
        return "has to have 1 to 64 characters";
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.bytes[i];

        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '_')
            return "may have a-z, 0-9 and _ alone";
    }
    if (config_is_derived_field(name))
        return "is a field already, and not from a file";
    if (config_is_query_word(name))
        return "is a word of the query language";
    if (config->field_count == LIMIT_CONFIG_FIELDS)
        return "is one field too many: there are 64 at most";
    return NULL;
}

/* The field that a member of `fields` is about, made where it is a new one; NULL where it can't be. */
static struct config_field *field_of(struct parser *parser, const struct string *string)
{
    struct config *config = parser->config;
    int found = config_find_field(config, string->text);
    const char *fault = NULL;

    if (found >= 0 && parser->is_given[found])
        fault = "is there twice";
    else if (found < 0)
        fault = name_fault(config, string->text);
    if (fault) {
        faults_add(&parser->faults, string->position, "%s %s", quoted(string->text).text, fault);
        return NULL;
    }
    if (found < 0) {
        found = (int)config->field_count++;
        config->fields[found] = (struct config_field){
            .name = memory_copy_text(string->text.bytes, string->text.length),
            .type = CONFIG_TEXT,
        };
    }
    parser->is_given[found] = true;
    return &config->fields[found];
}

int parse_fields(struct parser *parser, void *context)
{
    bool is_object;
    int result = parser_object(parser, "\"fields\"", &is_object);

    (void)context;
    while (result == 0 && is_object) {
        enum json_token token = json_next(&parser->reader);
        struct string name = parser_current(parser);

        if (token != JSON_MEMBER)
            return token == JSON_OBJECT_END ? 0 : -EBADMSG;
        struct config_field *field = field_of(parser, &name);
        result = field ? parse_sources(parser, field, name.position) : json_skip_next(&parser->reader, NULL);
    }
    return result;
}
