/*
 * From the text of runsfs.json to a configuration: the built-in one, in which what the text says takes the
 * place of what was there.
 */
#include "core/config/config_internal.h"

#include "core/base/glob.h"
#include "core/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names at the source's top that are something else already. */
static const struct slice taken_names[] = {
    SLICE_CONSTANT(CONFIG_FILE_NAME),
    SLICE_CONSTANT(".git"),
    SLICE_CONSTANT(".gitignore"),
    SLICE_CONSTANT(".runsfs"),
};

static int parse_manifest(struct parser *parser, void *context)
{
    struct string string;
    int result = parser_string(parser, "\"manifest\"", &string);

    (void)context;
    if (!string.text.bytes)
        return result;
    struct slice name = parser_file_name(parser, &string, string.text);
    if (!name.bytes || !parser_check_path(parser, &string, name, 1, false) ||
        !parser_check_printable(parser, &string))
        return 0;
    for (size_t i = 0; i < sizeof(taken_names) / sizeof(taken_names[0]); i++) {
        if (!slice_equal(name, taken_names[i]))
            continue;
        faults_add(&parser->faults, string.position, "%s is something else already", quoted(name).text);
        return 0;
    }
    if (name.length > LIMIT_CONFIG_MANIFEST_NAME_BYTES)
        faults_add(&parser->faults, string.position, "the name is longer than %d bytes",
                   LIMIT_CONFIG_MANIFEST_NAME_BYTES);
    else
        parser->config->manifest_name = memory_copy_text(name.bytes, name.length);
    return 0;
}

static void take_layout(struct parser *parser, const struct string *string, void *context)
{
    struct slice path = parser_file_name(parser, string, string->text);

    (void)context;
    if (path.bytes && parser_check_path(parser, string, path, LIMIT_CONFIG_DEPTH, true))
        config_add_layout(parser->config, path);
}

static int parse_layout(struct parser *parser, void *context)
{
    struct config *config = parser->config;
    size_t fault_count = parser->faults.count;

    for (size_t i = 0; i < config->layout_count; i++)
        config_free_texts(config->layouts[i].components, config->layouts[i].depth);
    config->layout_count = 0;
    int result = parser_string_or_strings(parser, "\"layout\"", LIMIT_CONFIG_LAYOUTS, take_layout, context);
    if (result == 0 && config->layout_count == 0 && parser->faults.count == fault_count)
        faults_add(&parser->faults, parser->reader.token_start, "\"layout\" has to have a path");
    return result;
}

static void take_tracked(struct parser *parser, const struct string *string, void *context)
{
    struct slice pattern = parser_file_name(parser, string, string->text);
    struct config *config = parser->config;

    (void)context;
    if (!pattern.bytes || !parser_check_printable(parser, string))
        return;
    const char *slash = memchr(pattern.bytes, '/', pattern.length);
    if (slash)
        faults_add(&parser->faults, string_position(string, (size_t)(slash - pattern.bytes)),
                   "tracked files are directly in the run directory: no '/'");
    else if (parser_check_path(parser, string, pattern, 1, true))
        config_add_text(&config->tracked, &config->tracked_count, pattern);
}

static int parse_tracked(struct parser *parser, void *context)
{
    struct config *config = parser->config;

    config_free_texts(config->tracked, config->tracked_count);
    config->tracked = NULL;
    config->tracked_count = 0;
    return parser_strings(parser, "\"tracked\"", LIMIT_CONFIG_TRACKED, take_tracked, context);
}

static void take_exclude(struct parser *parser, const struct string *string, void *context)
{
    struct slice path = parser_file_name(parser, string, string->text);
    struct config *config = parser->config;

    (void)context;
    if (!path.bytes || !parser_check_path(parser, string, path, LIMIT_CONFIG_DEPTH, true))
        return;
    if (!glob_is_plain(path) && ++parser->exclude_globs == LIMIT_CONFIG_EXCLUDE_GLOBS + 1)
        faults_add(&parser->faults, string->position, "\"exclude\" has more than %d entries with wildcards",
                   LIMIT_CONFIG_EXCLUDE_GLOBS);
    config_add_text(&config->exclude, &config->exclude_count, path);
}

static int parse_exclude(struct parser *parser, void *context)
{
    return parser_strings(parser, "\"exclude\"", LIMIT_CONFIG_EXCLUDE, take_exclude, context);
}

static const struct known_member top_members[] = {
    {SLICE_CONSTANT("manifest"), parse_manifest}, {SLICE_CONSTANT("layout"), parse_layout},
    {SLICE_CONSTANT("tracked"), parse_tracked},   {SLICE_CONSTANT("exclude"), parse_exclude},
    {SLICE_CONSTANT("fields"), parse_fields},     {SLICE_CONSTANT("views"), parse_views},
};

/* The whole text: 0, or -EBADMSG where it is not JSON. */
static int parse_text(struct parser *parser)
{
    bool is_object;
    int result = parser_object(parser, "a configuration", &is_object);

    if (result == 0 && is_object)
        result = parser_members(parser, top_members, sizeof(top_members) / sizeof(top_members[0]), NULL);
    if (result == 0 && json_next(&parser->reader) != JSON_END)
        result = -EBADMSG;
    return result;
}

int config_parse(struct slice text, struct config **config, struct config_fault *faults, size_t *fault_count)
{
    struct parser parser = {.faults = {.text = text, .found = faults}, .config = config_new()};

    json_reader_init(&parser.reader, text);
    if (parse_text(&parser) < 0)
        faults_add(&parser.faults, parser.reader.position, "%s", parser.reader.error);
    else
        check_views(&parser);
    json_reader_finish(&parser.reader);
    buffer_free(&parser.name);
    faults_sort(&parser.faults);
    *fault_count = parser.faults.count;
    *config = NULL;
    if (parser.faults.is_any) {
        config_unref(parser.config);
        return -EBADMSG;
    }
    config_finish(parser.config);
    *config = parser.config;
    return 0;
}
