/*
 * core/run: the fields of a run, by the table of spec section 2, from texts.
 */
#include "tests/unit/run_fixture.h"
#include <errno.h>
#include <stdio.h>

static const struct derivation derivations[] = {
    /* Each field from each of its places, and the defaults. */
    {NULL, NULL, NULL, NULL, "pending", 0, 0},
    {"{}", "{}", NULL, NULL, "pending", 0, 0},
    {"{\"start_timestamp\":\"a\",\"end_timestamp\":\"b\"}", NULL, "a", "b", "pending", 0, 0},
    {"{\"start_time\":\"a\",\"end_time\":\"b\"}", NULL, "a", "b", "pending", 0, 0},
    {NULL, "{\"start_time\":\"a\",\"end_time\":\"b\"}", "a", "b", "pending", 0, 0},
    {"{\"usage_api_reconciliation\":{\"verification_status\":\"s\"}}", NULL, NULL, NULL, "s", 0, 0},
    {"{\"verification_status\":\"s\"}", NULL, NULL, NULL, "s", 0, 0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1,\"TOK_OUT\":2}}", NULL, NULL, NULL, "pending", 1, 2},
    {"{\"total_tokens_in\":1,\"total_tokens_out\":2}", NULL, NULL, NULL, "pending", 1, 2},
    /* What metadata says counts for the two times only. */
    {NULL,
     "{\"start_timestamp\":\"x\",\"end_timestamp\":\"x\",\"verification_status\":\"x\",\"total_tokens_in\":1,"
     "\"aggregate_metrics\":{\"TOK_OUT\":1}}",
     NULL, NULL, "pending", 0, 0},
    /* The first place wins, wherever it stands in the text. */
    {"{\"start_time\":\"2\",\"start_timestamp\":\"1\",\"end_timestamp\":\"1\",\"end_time\":\"2\"}",
     "{\"start_time\":\"3\",\"end_time\":\"3\"}", "1", "1", "pending", 0, 0},
    {"{\"start_time\":\"2\"}", "{\"start_time\":\"3\",\"end_time\":\"3\"}", "2", "3", "pending", 0, 0},
    {"{\"verification_status\":\"2\",\"usage_api_reconciliation\":{\"verification_status\":\"1\"}}", NULL,
     NULL, NULL, "1", 0, 0},
    {"{\"total_tokens_in\":2,\"total_tokens_out\":2,\"aggregate_metrics\":{\"TOK_IN\":1}}", NULL, NULL, NULL,
     "pending", 1, 2},
    /* An empty text is there; a zero is there. */
    {"{\"start_timestamp\":\"\",\"start_time\":\"2\",\"verification_status\":\"\"}", NULL, "", NULL, "", 0,
     0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":0},\"total_tokens_in\":5}", NULL, NULL, NULL, "pending", 0, 0},
    /* Another type counts as absent. */
    {"{\"start_timestamp\":null,\"start_time\":5,\"end_timestamp\":{\"end_time\":\"x\"},\"end_time\":[\"x\"]"
     "}",
     "{\"start_time\":\"3\",\"end_time\":\"3\"}", "3", "3", "pending", 0, 0},
    {"{\"usage_api_reconciliation\":\"s\",\"verification_status\":\"2\"}", NULL, NULL, NULL, "2", 0, 0},
    {"{\"usage_api_reconciliation\":[{\"verification_status\":\"1\"}],\"verification_status\":true}", NULL,
     NULL, NULL, "pending", 0, 0},
    {"{\"usage_api_reconciliation\":{\"verification_status\":null},\"verification_status\":\"2\"}", NULL,
     NULL, NULL, "2", 0, 0},
    {"{\"usage_api_reconciliation\":{\"x\":{\"verification_status\":\"1\"}}}", NULL, NULL, NULL, "pending", 0,
     0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1.0,\"TOK_OUT\":1e3},\"total_tokens_in\":7,\"total_tokens_out\":"
     "\"8\"}",
     NULL, NULL, NULL, "pending", 7, 0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":true,\"TOK_OUT\":NaN},\"total_tokens_in\":-1,\"total_tokens_out\":-"
     "0}",
     NULL, NULL, NULL, "pending", 0, 0},
    {"{\"total_tokens_in\":9007199254740992,\"total_tokens_out\":9007199254740993}", NULL, NULL, NULL,
     "pending", 9007199254740992, 0},
    {"{\"aggregate_metrics\":[1],\"total_tokens_in\":7}", NULL, NULL, NULL, "pending", 7, 0},
    {"{\"TOK_IN\":1,\"aggregate_metrics\":{\"total_tokens_in\":1}}", NULL, NULL, NULL, "pending", 0, 0},
    /* The last of duplicates counts, also where it makes a value absent. */
    {"{\"start_time\":\"1\",\"start_time\":\"2\",\"end_time\":\"1\",\"end_time\":null}", NULL, "2", NULL,
     "pending", 0, 0},
    {"{\"total_tokens_in\":1,\"total_tokens_in\":2,\"total_tokens_out\":1,\"total_tokens_out\":2.0}", NULL,
     NULL, NULL, "pending", 2, 0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1,\"TOK_IN\":3,\"TOK_OUT\":1,\"TOK_OUT\":\"x\"},\"total_tokens_"
     "out\":9}",
     NULL, NULL, NULL, "pending", 3, 9},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1},\"aggregate_metrics\":{\"TOK_OUT\":2}}", NULL, NULL, NULL,
     "pending", 0, 2},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1},\"total_tokens_in\":5,\"aggregate_metrics\":null}", NULL, NULL,
     NULL, "pending", 5, 0},
    {"{\"usage_api_reconciliation\":{\"verification_status\":\"1\"},\"usage_api_reconciliation\":{}}", NULL,
     NULL, NULL, "pending", 0, 0},
    {"{\"usage_api_reconciliation\":1,\"usage_api_reconciliation\":{\"verification_status\":\"1\"}}", NULL,
     NULL, NULL, "1", 0, 0},
    /* Names and texts are compared and kept decoded. */
    {"{\"st\\u0061rt_time\":\"1\",\"start_time\\u0000\":\"2\"}", NULL, "1", NULL, "pending", 0, 0},
    {"{\"start_time\":\"\\ud800\",\"end_time\":\"\\ud83d\\ude00\\n\"}", NULL, "\xed\xa0\x80",
     "\xf0\x9f\x98\x80\n", "pending", 0, 0},
    {"\xef\xbb\xbf{\"start_time\":\"1\"}", "\xef\xbb\xbf {\"end_time\":\"2\"}\n", "1", "2", "pending", 0, 0},
};

