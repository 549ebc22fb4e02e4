/*
 * What queries mean: every form over every type, absent values, order, limits. What is no query is in
 * test_query_errors.c.
 */
#include "core/query/query_internal.h"
#include "tests/unit/query_fixture.h"

/* In the manifest's order: by start, absent ones first, then by name. */
static const struct example_run examples[] = {
    {"baes", "none", NULL, NULL, "pending", 0, 0},
    {"ghspec", "vague", "2025-10", "2025-10-17T00:00:00Z", "pending", 50, 5},
    {"chatdev", "a1", "2025-10-15T08:50:59Z", "2025-10-15T09:25:22Z", "verified", 287761, 91329},
    {"baes", "a2", "2025-10-16T00:00:00Z", NULL, "failed", 1000, 10},
    {"chatdev", "b1", "2025-10-16T01:30:00+02:00", "2025-10-16T01:00:00Z", "verified", 100000, 0},
    {"ghspec", "b2", "2025-10-17T12:00:00.250Z", "2025-10-17T11:59:59.750Z", "odd/one, two+three 100%",
     9007199254740992, 9007199254740992},
    {"chatdev", "c*", "2025-10-17T12:00:00.500", "2025-10-18", "", 7, 7},
};
#define EXAMPLE_COUNT (sizeof(examples) / sizeof(*examples))
#define EVERY "none vague a1 a2 b1 b2 c*"

static int make_index(void **state)
{
    struct index *index = index_create();
    for (size_t i = 0; i < EXAMPLE_COUNT; i++)
        put_example(index, &examples[EXAMPLE_COUNT - 1 - i]);
    *state = index;
    return 0;
}

static int destroy_index(void **state)
{
    index_destroy(*state);
    return 0;
}

struct question {
    const char *query, *names;
};

static void check(struct index *index, const struct question *questions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *names = answer(index, questions[i].query);
        if (strcmp(names, questions[i].names) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", questions[i].query, names, questions[i].names);
    }
}
#define CHECK(state, questions) check(*(state), (questions), sizeof(questions) / sizeof(*(questions)))

static void predicates_on_text(void **state)
{
    static const struct question questions[] = {
        {"", EVERY},
        {"status=verified", "a1 b1"},
        {"verification_status=verified", "a1 b1"},
        {"framework=chatdev+baes", "none a1 a2 b1 c*"},
        {"framework=chatdev,status=verified", "a1 b1"},
        {"framework=chatdev/status=verified", "a1 b1"},
        {"framework=chatdev/status=verified,run_id=a1", "a1"},
        {"framework=chatdev,framework=baes", ""},
        {"not_framework=chatdev", "none vague a2 b2"},
        {"not_framework=chatdev+baes", "vague b2"},
        {"not_status=verified,not_status=pending", "a2 b2 c*"},
        {"starts_run_id=a", "a1 a2"},
        {"starts_run_id=a+b", "a1 a2 b1 b2"},
        {"ends_run_id=1", "a1 b1"},
        {"ends_run_id=1+e", "none vague a1 b1"},
        {"contains_status=i", "none vague a1 a2 b1"},
        {"contains_run_id=longer-than-any", ""},
        {"run_id~a*", "a1 a2"},
        {"run_id~[ab]?", "a1 a2 b1 b2"},
        {"run_id~[!a-b]*", "none vague c*"},
        {"run_id~*", EVERY},
        {"run_id~c%2A", "c*"},
        {"run_id~a%2A", ""},
        {"run_id~a+b", ""},
        {"run_id~[a%2Dc]*", "a1 a2 c*"},
        {"run_id~c\\*", "c*"},
        {"run_id~c\\%2A", "c*"},
        {"run_id~?\\%2A", "c*"},
        {"run_id~%5C%2A*", ""},
        {"path=chatdev%2Fa1", "a1"},
        {"path~chatdev%2F*", "a1 b1 c*"},
        {"starts_path=chatdev", "a1 b1 c*"},
        {"run_id=a", ""},
        {"run_id=A1", ""},
        {"status=%", "c*"},
        {"status=%+failed", "a2 c*"},
        {"not_status=%", "none vague a1 a2 b1 b2"},
        {"contains_status=%", EVERY},
        {"status=odd%2Fone%2C two%2bthree 100%25", "b2"},
        {"contains_status=%2C", "b2"},
        {"run_id=%61%31", "a1"},
        {"run_id=%00", ""},
        {"run_id~%00", ""},
        {"status=a=b", ""},
        {"status=a~b", ""},
    };
    CHECK(state, questions);
}

