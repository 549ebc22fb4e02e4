/*
 * The JSON reader and writer on any bytes: reading and skipping agree, and what json_append_value lays out is
 * read again, as the same value.
 */
#include "core/base/limits.h"
#include "core/json/reader.h"
#include "core/json/writer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Reads token by token to the end: true where the text is JSON. */
static bool pull(struct json_reader *reader)
{
    enum json_token token;

    do {
        size_t position_before = reader->position;

        token = json_next(reader);
        require(reader->depth <= LIMIT_JSON_DEPTH);
        require(token == JSON_ERROR ||
                (reader->position >= position_before && reader->position <= reader->input.length));
        require((token == JSON_MEMBER || token == JSON_STRING) == (reader->text.bytes != NULL));
    } while (token != JSON_END && token != JSON_ERROR);
    require((token == JSON_ERROR) == (reader->error != NULL));
    require(json_next(reader) == token);
    return token == JSON_END;
}

/* Skips it as one value: true where the text is JSON; sets raw to the value. */
static bool skip(struct json_reader *reader, struct slice *raw)
{
    return json_skip_next(reader, raw) == 0 && json_next(reader) == JSON_END;
}

static struct buffer lay_out(struct slice raw)
{
    struct buffer out = {0};

    json_append_value(&out, raw, 0);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size};
    struct json_reader pulling, skipping;
    struct slice raw;
    unsigned line, column;

    json_reader_init(&pulling, input);
    json_reader_init(&skipping, input);
    bool is_json = pull(&pulling);
    require(skip(&skipping, &raw) == is_json);
    require(pulling.error == skipping.error && pulling.position == skipping.position);
    json_position(input, pulling.position, &line, &column);
    require(line >= 1 && column >= 1);
    if (is_json) {
        struct buffer once = lay_out(raw);
        struct json_reader again;

        json_reader_init(&again, buffer_slice(&once));
        require(skip(&again, &raw) && slice_equal(raw, buffer_slice(&once)));
        json_reader_finish(&again);
        struct buffer twice = lay_out(raw);
        require(slice_equal(buffer_slice(&once), buffer_slice(&twice)));
        buffer_free(&once);
        buffer_free(&twice);
    }
    json_reader_finish(&pulling);
    json_reader_finish(&skipping);
    return 0;
}
