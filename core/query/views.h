/*
 * Gives an index the views of a configuration: which there are, and by what text a run stands in each.
 */
#ifndef RUNSFS_QUERY_VIEWS_H
#define RUNSFS_QUERY_VIEWS_H

#include "core/query/field.h"
#include "core/run/plan.h"

/* The fields of a configuration's own views. */
struct query_views {
    const struct field *fields[LIMIT_CONFIG_VIEWS];
};

/* index_configure with what plan's configuration has. fields are those of the same configuration; views,
 * fields and source_name (see index_setup) must live as long as the index has this configuration. */
void query_views_configure(struct query_views *views, struct index *index, const struct run_plan *plan,
                           const struct field_set *fields, const char *source_name);

#endif
