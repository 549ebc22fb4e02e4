/*
 * From any text to a query and its answer over a few runs that have something of everything. A text that
 * joins with ',' must mean what it means with '/'; a limit must leave the beginning of what there is without.
 */
#include "core/base/memory.h"
#include "core/query/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void put(struct index *index, const char *framework, const char *name, const char *start,
                const char *end, struct slice status, uint64_t tokens)
{
    struct run_state state = {
        .is_run = true,
        .is_whole = true,
        .fields = {slice_of(start), slice_of(end), status, tokens, tokens / 2, NULL},
    };
    bool changed;
    index_put(index, slice_of(framework), slice_of(name), &state, &changed);
}

static struct index *make_index(void)
{
    struct index *index = index_create();
    put(index, "chatdev", "0a1b", "2025-10-15T08:50:59Z", "2025-10-15T09:25:22Z", SLICE_LITERAL("verified"),
        287761);
    put(index, "chatdev", "\xff\xfe", "2025-10-16", NULL, SLICE_LITERAL("failed"), 7);
    put(index, "baes", "a,b%c+d", "2025-10-16T10:00:00.5+02:00", "never", SLICE_LITERAL("x\0y"), 1ull << 53);
    put(index, "baes", "0a1b", NULL, "2025-10-17T00:00:00Z", SLICE_LITERAL(""), 0);
    put(index, "ghspec", "\xc3\xa9", "2025", "2025", SLICE_LITERAL("\xed\xa0\x80"), 1000);
    return index;
}

static void check_error(const struct query_error *error, size_t size)
{
    require(error->code == -ENOENT || error->code == -EINVAL);
    require(error->position <= size);
    require(strlen(error->reason) > 0 && strlen(error->reason) < sizeof(error->reason) - 1);
    for (const char *at = error->reason; *at; at++)
        require(*at >= 0x20 && *at < 0x7f);
}

static void check_answer(struct index *index, struct query *query, struct slice text)
{
    struct run **runs, **limited;
    struct query *other;
    struct query_error error;
    struct buffer longer = {0};
    size_t count = query_evaluate(query, index, NULL, &runs), matching = 0;
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        matching += query_matches(query, run);
    require(query_has_limit(query) ? count <= matching : count == matching);
    for (size_t i = 0; i < count; i++)
        require(query_matches(query, runs[i]));

    for (size_t i = 0; i < text.length; i++)
        buffer_append_byte(&longer, text.bytes[i] == '/' ? ',' : text.bytes[i]);
    buffer_append_text(&longer, text.length ? "/limit=2" : "limit=2");
    require(query_parse(field_set_built_in(), buffer_slice(&longer), &other, &error) == 0);
    require(query_evaluate(other, index, NULL, &limited) == (count < 2 ? count : 2));
    require(memcmp(limited, runs, (count < 2 ? count : 2) * sizeof(*runs)) == 0);
    query_free(other);
    buffer_free(&longer);
    free(limited);
    free(runs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct index *index;
    struct query *query;
    struct query_error error;
    /* In a block of its own, so that a byte too many is noticed. */
    char *copy = memory_alloc(size + !size);
    struct slice text = {copy, size};

    if (!index)
        index = make_index();
    if (size)
        memcpy(copy, data, size);
    int result = query_parse(field_set_built_in(), text, &query, &error);
    require(result == error.code);
    if (result == 0)
        check_answer(index, query, text);
    else
        check_error(&error, size);
    query_free(query);
    free(copy);
    return 0;
}
