/*
 * The index: what a change is, the order, the views and their names; and a long random sequence of changes
 * against a model that keeps a plain array and derives everything anew each time.
 */
#include "tests/unit/manifest_fixture.h"
#include <stdio.h>

static void a_put_tells_what_changed(void **state)
{
    (void)state;
    struct index *index = index_create();
    assert_true(put(index, "chatdev", "a", "2025", "verified"));
    uint64_t generation = index_generation(index);
    struct timespec before = index_changed_at(index);
    assert_false(put(index, "chatdev", "a", "2025", "verified"));
    assert_int_equal(index_generation(index), generation);
    assert_true(put_state(index, "chatdev", "a", "2025", "verified", 7, true));
    assert_true(index_generation(index) > generation);
    struct timespec after = index_changed_at(index);
    assert_true(after.tv_sec > before.tv_sec ||
                (after.tv_sec == before.tv_sec && after.tv_nsec > before.tv_nsec));
    assert_int_equal(index_count(index), 1);
    index_remove(index, find(index, "chatdev", "a"));
    assert_int_equal(index_count(index), 0);
    assert_null(find(index, "chatdev", "a"));
    assert_null(index_first(index));
    index_destroy(index);
}

static void last_good_fields_stay(void **state)
{
    (void)state;
    struct index *index = index_create();
    put_state(index, "f", "good", "2025", "verified", 5, true);
    assert_false(put_state(index, "f", "good", NULL, "pending", 0, false));
    assert_int_equal(find(index, "f", "good")->fields.tokens_in, 5);
    /* One that was never whole follows what can be read. */
    put_state(index, "f", "bad", NULL, "pending", 0, false);
    assert_true(put_state(index, "f", "bad", "2026", "pending", 0, false));
    assert_false(find(index, "f", "bad")->has_good);
    index_destroy(index);
}

static void order_is_by_time_name_and_framework(void **state)
{
    (void)state;
    /* U+DC80, which stands for the byte 0x80, is behind "\u00e9" and before U+FFFD. */
    static const char *const names[] = {"n1", "n2", "\xc3\xa9", "\x80", "\xef\xbf\xbd"};
    struct index *index = index_create();
    for (size_t i = 5; i-- > 0;)
        put(index, "b", names[i], NULL, "pending");
    put(index, "a", "n2", NULL, "pending");
    put(index, "a", "early", "2024", "pending");
    struct run *run = index_first(index);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(run->name.bytes, names[i]);
        if (i == 1) {
            assert_string_equal(run_framework(run).bytes, "a");
            run = index_next(index, run);
        }
        run = index_next(index, run);
    }
    assert_string_equal(run->name.bytes, "early");
    assert_null(index_next(index, run));
    index_destroy(index);
}

static void expect_name(struct index *index, const char *framework, const char *name, const char *shown)
{
    char text[LIMIT_NAME_BYTES + 1];
    struct run *run = find(index, framework, name);
    facet_run_name(index, FACET_STATUS, run, text);
    if (shown)
        assert_string_equal(text, shown);
    assert_ptr_equal(facet_value_find(index, run->membership[FACET_STATUS].value, text), run);
}

