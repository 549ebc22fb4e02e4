/*
 * core/base/escape: values as names, and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/escape.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    struct slice value;
    const char *name;
} cases[] = {
    {{"verified", 8}, "verified"},
    {{"", 0}, "%"},
    {{"%", 1}, "%25"},
    {{".", 1}, "%2E"},
    {{"..", 2}, "%2E."},
    {{".hidden", 7}, "%2Ehidden"},
    {{"v1.0", 4}, "v1.0"},
    {{"a/b", 3}, "a%2Fb"},
    {{"\0", 1}, "%00"},
    {{"a\nb\x1f\x7f", 5}, "a%0Ab%1F%7F"},
    {{"a b", 3}, "a b"},
    {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\xc3\xa9\xf0\x9f\x98\x80"},
    {{"\xff", 1}, "%FF"},
    {{"\xe2\x82", 2}, "%E2%82"},
    {{"\xe2\x82/", 3}, "%E2%82%2F"},
    {{"\xed\xa0\x80", 3}, "%ED%A0%80"},
    {{"100%", 4}, "100%25"},
    {{"~", 1}, "~"},
};

static void test_values_as_names_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char name[LIMIT_NAME_BYTES + 1];
        struct buffer value = {0};

        size_t length = escape_value(cases[i].value, name);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(length, strlen(name));
        assert_int_equal(escape_decode(slice_of(name), &value), 0);
        assert_true(slice_equal(buffer_slice(&value), cases[i].value));
        buffer_free(&value);
    }
}

static void test_every_byte_is_a_name_and_comes_back(void **state)
{
    (void)state;
    for (int first = 0; first < 256; first++) {
        for (int second = 0; second < 256; second++) {
            char bytes[2] = {(char)first, (char)second};
            char name[LIMIT_NAME_BYTES + 1];
            struct buffer value = {0};

            size_t length = escape_value((struct slice){bytes, 2}, name);
            assert_int_equal(length, strlen(name));
            assert_null(strchr(name, '/'));
            assert_int_not_equal(name[0], '.');
            assert_int_equal(escape_decode((struct slice){name, length}, &value), 0);
            assert_true(slice_equal(buffer_slice(&value), (struct slice){bytes, 2}));
            buffer_free(&value);
        }
    }
}

/* A name of `count` times `unit`, checked against what it must be: whole, or cut at a unit with the hash
 * behind it. */
static void check_long(struct slice unit, size_t count, const char *escaped_unit)
{
    struct buffer value = {0};
    struct buffer whole = {0};
    char name[LIMIT_NAME_BYTES + 1];

    for (size_t i = 0; i < count; i++) {
        buffer_append_slice(&value, unit);
        buffer_append_text(&whole, escaped_unit);
    }
    size_t length = escape_value(buffer_slice(&value), name);
    if (whole.length > LIMIT_NAME_BYTES) {
        whole.length = (LIMIT_NAME_BYTES - 17) / strlen(escaped_unit) * strlen(escaped_unit);
        buffer_append_format(&whole, "~%016" PRIx64, text_hash(buffer_slice(&value)));
    }
    assert_true(slice_equal((struct slice){name, length}, buffer_slice(&whole)));
    assert_int_equal(name[length], '\0');
    assert_true(length <= LIMIT_NAME_BYTES);
    buffer_free(&value);
    buffer_free(&whole);
}

static void test_long_names_are_cut_at_a_unit(void **state)
{
    (void)state;
    for (size_t count = 1; count < 400; count++) {
        check_long(SLICE_LITERAL("a"), count, "a");
        check_long(SLICE_LITERAL("/"), count, "%2F");
        check_long(SLICE_LITERAL("\xc3\xa9"), count, "\xc3\xa9");
        check_long(SLICE_LITERAL("\xe2\x82\xac"), count, "\xe2\x82\xac");
        check_long(SLICE_LITERAL("\xf0\x9f\x98\x80"), count, "\xf0\x9f\x98\x80");
    }
}

static void test_long_values_that_differ_have_names_that_differ(void **state)
{
    char value[400];
    char name[LIMIT_NAME_BYTES + 1];
    char other_name[LIMIT_NAME_BYTES + 1];

    (void)state;
    memset(value, 'x', sizeof(value));
    escape_value((struct slice){value, sizeof(value)}, name);
    value[399] = 'y';
    escape_value((struct slice){value, sizeof(value)}, other_name);
    assert_string_not_equal(name, other_name);
}

static void test_names_that_are_no_escape(void **state)
{
    static const char *const refused[] = {"%2", "a%", "%%", "%G0", "%0G", "%-1", "% 1", "ab%2", "%2F%"};
    struct buffer value = {0};

    (void)state;
    buffer_append_text(&value, "before");
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        assert_int_equal(escape_decode(slice_of(refused[i]), &value), -EINVAL);
        assert_string_equal(value.bytes, "before");
    }
    assert_int_equal(escape_decode(SLICE_LITERAL("%2f%c3%A9"), &value), 0);
    assert_string_equal(value.bytes, "before/\xc3\xa9");
    buffer_free(&value);
}

static void test_octal_escapes(void **state)
{
    char text[] = "/mnt/a\\040b\\134c\\011", plain[] = "/mnt/\\9";

    (void)state;
    escape_undo_octal(text);
    assert_string_equal(text, "/mnt/a b\\c\t");
    escape_undo_octal(plain);
    assert_string_equal(plain, "/mnt/\\9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_as_names_and_back),
        cmocka_unit_test(test_every_byte_is_a_name_and_comes_back),
        cmocka_unit_test(test_long_names_are_cut_at_a_unit),
        cmocka_unit_test(test_long_values_that_differ_have_names_that_differ),
        cmocka_unit_test(test_names_that_are_no_escape),
        cmocka_unit_test(test_octal_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
