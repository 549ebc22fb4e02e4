/*
 * What views and queries hold, as a list of names and trees: a twelfth of the index that it is made from.
 * Where many revisions are looked at side by side, not all their indexes can be kept, but their lists can:
 * listings come in many pieces, and each name in them is looked up. Bounded: the longest unused go first.
 */
#include "fs/past/listing.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>

/* Of all listings together; about 90 bytes each. */
#define HELD_ENTRIES ((size_t)256 << 10)

struct past_listings {
    struct past_listing *first; /* the last used */
    size_t entries;
};

struct past_listings *past_listings_create(void)
{
    return memory_alloc_zeroed(1, sizeof(struct past_listings));
}

static void listing_free(struct past_listing *listing)
{
    free(listing->listed);
    free(listing->table);
    buffer_free(&listing->names);
    free(listing);
}

void past_listings_free(struct past_listings *listings)
{
    for (struct past_listing *listing; listings && (listing = listings->first);) {
        listings->first = listing->next;
        listing_free(listing);
    }
    free(listings);
}

static void put_first(struct past_listings *listings, struct past_listing *listing)
{
    listing->next = listings->first;
    listings->first = listing;
    listings->entries += listing->count;
}

static void take_out(struct past_listings *listings, struct past_listing **place)
{
    struct past_listing *listing = *place;
    *place = listing->next;
    listings->entries -= listing->count;
}

struct past_listing *past_listing_held(struct past_listings *listings, const struct past_node *node)
{
    struct past_listing **place = &listings->first;
    while (*place && ((*place)->node != node || (*place)->generation != node->node.generation))
        place = &(*place)->next;
    struct past_listing *listing = *place;
    if (listing) {
        take_out(listings, place);
        put_first(listings, listing);
    }
    return listing;
}

struct past_listing *past_listing_begin(const struct past_node *node)
{
    struct past_listing *listing = memory_alloc_zeroed(1, sizeof(*listing));
    listing->node = node;
    listing->generation = node->node.generation;
    return listing;
}

void past_listing_add(struct past_listing *listing, const char *name, const struct past_node *like)
{
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? listing->capacity * 2 : 64;
        listing->listed = memory_resize(listing->listed, listing->capacity * sizeof(*listing->listed));
    }
    listing->listed[listing->count++] = (struct past_listed){listing->names.length, like->id, like->ino};
    buffer_append(&listing->names, name, strlen(name) + 1);
}

void past_listing_hold(struct past_listings *listings, struct past_listing *listing)
{
    put_first(listings, listing);
    while (listings->entries > HELD_ENTRIES && listing->next) {
        struct past_listing **last = &listing->next;
        while ((*last)->next)
            last = &(*last)->next;
        struct past_listing *dropped = *last;
        take_out(listings, last);
        listing_free(dropped);
    }
}

static const char *name_of(const struct past_listing *listing, const struct past_listed *listed)
{
    return listing->names.bytes + listed->name_at;
}

static void make_table(struct past_listing *listing)
{
    listing->table_size = 16;
    while (listing->table_size < listing->count * 2)
        listing->table_size *= 2;
    listing->table = memory_alloc_zeroed(listing->table_size, sizeof(*listing->table));
    for (size_t i = 0; i < listing->count; i++) {
        size_t at = text_hash(slice_of(name_of(listing, &listing->listed[i])));
        while (listing->table[at & (listing->table_size - 1)])
            at++;
        listing->table[at & (listing->table_size - 1)] = (uint32_t)(i + 1);
    }
}

const struct past_listed *past_listing_find(struct past_listing *listing, const char *name)
{
    uint32_t place;
    if (!listing->table)
        make_table(listing);
    for (size_t at = text_hash(slice_of(name)); (place = listing->table[at & (listing->table_size - 1)]);
         at++)
        if (strcmp(name_of(listing, &listing->listed[place - 1]), name) == 0)
            return &listing->listed[place - 1];
    return NULL;
}