static void names_are_told_apart(void **state)
{
    (void)state;
    struct index *index = index_create();
    put(index, "x", "run", NULL, "ok");
    expect_name(index, "x", "run", "run");
    put(index, "y", "run", NULL, "failed");
    expect_name(index, "x", "run", "run");
    put(index, "y", "run", NULL, "ok");
    expect_name(index, "x", "run", "run.x");
    expect_name(index, "y", "run", "run.y");
    assert_null(facet_value_find(index, facet_find(index, FACET_STATUS, "ok"), "run"));
    /* A run that has the longer name as its own gives way. */
    put(index, "z", "run.x", NULL, "ok");
    expect_name(index, "z", "run.x", "run.x.z");
    expect_name(index, "x", "run", "run.x");
    /* Two joints at another '.': both get a hash. */
    put(index, "b.c", "a", NULL, "ok");
    put(index, "c", "a.b", NULL, "ok");
    put(index, "d", "a", NULL, "ok");
    put(index, "d", "a.b", NULL, "ok");
    char text[LIMIT_NAME_BYTES + 1];
    facet_run_name(index, FACET_STATUS, find(index, "b.c", "a"), text);
    assert_memory_equal(text, "a.b.c~", 6);
    expect_name(index, "b.c", "a", NULL);
    expect_name(index, "c", "a.b", NULL);
    expect_name(index, "d", "a", "a.d");
    expect_name(index, "d", "a.b", "a.b.d");
    index_remove(index, find(index, "y", "run"));
    index_remove(index, find(index, "z", "run.x"));
    expect_name(index, "x", "run", "run");
    /* In a framework a name is always its own. */
    facet_run_name(index, FACET_FRAMEWORK, find(index, "d", "a.b"), text);
    assert_string_equal(text, "a.b");
    assert_non_null(facet_value_find(index, facet_find(index, FACET_FRAMEWORK, "d"), "a.b"));
    index_destroy(index);
}

static void long_names_are_cut(void **state)
{
    (void)state;
    char name[LIMIT_NAME_BYTES + 1], shown[LIMIT_NAME_BYTES + 1];
    struct index *index = index_create();
    for (size_t i = 0; i < 254; i += 2)
        memcpy(&name[i], "\xc3\xa9", 2);
    name[254] = '\0';
    put(index, "x", name, NULL, "ok");
    put(index, "y", name, NULL, "ok");
    expect_name(index, "x", name, NULL);
    expect_name(index, "y", name, NULL);
    facet_run_name(index, FACET_STATUS, find(index, "x", name), shown);
    assert_int_equal(strlen(shown), 255);
    assert_int_equal(shown[238], '~');
    index_destroy(index);
}

static bool is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void times_of_views_move_where_they_change(void **state)
{
    (void)state;
    struct index *index = index_create();
    put(index, "f", "a", NULL, "pending");
    put(index, "f", "b", NULL, "pending");
    struct facet_value *pending = facet_find(index, FACET_STATUS, "pending");
    struct facet_value *framework = facet_find(index, FACET_FRAMEWORK, "f");
    struct timespec list = facet_changed_at(index, FACET_STATUS), value = facet_value_changed_at(pending);
    struct timespec other = facet_value_changed_at(framework);
    put_state(index, "f", "a", NULL, "pending", 3, true);
    assert_false(is_later(facet_value_changed_at(pending), value));
    put(index, "f", "a", NULL, "ok");
    assert_true(is_later(facet_changed_at(index, FACET_STATUS), list));
    assert_true(is_later(facet_value_changed_at(pending), value));
    assert_false(is_later(facet_value_changed_at(framework), other));
    list = facet_changed_at(index, FACET_STATUS);
    put(index, "f", "c", NULL, "ok");
    assert_false(is_later(facet_changed_at(index, FACET_STATUS), list));
    put(index, "f", "b", NULL, "ok");
    assert_true(is_later(facet_changed_at(index, FACET_STATUS), list));
    assert_null(facet_find(index, FACET_STATUS, "pending"));
    assert_int_equal(facet_value_runs(pending), 0);
    uint64_t number = facet_value_number(pending);
    put(index, "f", "b", NULL, "pending");
    assert_ptr_equal(facet_find(index, FACET_STATUS, "pending"), pending);
    assert_int_equal(facet_value_number(pending), number);
    index_destroy(index);
}

static void values_are_found_by_their_escaped_name(void **state)
{
    (void)state;
    struct index *index = index_create();
    put(index, "f", "a", NULL, "a/b");
    assert_non_null(facet_find(index, FACET_STATUS, "a%2Fb"));
    assert_string_equal(facet_value_name(facet_find(index, FACET_STATUS, "a%2Fb")), "a%2Fb");
    assert_null(facet_find(index, FACET_STATUS, "a/b"));
    index_destroy(index);
}

/* ---- the model ---- */

#define MODEL_FRAMEWORKS 3
#define MODEL_NAMES 700
#define MODEL_RUNS (MODEL_FRAMEWORKS * MODEL_NAMES)

