/*
 * From the bytes of a run's tracked files to the fields of its manifest entry: the table of spec section 2,
 * and the only place that knows it. Pure: no file is opened here.
 */
#ifndef RUNSFS_RUN_FIELDS_H
#define RUNSFS_RUN_FIELDS_H

#include "core/base/text.h"

/* Moves with every change of what is derived from the same bytes: fields that were kept are not taken for
 * true after it. */
#define RUN_DERIVATION 1

struct run_fields {
    struct slice start_time; /* owned; absent is null */
    struct slice end_time;   /* owned; absent is null */
    struct slice status;     /* owned; never absent ("pending" is the default) */
    uint64_t tokens_in;
    uint64_t tokens_out;
};

/* A fault in a file: where and what, for people. */
struct run_fault {
    const char *reason; /* static text; NULL for none */
    unsigned line;      /* 0 where it has no place in the text */
    unsigned column;
};

/* Derives fields from the contents of metrics.json and metadata.json; absent for a file that is not there or
 * could not be read. 0, or -EBADMSG where a content is not a JSON object: then its fault is set, that file
 * counts as {}, and the fields are filled all the same. Whatever happens, fields is to be freed with
 * run_fields_free. */
int run_fields_derive(struct slice metrics, struct slice metadata, struct run_fields *fields,
                      struct run_fault *metrics_fault, struct run_fault *metadata_fault);
bool run_fields_equal(const struct run_fields *a, const struct run_fields *b);
void run_fields_free(struct run_fields *fields);

#endif
