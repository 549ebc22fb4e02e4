/*
 * What may stand where somebody pressed Tab: candidates, a line each, with a word about it behind a tab.
 */
#ifndef RUNSFS_CLI_COMPLETE_H
#define RUNSFS_CLI_COMPLETE_H

#include "core/query/field.h"

struct candidates {
    struct slice typed; /* with which they begin */
    struct buffer lines;
};

/* Adds a candidate if it begins as typed; one that would not be a line is left out. about may be absent. */
void candidates_add(struct candidates *candidates, struct slice candidate, struct slice about);

/* Candidates for a word of a query: those fields with their operators, and the values that index has. The
 * caller holds its lock; NULL adds no values. */
void complete_query(struct candidates *candidates, const struct field_set *fields, struct index *index);
/* Does a word of a query need an index for its candidates? */
bool complete_query_needs_values(struct slice typed);

#endif
