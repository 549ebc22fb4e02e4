/*
 * Is a manifest what the index renders? Told by its bytes, without parsing more of it than its head: at every
 * start of a mount on a source that is in order, this is all that is to be found out about it.
 */
#include "core/manifest/existing_internal.h"
#include "core/manifest/render.h"
#include <string.h>

const struct slice existing_top_names[TOP_COUNT] = {
    [TOP_VERSION] = SLICE_CONSTANT("version"),
    [TOP_LAST_UPDATED] = SLICE_CONSTANT("last_updated"),
    [TOP_TOTAL_RUNS] = SLICE_CONSTANT("total_runs"),
    [TOP_FRAMEWORKS] = SLICE_CONSTANT("frameworks"),
    [TOP_RUNS] = SLICE_CONSTANT("runs"),
};

/* Reads the next member, if it is one of the format's before `runs`. Which it is, or TOP_RUNS with the reader
 * just inside that array, or TOP_COUNT for all else. */
static size_t read_member(struct json_reader *reader, struct known_member known[TOP_COUNT])
{
    size_t place = 0;
    if (json_next(reader) != JSON_MEMBER)
        return TOP_COUNT;
    while (place < TOP_COUNT && !slice_equal(reader->text, existing_top_names[place]))
        place++;
    if (place == TOP_COUNT)
        return TOP_COUNT;
    enum json_token token = json_next(reader);
    if (place == TOP_RUNS)
        return token == JSON_ARRAY_BEGIN ? TOP_RUNS : TOP_COUNT;
    known[place].token = token;
    return json_skip_value(reader, token, &known[place].raw) == 0 ? place : TOP_COUNT;
}

size_t existing_read_head(struct slice bytes, struct known_member known[TOP_COUNT])
{
    struct json_reader reader;
    size_t place = TOP_COUNT;
    json_reader_init(&reader, bytes);
    if (json_next(&reader) == JSON_OBJECT_BEGIN)
        while ((place = read_member(&reader, known)) < TOP_RUNS)
            ;
    size_t position = place == TOP_RUNS ? reader.position : 0;
    json_reader_finish(&reader);
    return position;
}

bool existing_is_same_from_runs(struct index *index, struct slice bytes)
{
    const struct order *order = &index->order;
    size_t skip = 1; /* the first entry of all has no "," before it */
    order_render(&index->order);
    for (size_t i = 0; i < order->leaf_count; i++, skip = 0) {
        const struct chunk *text = order->leaves[i]->text;
        size_t length = text->length - skip;
        if (bytes.length < length || memcmp(bytes.bytes, text->bytes + skip, length) != 0)
            return false;
        bytes.bytes += length;
        bytes.length -= length;
    }
    buffer_clear(&index->scratch);
    render_trailer(&index->scratch, index_count(index), index->extras);
    return slice_equal(buffer_slice(&index->scratch), bytes);
}
