/*
 * How the fields of a run are read from its files: a configuration's fields, compiled once, so that each file
 * is read as one stream and nothing of it is kept but the values that are looked for.
 */
#ifndef RUNSFS_RUN_PLAN_H
#define RUNSFS_RUN_PLAN_H

#include "core/config/config.h"

/* A value that is looked for: its way in the file, and what it is for. */
struct run_target {
    const struct slice *steps; /* the configuration's */
    size_t step_count;
    unsigned field; /* in the configuration */
    unsigned slot;  /* of the field's sources the earlier come first */
};

struct run_plan_file {
    const char *name;           /* `metrics.json`, `files/summary.json`; the configuration's */
    const char *base;           /* its last part */
    char *directory;            /* `files`; NULL for a file directly in the run */
    struct run_target *targets; /* in order of their steps, so that those with one beginning stand together */
    size_t target_count;
};

/* Never changes while it lives. */
struct run_plan {
    struct config *config; /* a reference */
    struct run_plan_file *files;
    size_t file_count;
    unsigned *first_slots; /* of each field, and of one behind the last */
    size_t own_count;      /* fields of the configuration's own */
    bool has_directories;  /* some files do not stand in the run directory itself */
};

struct run_plan *run_plan_create(struct config *config);
void run_plan_free(struct run_plan *plan);
/* The number of the file that is called so, directly in a run (directory NULL) or in that directory of one;
 * -1 for none. */
int run_plan_find(const struct run_plan *plan, const char *directory, const char *name);
/* Are there files in a directory of that name? */
bool run_plan_has_directory(const struct run_plan *plan, const char *name);

#endif