static void test_fields_from_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(derivations); i++) {
        struct run_fields fields;
        struct run_fault faults[2];

        int result = run_fields_derive(
            built_in_plan(),
            (struct slice[]){slice_of(derivations[i].metrics), slice_of(derivations[i].metadata)}, &fields,
            faults);
        assert_int_equal(result, 0);
        assert_null(faults[0].reason);
        assert_null(faults[1].reason);
        assert_fields(&fields, &derivations[i]);
        run_fields_free(&fields);
    }
}

static void test_texts_keep_nul(void **state)
{
    struct run_fields fields;
    struct run_fault faults[2];

    (void)state;
    struct slice contents[] = {SLICE_LITERAL("{\"verification_status\":\"a\\u0000b\"}"), SLICE_ABSENT};
    run_fields_derive(built_in_plan(), contents, &fields, faults);
    assert_true(slice_equal(fields.status, SLICE_LITERAL("a\0b")));
    run_fields_free(&fields);
}

static void test_a_faulty_file_counts_as_empty(void **state)
{
    static const struct {
        const char *content;
        const char *fault;
    } cases[] = {
        {"", "empty"},
        {" ", "line 1, column 2: empty"},
        {"[]", "line 1, column 1: not an object"},
        {"\n \"start_time\"", "line 2, column 2: not an object"},
        {"null", "line 1, column 1: not an object"},
        {"{\"start_time\":\"lost\"", "line 1, column 21: ends too early"},
        {"{\"start_time\":\"lost\"}\n{}", "line 2, column 1: something follows the value"},
        {"{\"start_time\":\"lost\",\n\"end_time\":\"x\n\"}",
         "line 2, column 14: a control character in a string"},
        {"{\"x\":{\"start_time\":[}}", "line 1, column 21: a value is missing"},
        {"{\"usage_api_reconciliation\":{\"verification_status\":\"x\"", "line 1, column 55: ends too early"},
    };
    static const struct derivation of_the_other = {.start_time = "1", .end_time = "2", .status = "pending"};
    struct slice sound = SLICE_LITERAL("{\"start_time\":\"1\",\"end_time\":\"2\"}");

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice faulty = slice_of(cases[i].content);
        struct run_fields fields;
        struct run_fault faults[2];
        char text[200];

        assert_int_equal(run_fields_derive(built_in_plan(), (struct slice[]){faulty, sound}, &fields, faults),
                         -EBADMSG);
        assert_fields(&fields, &of_the_other);
        run_fault_describe(&faults[0], text, sizeof(text));
        assert_string_equal(text, cases[i].fault);
        assert_null(faults[1].reason);
        run_fields_free(&fields);

        assert_int_equal(run_fields_derive(built_in_plan(), (struct slice[]){sound, faulty}, &fields, faults),
                         -EBADMSG);
        assert_fields(&fields, &of_the_other);
        assert_null(faults[0].reason);
        assert_non_null(faults[1].reason);
        run_fields_free(&fields);
    }
}

