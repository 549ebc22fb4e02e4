/*
 * A mount's answer back in runs; and everything that is none, of which nothing may be believed.
 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "core/cli/answer.h"
#include <errno.h>

#define ENTRY(framework, name, status, tokens)                                                     \
    "{\"run_id\": \"" name "\", \"framework\": \"" framework "\", \"path\": \"" framework "/" name \
    "\", \"start_time\": \"2025\", \"end_time\": null, \"verification_status\": " status           \
    ", \"total_tokens_in\": " tokens ", \"total_tokens_out\": 2}"

static void runs_in_the_order_of_the_answer(void **state)
{
    struct answer answer;
    (void)state;
    assert_int_equal(answer_read(SLICE_LITERAL("[]\n"), &answer), 0);
    assert_int_equal(answer.list.count, 0);
    answer_free(&answer);
    static const char text[] = "[" ENTRY("b", "z", "\"x\\u0000\\ud800\"", "9007199254740992") ",\n" ENTRY(
        "a", "\\udcff\\u00e9", "\"verified\"", "0") ", " ENTRY("a", "z", "\"\"", "7") "]";
    assert_int_equal(answer_read(SLICE_LITERAL(text), &answer), 0);
    assert_int_equal(answer.list.count, 3);
    const struct run *run = answer.list.runs[0];
    assert_true(slice_equal(run->name, SLICE_LITERAL("z")) &&
                slice_equal(run_framework(run), SLICE_LITERAL("b")));
    assert_true(slice_equal(run->fields.status, SLICE_LITERAL("x\0\xed\xa0\x80")));
    assert_true(slice_equal(run->fields.start_time, SLICE_LITERAL("2025")) && !run->fields.end_time.bytes);
    assert_true(run->fields.tokens_in == 9007199254740992 && run->fields.tokens_out == 2);
    assert_true(slice_equal(answer.list.runs[1]->name, SLICE_LITERAL("\xff\xc3\xa9")));
    assert_true(slice_equal(run_framework(answer.list.runs[2]), SLICE_LITERAL("a")));
    answer_free(&answer);
}

static void members_in_any_order_and_others(void **state)
{
    static const char text[] = "[{\"note\": {\"run_id\": [1]}, \"total_tokens_out\": 1, \"total_tokens_in\": "
                               "5, \"path\": \"x\", \"path\": \"a/b\","
                               " \"verification_status\": \"v\", \"end_time\": \"e\", \"start_time\": null, "
                               "\"framework\": \"a\", \"run_id\": \"b\"}]";
    struct answer answer;
    (void)state;
    assert_int_equal(answer_read(SLICE_LITERAL(text), &answer), 0);
    assert_int_equal(answer.list.runs[0]->fields.tokens_in, 5);
    assert_true(slice_equal(answer.list.runs[0]->fields.end_time, SLICE_LITERAL("e")));
    answer_free(&answer);
}

static void what_is_no_answer(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[",
        "[]]",
        "[1]",
        "[{}]",
        "[null]",
        "[" ENTRY("a", "b", "\"v\"", "1"),
        "[" ENTRY("a", "b", "\"v\"", "1") ",]",
        "[" ENTRY("a", "b", "\"v\"", "1") "] x",
        "[" ENTRY("a", "b", "\"v\"", "1") "," ENTRY("a", "b", "\"w\"", "1") "]",
        "[" ENTRY("a", "b", "null", "1") "]",
        "[" ENTRY("a", "b", "[\"v\"]", "1") "]",
        "[" ENTRY("a", "b", "\"v\"", "-1") "]",
        "[" ENTRY("a", "b", "\"v\"", "1.0") "]",
        "[" ENTRY("a", "b", "\"v\"", "\"1\"") "]",
        "[" ENTRY("a", "b", "\"v\"", "9007199254740993") "]",
        "[" ENTRY("", "b", "\"v\"", "1") "]",
        "[" ENTRY("a", "", "\"v\"", "1") "]",
        "[" ENTRY("a", "b/c", "\"v\"", "1") "]",
        "[" ENTRY("a", "b\\u0000", "\"v\"", "1") "]",
        "[" ENTRY("a", "\\ud800", "\"v\"", "1") "]",
        "[{\"run_id\": \"b\", \"framework\": \"a\", \"path\": \"a/c\", \"start_time\": null, \"end_time\": "
        "null,"
        " \"verification_status\": \"v\", \"total_tokens_in\": 1, \"total_tokens_out\": 1}]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct answer answer;
        if (answer_read(slice_of(texts[i]), &answer) != -EBADMSG)
            fail_msg("%s", texts[i]);
        assert_null(answer.list.runs);
    }
    /* Nor is any beginning of one. */
    static const char text[] = "[ \n" ENTRY("a", "b", "\"v\"", "1") ",\n" ENTRY("a", "c", "\"v\"", "1") "]";
    for (size_t length = 0; length < sizeof(text) - 1; length++) {
        struct answer answer;
        assert_int_equal(answer_read((struct slice){text, length}, &answer), -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_in_the_order_of_the_answer),
        cmocka_unit_test(members_in_any_order_and_others),
        cmocka_unit_test(what_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
