/*
 * More of the pure parts of `runs`: the block of a .gitignore among other lines, and what completes a query.
 */
#include "manifest_fixture.h"

#include "core/cli/complete.h"
#include "core/cli/ignore.h"
#include <errno.h>

/* ---- the block ---- */

#define BLOCK "# >>> runsfs new\n/*\n# <<< runsfs\n"
#define OLD "# >>> runsfs old\n/old\n# <<< runsfs end\n"

static void test_the_block_finds_its_place(void **state)
{
    static const struct {
        const char *before, *after;
        int change;
    } cases[] = {
        {"", BLOCK, IGNORE_ADDED},
        {"a", "a\n" BLOCK, IGNORE_ADDED},
        {"a\r\nb\r\n", "a\r\nb\r\n" BLOCK, IGNORE_ADDED},
        {"a\n" BLOCK "b", "a\n" BLOCK "b", IGNORE_SAME},
        {OLD, BLOCK, IGNORE_UPDATED},
        {"a\n" OLD "b\n" OLD "c\n", "a\n" BLOCK "b\nc\n", IGNORE_UPDATED},
        {BLOCK BLOCK, BLOCK, IGNORE_UPDATED},
        {"# >>> runsfs\r\n/*\r\n# <<< runsfs\r\nb", BLOCK "b", IGNORE_UPDATED},
        {"# <<< runsfs\n# >>>runsfs\n", "# <<< runsfs\n# >>>runsfs\n" BLOCK, IGNORE_ADDED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buffer out = {0};
        unsigned line = 0;
        assert_int_equal(ignore_put_block(slice_of(cases[i].before), SLICE_LITERAL(BLOCK), &out, &line),
                         cases[i].change);
        assert_string_equal(out.bytes, cases[i].after);
        buffer_free(&out);
    }
}

static void test_a_block_that_does_not_end(void **state)
{
    struct buffer out = {0};
    unsigned line = 0;

    (void)state;
    assert_int_equal(
        ignore_put_block(SLICE_LITERAL(BLOCK "a\n# >>> runsfs\nb\n"), SLICE_LITERAL(BLOCK), &out, &line),
        -EBADMSG);
    assert_int_equal(line, 5);
    buffer_free(&out);
}

static void test_the_manifest_is_meant_literally(void **state)
{
    struct buffer out = {0};

    (void)state;
    struct config *config = config_built_in();
    ignore_append_block(&out, config, "a [b]*\\.json");
    config_unref(config);
    assert_non_null(strstr(out.bytes, "\n!/a\\ \\[b]\\*\\\\.json\n"));
    buffer_free(&out);
}

static void append_pattern(struct slice pattern, unsigned line, void *context)
{
    buffer_append_format(context, "%u:%.*s|", line, (int)pattern.length, pattern.bytes);
}

static void test_patterns_of_a_file(void **state)
{
    static const char text[] = "# no\n\n*.log  \r\n!x\\ \n" BLOCK "   \nbehind";
    struct buffer all = {0}, behind = {0};

    (void)state;
    ignore_each_pattern(slice_of(text), false, append_pattern, &all);
    ignore_each_pattern(slice_of(text), true, append_pattern, &behind);
    assert_string_equal(all.bytes, "3:*.log|4:!x\\ |6:/*|9:behind|");
    assert_string_equal(behind.bytes, "9:behind|");
    buffer_free(&all);
    buffer_free(&behind);
}

/* ---- completing queries ---- */

/* The candidates, each ended by a blank, without what is said of them. */
static void assert_completes(struct index *index, const char *typed, const char *expected)
{
    struct candidates candidates = {.typed = slice_of(typed)};
    struct buffer names = {0};
    buffer_append_text(&names, "");
    complete_query(&candidates, field_set_built_in(), index);
    for (const char *line = candidates.lines.bytes; line && *line; line = strchr(line, '\n') + 1) {
        buffer_append(&names, line, strcspn(line, "\t\n"));
        buffer_append_byte(&names, ' ');
    }
    assert_string_equal(names.bytes, expected);
    buffer_free(&names);
    buffer_free(&candidates.lines);
}

static void test_queries_are_completed(void **state)
{
    struct index *index = index_create();

    (void)state;
    put(index, "chatdev", "a", "2025-10-15T08:50:59Z", "verified");
    put(index, "chatdev", "b", "2025-10-15T23:50:59-02:00", "failed");
    put(index, "gh,spec", "c", NULL, "verified");
    put(index, "gh,spec", "d\n", "soon", "50%/+");

    assert_completes(NULL, "tokens_", "tokens_in= tokens_out= ");
    assert_completes(NULL, "status=a,min_tokens",
                     "status=a,min_tokens_in= status=a,min_tokens_out= status=a,min_tokens= ");
    assert_completes(NULL, "by/not_st", "by/not_start_time= by/not_status= ");
    assert_completes(NULL, "has=end", "has=end_time ");
    assert_completes(NULL, "sort=-dur", "sort=-duration ");
    assert_completes(NULL, "status=", "");
    assert_completes(index, "status=", "status=50%25%2F%2B status=failed status=verified ");
    assert_completes(index, "x/not_verification_status=failed+v",
                     "x/not_verification_status=failed+verified ");
    assert_completes(index, "framework=", "framework=chatdev framework=gh%2Cspec ");
    assert_completes(index, "path=g", "path=gh%2Cspec%2Fc path=gh%2Cspec%2Fd%0A ");
    assert_completes(index, "since=", "since=2025-10-15 since=2025-10-16 ");
    assert_completes(index, "limit=", "");
    assert_completes(index, "nonsense=", "");
    index_destroy(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_block_finds_its_place),
        cmocka_unit_test(test_a_block_that_does_not_end),
        cmocka_unit_test(test_the_manifest_is_meant_literally),
        cmocka_unit_test(test_patterns_of_a_file),
        cmocka_unit_test(test_queries_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
