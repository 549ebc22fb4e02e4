/*
 * Snapshots: the reference bytes, sharing, and reading at any offset.
 */
#include "tests/unit/manifest_fixture.h"
#include <stdio.h>
#include <unistd.h>

static void expect_entries(struct index *index, const char *expected)
{
    char *text = manifest_text(index);
    const char *rest = strstr(text, ",\n  \"total_runs\"");
    assert_non_null(rest);
    assert_string_equal(rest, expected);
    free(text);
}

static void bytes_are_those_of_python(void **state)
{
    (void)state;
    struct index *index = index_create();
    expect_entries(index, ",\n  \"total_runs\": 0,\n  \"frameworks\": {},\n  \"runs\": []\n}");
    put_state(index, "b\xff", "\x80\xc3\xa9\xf0\x9f\x98\x80\"", NULL, "ok\n", UINT64_C(9007199254740992),
              true);
    put(index, "a", "1", "2025", "");
    expect_entries(index, ",\n"
                          "  \"total_runs\": 2,\n"
                          "  \"frameworks\": {\n"
                          "    \"a\": 1,\n"
                          "    \"b\\udcff\": 1\n"
                          "  },\n"
                          "  \"runs\": [\n"
                          "    {\n"
                          "      \"run_id\": \"\\udc80\\u00e9\\ud83d\\ude00\\\"\",\n"
                          "      \"framework\": \"b\\udcff\",\n"
                          "      \"path\": \"b\\udcff/\\udc80\\u00e9\\ud83d\\ude00\\\"\",\n"
                          "      \"start_time\": null,\n"
                          "      \"end_time\": null,\n"
                          "      \"verification_status\": \"ok\\n\",\n"
                          "      \"total_tokens_in\": 9007199254740992,\n"
                          "      \"total_tokens_out\": 0\n"
                          "    },\n"
                          "    {\n"
                          "      \"run_id\": \"1\",\n"
                          "      \"framework\": \"a\",\n"
                          "      \"path\": \"a/1\",\n"
                          "      \"start_time\": \"2025\",\n"
                          "      \"end_time\": null,\n"
                          "      \"verification_status\": \"\",\n"
                          "      \"total_tokens_in\": 0,\n"
                          "      \"total_tokens_out\": 0\n"
                          "    }\n"
                          "  ]\n"
                          "}");
    index_destroy(index);
}

static void a_new_framework_goes_with_its_last_run(void **state)
{
    (void)state;
    struct index *index = index_create();
    put(index, "a", "1", NULL, "ok");
    index_remove(index, find(index, "a", "1"));
    expect_entries(index, ",\n  \"total_runs\": 0,\n  \"frameworks\": {},\n  \"runs\": []\n}");
    put(index, "a", "1", NULL, "ok");
    existing_written(index);
    index_remove(index, find(index, "a", "1"));
    expect_entries(index,
                   ",\n  \"total_runs\": 0,\n  \"frameworks\": {\n    \"a\": 0\n  },\n  \"runs\": []\n}");
    index_destroy(index);
}

static void it_is_the_same_while_nothing_changes(void **state)
{
    (void)state;
    struct index *index = index_create();
    put(index, "a", "1", NULL, "ok");
    struct snapshot *first = snapshot_take(index), *second = snapshot_take(index);
    assert_ptr_equal(first, second);
    assert_int_equal(snapshot_generation(first), index_generation(index));
    put(index, "a", "1", NULL, "failed");
    struct snapshot *third = snapshot_take(index);
    assert_ptr_not_equal(first, third);
    assert_false(snapshot_same_content(first, third));
    put(index, "a", "1", NULL, "ok");
    struct snapshot *fourth = snapshot_take(index);
    assert_true(snapshot_same_content(first, fourth));
    existing_restore_last_updated(index, first);
    struct snapshot *fifth = snapshot_take(index);
    char *text = manifest_text(index);
    assert_true(snapshot_equals_bytes(first, slice_of(text)));
    free(text);
    index_destroy(index);
    /* They outlive the index. */
    assert_true(snapshot_size(first) == snapshot_size(fifth));
    snapshot_unref(first);
    snapshot_unref(second);
    snapshot_unref(third);
    snapshot_unref(fourth);
    snapshot_unref(fifth);
}

static struct index *index_of(unsigned count)
{
    struct index *index = index_create();
    char name[16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%08x", i * 2654435761u);
        put(index, "f", name, NULL, "ok");
    }
    return index;
}

static void it_is_read_at_any_offset(void **state)
{
    (void)state;
    struct index *index = index_of(3000);
    struct snapshot *snapshot = snapshot_take(index);
    char *text = manifest_text(index);
    uint64_t size_bytes = snapshot_size(snapshot);
    assert_int_equal(strlen(text), size_bytes);
    char part[4096];
    for (uint64_t offset = 0; offset < size_bytes; offset += 997) {
        size_t expected = size_bytes - offset < sizeof(part) ? size_bytes - offset : sizeof(part);
        assert_int_equal(snapshot_read(snapshot, part, sizeof(part), offset), expected);
        assert_memory_equal(part, text + offset, expected);
    }
    assert_int_equal(snapshot_read(snapshot, part, sizeof(part), size_bytes), 0);
    assert_int_equal(snapshot_read(snapshot, part, sizeof(part), UINT64_MAX), 0);

    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(snapshot_write(snapshot, fileno(file)), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_CUR), size_bytes);
    fclose(file);
    assert_true(snapshot_write(snapshot, -1) < 0);

    free(text);
    snapshot_unref(snapshot);
    index_destroy(index);
}

static void same_content_does_not_depend_on_the_leaves(void **state)
{
    (void)state;
    struct index *scattered = index_of(3000), *sorted = index_create();
    for (struct run *run = index_first(scattered); run; run = index_next(scattered, run))
        put(sorted, "f", run->name.bytes, NULL, "ok");
    struct snapshot *a = snapshot_take(scattered), *b = snapshot_take(sorted);
    assert_true(snapshot_same_content(a, b));
    struct run *last = find(sorted, "f", "00000000");
    put_state(sorted, "f", last->name.bytes, NULL, "ok", 1, true);
    struct snapshot *c = snapshot_take(sorted);
    assert_int_equal(snapshot_size(c), snapshot_size(b));
    assert_false(snapshot_same_content(a, c));
    snapshot_unref(a);
    snapshot_unref(b);
    snapshot_unref(c);
    index_destroy(scattered);
    index_destroy(sorted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_those_of_python),
        cmocka_unit_test(a_new_framework_goes_with_its_last_run),
        cmocka_unit_test(it_is_the_same_while_nothing_changes),
        cmocka_unit_test(it_is_read_at_any_offset),
        cmocka_unit_test(same_content_does_not_depend_on_the_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
