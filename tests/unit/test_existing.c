/*
 * Adopting manifests that somebody wrote: what is taken over, what is corrected, and that what was corrected
 * stays as it is.
 */
#include "tests/unit/manifest_fixture.h"

#define HEAD \
    "{\n  \"version\": \"1.0\",\n  \"last_updated\": \"2025-10-15T10:30:00Z\",\n  \"total_runs\": 1,\n"
#define FRAMEWORKS "  \"frameworks\": {\n    \"z\": 0,\n    \"f\": 1\n  },\n"
#define ENTRY                                                                                            \
    "    {\n      \"run_id\": \"a\",\n      \"framework\": \"f\",\n      \"path\": \"f/a\",\n      "     \
    "\"start_time\": null,\n"                                                                            \
    "      \"end_time\": null,\n      \"verification_status\": \"ok\",\n      \"total_tokens_in\": 0,\n" \
    "      \"total_tokens_out\": 0"
#define TRUE_MANIFEST HEAD FRAMEWORKS "  \"runs\": [\n" ENTRY "\n    }\n  ]\n}"

static struct index *index_with_run(void)
{
    struct index *index = index_create();
    put(index, "f", "a", NULL, "ok");
    return index;
}

/* What stands in the index now is adopted as it is. */
static void expect_stable(struct index *index)
{
    char *text = manifest_text(index);
    uint64_t generation = index_generation(index);
    assert_int_equal(adopt(index, text), EXISTING_SAME);
    assert_int_equal(index_generation(index), generation);
    free(text);
}

static void a_true_manifest_is_left_alone(void **state)
{
    (void)state;
    struct index *index = index_with_run();
    assert_int_equal(adopt(index, TRUE_MANIFEST), EXISTING_SAME);
    char *text = manifest_text(index);
    assert_string_equal(text, TRUE_MANIFEST);
    free(text);
    expect_stable(index);
    index_destroy(index);
}

static void other_bytes_are_corrected_once(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        HEAD "  \"runs\": []}",
        HEAD FRAMEWORKS "  \"runs\": [\n" ENTRY "\n    }\n  ]\n}\n",
        "{\"version\": \"1.0\", \"runs\": []}",
        "{\"version\": \"1.0\", \"last_updated\": 5, \"frameworks\": [], \"runs\": [1, [], {\"path\": {}}]}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct index *index = index_with_run();
        assert_int_equal(adopt(index, wrong[i]), EXISTING_DIFFERS);
        char *text = manifest_text(index);
        assert_null(strstr(text, "2025-10-15T10:30:00Z"));
        free(text);
        expect_stable(index);
        index_destroy(index);
    }
}

static void what_is_no_manifest_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum existing_verdict verdict;
    } cases[] = {
        {"", EXISTING_EMPTY},
        {" \r\n\t", EXISTING_EMPTY},
        {"{", EXISTING_BROKEN},
        {TRUE_MANIFEST "x", EXISTING_BROKEN},
        {"{\"added\": 1, \"runs\": [}", EXISTING_BROKEN},
        {"[]", EXISTING_FOREIGN},
        {"1", EXISTING_FOREIGN},
        {"{}", EXISTING_FOREIGN},
        {"{\"version\": \"2.0\", \"runs\": []}", EXISTING_FOREIGN},
        {"{\"version\": \"1.0\", \"runs\": {}}", EXISTING_FOREIGN},
        {"{\"version\": \"1.0\", \"runs\": [], \"version\": 1.0}", EXISTING_FOREIGN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct index *index = index_with_run();
        char *before = manifest_text(index);
        assert_int_equal(adopt(index, cases[i].text), cases[i].verdict);
        char *after = manifest_text(index);
        if (cases[i].verdict == EXISTING_BROKEN || cases[i].verdict == EXISTING_EMPTY)
            assert_string_equal(before, after);
        free(before);
        free(after);
        expect_stable(index);
        index_destroy(index);
    }
}

