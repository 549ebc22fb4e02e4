/*
 * The reader of core/json: what is accepted is what Python 3.11's json.loads(bytes.decode("utf-8-sig"))
 * accepts. The cases were compared with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/limits.h"
#include "core/json/reader.h"

#include <errno.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* Pulls all tokens and, besides, skips the whole as one value: both must agree. */
static bool is_accepted(struct slice input)
{
    struct json_reader reader;
    enum json_token token;

    json_reader_init(&reader, input);
    do
        token = json_next(&reader);
    while (token != JSON_END && token != JSON_ERROR);
    assert_int_equal(reader.error != NULL, token == JSON_ERROR);
    assert_int_equal(json_next(&reader), token);
    json_reader_finish(&reader);

    json_reader_init(&reader, input);
    bool is_skipped = json_skip_next(&reader, NULL) == 0 && json_next(&reader) == JSON_END;
    json_reader_finish(&reader);
    assert_int_equal(is_skipped, token == JSON_END);
    return token == JSON_END;
}

static const struct slice accepted[] = {
    SLICE_CONSTANT("{}"),
    SLICE_CONSTANT("[]"),
    SLICE_CONSTANT(" \t\r\n{ } \n"),
    SLICE_CONSTANT("[ ]"),
    SLICE_CONSTANT("\"\""),
    SLICE_CONSTANT("0"),
    SLICE_CONSTANT("-0"),
    SLICE_CONSTANT("-0.0"),
    SLICE_CONSTANT("10"),
    SLICE_CONSTANT("1e5"),
    SLICE_CONSTANT("1E+05"),
    SLICE_CONSTANT("1e-999999"),
    SLICE_CONSTANT("0e0"),
    SLICE_CONSTANT("0.10"),
    SLICE_CONSTANT("99999999999999999999999999"),
    SLICE_CONSTANT("true"),
    SLICE_CONSTANT("[true,false,null]"),
    SLICE_CONSTANT("NaN"),
    SLICE_CONSTANT("[NaN, Infinity,-Infinity]"),
    SLICE_CONSTANT("\xef\xbb\xbf{}"),
    SLICE_CONSTANT("\xef\xbb\xbf \"\xef\xbb\xbf\""),
    SLICE_CONSTANT("{\"a\":1,\"a\":2}"),
    SLICE_CONSTANT("{\"\":[{\"\":[]}]}"),
    SLICE_CONSTANT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uABCD\""),
    SLICE_CONSTANT("\"\\u0000\""),
    SLICE_CONSTANT("\"\\ud800\""),
    SLICE_CONSTANT("\"\\udc00\\ud800\""),
    SLICE_CONSTANT("\"\\ud83d\\ud83d\\ude00\""),
    SLICE_CONSTANT("\"\x7f\""),
    SLICE_CONSTANT("\"\xc2\x80\xe2\x80\xa8\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\""),
};

