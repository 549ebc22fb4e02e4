/*
 * Queries: predicates over the fields of a run, as a path and as arguments of `runs find`. docs/queries.md
 * has the grammar; there is no other reading of it than this.
 *
 * A query is used by one thread at a time.
 */
#ifndef RUNSFS_QUERY_QUERY_H
#define RUNSFS_QUERY_QUERY_H

#include "core/query/field.h"

struct query;

/* Why a text is no query. */
struct query_error {
    int code;         /* -ENOENT for a field that is not known, -EINVAL for all else */
    size_t position;  /* of the first byte that is wrong, in the text */
    char reason[256]; /* one printable line that says what to do */
};

/* Predicates joined by ',' or '/', all of which must hold; an empty text is the query that every run matches.
 * 0 and *query, to be freed; or the error's code. fields must outlive the query. */
int query_parse(const struct field_set *fields, struct slice text, struct query **query,
                struct query_error *error);
void query_free(struct query *query);

/* Do the predicates hold? Order and limit are no part of it. */
bool query_matches(struct query *query, const struct run *run);
bool query_has_limit(const struct query *query);
/* The runs that match, among all or those of a view's value (within, may be NULL), in the order that is asked
 * for, else the manifest's, and no more than the limit: an array that the caller frees, and their number.
 * Good as long as the index does not change. */
size_t query_evaluate(struct query *query, struct index *index, const struct facet_value *within,
                      struct run ***runs);

#endif
