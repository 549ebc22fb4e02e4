/*
 * From a mount's answer to runs: see answer.h. They get an index of their own, so that what is shown of them
 * is made by the code that shows runs which were scanned.
 */
#include "core/cli/answer.h"
#include "core/base/memory.h"
#include "core/cli/entry.h"
#include "core/json/reader.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct answer_reader {
    struct answer *answer;
    size_t capacity; /* of answer->list */
    /* The entry that is read: what its members are, and their texts or lexemes. */
    enum json_token tokens[ENTRY_FIELD_COUNT]; /* JSON_END for one that is not there */
    struct buffer texts[ENTRY_FIELD_COUNT];
    struct buffer framework, name, place;
};

/* Which member was just met. They stand in the order of the format, so the one behind the last is looked at
 * first. */
static enum entry_field field_of_member(const struct json_reader *json, enum entry_field expected)
{
    for (unsigned i = 0; i < ENTRY_FIELD_COUNT; i++) {
        enum entry_field field = (expected + i) % ENTRY_FIELD_COUNT;
        if (json_member_is(json, entry_field_names[field]))
            return field;
    }
    return ENTRY_FIELD_COUNT;
}

/* Reads to the end of an entry, of which the first token was just got. */
static bool read_members(struct answer_reader *reader, struct json_reader *json)
{
    enum json_token token;
    enum entry_field field = ENTRY_FIELD_COUNT;
    for (unsigned i = 0; i < ENTRY_FIELD_COUNT; i++)
        reader->tokens[i] = JSON_END;
    while ((token = json_next(json)) == JSON_MEMBER) {
        struct slice text;
        field = field_of_member(json, field == ENTRY_FIELD_COUNT ? 0 : field + 1);
        token = json_next(json);
        bool is_text = field < ENTRY_FIELD_COUNT && token == JSON_STRING;
        if (is_text)
            text = json->text;
        else if (json_skip_value(json, token, &text) != 0)
            return false;
        if (field == ENTRY_FIELD_COUNT)
            continue;
        reader->tokens[field] = token;
        buffer_clear(&reader->texts[field]);
        buffer_append_slice(&reader->texts[field], text);
    }
    return token == JSON_OBJECT_END;
}

/* The text of a string; false for anything else. */
static bool take_text(const struct answer_reader *reader, enum entry_field field, struct slice *text)
{
    *text = buffer_slice(&reader->texts[field]);
    return reader->tokens[field] == JSON_STRING;
}

static bool take_time(const struct answer_reader *reader, enum entry_field field, struct slice *time)
{
    if (take_text(reader, field, time))
        return true;
    *time = SLICE_ABSENT;
    return reader->tokens[field] == JSON_NULL;
}

static bool take_count(const struct answer_reader *reader, enum entry_field field, uint64_t *count)
{
    return reader->tokens[field] == JSON_INTEGER && json_count(buffer_slice(&reader->texts[field]), count);
}

/* The file name that a text stands for. */
static bool take_name(struct slice text, struct buffer *name)
{
    return utf8_take_file_name(text, name) && name->length > 0 && !memchr(name->bytes, '/', name->length) &&
           !memchr(name->bytes, '\0', name->length);
}

/* What stands before the name in the path, which must end in it: the place; and the framework must be its
 * last name. The source itself has the framework's name where runs stand in it. */
static bool take_place(struct answer_reader *reader, struct slice framework, struct slice name,
                       struct slice path)
{
    size_t name_length = name.length + (path.length > name.length); /* with the '/' */
    if (path.length < name.length ||
        memcmp(path.bytes + path.length - name.length, name.bytes, name.length) != 0)
        return false;
    struct slice place = {path.bytes, path.length - name_length};
    if (place.length == 0) {
        if (path.length != name.length)
            return false;
        if (reader->answer->list.count == 0)
            index_configure(reader->answer->index,
                            &(struct index_setup){.source_name = buffer_slice(&reader->framework),
                                                  .file_count = RUN_OWN_STAMPS});
        return utf8_take_file_name(place, &reader->place);
    }
    const char *slash = memrchr(place.bytes, '/', place.length);
    struct slice last =
        slash ? (struct slice){slash + 1, place.length - (size_t)(slash + 1 - place.bytes)} : place;
    return path.bytes[place.length] == '/' && slice_equal(last, framework) &&
           utf8_take_file_name(place, &reader->place);
}

static void add_run(struct answer_reader *reader, const struct run_state *state)
{
    struct answer *answer = reader->answer;
    bool changed;
    if (answer->list.count == reader->capacity) {
        reader->capacity = reader->capacity * 2 + 64;
        answer->list.runs = memory_resize(answer->list.runs, reader->capacity * sizeof(struct run *));
    }
    answer->list.runs[answer->list.count++] =
        index_put(answer->index, buffer_slice(&reader->place), buffer_slice(&reader->name), state, &changed);
}

static bool take_entry(struct answer_reader *reader)
{
    struct slice name, framework, path;
    struct run_state state = {.is_run = true, .is_whole = true};
    struct run_fields *fields = &state.fields;
    if (!take_text(reader, ENTRY_RUN_ID, &name) || !take_text(reader, ENTRY_FRAMEWORK, &framework) ||
        !take_text(reader, ENTRY_PATH, &path) || !take_name(name, &reader->name) ||
        !take_name(framework, &reader->framework) || !take_place(reader, framework, name, path) ||
        !take_time(reader, ENTRY_START_TIME, &fields->start_time) ||
        !take_time(reader, ENTRY_END_TIME, &fields->end_time) ||
        !take_text(reader, ENTRY_STATUS, &fields->status) ||
        !take_count(reader, ENTRY_TOKENS_IN, &fields->tokens_in) ||
        !take_count(reader, ENTRY_TOKENS_OUT, &fields->tokens_out))
        return false;
    add_run(reader, &state);
    return true;
}

static bool read_entries(struct answer_reader *reader, struct json_reader *json)
{
    if (json_next(json) != JSON_ARRAY_BEGIN)
        return false;
    enum json_token token;
    while ((token = json_next(json)) == JSON_OBJECT_BEGIN)
        if (!read_members(reader, json) || !take_entry(reader))
            return false;
    return token == JSON_ARRAY_END && json_next(json) == JSON_END;
}

int answer_read(struct slice text, struct answer *answer)
{
    struct json_reader json;
    struct answer_reader reader = {.answer = answer};
    *answer = (struct answer){.index = index_create()};
    json_reader_init(&json, text);
    index_begin_filling(answer->index);
    bool good = read_entries(&reader, &json);
    index_end_filling(answer->index);
    json_reader_finish(&json);
    for (size_t i = 0; i < ENTRY_FIELD_COUNT; i++)
        buffer_free(&reader.texts[i]);
    buffer_free(&reader.framework);
    buffer_free(&reader.name);
    buffer_free(&reader.place);
    /* A run that is there twice is one run in the index. */
    if (good && index_count(answer->index) == answer->list.count)
        return 0;
    answer_free(answer);
    return -EBADMSG;
}

void answer_free(struct answer *answer)
{
    free(answer->list.runs);
    index_destroy(answer->index);
    *answer = (struct answer){0};
}