static const struct slice refused[] = {
    SLICE_CONSTANT(""),
    SLICE_CONSTANT(" \n"),
    SLICE_CONSTANT("\xef\xbb\xbf"),
    SLICE_CONSTANT("\xef\xbb\xbf\xef\xbb\xbf{}"),
    SLICE_CONSTANT("\xef\xbb{}"),
    SLICE_CONSTANT(" \xef\xbb\xbf{}"),
    SLICE_CONSTANT("{}{}"),
    SLICE_CONSTANT("{} x"),
    SLICE_CONSTANT("{}\0"),
    SLICE_CONSTANT("\v{}"),
    SLICE_CONSTANT("\f{}"),
    SLICE_CONSTANT("\xc2\xa0{}"),
    SLICE_CONSTANT("{"),
    SLICE_CONSTANT("["),
    SLICE_CONSTANT("}"),
    SLICE_CONSTANT("]"),
    SLICE_CONSTANT("[}"),
    SLICE_CONSTANT("{]"),
    SLICE_CONSTANT("[1,]"),
    SLICE_CONSTANT("[,1]"),
    SLICE_CONSTANT("[1 2]"),
    SLICE_CONSTANT("[1:2]"),
    SLICE_CONSTANT("{\"a\":1,}"),
    SLICE_CONSTANT("{,}"),
    SLICE_CONSTANT("{\"a\"}"),
    SLICE_CONSTANT("{\"a\":}"),
    SLICE_CONSTANT("{\"a\" 1}"),
    SLICE_CONSTANT("{\"a\":1 \"b\":2}"),
    SLICE_CONSTANT("{1:2}"),
    SLICE_CONSTANT("{a:1}"),
    SLICE_CONSTANT("{'a':1}"),
    SLICE_CONSTANT("{null:1}"),
    SLICE_CONSTANT("{\"a\"::1}"),
    SLICE_CONSTANT(","),
    SLICE_CONSTANT(":"),
    SLICE_CONSTANT("-"),
    SLICE_CONSTANT("+1"),
    SLICE_CONSTANT("--1"),
    SLICE_CONSTANT("01"),
    SLICE_CONSTANT("-01"),
    SLICE_CONSTANT("00"),
    SLICE_CONSTANT(".5"),
    SLICE_CONSTANT("1."),
    SLICE_CONSTANT("1.e5"),
    SLICE_CONSTANT("1e"),
    SLICE_CONSTANT("1e+"),
    SLICE_CONSTANT("1.5.2"),
    SLICE_CONSTANT("0x10"),
    SLICE_CONSTANT("1_000"),
    SLICE_CONSTANT("\xd9\xa1"),
    SLICE_CONSTANT("True"),
    SLICE_CONSTANT("tru"),
    SLICE_CONSTANT("truely"),
    SLICE_CONSTANT("nul"),
    SLICE_CONSTANT("nan"),
    SLICE_CONSTANT("-NaN"),
    SLICE_CONSTANT("Inf"),
    SLICE_CONSTANT("-Inf"),
    SLICE_CONSTANT("+Infinity"),
    SLICE_CONSTANT("\""),
    SLICE_CONSTANT("\"abc"),
    SLICE_CONSTANT("\"\\"),
    SLICE_CONSTANT("\"\\\""),
    SLICE_CONSTANT("\"\\x41\""),
    SLICE_CONSTANT("\"\\\0\""),
    SLICE_CONSTANT("\"\\u12\""),
    SLICE_CONSTANT("\"\\u12"),
    SLICE_CONSTANT("\"\\u+123\""),
    SLICE_CONSTANT("\"\\u 123\""),
    SLICE_CONSTANT("\"\\U1234\""),
    SLICE_CONSTANT("\"\\ud83d\\u12\""),
    SLICE_CONSTANT("\"\n\""),
    SLICE_CONSTANT("\"\0\""),
    SLICE_CONSTANT("\"\x1f\""),
    SLICE_CONSTANT("\"12345678\t\""),
    SLICE_CONSTANT("\"\x80\""),
    SLICE_CONSTANT("\"\xc0\x80\""),
    SLICE_CONSTANT("\"\xed\xa0\x80\""),
    SLICE_CONSTANT("\"\xe2\x82\""),
    SLICE_CONSTANT("\"\xf4\x90\x80\x80\""),
    SLICE_CONSTANT("\"\xff\""),
    SLICE_CONSTANT("/* */{}"),
    SLICE_CONSTANT("{}//"),
    SLICE_CONSTANT("{\0}\0") /* UTF-16 */
};

static void test_accepts_what_python_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(accepted); i++) {
        if (!is_accepted(accepted[i]))
            fail_msg("refused: %s", accepted[i].bytes);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (is_accepted(refused[i]))
            fail_msg("accepted: %s", refused[i].bytes);
    }
    assert_false(is_accepted(SLICE_ABSENT));
}

/* No beginning of a text that ends in a bracket is a text itself. */
static void test_refuses_every_text_cut_short(void **state)
{
    struct slice whole =
        SLICE_LITERAL("{\"a\\u00e9\xc3\xa9\": [1, -2.5e+3, true, null, NaN, {\"b\": \"c\\n\"}], \"d\": {}}");

    (void)state;
    assert_true(is_accepted(whole));
    for (size_t length = 0; length < whole.length; length++)
        assert_false(is_accepted((struct slice){whole.bytes, length}));
}

