/*
 * Lists of runs, and what they share: see listing.h.
 */
#include "fs/past/listing.h"
#include "core/base/memory.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables of names ---- */

static size_t slot_of(const struct name_table *table, const char *name)
{
    return (size_t)((uint64_t)(uint32_t)text_hash(slice_of(name)) * table->size >> 32);
}

static size_t next_slot(const struct name_table *table, size_t slot)
{
    return slot + 1 < table->size ? slot + 1 : 0;
}

/* Of a table for so many names: how many numbers, and of how many bytes. */
static size_t table_size(size_t count)
{
    return count + count / 2 + 1;
}

static size_t number_bytes(size_t count)
{
    return count < UINT16_MAX ? sizeof(uint16_t) : sizeof(uint32_t);
}

size_t name_table_bytes(size_t count)
{
    return table_size(count) * number_bytes(count);
}

static uint32_t number_in(const struct name_table *table, size_t count, size_t slot)
{
    if (number_bytes(count) == sizeof(uint16_t))
        return ((const uint16_t *)table->numbers)[slot];
    return ((const uint32_t *)table->numbers)[slot];
}

static void make_table(struct name_table *table, size_t count,
                       const char *(*name_of)(const void *context, size_t number), const void *context)
{
    table->size = table_size(count);
    table->numbers = memory_alloc_zeroed(table->size, number_bytes(count));
    for (size_t i = 0; i < count; i++) {
        size_t slot = slot_of(table, name_of(context, i));
        while (number_in(table, count, slot))
            slot = next_slot(table, slot);
        if (number_bytes(count) == sizeof(uint16_t))
            ((uint16_t *)table->numbers)[slot] = (uint16_t)(i + 1);
        else
            ((uint32_t *)table->numbers)[slot] = (uint32_t)(i + 1);
    }
}

int64_t name_table_find(struct name_table *table, size_t count, const char *name,
                        const char *(*name_of)(const void *context, size_t number), const void *context)
{
    uint32_t number;
    if (!table->numbers)
        make_table(table, count, name_of, context);
    for (size_t slot = slot_of(table, name); (number = number_in(table, count, slot));
         slot = next_slot(table, slot))
        if (strcmp(name_of(context, number - 1), name) == 0)
            return number - 1;
    return -1;
}

/* ---- what lists share ---- */

static size_t place_bytes(const struct past_place *place)
{
    return sizeof(*place) + OBJECT_ID_BYTES + strlen(place->path) + sizeof(size_t);
}

static uint32_t new_number(struct past_places *places)
{
    if (places->free_count)
        return places->free[--places->free_count];
    if (places->count == places->capacity) {
        uint32_t more = places->capacity / 2 + 256;
        places->capacity += more;
        places->at = memory_resize(places->at, places->capacity * sizeof(struct past_place *));
        places->free = memory_resize(places->free, places->capacity * sizeof(*places->free));
        places->size_bytes += more * (sizeof(struct past_place *) + sizeof(*places->free));
    }
    return places->count++;
}

static struct past_place *new_place(struct past_places *places)
{
    size_t key_at = offsetof(struct past_place, tree), length = places->key.length;
    struct past_place *place = memory_alloc_zeroed(1, sizeof(*place) + length);
    memcpy((char *)place + key_at, places->key.bytes, length);
    const char *slash = strrchr(place->path, '/');
    place->name_at = (uint16_t)(slash ? slash + 1 - place->path : 0);
    place->number = new_number(places);
    places->at[place->number] = place;
    HASH_ADD_KEYPTR(hh, places->table, (char *)place + key_at, (unsigned)length, place);
    places->size_bytes += place_bytes(place);
    return place;
}

/* A reference to the run's. The key is the tree's id and the path behind it. */
static struct past_place *share(struct past_places *places, const struct run *run)
{
    struct buffer *key = &places->key;
    struct past_place *place;
    buffer_clear(key);
    buffer_append(key, (const char *)past_run_tree(run)->bytes, OBJECT_ID_BYTES);
    run_append_path(run, key);
    HASH_FIND(hh, places->table, key->bytes, key->length, place);
    if (!place)
        place = new_place(places);
    place->references++;
    return place;
}

static void unshare(struct past_places *places, struct past_place *place)
{
    if (--place->references)
        return;
    HASH_DEL(places->table, place);
    places->at[place->number] = NULL;
    places->free[places->free_count++] = place->number;
    places->size_bytes -= place_bytes(place);
    free(place);
}

void past_places_finish(struct past_places *places)
{
    free(places->at);
    free(places->free);
    buffer_free(&places->key);
}

/* ---- lists ---- */

struct past_listing *past_listing_create(size_t count)
{
    struct past_listing *listing = memory_alloc_zeroed(1, sizeof(*listing));
    listing->places = memory_alloc((count + 1) * sizeof(*listing->places));
    return listing;
}

void past_listing_add(struct past_places *places, struct past_listing *listing, const struct run *run,
                      const char *name)
{
    struct past_place *place = share(places, run);
    if (strcmp(place->path + place->name_at, name) != 0) {
        if (listing->alternate_count == listing->alternate_capacity) {
            listing->alternate_capacity = listing->alternate_capacity * 2 + 8;
            listing->alternates = memory_resize(listing->alternates,
                                                listing->alternate_capacity * sizeof(*listing->alternates));
        }
        listing->alternates[listing->alternate_count++] =
            (struct past_alternate){(uint32_t)listing->count, listing->names.length};
        buffer_append(&listing->names, name, strlen(name) + 1);
    }
    listing->places[listing->count++] = place->number;
}

void past_listing_free(struct past_places *places, struct past_listing *listing)
{
    if (!listing)
        return;
    for (size_t i = 0; i < listing->count; i++)
        unshare(places, places->at[listing->places[i]]);
    free(listing->places);
    free(listing->alternates);
    buffer_free(&listing->names);
    free(listing->table.numbers);
    free(listing);
}

size_t past_listing_bytes(const struct past_listing *listing)
{
    return sizeof(*listing) + listing->count * sizeof(*listing->places) +
           listing->alternate_capacity * sizeof(*listing->alternates) + listing->names.capacity +
           name_table_bytes(listing->count);
}

const struct past_place *past_listing_place(const struct past_places *places,
                                            const struct past_listing *listing, size_t number)
{
    return places->at[listing->places[number]];
}

const char *past_listing_name(const struct past_places *places, const struct past_listing *listing,
                              size_t number)
{
    size_t low = 0, high = listing->alternate_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct past_alternate *alternate = &listing->alternates[middle];
        if (alternate->number == number)
            return listing->names.bytes + alternate->name_at;
        if (alternate->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    const struct past_place *place = past_listing_place(places, listing, number);
    return place->path + place->name_at;
}

struct named {
    const struct past_places *places;
    const struct past_listing *listing;
};

static const char *name_of(const void *context, size_t number)
{
    const struct named *named = context;
    return past_listing_name(named->places, named->listing, number);
}

const struct past_place *past_listing_find(const struct past_places *places, struct past_listing *listing,
                                           const char *name)
{
    struct named named = {places, listing};
    int64_t number = name_table_find(&listing->table, listing->count, name, name_of, &named);
    return number < 0 ? NULL : past_listing_place(places, listing, (size_t)number);
}
