/*
 * What the tests of queries share: runs by a line, a query's answer and its error as text.
 */
#ifndef RUNSFS_TESTS_QUERY_FIXTURE_H
#define RUNSFS_TESTS_QUERY_FIXTURE_H

#include "core/query/query.h"
#include "tests/unit/manifest_fixture.h"
#include <errno.h>
#include <stdio.h>

/* NULL for a time that is absent. */
struct example_run {
    const char *framework, *name, *start, *end, *status;
    uint64_t tokens_in, tokens_out;
};

static inline struct run *put_example(struct index *index, const struct example_run *example)
{
    struct run_state state = {
        .is_run = true,
        .is_whole = true,
        .fields = {slice_of(example->start), slice_of(example->end), slice_of(example->status),
                   example->tokens_in, example->tokens_out, NULL},
    };
    bool changed;
    return index_put(index, slice_of(example->framework), slice_of(example->name), &state, &changed);
}

static inline struct query *parse(struct slice text)
{
    struct query *query;
    struct query_error error;
    if (query_parse(field_set_built_in(), text, &query, &error) != 0)
        fail_msg("%.*s: %s", (int)text.length, text.bytes, error.reason);
    assert_int_equal(error.code, 0);
    return query;
}

/* The names of the runs in the answer, with blanks between; good until the next call. */
static inline const char *answer_within(struct index *index, const struct facet_value *within,
                                        const char *text)
{
    static char names[4096];
    struct run **runs;
    struct query *query = parse(slice_of(text));
    size_t count = query_evaluate(query, index, within, &runs), length = 0;
    names[0] = '\0';
    for (size_t i = 0; i < count; i++)
        length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s", i ? " " : "",
                                   runs[i]->name.bytes);
    free(runs);
    query_free(query);
    return names;
}

static inline const char *answer(struct index *index, const char *text)
{
    return answer_within(index, NULL, text);
}

#endif
