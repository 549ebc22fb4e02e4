/*
 * Reading the members of an object, and laying out again those that the manifest's format does not know.
 */
#include "core/manifest/members.h"
#include "core/base/memory.h"
#include "core/json/writer.h"
#include "core/manifest/render.h"
#include <errno.h>
#include <stdlib.h>

void members_clear(struct members *members)
{
    for (size_t i = 0; i < MEMBERS_KNOWN; i++)
        members->known[i] = (struct known_member){JSON_END, SLICE_ABSENT};
    members->added_count = 0;
    buffer_clear(&members->names);
}

void members_free(struct members *members)
{
    free(members->added);
    buffer_free(&members->names);
}

/* Where the text stands in the table; count where it does not. */
static size_t known_place(struct slice text, const struct slice *known_names, size_t known_count)
{
    size_t place = 0;
    while (place < known_count && !slice_equal(text, known_names[place]))
        place++;
    return place;
}

static struct added_member *add(struct members *members, struct slice name)
{
    if (members->added_count == members->added_capacity) {
        members->added_capacity = members->added_capacity * 2 + 8;
        members->added = memory_resize(members->added, members->added_capacity * sizeof(*members->added));
    }
    struct added_member *member = &members->added[members->added_count];
    *member = (struct added_member){
        .name = {NULL, name.length}, .name_start = members->names.length, .ordinal = members->added_count};
    members->added_count++;
    buffer_append_slice(&members->names, name);
    return member;
}

int members_read(struct members *members, struct json_reader *reader, const struct slice *known_names,
                 size_t known_count)
{
    enum json_token token;
    while ((token = json_next(reader)) == JSON_MEMBER) {
        size_t place = known_place(reader->text, known_names, known_count);
        struct added_member *member = place == known_count ? add(members, reader->text) : NULL;
        struct slice raw;
        token = json_next(reader);
        if (json_skip_value(reader, token, &raw) != 0)
            return -EBADMSG;
        if (member)
            member->raw = raw;
        else
            members->known[place] = (struct known_member){token, raw};
    }
    return token == JSON_OBJECT_END ? 0 : -EBADMSG;
}

void members_read_bare(struct members *members, struct slice bare, struct buffer *holder)
{
    if (!bare.bytes)
        return;
    struct json_reader reader;
    buffer_clear(holder);
    buffer_append_byte(holder, '{');
    buffer_append_slice(holder, bare);
    buffer_append_byte(holder, '}');
    json_reader_init(&reader, buffer_slice(holder));
    if (json_next(&reader) == JSON_OBJECT_BEGIN)
        members_read(members, &reader, NULL, 0);
    json_reader_finish(&reader);
}

static int by_name(const void *a, const void *b)
{
    const struct added_member *left = a, *right = b;
    int order = slice_compare(left->name, right->name);
    return order ? order : (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

static int by_ordinal(const void *a, const void *b)
{
    const struct added_member *left = a, *right = b;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

void members_settle(struct members *members)
{
    struct added_member *added = members->added;
    for (size_t i = 0; i < members->added_count; i++)
        added[i].name.bytes = buffer_slice(&members->names).bytes + added[i].name_start;
    if (members->added_count < 2)
        return;
    qsort(added, members->added_count, sizeof(*added), by_name);
    size_t kept = 0;
    for (size_t i = 1; i < members->added_count; i++) {
        if (slice_equal(added[i].name, added[kept].name))
            added[kept].raw = added[i].raw;
        else
            added[++kept] = added[i];
    }
    members->added_count = kept + 1;
    qsort(added, members->added_count, sizeof(*added), by_ordinal);
}

struct slice members_lay_out(const struct members *members, unsigned depth)
{
    struct buffer out = {0};
    for (size_t i = 0; i < members->added_count; i++) {
        if (i > 0) {
            buffer_append_byte(&out, ',');
            render_line(&out, depth);
        }
        json_append_string(&out, members->added[i].name);
        buffer_append_text(&out, ": ");
        json_append_value(&out, members->added[i].raw, depth);
    }
    struct slice laid_out = members->added_count > 0 ? slice_copy(buffer_slice(&out)) : SLICE_ABSENT;
    buffer_free(&out);
    return laid_out;
}
