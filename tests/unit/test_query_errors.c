/*
 * What is no query: the code, the byte and the reason of every error; and input made to hurt.
 */
#include "tests/unit/query_fixture.h"

struct wrong {
    const char *text;
    int code;
    size_t position;
    const char *part_of_reason;
};

static void check_reason(const char *reason)
{
    assert_true(strlen(reason) > 0 && strlen(reason) < sizeof(((struct query_error *)0)->reason) - 1);
    for (const char *at = reason; *at; at++)
        assert_true(*at >= 0x20 && *at < 0x7f);
}

static void check(const struct wrong *wrongs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct query *query;
        struct query_error error;
        const struct wrong *wrong = &wrongs[i];
        int result = query_parse(field_set_built_in(), slice_of(wrong->text), &query, &error);
        if (result != wrong->code || error.code != wrong->code || error.position != wrong->position ||
            !strstr(error.reason, wrong->part_of_reason))
            fail_msg("%s: %d at %zu: %s", wrong->text, result, error.position, error.reason);
        assert_null(query);
        check_reason(error.reason);
    }
}
#define CHECK(wrongs) check((wrongs), sizeof(wrongs) / sizeof(*(wrongs)))

static void unknown_fields(void **state)
{
    static const struct wrong wrongs[] = {
        {"nothing=1", -ENOENT, 0, "no field \"nothing\""},
        {"staus=verified", -ENOENT, 0, "did you mean \"status\"?"},
        {"sattus=verified", -ENOENT, 0, "did you mean \"status\"?"},
        {"Status=verified", -ENOENT, 0, "did you mean \"status\"?"},
        {"frmework=a", -ENOENT, 0, "did you mean \"framework\"?"},
        {"verification_staus=a", -ENOENT, 0, "did you mean \"verification_status\"?"},
        {"min_tokns=1", -ENOENT, 4, "did you mean \"tokens\"?"},
        {"not_framwork=1", -ENOENT, 4, "did you mean \"framework\"?"},
        {"status=verified,starts_runid=1", -ENOENT, 23, "did you mean \"run_id\"?"},
        {"has=end_tme", -ENOENT, 4, "did you mean \"end_time\"?"},
        {"missing=x", -ENOENT, 8, "no field \"x\""},
        {"sort=-toknes", -ENOENT, 6, "did you mean \"tokens\"?"},
        {"sort=--tokens", -ENOENT, 6, "no field \"-tokens\""},
        {"limit=10/nam~x", -ENOENT, 9, "no field \"nam\""},
        {"not_status~x", -ENOENT, 0, "no field \"not_status\""},
        {"not_=x", -ENOENT, 4, "no field \"\""},
        {"has=", -ENOENT, 4, "no field \"\""},
        {"%73tatus=x", -ENOENT, 0, "no field"},
        {" status=x", -ENOENT, 0, "did you mean \"status\"?"},
        {"status =x", -ENOENT, 0, "did you mean \"status\"?"},
    };
    (void)state;
    CHECK(wrongs);
}

static void malformed_predicates(void **state)
{
    static const struct wrong wrongs[] = {
        {"status", -EINVAL, 0, "write status=VALUE"},
        {"verified", -EINVAL, 0, "write FIELD=VALUE"},
        {"status=verified,framework", -EINVAL, 16, "write framework=VALUE"},
        {",", -EINVAL, 0, "a predicate is missing"},
        {"/status=verified", -EINVAL, 0, "a predicate is missing"},
        {"status=verified,", -EINVAL, 16, "a predicate is missing"},
        {"status=verified,,limit=1", -EINVAL, 16, "a predicate is missing"},
        {"status=verified//limit=1", -EINVAL, 16, "a predicate is missing"},
        {"=verified", -EINVAL, 0, "a field is missing before the '='"},
        {"status=a,~x", -EINVAL, 9, "a field is missing before the '~'"},
        {"status=", -EINVAL, 7, "a value is missing"},
        {"status=+a", -EINVAL, 7, "a value is missing"},
        {"status=a+", -EINVAL, 9, "a value is missing"},
        {"status=a++b", -EINVAL, 9, "a value is missing"},
        {"run_id~", -EINVAL, 7, "a value is missing"},
        {"since=", -EINVAL, 6, "a value is missing"},
        {"status=100%", -EINVAL, 10, "write %25"},
        {"status=%2", -EINVAL, 7, "write %25"},
        {"status=ok+%zz", -EINVAL, 10, "write %25"},
        {"status=a%2/framework=x", -EINVAL, 8, "write %25"},
        {"run_id~a*%q0", -EINVAL, 9, "write %25"},
    };
    (void)state;
    CHECK(wrongs);
}

