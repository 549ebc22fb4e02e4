/*
 * From a mount's answer to runs: see answer.h. They get an index of their own, so that what is shown of them
 * is made by the code that shows runs which were scanned.
 */
#include "core/cli/answer.h"
#include "core/base/memory.h"
#include "core/cli/entry.h"
#include "core/cli/value.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct answer_reader {
    struct answer *answer;
    size_t capacity;                        /* of answer->list */
    struct buffer texts[ENTRY_FIELD_COUNT]; /* of the entry's strings */
    struct buffer framework, name, place;
};

/* The text of a string; false for anything else. */
static bool take_text(struct answer_reader *reader, const struct value *values, enum entry_field field,
                      struct slice *text)
{
    buffer_clear(&reader->texts[field]);
    if (!value_text(&values[field], &reader->texts[field]))
        return false;
    *text = buffer_slice(&reader->texts[field]);
    return true;
}

static bool take_time(struct answer_reader *reader, const struct value *values, enum entry_field field,
                      struct slice *time)
{
    *time = SLICE_ABSENT;
    return values[field].token == JSON_NULL || take_text(reader, values, field, time);
}

static bool take_count(const struct value *value, uint64_t *count)
{
    return value->token == JSON_INTEGER && json_count(value->raw, count);
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

static bool read_entry(struct answer_reader *reader, const struct value values[ENTRY_FIELD_COUNT])
{
    struct slice name, framework, path;
    struct run_state state = {.is_run = true, .is_whole = true};
    struct run_fields *fields = &state.fields;
    if (!take_text(reader, values, ENTRY_RUN_ID, &name) ||
        !take_text(reader, values, ENTRY_FRAMEWORK, &framework) ||
        !take_text(reader, values, ENTRY_PATH, &path) || !take_name(name, &reader->name) ||
        !take_name(framework, &reader->framework) || !take_place(reader, framework, name, path) ||
        !take_time(reader, values, ENTRY_START_TIME, &fields->start_time) ||
        !take_time(reader, values, ENTRY_END_TIME, &fields->end_time) ||
        !take_text(reader, values, ENTRY_STATUS, &fields->status) ||
        !take_count(&values[ENTRY_TOKENS_IN], &fields->tokens_in) ||
        !take_count(&values[ENTRY_TOKENS_OUT], &fields->tokens_out))
        return false;
    add_run(reader, &state);
    return true;
}

static bool read_entries(struct answer_reader *reader, struct json_reader *json)
{
    struct value values[ENTRY_FIELD_COUNT];
    if (json_next(json) != JSON_ARRAY_BEGIN)
        return false;
    enum json_token token;
    while ((token = json_next(json)) == JSON_OBJECT_BEGIN)
        if (!value_read_members(json, token, entry_field_names, ENTRY_FIELD_COUNT, values) ||
            !read_entry(reader, values))
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