static void a_fault_says_where(void **state)
{
    (void)state;
    struct index *index = index_create();
    struct run_fault fault;
    assert_int_equal(existing_adopt(index, slice_of("{\n  \"runs\": [1 2]}"), true, NULL, &fault), EXISTING_BROKEN);
    assert_non_null(fault.reason);
    assert_int_equal(fault.line, 2);
    assert_int_equal(existing_adopt(index, slice_of("{}"), true, NULL, &fault), EXISTING_FOREIGN);
    assert_null(fault.reason);
    index_destroy(index);
}

static void expect_contains(struct index *index, const char *wanted, bool does)
{
    char *text = manifest_text(index);
    assert_int_equal(strstr(text, wanted) != NULL, does);
    free(text);
}

static void added_members_survive(void **state)
{
    (void)state;
    struct index *index = index_with_run();
    const char *text =
        "{\"note\": {\"b\": [1.50, {}], \"c\": \"\xc3\xa9\"}, \"version\": \"1.0\", \"runs\": [{\"tag\": 0, "
        "\"path\": \"f/a\", \"e\\u00e9\": NaN, \"tag\": \"x\"}], \"last_updated\": \"\"}";
    assert_int_equal(adopt(index, text), EXISTING_DIFFERS);
    static const char entry[] =
        "\"total_tokens_out\": 0,\n      \"tag\": \"x\",\n      \"e\\u00e9\": NaN\n    }\n  ],\n"
        "  \"note\": {\n    \"b\": [\n      1.50,\n      {}\n    ],\n    \"c\": \"\\u00e9\"\n  }\n}";
    expect_contains(index, entry, true);
    expect_stable(index);
    put_state(index, "f", "a", NULL, "ok", 0, true);
    expect_contains(index, entry, true);
    /* Joined where none are to be forgotten, and forgotten where they are. */
    text = "{\"other\": 1, \"version\": \"1.0\", \"runs\": [{\"path\": \"f/a\", \"tag\": 2}], "
           "\"last_updated\": \"\"}";
    existing_adopt(index, slice_of(text), false, NULL, NULL);
    expect_contains(index, "\"tag\": 2,\n      \"e\\u00e9\": NaN\n    }", true);
    expect_contains(index, "\n  },\n  \"other\": 1\n}", true);
    adopt(index, "{\"version\": \"2.0\", \"mine\": 3}");
    expect_contains(index, "\"other\": 1,\n  \"mine\": 3\n}", true);
    adopt(index, "{\"version\": \"1.0\", \"runs\": []}");
    expect_contains(index, "\"tag\": 2", true);
    expect_contains(index, "\"mine\"", false);
    adopt(index, "{\"version\": \"1.0\", \"runs\": [{\"path\": \"f/a\"}]}");
    expect_contains(index, "\"tag\": 2", false);
    expect_stable(index);
    index_destroy(index);
}

static void an_entry_finds_its_run(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        bool finds;
    } cases[] = {
        {"\"path\": \"f/b\\udc80\"", true},
        {"\"path\": \"f\\/b\\udc80\"", true},
        {"\"framework\": \"f\", \"run_id\": \"b\\udc80\"", true},
        {"\"path\": null, \"framework\": \"f\", \"run_id\": \"b\\udc80\"", true},
        {"\"path\": \"f\"", false},
        {"\"path\": \"f/b\\ud880\"", false},
        {"\"path\": \"f/b\\u0080\"", false},
        {"\"path\": \"f/\\u00e9\"", true},
        {"\"path\": \"f/\\udcc3\\udca9\"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct index *index = index_create();
        struct buffer text = {0};
        put(index, "f", "b\x80", NULL, "ok");
        put(index, "f", "\xc3\xa9", NULL, "ok");
        buffer_append_format(&text, "{\"version\": \"1.0\", \"runs\": [{%s, \"tag\": 1}]}", cases[i].entry);
        assert_int_equal(adopt(index, text.bytes), EXISTING_DIFFERS);
        expect_contains(index, "\"tag\": 1", cases[i].finds);
        expect_stable(index);
        buffer_free(&text);
        index_destroy(index);
    }
}