struct model_run {
    bool exists;
    char framework[8], name[16], start[24];
    bool has_start;
    const char *status;
    unsigned tokens;
};

static const char *const statuses[] = {"verified", "pending", "failed", ""};
static uint64_t random_state = 0x2545f4914f6cdd1d;

static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % limit;
}

static int compare_model(const void *a, const void *b)
{
    const struct model_run *left = *(const struct model_run *const *)a,
                           *right = *(const struct model_run *const *)b;
    int order = strcmp(left->has_start ? left->start : "", right->has_start ? right->start : "");
    if (order == 0)
        order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->framework, right->framework);
}

static void append_model_run(struct buffer *out, const struct model_run *run)
{
    buffer_append_format(
        out,
        "%s\n    {\n      \"run_id\": \"%s\",\n      \"framework\": \"%s\",\n      \"path\": \"%s/%s\",\n"
        "      \"start_time\": %s%s%s,\n      \"end_time\": null,\n"
        "      \"verification_status\": \"%s\",\n      \"total_tokens_in\": %u,\n"
        "      \"total_tokens_out\": 0\n    }",
        out->length ? "," : "", run->name, run->framework, run->framework, run->name,
        run->has_start ? "\"" : "", run->has_start ? run->start : "null", run->has_start ? "\"" : "",
        run->status, run->tokens);
}

/* From `"runs": [` on, byte by byte, and the order in which runs are visited. */
static void check_manifest(struct index *index, struct model_run *runs)
{
    static struct model_run *sorted[MODEL_RUNS];
    size_t count = 0;
    for (size_t i = 0; i < MODEL_RUNS; i++) {
        if (runs[i].exists)
            sorted[count++] = &runs[i];
    }
    qsort(sorted, count, sizeof(*sorted), compare_model);
    struct buffer expected = {0};
    struct run *run = index_first(index);
    for (size_t i = 0; i < count; i++) {
        append_model_run(&expected, sorted[i]);
        assert_string_equal(run->name.bytes, sorted[i]->name);
        run = index_next(index, run);
    }
    assert_null(run);
    buffer_append_text(&expected, count ? "\n  ]\n}" : "]\n}");
    char *text = manifest_text(index);
    const char *entries = strstr(text, "\"runs\": [") + 9;
    assert_string_equal(entries, expected.bytes);
    free(text);
    buffer_free(&expected);
}

/* Every run is listed once in its value, under a name by which it is found, and nobody else is. */
static void check_views(struct index *index, struct model_run *runs)
{
    size_t listed[FACET_BUILT_IN] = {0}, count = 0;
    for (unsigned facet = 0; facet < FACET_BUILT_IN; facet++) {
        size_t value_count = 0;
        struct facet_value *value;
        for (uint64_t after = 0; (value = facet_next(index, facet, after, &after));) {
            size_t in_value = 0;
            struct run *run;
            assert_ptr_equal(facet_find(index, facet, facet_value_name(value)), value);
            for (uint64_t at = 0; (run = facet_value_next(value, at, &at)); in_value++) {
                char name[LIMIT_NAME_BYTES + 1];
                assert_ptr_equal(run->membership[facet].value, value);
                facet_run_name(index, facet, run, name);
                assert_ptr_equal(facet_value_find(index, value, name), run);
            }
            assert_int_equal(in_value, facet_value_runs(value));
            assert_true(in_value > 0);
            listed[facet] += in_value;
            value_count++;
        }
        assert_int_equal(value_count, facet_value_count(index, facet));
    }
    for (size_t i = 0; i < MODEL_RUNS; i++) {
        struct run *run = find(index, runs[i].framework, runs[i].name);
        assert_int_equal(run != NULL, runs[i].exists);
        count += runs[i].exists;
        if (!run)
            continue;
        unsigned sharing = 0;
        for (size_t other = i % MODEL_NAMES; other < MODEL_RUNS; other += MODEL_NAMES)
            sharing += runs[other].exists && strcmp(runs[other].status, runs[i].status) == 0;
        char name[LIMIT_NAME_BYTES + 1], longer[LIMIT_NAME_BYTES + 1];
        snprintf(longer, sizeof(longer), "%s.%s", runs[i].name, runs[i].framework);
        facet_run_name(index, FACET_STATUS, run, name);
        assert_string_equal(name, sharing > 1 ? longer : runs[i].name);
    }
    assert_int_equal(count, index_count(index));
    for (unsigned facet = 0; facet < FACET_BUILT_IN; facet++)
        assert_int_equal(listed[facet], count);
}

