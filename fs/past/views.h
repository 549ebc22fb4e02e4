/*
 * The views of a revision: their values and the runs in each, as lists. Never changes.
 */
#ifndef RUNSFS_FS_PAST_VIEWS_H
#define RUNSFS_FS_PAST_VIEWS_H

#include "fs/past/listing.h"
#include "fs/past/past.h"

struct past_value {
    char *name; /* escaped, as it stands in the view */
    struct past_listing *runs;
};

struct past_facet {
    char *directory; /* "by-status" */
    struct past_value *values;
    size_t count;
    struct name_table table;
};

struct past_views {
    struct past_facet *facets;
    size_t count;
    struct past_listing *where; /* all runs */
};

/* From an index. */
struct past_views *past_views_create(struct past_places *places, const struct past *past);
void past_views_free(struct past_places *places, struct past_views *views);
/* Without what is shared with others. */
size_t past_views_bytes(const struct past_views *views);
/* NULL where there is no such view. */
struct past_facet *past_views_facet(const struct past_views *views, const char *directory);
/* NULL where no run has that value. */
const struct past_value *past_facet_value(struct past_facet *facet, const char *name);

/* The runs that match, among all or those of a view's value (within, may be NULL). */
struct past_listing *past_views_query(struct past_places *places, const struct past *past,
                                      struct query *query, const struct facet_value *within);
/* The predicates from where/ or a value on, and those of a name (may be NULL) that is asked for below it. */
void past_append_predicates(const struct past_node *node, const char *name, struct buffer *text);
bool past_is_where(const struct past_node *node);

#endif