static void predicates_on_numbers(void **state)
{
    static const struct question questions[] = {
        {"tokens_in=1000", "a2"},
        {"total_tokens_in=1000", "a2"},
        {"tokens_in=1e3", "a2"},
        {"tokens_in=1000.0", "a2"},
        {"tokens_in=01000", "a2"},
        {"tokens_in=1000.5", ""},
        {"tokens_in=.5e1+7.", "c*"},
        {"tokens_in=-0", "none"},
        {"not_tokens_in=1000", "none vague a1 b1 b2 c*"},
        {"not_tokens_in=1000+0", "vague a1 b1 b2 c*"},
        {"min_tokens_in=1000", "a1 a2 b1 b2"},
        {"max_tokens_in=1000", "none vague a2 c*"},
        {"min_tokens_in=1000,max_tokens_in=100000", "a2 b1"},
        {"min_tokens_in=-5", EVERY},
        {"min_tokens_in=1e+3", "a1 a2 b1 b2"},
        {"tokens_out=91329", "a1"},
        {"total_tokens_out=91329", "a1"},
        {"min_tokens=379090", "a1 b2"},
        {"min_tokens=379091", "b2"},
        {"tokens=18014398509481984", "b2"},
        {"tokens=18014398509481983", ""},
        {"tokens_in=9007199254740992", "b2"},
        {"tokens_in=9007199254740991+9007199254740993", ""},
        {"max_tokens_in=9007199254740991", "none vague a1 a2 b1 c*"},
        {"min_tokens=1e30", ""},
        {"duration=2063", "a1"},
        {"duration=-1", "b2"},
        {"min_duration=0", "a1 b1 c*"},
        {"max_duration=0", "b2"},
        {"not_duration=2063", "none vague a2 b1 b2 c*"},
        {"starts_tokens_in=1", "a2 b1"},
        {"ends_tokens_in=000", "a2 b1"},
        {"contains_duration=06", "a1"},
        {"starts_duration=-", "b2"},
        {"tokens_in~1*", "a2 b1"},
        {"tokens_in~?", "none c*"},
    };
    CHECK(state, questions);
}

static void predicates_on_times(void **state)
{
    static const struct question questions[] = {
        {"since=2025-10-16", "a2 b2 c*"},
        {"since=2025-10-15T23:30", "a2 b1 b2 c*"},
        {"until=2025-10-16", "a1 a2 b1"},
        {"until=2025-10-15T23:29:59.999999", "a1"},
        {"since=2025-10-16T01:00:00+01:00,until=2025-10-16", "a2"},
        {"since=2025-10-17T12:00:00.25", "b2 c*"},
        {"since=2025-10-17T12:00:00.250001", "c*"},
        {"since=2025-10-16T02%3A00%2B02:00,until=2025-10-16", "a2"},
        {"min_start_time=2025-10-16", "a2 b2 c*"},
        {"max_end_time=2025-10-16", "a1"},
        {"start_time=2025-10-16", "a2"},
        {"start_time=2025-10-15T23:30:00Z", "b1"},
        {"start_time=2025-10-16T01:30:00+02:00", "b1"},
        {"start_time=2025-10-16T00:00:00Z+2025-10-15T08:50:59Z", "a1 a2"},
        {"start_time=2025-10", "vague"},
        {"not_start_time=2025-10-16", "none vague a1 b1 b2 c*"},
        {"not_start_time=2025-10", "none a1 a2 b1 b2 c*"},
        {"starts_start_time=2025-10-16", "a2 b1"},
        {"ends_start_time=Z", "a1 a2 b2"},
        {"contains_end_time=T09", "a1"},
        {"start_time~*+02:00", "b1"},
        {"day=2025-10-15", "a1 b1"},
        {"day=2025-10-15+2025-10-16", "a1 a2 b1"},
        {"starts_day=2025-10", "a1 a2 b1 b2 c*"},
        {"day~2025-1?-16", "a2"},
    };
    CHECK(state, questions);
}

static void absent_values(void **state)
{
    static const struct question questions[] = {
        {"has=start_time", "vague a1 a2 b1 b2 c*"},
        {"missing=start_time", "none"},
        {"missing=end_time", "none a2"},
        {"has=end_time,has=duration", "a1 b1 b2 c*"},
        {"missing=duration", "none vague a2"},
        {"missing=day", "none vague"},
        {"has=tokens", EVERY},
        {"missing=status", ""},
        {"end_time=2025-10-18", "c*"},
        {"not_end_time=2025-10-18", "none vague a1 a2 b1 b2"},
        {"not_day=2025-10-15", "none vague a2 b2 c*"},
        {"contains_end_time=%", "vague a1 b1 b2 c*"},
        {"end_time~*", "vague a1 b1 b2 c*"},
        {"end_time=%", ""},
        {"min_end_time=0001-01-01", "vague a1 b1 b2 c*"},
        {"max_end_time=9999-12-31", "vague a1 b1 b2 c*"},
    };
    CHECK(state, questions);
}