static void values_of_another_type(void **state)
{
    static const struct wrong wrongs[] = {
        {"min_tokens=many", -EINVAL, 11, "\"many\" is no number, which tokens is compared with"},
        {"tokens=", -EINVAL, 7, "a value is missing"},
        {"tokens=1+x", -EINVAL, 9, "\"x\" is no number"},
        {"tokens=0x10", -EINVAL, 7, "is no number"},
        {"tokens=1_000", -EINVAL, 7, "is no number"},
        {"tokens=1e", -EINVAL, 7, "is no number"},
        {"tokens=.", -EINVAL, 7, "is no number"},
        {"tokens=--1", -EINVAL, 7, "is no number"},
        {"tokens=nan", -EINVAL, 7, "is no number"},
        {"tokens=inf", -EINVAL, 7, "is no number"},
        {"tokens= 1", -EINVAL, 7, "is no number"},
        {"min_tokens=+5", -EINVAL, 11, "is no number"},
        {"tokens=%", -EINVAL, 7, "is no number"},
        {"tokens=1111111111111111111111111111111111111111111111111111111111111111", -EINVAL, 7,
         "is no number"},
        {"since=yesterday", -EINVAL, 6, "\"yesterday\" is no time; write 2025-10-16"},
        {"until=2025-13-01", -EINVAL, 6, "is no time"},
        {"limit=1,max_end_time=2025", -EINVAL, 21, "is no time"},
        {"min_status=a", -EINVAL, 4, "status is a text"},
        {"max_day=2025-10-16", -EINVAL, 4, "day is a text"},
        {"limit=", -EINVAL, 6, "limit is a number"},
        {"limit=-1", -EINVAL, 6, "limit is a number"},
        {"limit=1x", -EINVAL, 7, "limit is a number"},
        {"limit=1e3", -EINVAL, 7, "limit is a number"},
        {"limit=1000000000000000000", -EINVAL, 6, "limit is a number"},
        {"run_id~[a", -EINVAL, 7, "'[' without ']'"},
        {"run_id~a%2A%2A[a", -EINVAL, 14, "'[' without ']'"},
        {"run_id~a\\", -EINVAL, 8, "nothing behind it"},
        {"run_id~[b-a]", -EINVAL, 8, "from a higher to a lower"},
        {"run_id~%41[b-a]", -EINVAL, 11, "from a higher to a lower"},
        {"run_id~[[:alpha:]]", -EINVAL, 8, "not known"},
    };
    (void)state;
    CHECK(wrongs);
}

/* A field's own name wins over what could be read into it. */
static void names_win_over_prefixes(void **state)
{
    static const struct field fields[] = {
        {"min_age", FIELD_TEXT, FIELD_STATUS, 0},
        {"age", FIELD_NUMBER, FIELD_TOKENS_IN, 0},
        {"limit", FIELD_TEXT, FIELD_FRAMEWORK, 0},
    };
    static const struct field_set set = {fields, sizeof(fields) / sizeof(*fields)};
    struct index *index = index_create();
    struct run *run = put_example(index, &(struct example_run){"chatdev", "a", NULL, NULL, "old", 5, 0});
    struct query *query;
    struct query_error error;
    (void)state;
    assert_int_equal(
        query_parse(&set, SLICE_LITERAL("min_age=old,limit=chatdev,min_min_age=1"), &query, &error), -EINVAL);
    assert_int_equal(error.position, 30);
    assert_int_equal(query_parse(&set, SLICE_LITERAL("min_age=old,limit=chatdev,age=5"), &query, &error), 0);
    assert_true(query_matches(query, run));
    assert_false(query_has_limit(query));
    query_free(query);
    assert_int_equal(query_parse(&set, SLICE_LITERAL("not_min_age=young,min_age=old"), &query, &error), 0);
    assert_true(query_matches(query, run));
    query_free(query);
    assert_int_equal(query_parse(&set, SLICE_LITERAL("status=x"), &query, &error), -ENOENT);
    index_destroy(index);
}

