/*
 * From the bytes of a run's files to the fields of its manifest entry, and to the configuration's own. Where
 * a field comes from is the plan's to say (without a configuration: the table of spec section 2). Pure: no
 * file is opened here.
 */
#ifndef RUNSFS_RUN_FIELDS_H
#define RUNSFS_RUN_FIELDS_H

#include "core/run/plan.h"

/* Moves with every change of what is derived from the same bytes by the same configuration: fields that were
 * kept are not taken for true after it. */
#define RUN_DERIVATION 3

/* The values of a configuration's own fields, in its order. One block of memory. */
struct run_own {
    size_t count;
    struct slice values[]; /* absent where the run has none; the texts stand behind */
};

struct run_fields {
    struct slice start_time; /* owned; absent is null */
    struct slice end_time;   /* owned; absent is null */
    struct slice status;     /* owned; never absent ("pending" is the default) */
    uint64_t tokens_in;
    uint64_t tokens_out;
    struct run_own *own; /* owned; NULL where there are no own fields */
};

/* A fault in a file: where and what, for people. */
struct run_fault {
    const char *reason; /* static text; NULL for none */
    unsigned line;      /* 0 where it has no place in the text */
    unsigned column;
};

/* Derives fields from the contents of the plan's files; absent for one that is not there or could not be
 * read. 0, or -EBADMSG where a content is not a JSON object: then its fault is set, that file counts as {},
 * and the fields are filled all the same. Whatever happens, fields is to be freed with run_fields_free. */
int run_fields_derive(const struct run_plan *plan, const struct slice *contents, struct run_fields *fields,
                      struct run_fault *faults);
bool run_fields_equal(const struct run_fields *a, const struct run_fields *b);
void run_fields_free(struct run_fields *fields);
/* A copy of those values, owned by the caller, who frees it; NULL of NULL. */
struct run_own *run_own_copy(const struct slice *values, size_t count);

#endif