static void append_times(struct buffer *buffer, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buffer_append_text(buffer, text);
}

static void test_depth_is_limited(void **state)
{
    static const struct {
        const char *open, *inner, *close;
    } kinds[] = {{"[", "1", "]"}, {"{\"a\":", "1", "}"}, {"[", "", "]"}};

    (void)state;
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        for (size_t depth = LIMIT_JSON_DEPTH - 1; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
            struct buffer text = {0};

            append_times(&text, kinds[kind].open, depth);
            buffer_append_text(&text, kinds[kind].inner);
            append_times(&text, kinds[kind].close, depth);
            assert_int_equal(is_accepted(buffer_slice(&text)), depth <= LIMIT_JSON_DEPTH);
            buffer_free(&text);
        }
    }
    /* Depth is not the number of brackets. */
    struct buffer flat = {0};
    buffer_append_text(&flat, "[");
    append_times(&flat, "[[]],{},", 5000);
    buffer_append_text(&flat, "0]");
    assert_true(is_accepted(buffer_slice(&flat)));
    buffer_free(&flat);
}

static void test_integers_have_4300_digits_at_most(void **state)
{
    static const struct {
        const char *before, *after;
        size_t digits;
        bool is_accepted;
    } cases[] = {
        {"", "", 4300, true},    {"", "", 4301, false},  {"-", "", 4300, true},  {"-", "", 4301, false},
        {"", ".0", 4301, true},  {"", "e0", 4301, true}, {"0.", "", 5000, true}, {"1e", "", 5000, true},
        {"[", "]", 4301, false}, {"", ".", 4301, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer text = {0};

        buffer_append_text(&text, cases[i].before);
        append_times(&text, "7", cases[i].digits);
        buffer_append_text(&text, cases[i].after);
        assert_int_equal(is_accepted(buffer_slice(&text)), cases[i].is_accepted);
        buffer_free(&text);
    }
}

static void test_tokens_and_where_they_stand(void **state)
{
    static const struct {
        enum json_token token;
        const char *lexeme;
        const char *text;
    } expected[] = {
        {JSON_OBJECT_BEGIN, "{", NULL},
        {JSON_MEMBER, "\"a\\n\"", "a\n"},
        {JSON_ARRAY_BEGIN, "[", NULL},
        {JSON_INTEGER, "-12", NULL},
        {JSON_FLOAT, "1.50", NULL},
        {JSON_FLOAT, "1e3", NULL},
        {JSON_FLOAT, "-Infinity", NULL},
        {JSON_TRUE, "true", NULL},
        {JSON_FALSE, "false", NULL},
        {JSON_NULL, "null", NULL},
        {JSON_ARRAY_END, "]", NULL},
        {JSON_MEMBER, "\"\"", ""},
        {JSON_STRING, "\"\xc3\xa9\"", "\xc3\xa9"},
        {JSON_OBJECT_END, "}", NULL},
        {JSON_END, "", NULL},
    };
    struct slice input =
        SLICE_LITERAL(" {\"a\\n\" : [-12, 1.50,1e3 ,-Infinity,\ttrue,false,null ] ,\n\"\":\"\xc3\xa9\"} ");
    struct json_reader reader;

    (void)state;
    json_reader_init(&reader, input);
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_int_equal(json_next(&reader), expected[i].token);
        struct slice lexeme = {input.bytes + reader.token_start, reader.position - reader.token_start};
        assert_true(slice_equal(lexeme, slice_of(expected[i].lexeme)));
        assert_true(slice_equal(reader.text, slice_of(expected[i].text)));
    }
    json_reader_finish(&reader);
}

