/*
 * How many runs stood in each status at each commit of the history of HEAD that touched the source.
 */
#ifndef RUNSFS_GIT_COUNTS_H
#define RUNSFS_GIT_COUNTS_H

#include "core/git/derive.h"

struct count_row {
    struct object_id commit;
    int64_t time_s;   /* the committer's, since 1970 */
    bool is_mainline; /* HEAD, its first parent, that one's first parent, ... */
    uint32_t *counts; /* by status; behind width there are none */
    size_t width;
};

struct count_table {
    struct slice *statuses; /* in the order in which they are shown */
    size_t *columns;        /* of each of these: its place in a row's counts */
    size_t status_count;
    struct count_row *rows; /* parents before their children, else the oldest first */
    size_t row_count;
};

/* 0 and *table, to be freed, without rows where there is no commit; -EIO where an object is missing. seen
 * (may be NULL) is told how many commits of how many are counted. */
int count_history(struct deriver *deriver, void (*seen)(size_t done, size_t total, void *context),
                  void *context, struct count_table **table);
void count_table_free(struct count_table *table);
/* Of the status that is shown at that place. */
uint32_t count_of(const struct count_table *table, const struct count_row *row, size_t status);

#endif
