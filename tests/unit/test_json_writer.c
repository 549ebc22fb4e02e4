/*
 * The writer of core/json: what is written is what Python 3.11's json.dump(..., indent=2) writes. The cases
 * were compared with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/json/writer.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static void test_strings_are_written_as_python_writes_them(void **state)
{
    static const struct {
        struct slice text;
        const char *written;
    } cases[] = {
        {SLICE_CONSTANT(""), "\"\""},
        {SLICE_CONSTANT("a/b ~"), "\"a/b ~\""},
        {SLICE_CONSTANT("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
        {SLICE_CONSTANT("\0\x01\v\x1f\x7f"), "\"\\u0000\\u0001\\u000b\\u001f\\u007f\""},
        {SLICE_CONSTANT("\xc2\x80\xc3\xa9\xe2\x82\xac\xef\xbf\xbf"), "\"\\u0080\\u00e9\\u20ac\\uffff\""},
        {SLICE_CONSTANT("\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"),
         "\"\\ud800\\udc00\\ud83d\\ude00\\udbff\\udfff\""},
        {SLICE_CONSTANT("\xed\xa0\x80\xed\xb3\xbf"), "\"\\ud800\\udcff\""},
        {SLICE_CONSTANT("a\xff"), "\"a\\udcff\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};

        json_append_string(&out, cases[i].text);
        assert_string_equal(out.bytes, cases[i].written);
        buffer_free(&out);
    }
    struct buffer out = {0};
    json_append_string_or_null(&out, SLICE_ABSENT);
    json_append_string_or_null(&out, SLICE_LITERAL(""));
    assert_string_equal(out.bytes, "null\"\"");
    buffer_free(&out);
}

static void test_values_are_laid_out_as_python_does(void **state)
{
    static const struct {
        const char *raw;
        unsigned depth;
        const char *written;
    } cases[] = {
        {"1", 3, "1"},
        {"\"\\u00E9\\/\"", 0, "\"\\u00e9/\""},
        {"[ ]", 2, "[]"},
        {"{\n}", 2, "{}"},
        {"[1,[],{}]", 0, "[\n  1,\n  [],\n  {}\n]"},
        {"{\"a\":1,\"b\":[true,null]}", 0, "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null\n  ]\n}"},
        {"{\"a\":{\"\xc3\xa9\":[{}]}}", 1,
         "{\n    \"a\": {\n      \"\\u00e9\": [\n        {}\n      ]\n    }\n  }"},
        {"[-0, 1E+3, 1.50, NaN, -Infinity]", 0, "[\n  -0,\n  1E+3,\n  1.50,\n  NaN,\n  -Infinity\n]"},
        {"[[[1]],[2]]", 0, "[\n  [\n    [\n      1\n    ]\n  ],\n  [\n    2\n  ]\n]"},
        {"{\"a\":1,\"a\":2}", 0, "{\n  \"a\": 1,\n  \"a\": 2\n}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = {0};

        json_append_value(&out, slice_of(cases[i].raw), cases[i].depth);
        assert_string_equal(out.bytes, cases[i].written);
        buffer_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_are_written_as_python_writes_them),
        cmocka_unit_test(test_values_are_laid_out_as_python_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
