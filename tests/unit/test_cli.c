/*
 * The pure parts of `runs`: times, what people are shown, tables, and the comparison of a manifest with the
 * index.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cli/compare.h"
#include "core/cli/display.h"
#include "core/cli/finding.h"
#include "core/query/moment.h"
#include "core/cli/table.h"
#include "core/manifest/snapshot.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_times_of_every_form(void **state)
{
    static const struct {
        const char *text;
        int64_t microseconds;
    } times[] = {
        {"1970-01-01", 0},
        {"1969-12-31T23:59:59Z", -1000000},
        {"2025-10-15T08:50:59Z", 1760518259000000},
        {"2025-10-15 08:50:59", 1760518259000000},
        {"2025-10-15T08:50:59.5", 1760518259500000},
        {"2025-10-15T08:50:59.123456789Z", 1760518259123456},
        {"2025-10-15T10:50:59+02:00", 1760518259000000},
        {"2025-10-15T10:50:59+0200", 1760518259000000},
        {"2025-10-15T10:50:59+02", 1760518259000000},
        {"2025-10-15T03:20:59-05:30", 1760518259000000},
        {"2025-10-15T08:50", 1760518200000000},
        {"2024-02-29", 1709164800000000},
        {"2000-03-01", 951868800000000},
        {"9999-12-31T23:59:59Z", 253402300799000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        int64_t microseconds = 0;
        assert_int_equal(moment_parse(slice_of(times[i].text), &microseconds), 0);
        assert_int_equal(microseconds, times[i].microseconds);
    }
    assert_int_equal(moment_seconds(-1), -1);
    assert_int_equal(moment_seconds(-1000000), -1);
    assert_int_equal(moment_seconds(1999999), 1);
}

static void test_what_is_no_time(void **state)
{
    static const char *const texts[] = {
        "",
        "now",
        "2025",
        "2025-13-01",
        "2025-02-29",
        "2025-10-00",
        "0000-01-01",
        "2025-10-1",
        "2025-10-15T",
        "2025-10-15T24:00",
        "2025-10-15T08:60",
        "2025-10-15T08:50:61",
        "2025-10-15T08:50:59.",
        "2025-10-15T08:50:59+2",
        "2025-10-15T08:50:59Zx",
        "-025-10-15",
        "2025-10-15x",
        "2025-10-15Z",
    };

    (void)state;
    int64_t microseconds;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_int_equal(moment_parse(slice_of(texts[i]), &microseconds), -EINVAL);
    assert_int_equal(moment_parse(SLICE_ABSENT, &microseconds), -EINVAL);
}

static void test_text_is_made_harmless(void **state)
{
    struct buffer out = {0};

    (void)state;
    display_append(&out, SLICE_LITERAL("a\x1b[31m\n\xc2\x9b\x7f\xff\0\xc3\xa9\xed\xa0\x80"));
    assert_string_equal(out.bytes, "a\\x1b[31m\\x0a\\xc2\\x9b\\x7f\\xff\\x00\xc3\xa9\\xed\\xa0\\x80");
    buffer_free(&out);
}

static void assert_count(uint64_t count, const char *shown)
{
    struct buffer out = {0};
    display_append_count(&out, count);
    assert_string_equal(out.bytes, shown);
    buffer_free(&out);
}

static void test_counts_have_three_digits(void **state)
{
    (void)state;
    assert_count(0, "0");
    assert_count(999, "999");
    assert_count(1000, "1.00k");
    assert_count(9994, "9.99k");
    assert_count(9996, "10.0k");
    assert_count(91329, "91.3k");
    assert_count(99960, "100k");
    assert_count(287761, "288k");
    assert_count(999499, "999k");
    assert_count(999500, "1.00M");
    assert_count(1234567, "1.23M");
    assert_count(1ull << 53, "9.01P");
    assert_count(UINT64_MAX, "18.4E");
}

static void test_sizes_have_units(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *shown;
    } sizes[] = {{0, "0 B"},         {999, "999 B"},      {1000, "1.00 kB"},
                 {10240, "10.2 kB"}, {999500, "1.00 MB"}, {512345678, "512 MB"}};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct buffer out = {0};
        display_append_size(&out, sizes[i].bytes);
        assert_string_equal(out.bytes, sizes[i].shown);
        buffer_free(&out);
    }
}

static void assert_duration(int64_t seconds, const char *shown)
{
    struct buffer out = {0};
    display_append_duration(&out, seconds);
    assert_string_equal(out.bytes, shown);
    buffer_free(&out);
}

static void test_durations(void **state)
{
    (void)state;
    assert_duration(0, "0s");
    assert_duration(59, "59s");
    assert_duration(2063, "34m 23s");
    assert_duration(3720, "1h 02m");
    assert_duration(273600, "3d 04h");
    assert_duration(-61, "-1m 01s");
}

static void test_a_table_fits_its_width(void **state)
{
    static const struct table_column columns[] = {{"NAME", false, 4}, {"COUNT", true, 0}, {"LAST", false, 4}};
    struct table *table = table_create(columns, 3);
    struct buffer out = {0};

    (void)state;
    table_add(table, SLICE_LITERAL("0123456789"), NULL);
    table_add(table, SLICE_LITERAL("7"), NULL);
    table_add(table, SLICE_LITERAL("end"), "32");
    table_print(table, 0, false, &out);
    assert_string_equal(out.bytes, "NAME        COUNT  LAST\n0123456789      7  end\n");
    buffer_clear(&out);
    table_print(table, 19, true, &out);
    assert_string_equal(out.bytes, "NAME    COUNT  LAST\n01234~      7  \x1b[32mend\x1b[0m\n");
    buffer_clear(&out);
    table_print(table, 1, false, &out);
    assert_string_equal(out.bytes, "NAME  COUNT  LAST\n012~      7  end\n");
    buffer_free(&out);
    table_destroy(table);
}

/* ---- the comparison ---- */