static void test_strings_are_decoded(void **state)
{
    static const struct {
        const char *literal;
        struct slice text;
    } cases[] = {
        {"\"plain and longer than a word\"", SLICE_CONSTANT("plain and longer than a word")},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", SLICE_CONSTANT("\"\\/\b\f\n\r\t")},
        {"\"a\\u0000b\"", SLICE_CONSTANT("a\0b")},
        {"\"\\u00E9\\u20ac\\u007F\"", SLICE_CONSTANT("\xc3\xa9\xe2\x82\xac\x7f")},
        {"\"\\ud83d\\ude00\"", SLICE_CONSTANT("\xf0\x9f\x98\x80")},
        {"\"\\udbff\\udfff\"", SLICE_CONSTANT("\xf4\x8f\xbf\xbf")},
        {"\"\\ud800\"", SLICE_CONSTANT("\xed\xa0\x80")},
        {"\"\\ud800\\n\"", SLICE_CONSTANT("\xed\xa0\x80\n")},
        {"\"\\ud800u1234\"", SLICE_CONSTANT("\xed\xa0\x80u1234")},
        {"\"\\ud800\\u0041\"", SLICE_CONSTANT("\xed\xa0\x80"
                                              "A")},
        {"\"\\ud83d\\ud83d\\ude00\"", SLICE_CONSTANT("\xed\xa0\xbd\xf0\x9f\x98\x80")},
        {"\"\\ude00\\ud83d\"", SLICE_CONSTANT("\xed\xb8\x80\xed\xa0\xbd")},
        {"\"x\\\\u0041\"", SLICE_CONSTANT("x\\u0041")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_reader reader;

        json_reader_init(&reader, slice_of(cases[i].literal));
        assert_int_equal(json_next(&reader), JSON_STRING);
        assert_true(slice_equal(reader.text, cases[i].text));
        assert_int_equal(json_next(&reader), JSON_END);
        json_reader_finish(&reader);
    }
}

/* Special bytes at every place in a string, so that each lies at each place of the words that are looked at.
 */
static void test_strings_are_scanned_at_every_offset(void **state)
{
    static const struct {
        const char *special;
        bool is_accepted;
    } cases[] = {{"\\n", true},   {"\xc3\xa9", true}, {"\x7f", true}, {" ", true},
                 {"\x1f", false}, {"\x80", false},    {"\"", false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t before = 0; before < 20; before++) {
            struct buffer text = {0};

            buffer_append_text(&text, "\"");
            append_times(&text, "!", before);
            buffer_append_text(&text, cases[i].special);
            append_times(&text, "~", 20 - before);
            buffer_append_text(&text, "\"");
            assert_int_equal(is_accepted(buffer_slice(&text)), cases[i].is_accepted);
            buffer_free(&text);
        }
    }
}

