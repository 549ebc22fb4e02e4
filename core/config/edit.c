/*
 * One more excluded path in a text of runsfs.json that somebody laid out by hand: only the few bytes that are
 * new are put in, in the manner of what stands around them.
 */
#include "core/config/config_internal.h"

#include "core/base/glob.h"
#include "core/json/writer.h"

#include <errno.h>
#include <string.h>

/* Where in a text something may be put in, and what stands around it. */
struct place {
    bool is_found;
    bool is_empty;      /* nothing is in the brackets yet */
    size_t position;    /* behind the last element or member, or behind the opening bracket */
    struct slice space; /* before the last element or member */
};

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* The white space that ends at `end`. */
static struct slice space_before(struct slice text, size_t end)
{
    size_t start = end;

    while (start > 0 && is_space(text.bytes[start - 1]))
        start--;
    return (struct slice){text.bytes + start, end - start};
}

/* The place in the array that comes next. */
static struct place place_in_array(struct json_reader *reader)
{
    struct place place = {.is_found = true, .is_empty = true};
    enum json_token token = json_next(reader);

    place.position = reader->position;
    while ((token = json_next(reader)) == JSON_STRING) {
        place.is_empty = false;
        place.space = space_before(reader->input, reader->token_start);
        place.position = reader->position;
    }
    return place;
}

/* The places in a configuration that was found valid: in `exclude`, where it has one, and at its end. */
static void find_places(struct slice text, struct place *in_exclude, struct place *at_end)
{
    struct json_reader reader;

    *in_exclude = (struct place){0};
    json_reader_init(&reader, text);
    json_next(&reader);
    *at_end = (struct place){.is_found = true, .is_empty = true, .position = reader.position};
    while (json_next(&reader) == JSON_MEMBER) {
        at_end->is_empty = false;
        at_end->space = space_before(text, reader.token_start);
        if (json_member_is(&reader, "exclude"))
            *in_exclude = place_in_array(&reader);
        else
            json_skip_next(&reader, NULL);
        at_end->position = reader.position;
    }
    json_reader_finish(&reader);
}

static void insert(struct slice text, const struct place *place, struct slice added, struct buffer *new_text)
{
    buffer_append(new_text, text.bytes, place->position);
    if (!place->is_empty) {
        buffer_append_byte(new_text, ',');
        buffer_append_slice(new_text, place->space.length ? place->space : SLICE_LITERAL(" "));
    }
    buffer_append_slice(new_text, added);
    buffer_append(new_text, text.bytes + place->position, text.length - place->position);
}

/* The path as a JSON string that excludes it alone. */
static void append_entry(struct buffer *entry, const char *path)
{
    struct buffer pattern = {0}, text = {0};

    glob_escape(&pattern, slice_of(path));
    utf8_append_file_name(&text, buffer_slice(&pattern));
    json_append_string(entry, buffer_slice(&text));
    buffer_free(&pattern);
    buffer_free(&text);
}

/* May a path be added to what this text says? */
static int check_old(struct slice old_text, const char *path)
{
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    struct config *config;
    size_t fault_count;
    int result = config_parse(old_text, &config, faults, &fault_count);

    if (result < 0)
        return result;
    if (config_is_excluded(config, path))
        result = -EEXIST;
    else if (config->exclude_count == LIMIT_CONFIG_EXCLUDE)
        result = -ENOSPC;
    config_unref(config);
    return result;
}

/* Is what came of it a configuration that excludes the path? It is not where the path is none. */
static int check_new(struct slice new_text, const char *path)
{
    if (new_text.length > LIMIT_CONFIG_BYTES)
        return -ENOSPC;
    int result = check_old(new_text, path);
    return result == -EEXIST ? 0 : -EINVAL;
}

int config_text_with_exclude(struct slice old_text, const char *path, struct buffer *new_text)
{
    struct buffer added = {0};
    struct place in_exclude, at_end;
    size_t start = new_text->length;

    if (!old_text.bytes)
        old_text = SLICE_LITERAL("{\n}\n");
    int result = check_old(old_text, path);
    if (result < 0)
        return result;
    find_places(old_text, &in_exclude, &at_end);
    if (in_exclude.is_found) {
        append_entry(&added, path);
    } else {
        if (at_end.is_empty && old_text.bytes[at_end.position] == '\n')
            buffer_append_text(&added, "\n  ");
        buffer_append_text(&added, "\"exclude\": [");
        append_entry(&added, path);
        buffer_append_byte(&added, ']');
    }
    insert(old_text, in_exclude.is_found ? &in_exclude : &at_end, buffer_slice(&added), new_text);
    buffer_free(&added);
    struct slice written = {new_text->bytes + start, new_text->length - start};
    result = check_new(written, path);
    if (result < 0) {
        new_text->length = start;
        new_text->bytes[start] = '\0';
    }
    return result;
}