static void unreadable_runs_take_their_last_good_fields(void **state)
{
    (void)state;
    struct index *index = index_create();
    put_state(index, "f", "bad", "2020", "pending", 9, false);
    put_state(index, "f", "good", "2020", "ok", 9, true);
    const char *text = "{\"version\": \"1.0\", \"runs\": ["
                       "{\"path\": \"f/bad\", \"start_time\": null, \"end_time\": \"2026\", "
                       "\"verification_status\": \"verified\","
                       " \"total_tokens_in\": 5.0, \"total_tokens_out\": 9007199254740992},"
                       "{\"path\": \"f/good\", \"start_time\": \"1999\"}]}";
    /* A later writer is not believed what the files don't say. */
    adopt(index, text);
    assert_string_equal(find(index, "f", "bad")->fields.status.bytes, "pending");
    existing_adopt(index, slice_of(text), false, NULL, NULL);
    struct run *bad = find(index, "f", "bad"), *good = find(index, "f", "good");
    assert_null(bad->fields.start_time.bytes);
    assert_string_equal(bad->fields.end_time.bytes, "2026");
    assert_string_equal(bad->fields.status.bytes, "verified");
    assert_int_equal(bad->fields.tokens_in, 9);
    assert_int_equal(bad->fields.tokens_out, 9007199254740992);
    assert_true(bad->has_good);
    assert_string_equal(good->fields.start_time.bytes, "2020");
    assert_ptr_equal(index_first(index), bad);
    assert_ptr_equal(bad->membership[FACET_STATUS].value, facet_find(index, FACET_STATUS, "verified"));
    /* They stay, whatever the manifest says afterwards, until the files can be read. */
    put_state(index, "f", "bad", NULL, "pending", 0, false);
    assert_string_equal(bad->fields.status.bytes, "verified");
    expect_stable(index);
    index_destroy(index);
}

static void frameworks_keep_the_order_of_the_file(void **state)
{
    (void)state;
    struct index *index = index_create();
    put(index, "m", "1", NULL, "ok");
    put(index, "c", "1", NULL, "ok");
    adopt(index,
          "{\"frameworks\": {\"z\": 5, \"m\": 1, \"\": 1, \"z\": 2}, \"version\": \"1.0\", \"runs\": []}");
    put(index, "a", "1", NULL, "ok");
    expect_contains(index, "{\n    \"z\": 0,\n    \"m\": 1,\n    \"\": 0,\n    \"a\": 1,\n    \"c\": 1\n  }",
                    true);
    expect_stable(index);
    /* Now all of them are the file's. */
    put(index, "b", "1", NULL, "ok");
    index_remove(index, find(index, "a", "1"));
    expect_contains(index, "\"a\": 0,\n    \"c\": 1,\n    \"b\": 1\n  }", true);
    adopt(index, "{\"version\": \"1.0\", \"runs\": []}");
    expect_contains(index, "{\n    \"b\": 1,\n    \"c\": 1,\n    \"m\": 1\n  }", true);
    /* What is no manifest still tells an order. */
    adopt(index, "{\"frameworks\": {\"m\": 1}}");
    expect_contains(index, "{\n    \"m\": 1,\n    \"b\": 1,\n    \"c\": 1\n  }", true);
    index_destroy(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_manifest_is_left_alone),
        cmocka_unit_test(other_bytes_are_corrected_once),
        cmocka_unit_test(what_is_no_manifest_is_told_apart),
        cmocka_unit_test(a_fault_says_where),
        cmocka_unit_test(added_members_survive),
        cmocka_unit_test(an_entry_finds_its_run),
        cmocka_unit_test(unreadable_runs_take_their_last_good_fields),
        cmocka_unit_test(frameworks_keep_the_order_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