static void put(struct index *index, const char *framework, const char *name, const char *start)
{
    struct run_state run = {.is_run = true, .is_whole = true};
    bool changed;
    run.fields.start_time = slice_of(start);
    run.fields.status = SLICE_LITERAL("verified");
    run.fields.tokens_in = 5;
    index_put(index, slice_of(framework), slice_of(name), &run, &changed);
}

static struct index *two_runs(void)
{
    struct index *index = index_create();
    put(index, "b", "1", "2025");
    put(index, "a", "2\xff", "2026");
    return index;
}

/* What is told of the manifest in which the first `from` is replaced by `to`. */
static void assert_told(const char *from, const char *to, const char *told)
{
    struct index *index = two_runs();
    struct snapshot *snapshot = snapshot_take(index);
    struct finding_list findings = {0};
    struct buffer changed = {0}, lines = {0};
    size_t size = snapshot_size(snapshot);
    char *text = calloc(1, size + 1);

    assert_int_equal(snapshot_read(snapshot, text, size, 0), size);
    char *place = strstr(text, from);
    assert_non_null(place);
    buffer_append(&changed, text, (size_t)(place - text));
    buffer_append_text(&changed, to);
    buffer_append_text(&changed, place + strlen(from));
    compare_manifest(index, -1, "m.json", buffer_slice(&changed), &findings);
    finding_append_lines(&lines, &findings);
    assert_string_equal(buffer_slice(&lines).bytes, told);

    finding_list_free(&findings);
    buffer_free(&changed);
    buffer_free(&lines);
    free(text);
    snapshot_unref(snapshot);
    index_destroy(index);
}

