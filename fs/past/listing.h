/*
 * Runs in a view or query of the past, by name and in order: a hundredth of the index that it is made from,
 * which could not be kept of all revisions that are looked at side by side. Most runs are the same in most
 * revisions, so what a list has of one is shared by all lists.
 */
#ifndef RUNSFS_FS_PAST_LISTING_H
#define RUNSFS_FS_PAST_LISTING_H

#include "core/git/past.h"
#include <uthash.h>

/* A run's directory: where it is, and what is in it. */
struct past_place {
    UT_hash_handle hh;
    uint32_t references, number;
    uint16_t name_at;      /* in path: its own name */
    struct object_id tree; /* this and path are its key */
    char path[];           /* below the source */
};

/* All that some list has. */
struct past_places {
    struct past_place *table;
    struct past_place **at; /* by number; NULL for one that is free */
    uint32_t count, capacity;
    uint32_t *free; /* numbers, room for capacity */
    uint32_t free_count;
    size_t size_bytes; /* of all of this */
    struct buffer key; /* room for one */
};

/* Numbers of names, by name. */
struct name_table {
    void *numbers; /* from 1, of 16 bits where these will do, else of 32; NULL before it is needed */
    size_t size;
};

/* A name that is not the run's own, since another run has that. */
struct past_alternate {
    uint32_t number;
    size_t name_at; /* in names, NUL-terminated */
};

struct past_listing {
    size_t count;
    uint32_t *places; /* their numbers, a reference each */
    struct past_alternate *alternates;
    size_t alternate_count, alternate_capacity;
    struct buffer names;
    struct name_table table;
};

/* The number of the name, below count; -1 for none. name_of is asked for all names at first. */
int64_t name_table_find(struct name_table *table, size_t count, const char *name,
                        const char *(*name_of)(const void *context, size_t number), const void *context);

size_t name_table_bytes(size_t count);

/* With room for count runs, which are then added. */
struct past_listing *past_listing_create(size_t count);
void past_listing_add(struct past_places *places, struct past_listing *listing, const struct run *run,
                      const char *name);
void past_listing_free(struct past_places *places, struct past_listing *listing); /* may be NULL */
/* Without what is shared with others. */
size_t past_listing_bytes(const struct past_listing *listing);
const struct past_place *past_listing_place(const struct past_places *places,
                                            const struct past_listing *listing, size_t number);
const char *past_listing_name(const struct past_places *places, const struct past_listing *listing,
                              size_t number);
/* What is called so; NULL for nothing. */
const struct past_place *past_listing_find(const struct past_places *places, struct past_listing *listing,
                                           const char *name);
void past_places_finish(struct past_places *places);

#endif
