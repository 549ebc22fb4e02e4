/*
 * What the tests of core/run share: the fields that a run's files should give, and their comparison.
 */
#ifndef RUNSFS_TESTS_RUN_FIXTURE_H
#define RUNSFS_TESTS_RUN_FIXTURE_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "core/run/load.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* The files of the built-in configuration. */
enum { METRICS, METADATA, BUILT_IN_FILES };

/* How they are read; made once, and freed at the end of the program by nobody but it. */
static inline const struct run_plan *built_in_plan(void)
{
    static struct run_plan *plan;
    if (!plan) {
        struct config *config = config_built_in();
        plan = run_plan_create(config);
        config_unref(config);
    }
    return plan;
}

struct derivation {
    const char *metrics, *metadata; /* NULL for a file that is not there */
    const char *start_time, *end_time, *status;
    uint64_t tokens_in, tokens_out;
};

static inline void assert_fields(const struct run_fields *fields, const struct derivation *expected)
{
    struct run_fields wanted = {.start_time = slice_of(expected->start_time),
                                .end_time = slice_of(expected->end_time),
                                .status = slice_of(expected->status),
                                .tokens_in = expected->tokens_in,
                                .tokens_out = expected->tokens_out};

    if (!run_fields_equal(fields, &wanted))
        fail_msg("metrics %s, metadata %s: start %s end %s status %s tokens %llu %llu",
                 expected->metrics ? expected->metrics : "absent",
                 expected->metadata ? expected->metadata : "absent", fields->start_time.bytes,
                 fields->end_time.bytes, fields->status.bytes, (unsigned long long)fields->tokens_in,
                 (unsigned long long)fields->tokens_out);
}

#endif