/* Seconds since 1970, as times that stand in order as texts do. */
static void test_epochs(void **state)
{
    static const struct {
        const char *seconds, *text; /* NULL: absent */
    } cases[] = {
        {"0", "1970-01-01T00:00:00Z"},
        {"-0.25", "1969-12-31T23:59:59.750000Z"},
        {"1760605859.123456", "2025-10-16T09:10:59.123456Z"},
        {"1760605859.9999999", "2025-10-16T09:11:00Z"},
        {"1.760605859e9", "2025-10-16T09:10:59Z"},
        {"-59011459200", "0100-01-01T00:00:00Z"},
        {"-62135596799", "0001-01-01T00:00:01Z"},
        {"-62135596801", NULL},
        {"253402300799", "9999-12-31T23:59:59Z"},
        {"253402300799.9999999", NULL},
        {"253402300800", NULL},
        {"1e400", NULL},
        {"NaN", NULL},
        {"-Infinity", NULL},
        {"true", NULL},
        {"\"0\"", NULL},
    };
    static const char text[] =
        "{\"fields\": {\"start_time\": {\"from\": \"metrics.json#/t\", \"type\": \"epoch\"}}}";
    struct config *config;
    struct config_fault config_faults[CONFIG_FAULTS_AT_MOST];
    size_t fault_count;

    (void)state;
    assert_int_equal(config_parse(slice_of(text), &config, config_faults, &fault_count), 0);
    struct run_plan *plan = run_plan_create(config);
    config_unref(config);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct run_fault faults[RUN_FILES_AT_MOST];
        struct run_fields fields;
        char content[64];
        snprintf(content, sizeof(content), "{\"t\": %s}", cases[i].seconds);
        assert_int_equal(
            run_fields_derive(plan, (struct slice[]){slice_of(content), SLICE_ABSENT}, &fields, faults), 0);
        if (!slice_equal(fields.start_time, slice_of(cases[i].text)))
            fail_msg("%s: %s", cases[i].seconds, fields.start_time.bytes);
        run_fields_free(&fields);
    }
    run_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_from_every_place),
        cmocka_unit_test(test_texts_keep_nul),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_a_faulty_file_counts_as_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