static void test_every_difference_is_told(void **state)
{
    (void)state;
    assert_told("{", "{", "");
    assert_told("\"verified\"", "\"\\u0076erified\", \"note\": {\"own\": 1}", "");
    assert_told("\"verified\"", "\"x\"", "b/1: verification_status stands \"x\", should be \"verified\"\n");
    assert_told("\"total_tokens_in\": 5", "\"total_tokens_in\": 5.0",
                "b/1: total_tokens_in stands 5.0, should be 5\n");
    assert_told("\"total_tokens_in\": 5,", "", "b/1: total_tokens_in is missing, should be 5\n");
    assert_told("\"total_tokens_in\": 5", "\"total_tokens_in\": [[5]]",
                "b/1: total_tokens_in stands an array, should be 5\n");
    assert_told("\"path\": \"b/1\"", "\"path\": \"c/1\"", "b/1: path stands \"c/1\", should be \"b/1\"\n");
    assert_told("\"run_id\": \"2\\udcff\"", "\"run_id\": 2",
                "a/2\\xff: run_id stands 2, should be \"2\\udcff\"\n");
    assert_told("\"total_runs\": 2", "\"total_runs\": 2, \"total_runs\": 3",
                "m.json: total_runs stands 3, should be 2\n");
    assert_told("\"a\": 1", "\"a\": 0, \"c\": 0, \"d\": \"\\n\"",
                "m.json: frameworks, \"a\" stands 0, should be 1\n"
                "m.json: frameworks, \"d\" stands \"\\n\", should be 0\n");
    assert_told("\"a\": 1,", "", "m.json: frameworks, \"a\" is missing, should be 1\n");
    assert_told("\"1.0\"", "\"1.1\"", "m.json: version stands \"1.1\", should be \"1.0\"\n");
    assert_told("\"runs\"", "\"nuns\"", "m.json: runs is missing, should be an array of the runs\n");
    assert_told("\"runs\": [", "\"runs\": [7, {\"path\": \"b/2\"},",
                "m.json: an entry of runs that names no run\n"
                "b/2: in the manifest, but there is no such run\n");
}

static void test_entries_lost_and_out_of_order(void **state)
{
    static const char entries[] = "{\"path\": \"a/2\\udcff\", \"run_id\": \"2\\udcff\", \"framework\": \"a\","
                                  "\"start_time\": \"2026\", \"end_time\": null, \"total_tokens_in\": 5,"
                                  "\"verification_status\": \"verified\", \"total_tokens_out\": 0},";

    (void)state;
    assert_told("\"runs\": [", "\"runs\": [], \"other\": [",
                "b/1: not in the manifest\na/2\\xff: not in the manifest\n");
    struct buffer changed = {0};
    buffer_append_format(&changed, "\"runs\": [%s", entries);
    assert_told(
        "\"runs\": [", changed.bytes,
        "m.json: the runs are not in order of start_time and run_id: \"b/1\" stands behind \"a/2\\udcff\"\n"
        "a/2\\xff: in the manifest more than once\n");
    buffer_free(&changed);
}

static void test_findings_as_json(void **state)
{
    struct finding_list findings = {0};
    struct buffer out = {0};

    (void)state;
    finding_add(&findings, FINDING_ABORTED, SLICE_LITERAL("b\xff\n"), "no \"%s\"", "run");
    finding_add(&findings, FINDING_MANIFEST, SLICE_LITERAL("a"), "x");
    assert_int_equal(finding_count_mendable(&findings), 1);
    finding_sort(&findings, 0);
    assert_int_equal(finding_append_json(&out, &findings), 0);
    assert_non_null(strstr(out.bytes, "\"kind\":\t\"aborted\""));
    assert_non_null(strstr(out.bytes, "\"b\\udcff\\n\""));
    assert_non_null(strstr(out.bytes, "\"no \\\"run\\\"\""));
    assert_true(strstr(out.bytes, "\"a\"") < strstr(out.bytes, "\"b"));
    finding_list_free(&findings);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_of_every_form),
        cmocka_unit_test(test_what_is_no_time),
        cmocka_unit_test(test_text_is_made_harmless),
        cmocka_unit_test(test_counts_have_three_digits),
        cmocka_unit_test(test_sizes_have_units),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_a_table_fits_its_width),
        cmocka_unit_test(test_every_difference_is_told),
        cmocka_unit_test(test_entries_lost_and_out_of_order),
        cmocka_unit_test(test_findings_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