static void change_at_random(struct index *index, struct model_run *run, unsigned removals_of_10)
{
    if (random_below(10) < removals_of_10) {
        if (run->exists)
            index_remove(index, find(index, run->framework, run->name));
        run->exists = false;
        return;
    }
    run->exists = true;
    run->has_start = random_below(8) > 0;
    snprintf(run->start, sizeof(run->start), "2025-10-%02u", random_below(30) + 1);
    run->status = statuses[random_below(4)];
    run->tokens = random_below(1000000);
    put_state(index, run->framework, run->name, run->has_start ? run->start : NULL, run->status, run->tokens,
              true);
}

static void random_changes_agree_with_the_model(void **state)
{
    (void)state;
    static struct model_run runs[MODEL_RUNS];
    struct index *index = index_create();
    for (unsigned i = 0; i < MODEL_RUNS; i++) {
        snprintf(runs[i].framework, sizeof(runs[i].framework), "f%u", i / MODEL_NAMES);
        snprintf(runs[i].name, sizeof(runs[i].name), "run-%u", i % MODEL_NAMES);
    }
    /* Growing, staying, shrinking to nothing. */
    static const unsigned removals_of_10[] = {1, 2, 5, 9};
    for (size_t phase = 0; phase < 4; phase++) {
        for (unsigned i = 0; i < 6000; i++) {
            change_at_random(index, &runs[random_below(MODEL_RUNS)], removals_of_10[phase]);
            if (i % 500 == 0) {
                check_manifest(index, runs);
                check_views(index, runs);
            }
        }
    }
    for (unsigned i = 0; i < MODEL_RUNS; i++) {
        if (runs[i].exists)
            index_remove(index, find(index, runs[i].framework, runs[i].name));
        runs[i].exists = false;
    }
    check_manifest(index, runs);
    check_views(index, runs);
    index_destroy(index);
}

static void a_listing_goes_on_through_changes(void **state)
{
    (void)state;
    struct index *index = index_create();
    char name[16];
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "r%u", i);
        put(index, "f", name, NULL, "ok");
    }
    struct facet_value *value = facet_find(index, FACET_STATUS, "ok");
    unsigned seen[300] = {0};
    uint64_t at = 0;
    for (struct run *run; (run = facet_value_next(value, at, &at));) {
        unsigned number = (unsigned)atoi(run->name.bytes + 1);
        seen[number]++;
        /* Every second one goes, before and behind the listing. */
        snprintf(name, sizeof(name), "r%u", (number * 2 + 1) % 300);
        run = find(index, "f", name);
        if (run)
            index_remove(index, run);
    }
    for (unsigned i = 0; i < 300; i++)
        assert_true(i % 2 == 0 ? seen[i] == 1 : seen[i] <= 1);
    index_destroy(index);
}

static int remove_visited(struct run *run, void *context)
{
    index_remove(context, run);
    return 0;
}

static void the_visited_run_may_be_removed(void **state)
{
    (void)state;
    struct index *index = index_create();
    char name[16];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "r%u", i);
        put(index, "f", name, NULL, "ok");
    }
    assert_int_equal(index_each(index, remove_visited, index), 0);
    assert_int_equal(index_count(index), 0);
    index_destroy(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_tells_what_changed),
        cmocka_unit_test(last_good_fields_stay),
        cmocka_unit_test(order_is_by_time_name_and_framework),
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(times_of_views_move_where_they_change),
        cmocka_unit_test(values_are_found_by_their_escaped_name),
        cmocka_unit_test(random_changes_agree_with_the_model),
        cmocka_unit_test(a_listing_goes_on_through_changes),
        cmocka_unit_test(the_visited_run_may_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
