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

struct derivation {
    const char *metrics, *metadata; /* NULL for a file that is not there */
    const char *start_time, *end_time, *status;
    uint64_t tokens_in, tokens_out;
};

static inline void assert_fields(const struct run_fields *fields, const struct derivation *expected)
{
    struct run_fields wanted = {slice_of(expected->start_time), slice_of(expected->end_time),
                                slice_of(expected->status), expected->tokens_in, expected->tokens_out};

    if (!run_fields_equal(fields, &wanted))
        fail_msg("metrics %s, metadata %s: start %s end %s status %s tokens %llu %llu",
                 expected->metrics ? expected->metrics : "absent",
                 expected->metadata ? expected->metadata : "absent", fields->start_time.bytes,
                 fields->end_time.bytes, fields->status.bytes, (unsigned long long)fields->tokens_in,
                 (unsigned long long)fields->tokens_out);
}

#endif