static void order(void **state)
{
    static const struct question questions[] = {
        {"sort=run_id", "a1 a2 b1 b2 c* none vague"},
        {"sort=-run_id", "vague none c* b2 b1 a2 a1"},
        {"sort=tokens", "none c* vague a2 b1 a1 b2"},
        {"sort=-tokens", "b2 a1 b1 a2 vague c* none"},
        {"sort=framework", "none a2 a1 b1 c* vague b2"},
        {"sort=-framework", "vague b2 a1 b1 c* none a2"},
        {"sort=framework/sort=-run_id", "none a2 c* b1 a1 vague b2"},
        {"sort=-status,sort=-tokens", "a1 b1 vague none b2 a2 c*"},
        {"sort=end_time", "a1 b1 vague b2 c* none a2"},
        {"sort=-end_time", "c* b2 vague b1 a1 none a2"},
        {"sort=start_time", "a1 b1 a2 b2 c* vague none"},
        {"sort=-start_time", "c* b2 a2 b1 a1 vague none"},
        {"sort=duration", "b2 a1 b1 c* none vague a2"},
        {"sort=-duration", "c* b1 a1 b2 none vague a2"},
        {"sort=day", "a1 b1 a2 b2 c* none vague"},
        {"sort=-day", "b2 c* a2 a1 b1 none vague"},
        {"sort=path", "a2 none a1 b1 c* b2 vague"},
        {"sort=-path,sort=day", "vague b2 c* b1 a1 none a2"},
        {"status=verified,sort=-tokens", "a1 b1"},
        {"sort=-tokens,sort=tokens,sort=total_tokens_in,sort=-tokens", "b2 a1 b1 a2 vague c* none"},
    };
    CHECK(state, questions);
}

/* However often a query names them: every key costs memory for every run. */
static void a_field_is_one_key(void **state)
{
    (void)state;
    struct query *query =
        parse(SLICE_LITERAL("sort=day,sort=-day,sort=status,sort=-verification_status/sort=day,sort=tokens"));
    assert_int_equal(query->key_count, 3);
    assert_false(query->keys[0].is_descending);
    assert_false(query->keys[1].is_descending);
    query_free(query);
}

static void limits(void **state)
{
    static const struct question questions[] = {
        {"limit=2", "none vague"},
        {"limit=0", ""},
        {"limit=0,sort=tokens", ""},
        {"limit=100", EVERY},
        {"limit=999999999999999999,sort=tokens", "none c* vague a2 b1 a1 b2"},
        {"limit=5,limit=1,limit=3", "none"},
        {"limit=1/status=verified", "a1"},
        {"limit=1,sort=-tokens,status=verified+failed", "a1"},
        {"limit=2,framework=chatdev,sort=-run_id", "c* b1"},
    };
    CHECK(state, questions);
}

static void within_a_value_of_a_view(void **state)
{
    struct index *index = *state;
    const struct facet_value *verified = facet_find(index, FACET_STATUS, "verified");
    assert_string_equal(answer_within(index, verified, ""), "a1 b1");
    assert_string_equal(answer_within(index, verified, "sort=tokens"), "b1 a1");
    assert_string_equal(answer_within(index, verified, "limit=1,sort=tokens"), "b1");
    assert_string_equal(answer_within(index, verified, "limit=1"), "a1");
    assert_string_equal(answer_within(index, verified, "status=failed"), "");
    assert_string_equal(
        answer_within(index, facet_find(index, FACET_FRAMEWORK, "chatdev"), "max_tokens=100000"), "b1 c*");
}

static void one_run_against_the_predicates_alone(void **state)
{
    struct query *query = parse(SLICE_LITERAL("status=verified,limit=0,sort=tokens"));
    assert_true(query_has_limit(query));
    assert_true(query_matches(query, find(*state, "chatdev", "a1")));
    assert_true(query_matches(query, find(*state, "chatdev", "b1")));
    assert_false(query_matches(query, find(*state, "baes", "a2")));
    query_free(query);
    query = parse(SLICE_LITERAL("sort=-tokens"));
    assert_false(query_has_limit(query));
    query_free(query);
    query_free(NULL);
}

