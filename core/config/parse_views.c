/*
 * The member `views` of a configuration. Which fields there are is known when all of it was read, so that the
 * views' fields are looked up last.
 */
#include "core/config/config_internal.h"

#include "core/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "by-"

static bool is_view(const struct config *config, struct slice directory)
{
    for (size_t i = 0; i < config->view_count; i++)
        if (slice_equal(slice_of(config->views[i].directory), directory))
            return true;
    return false;
}

/* The directory that a member of `views` names, or a fault. */
static struct slice directory_of(struct parser *parser, const struct string *string)
{
    struct slice directory = parser_file_name(parser, string, string->text);
    const char *fault = NULL;

    if (!directory.bytes || !parser_check_printable(parser, string))
        return SLICE_ABSENT;
    if (directory.length <= strlen(PREFIX) || memcmp(directory.bytes, PREFIX, strlen(PREFIX)) != 0)
        fault = "has to begin with \"" PREFIX "\", and go on";
    else if (memchr(directory.bytes, '/', directory.length))
        fault = "has a '/'";
    else if (directory.length > LIMIT_NAME_BYTES)
        fault = "is longer than a name can be";
    else if (is_view(parser->config, directory))
        fault = "is a view already";
    else if (parser->config->view_count == LIMIT_CONFIG_VIEWS)
        fault = "is one view too many: there are 16 at most";
    if (!fault)
        return directory;
    faults_add(&parser->faults, string->position, "%s %s", quoted(string->text).text, fault);
    return SLICE_ABSENT;
}

/* Notes that a view's field is none. */
static void refuse_field(struct parser *parser, size_t position, struct slice field)
{
    struct nearest nearest = {.name = field};

    config_offer_fields(parser->config, &nearest);
    faults_add(&parser->faults, position, "no field is called %s%s", quoted(field).text,
               quoted_hint(nearest.best).text);
}

static int parse_view(struct parser *parser, const struct string *name)
{
    struct config *config = parser->config;
    struct slice directory = slice_copy(directory_of(parser, name));
    struct string field;
    int result = parser_string(parser, "a view", &field);

    if (field.text.bytes && memchr(field.text.bytes, '\0', field.text.length)) {
        refuse_field(parser, field.position, field.text);
    } else if (field.text.bytes && directory.bytes) {
        parser->view_places[config->view_count] = field.position;
        config_add_view(config, directory, field.text);
    }
    slice_free(&directory);
    return result;
}

int parse_views(struct parser *parser, void *context)
{
    bool is_object;
    int result = parser_object(parser, "\"views\"", &is_object);

    (void)context;
    while (result == 0 && is_object) {
        enum json_token token = json_next(&parser->reader);
        struct string name = parser_current(parser);

        if (token != JSON_MEMBER)
            return token == JSON_OBJECT_END ? 0 : -EBADMSG;
        result = parse_view(parser, &name);
    }
    return result;
}

void check_views(struct parser *parser)
{
    struct config *config = parser->config;

    for (size_t i = 0; i < config->view_count; i++) {
        char *name = config->views[i].field;
        int field = config_find_field(config, slice_of(name));

        if (field >= 0) {
            config->views[i].field =
                memory_copy_text(config->fields[field].name, strlen(config->fields[field].name));
            free(name);
        } else if (!config_is_derived_field(slice_of(name))) {
            refuse_field(parser, parser->view_places[i], slice_of(name));
        }
    }
}