static void the_nearest_name(void **state)
{
    const struct field_set *fields = field_set_built_in();
    (void)state;
    assert_string_equal(field_nearest(fields, SLICE_LITERAL("pth")), "path");
    assert_string_equal(field_nearest(fields, SLICE_LITERAL("durration")), "duration");
    assert_string_equal(field_nearest(fields, SLICE_LITERAL("total_tokens")), "total_tokens_in");
    assert_null(field_nearest(fields, SLICE_LITERAL("")));
    assert_null(field_nearest(fields, SLICE_LITERAL("colour")));
    char long_name[1000];
    memset(long_name, 's', sizeof(long_name));
    assert_null(field_nearest(fields, (struct slice){long_name, sizeof(long_name)}));
}

/* Reasons stay one printable line whatever was typed. */
static void what_is_typed_does_not_reach_a_terminal(void **state)
{
    static const struct wrong wrongs[] = {
        {"\x1b[31m=1", -ENOENT, 0, "no field \"?[31m\""},
        {"a\nb=1", -ENOENT, 0, "no field \"a?b\""},
        {"tokens=\xff\xfe", -EINVAL, 7, "\"??\" is no number"},
    };
    struct query *query;
    struct query_error error;
    char text[4096];
    (void)state;
    CHECK(wrongs);
    memset(text, 'x', sizeof(text));
    text[4000] = '=';
    assert_int_equal(query_parse(field_set_built_in(), (struct slice){text, sizeof(text)}, &query, &error),
                     -ENOENT);
    check_reason(error.reason);
    /* A NUL is a byte like others, and the text need not end in one. */
    assert_int_equal(query_parse(field_set_built_in(), (struct slice){"a\0b=1", 5}, &query, &error), -ENOENT);
    check_reason(error.reason);
    assert_int_equal(query_parse(field_set_built_in(), (struct slice){"tokens=1x", 8}, &query, &error), 0);
    query_free(query);
}

static void much_of_everything(void **state)
{
    static const char *const pieces[] = {"status=a+b,", "run_id~*a*a*a*a*a*a*a*b,", "sort=-tokens,",
                                         "limit=5,", "not_run_id=%25/"};
    struct index *index = index_create();
    char name[250];
    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    put_example(index, &(struct example_run){"f", name, NULL, NULL, "a", 1, 1});
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        struct buffer text = {0};
        for (unsigned times = 0; times < 2000; times++)
            buffer_append_text(&text, pieces[i]);
        struct query *query = parse((struct slice){text.bytes, text.length - 1});
        struct run **runs;
        assert_int_equal(query_evaluate(query, index, NULL, &runs), i != 1);
        free(runs);
        query_free(query);
        buffer_free(&text);
    }
    /* Stars by the thousand, where a matcher that goes back to each would never end. */
    struct buffer text = {0};
    buffer_append_text(&text, "run_id~");
    for (unsigned times = 0; times < 1000; times++)
        buffer_append_text(&text, "*a");
    buffer_append_text(&text, "b");
    struct query *query = parse(buffer_slice(&text));
    assert_false(query_matches(query, find(index, "f", name)));
    query_free(query);
    buffer_free(&text);
    index_destroy(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_fields),         cmocka_unit_test(malformed_predicates),
        cmocka_unit_test(values_of_another_type), cmocka_unit_test(names_win_over_prefixes),
        cmocka_unit_test(the_nearest_name),       cmocka_unit_test(what_is_typed_does_not_reach_a_terminal),
        cmocka_unit_test(much_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