/* Bytes that are not UTF-8, and a NUL, which a status may have by an escape in JSON. */
static void values_of_any_bytes(void **state)
{
    struct index *index = *state;
    struct run_state other = {.is_run = true, .is_whole = true, .fields.status = SLICE_LITERAL("x\0y")};
    bool changed;
    put_example(index, &(struct example_run){"baes", "\xff\xfe", NULL, NULL, "\xc3\xa9", 1, 1});
    index_put(index, SLICE_LITERAL("baes"), SLICE_LITERAL("nul"), &other, &changed);
    assert_string_equal(answer(index, "run_id=\xff\xfe"), "\xff\xfe");
    assert_string_equal(answer(index, "run_id=%ff%FE"), "\xff\xfe");
    assert_string_equal(answer(index, "starts_run_id=%ff"), "\xff\xfe");
    assert_string_equal(answer(index, "run_id~%ff?"), "\xff\xfe");
    assert_string_equal(answer(index, "status=\xc3\xa9"), "\xff\xfe");
    assert_string_equal(answer(index, "status~??,framework=baes"), "\xff\xfe");
    assert_string_equal(answer(index, "status=x%00y"), "nul");
    assert_string_equal(answer(index, "status=x"), "");
    assert_string_equal(answer(index, "ends_status=%00y"), "nul");
    assert_string_equal(answer(index, "contains_status=%00"), "nul");
    assert_string_equal(answer(index, "status~x?y"), "nul");
    assert_string_equal(answer(index, "status~x%00*"), "nul");
    assert_string_equal(answer(index, "framework=baes,sort=-run_id"), "\xff\xfe nul none a2");
}

/* Where there are many more than the limit leaves, they are cut in between. */
static void a_limit_is_the_full_answer_cut(void **state)
{
    static const char *const queries[] = {
        "sort=-tokens",        "sort=tokens_out",           "sort=status,sort=-start_time",
        "sort=-day",           "sort=duration,sort=run_id", "",
        "status=s1,sort=path", "not_status=s1,sort=-path",  "sort=end_time",
    };
    static const size_t cuts[] = {0, 1, 2, 10, 511, 512, 513, 1023, 1024, 1025, 2500, 4999, 5000, 6000};
    struct index *index = *state;
    uint64_t random = 12345;
    for (unsigned i = 0; i < 5000; i++) {
        char name[32], start[32], end[32], status[8];
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned number = (unsigned)(random >> 33);
        snprintf(name, sizeof(name), "run-%u", i * 7919 % 5000);
        snprintf(start, sizeof(start), "2025-%02u-%02uT10:00:00Z", number % 12 + 1, number / 12 % 28 + 1);
        snprintf(end, sizeof(end), "2026-01-%02uT10:00:00Z", number / 7 % 28 + 1);
        snprintf(status, sizeof(status), "s%u", number / 3 % 5);
        put_example(index, &(struct example_run){i % 2 ? "even" : "odd", name, number % 11 ? start : NULL,
                                                 number % 5 ? end : NULL, status, number % 100, number % 3});
    }
    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        struct run **all;
        struct query *query = parse(slice_of(queries[i]));
        size_t all_count = query_evaluate(query, index, NULL, &all);
        query_free(query);
        for (size_t j = 0; j < sizeof(cuts) / sizeof(*cuts); j++) {
            char text[128];
            struct run **some;
            snprintf(text, sizeof(text), "limit=%zu%s%s", cuts[j], *queries[i] ? "," : "", queries[i]);
            query = parse(slice_of(text));
            size_t count = query_evaluate(query, index, NULL, &some);
            assert_int_equal(count, cuts[j] < all_count ? cuts[j] : all_count);
            assert_memory_equal(some, all, count * sizeof(*some));
            free(some);
            query_free(query);
        }
        free(all);
    }
}

#define WITH_INDEX(test) cmocka_unit_test_setup_teardown(test, make_index, destroy_index)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_INDEX(predicates_on_text),
        WITH_INDEX(predicates_on_numbers),
        WITH_INDEX(predicates_on_times),
        WITH_INDEX(absent_values),
        WITH_INDEX(order),
        cmocka_unit_test(a_field_is_one_key),
        WITH_INDEX(limits),
        WITH_INDEX(within_a_value_of_a_view),
        WITH_INDEX(one_run_against_the_predicates_alone),
        WITH_INDEX(values_of_any_bytes),
        WITH_INDEX(a_limit_is_the_full_answer_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
