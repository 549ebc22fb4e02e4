/*
 * The runs in a view or query of the past, by name and in order. All while entered (past.h).
 */
#ifndef RUNSFS_FS_PAST_LISTING_H
#define RUNSFS_FS_PAST_LISTING_H

#include "fs/past/past.h"

struct past_listed {
    size_t name_at; /* in names, NUL-terminated */
    struct object_id id;
    uint64_t ino;
};

struct past_listing {
    const struct past_node *node; /* compared, never followed */
    uint32_t generation;          /* the node's */
    struct past_listed *listed;
    size_t count, capacity;
    struct buffer names;
    uint32_t *table; /* places in listed by the hash of their names, from 1; NULL before it is needed */
    size_t table_size;
    struct past_listing *next;
};

struct past_listings *past_listings_create(void);
void past_listings_free(struct past_listings *listings); /* may be NULL */
/* The one that is held of the node, or NULL. */
struct past_listing *past_listing_held(struct past_listings *listings, const struct past_node *node);
/* A new one: begun, filled, and held from then on. Others may go for it. */
struct past_listing *past_listing_begin(const struct past_node *node);
void past_listing_add(struct past_listing *listing, const char *name, const struct past_node *like);
void past_listing_hold(struct past_listings *listings, struct past_listing *listing);
/* What is called so; NULL for nothing. */
const struct past_listed *past_listing_find(struct past_listing *listing, const char *name);

#endif