static void test_errors_say_where(void **state)
{
    static const struct {
        const char *text;
        unsigned line, column;
        const char *error;
    } cases[] = {
        {"", 1, 1, "empty"},
        {"{", 1, 2, "ends too early"},
        {"{\n  \"a\": 1\n  \"b\": 2\n}", 3, 3, "',' or '}' is missing"},
        {"[1 2]", 1, 4, "',' or ']' is missing"},
        {"{\"a\" 1}", 1, 6, "':' is missing"},
        {"{a: 1}", 1, 2, "a name in double quotes is missing"},
        {"\xef\xbb\xbf?", 1, 1, "a value is missing"},
        {"[1,]", 1, 4, "a value is missing"},
        {"{}\n{}", 2, 1, "something follows the value"},
        {"[\"a\nb\"]", 1, 4, "a control character in a string"},
        {"[\"\\q\"]", 1, 3, "an escape that JSON does not have"},
        {"[\"a\xff\"]", 1, 4, "not UTF-8"},
        {"[\"abc", 1, 2, "a string without an end"},
        {"[-]", 1, 2, "'-' without a number"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_reader reader;
        unsigned line, column;

        json_reader_init(&reader, slice_of(cases[i].text));
        while (json_next(&reader) != JSON_ERROR)
            ;
        json_position(reader.input, reader.position, &line, &column);
        assert_string_equal(reader.error, cases[i].error);
        assert_int_equal(line, cases[i].line);
        assert_int_equal(column, cases[i].column);
        json_reader_finish(&reader);
    }
}

static void test_skipping_gives_the_raw_value(void **state)
{
    struct slice raw;
    struct json_reader reader;

    (void)state;
    json_reader_init(&reader, SLICE_LITERAL("{\"a\" : {\"x\": [1, {}]} , \"b\":\"\\u0041\",\"c\": 7 }"));
    assert_int_equal(json_next(&reader), JSON_OBJECT_BEGIN);
    assert_int_equal(json_next(&reader), JSON_MEMBER);
    assert_true(json_member_is(&reader, "a"));
    assert_false(json_member_is(&reader, "b"));
    assert_int_equal(json_skip_value(&reader, json_next(&reader), &raw), 0);
    assert_true(slice_equal(raw, SLICE_LITERAL("{\"x\": [1, {}]}")));
    assert_int_equal(json_next(&reader), JSON_MEMBER);
    assert_int_equal(json_skip_value(&reader, json_next(&reader), &raw), 0);
    assert_true(slice_equal(raw, SLICE_LITERAL("\"\\u0041\"")));
    assert_true(slice_equal(reader.text, SLICE_LITERAL("A")));
    assert_int_equal(json_next(&reader), JSON_MEMBER);
    assert_int_equal(json_skip_next(&reader, &raw), 0);
    assert_true(slice_equal(raw, SLICE_LITERAL("7")));
    assert_int_equal(json_next(&reader), JSON_OBJECT_END);
    assert_int_equal(json_next(&reader), JSON_END);
    json_reader_finish(&reader);

    json_reader_init(&reader, SLICE_LITERAL("[[1, 2}]"));
    assert_int_equal(json_next(&reader), JSON_ARRAY_BEGIN);
    assert_int_equal(json_skip_value(&reader, json_next(&reader), &raw), -EBADMSG);
    assert_non_null(reader.error);
    assert_int_equal(json_skip_next(&reader, &raw), -EBADMSG);
    json_reader_finish(&reader);
}

/* A string that nobody wants costs no memory, with escapes neither. */
static void test_skipped_strings_are_not_decoded(void **state)
{
    struct buffer text = {0};
    struct json_reader reader;

    (void)state;
    buffer_append_text(&text, "[\"");
    append_times(&text, "\\n", 100000);
    buffer_append_text(&text, "\"]");
    json_reader_init(&reader, buffer_slice(&text));
    assert_int_equal(json_skip_next(&reader, NULL), 0);
    assert_int_equal(json_next(&reader), JSON_END);
    assert_int_equal(reader.decoded.capacity, 0);
    json_reader_finish(&reader);
    buffer_free(&text);
}

static void test_counts_are_integers_to_2_to_the_53(void **state)
{
    static const struct {
        const char *lexeme;
        bool is_count;
        uint64_t count;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"287761", true, 287761},
        {"9007199254740991", true, 9007199254740991},
        {"9007199254740992", true, 9007199254740992},
        {"9007199254740993", false, 0},
        {"9999999999999999", false, 0},
        {"10000000000000000", false, 0},
        {"18446744073709551617", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"-0.0", false, 0},
        {"NaN", false, 0},
        {"true", false, 0},
        {"\"1\"", false, 0},
        {"[]", false, 0},
        {"01", false, 0},
        {"-", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t count = 77;

        assert_int_equal(json_count(slice_of(cases[i].lexeme), &count), cases[i].is_count);
        assert_true(count == (cases[i].is_count ? cases[i].count : 77));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_what_python_accepts),
        cmocka_unit_test(test_refuses_every_text_cut_short),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_integers_have_4300_digits_at_most),
        cmocka_unit_test(test_tokens_and_where_they_stand),
        cmocka_unit_test(test_strings_are_decoded),
        cmocka_unit_test(test_strings_are_scanned_at_every_offset),
        cmocka_unit_test(test_errors_say_where),
        cmocka_unit_test(test_skipping_gives_the_raw_value),
        cmocka_unit_test(test_skipped_strings_are_not_decoded),
        cmocka_unit_test(test_counts_are_integers_to_2_to_the_53),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
