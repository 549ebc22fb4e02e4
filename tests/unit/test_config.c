/*
 * core/config: what a configuration says, every fault with its place, what is asked of it, and the edit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/glob.h"
#include "core/base/limits.h"
#include "core/base/nearest.h"
#include "core/config/config.h"
#include "core/run/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config_fault faults[CONFIG_FAULTS_AT_MOST];
static size_t fault_count;

static struct config *parse(const char *text)
{
    struct config *config;
    int result = config_parse(slice_of(text), &config, faults, &fault_count);

    if (result < 0 && fault_count)
        print_message("%u:%u: %s\n", faults[0].line, faults[0].column, faults[0].reason);
    assert_int_equal(result, 0);
    assert_int_equal(fault_count, 0);
    return config;
}

static void refuse(struct slice text)
{
    struct config *config;

    assert_int_equal(config_parse(text, &config, faults, &fault_count), -EBADMSG);
    assert_null(config);
    assert_in_range(fault_count, 1, CONFIG_FAULTS_AT_MOST);
}

/* A field's sources as "file#/step/step file#..." */
static void assert_sources(const struct config *config, int field, const char *expected)
{
    struct buffer text = {0};

    assert_true(field >= 0);
    for (size_t i = 0; i < config->fields[field].source_count; i++) {
        const struct config_source *source = &config->fields[field].sources[i];

        assert_true(source->file < config->file_count);
        buffer_append_format(&text, "%s%s#", i ? " " : "", config->files[source->file]);
        for (size_t j = 0; j < source->step_count; j++) {
            buffer_append_byte(&text, '/');
            buffer_append_slice(&text, source->steps[j]);
        }
    }
    assert_string_equal(buffer_slice(&text).bytes, expected);
    buffer_free(&text);
}

static void assert_built_in(const struct config *config)
{
    assert_null(config->manifest_name);
    assert_int_equal(config->layout_count, 1);
    assert_int_equal(config->layouts[0].depth, 2);
    assert_int_equal(config->tracked_count, 4);
    assert_int_equal(config->exclude_count, 0);
    assert_int_equal(config->file_count, 2);
    assert_string_equal(config->files[0], "metrics.json");
    assert_string_equal(config->files[1], "metadata.json");
    assert_int_equal(config->field_count, CONFIG_BUILT_IN_FIELDS);
    assert_sources(config, CONFIG_START_TIME,
                   "metrics.json#/start_timestamp metrics.json#/start_time metadata.json#/start_time");
    assert_sources(config, CONFIG_END_TIME,
                   "metrics.json#/end_timestamp metrics.json#/end_time metadata.json#/end_time");
    assert_sources(
        config, CONFIG_STATUS,
        "metrics.json#/usage_api_reconciliation/verification_status metrics.json#/verification_status");
    assert_sources(config, CONFIG_TOKENS_IN,
                   "metrics.json#/aggregate_metrics/TOK_IN metrics.json#/total_tokens_in");
    assert_sources(config, CONFIG_TOKENS_OUT,
                   "metrics.json#/aggregate_metrics/TOK_OUT metrics.json#/total_tokens_out");
    assert_int_equal(config->fields[CONFIG_START_TIME].type, CONFIG_TIME);
    assert_int_equal(config->fields[CONFIG_STATUS].type, CONFIG_TEXT);
    assert_int_equal(config->fields[CONFIG_TOKENS_OUT].type, CONFIG_COUNT);
    assert_int_equal(config->view_count, 2);
    assert_string_equal(config->views[0].directory, "by-status");
    assert_string_equal(config->views[0].field, "verification_status");
    assert_string_equal(config->views[1].directory, "by-framework");
    assert_string_equal(config->views[1].field, "framework");
}

static void test_built_in(void **state)
{
    struct config *config = config_built_in(), *same = parse("{}");

    (void)state;
    assert_built_in(config);
    assert_built_in(same);
    assert_true(config->fingerprint == same->fingerprint);
    assert_ptr_equal(config_ref(config), config);
    config_unref(config);
    assert_built_in(config);
    config_unref(config);
    config_unref(same);
    config_unref(NULL);
}

static const char whole[] =
    "\xef\xbb\xbf{\n"
    "  \"views\": {\"by-model\": \"model\", \"by-day\": \"day\", \"by-in\": \"tokens_in\"},\n"
    "  \"manifest\": \"index.json\",\n"
    "  \"layout\": [\"*/*\", \"wandb/offline-run-*\", \"a/b/c/d\"],\n"
    "  \"tracked\": [\"*.json\", \".env\", \"\\\\[x]\"],\n"
    "  \"exclude\": [\"z/late\", \"chat*/[ab]?\", \"a/lit\\\\*eral\"],\n"
    "  \"fields\": {\n"
    "    \"start_time\": \"metadata.json#/start\",\n"
    "    \"end_time\": {\"type\": \"epoch\", \"from\": [\"files/s.json#/_t\", \"m.json#/a~1b/~0/0/\"]},\n"
    "    \"status\": [],\n"
    "    \"tokens_in\": {\"from\": \"metadata.json#/in\", \"type\": \"number\"},\n"
    "    \"total_tokens_out\": \"metadata.json#/out\",\n"
    "    \"model\": \"metadata.json#/model\",\n"
    "    \"cost\": {\"from\": [\"metadata.json#/cost\"], \"type\": \"number\"}\n"
    "  }\n"
    "}\n";

static void test_whole(void **state)
{
    struct config *config = parse(whole), *built_in = config_built_in();

    (void)state;
    assert_string_equal(config->manifest_name, "index.json");
    assert_int_equal(config->layout_count, 3);
    assert_string_equal(config->layouts[1].components[1], "offline-run-*");
    assert_int_equal(config_greatest_depth(config), 4);
    assert_int_equal(config->file_count, 3);
    assert_string_equal(config->files[0], "metadata.json");
    assert_sources(config, CONFIG_START_TIME, "metadata.json#/start");
    assert_sources(config, CONFIG_END_TIME, "files/s.json#/_t m.json#/a/b/~/0/");
    assert_int_equal(config->fields[CONFIG_END_TIME].sources[1].step_count, 4);
    assert_int_equal(config->fields[CONFIG_END_TIME].type, CONFIG_EPOCH);
    assert_sources(config, CONFIG_STATUS, "");
    assert_int_equal(config->fields[CONFIG_TOKENS_IN].type, CONFIG_COUNT);
    assert_int_equal(config->field_count, CONFIG_BUILT_IN_FIELDS + 2);
    assert_sources(config, config_find_field(config, SLICE_LITERAL("cost")), "metadata.json#/cost");
    assert_int_equal(config->fields[config_find_field(config, SLICE_LITERAL("cost"))].type, CONFIG_NUMBER);
    assert_int_equal(config_find_field(config, SLICE_LITERAL("status")), CONFIG_STATUS);
    assert_int_equal(config_find_field(config, SLICE_LITERAL("none")), -1);
    assert_int_equal(config->view_count, 5);
    assert_string_equal(config->views[2].directory, "by-model");
    assert_string_equal(config->views[2].field, "model");
    assert_string_equal(config->views[4].field, "total_tokens_in");
    assert_int_equal(config->exclude_plain_count, 2);
    assert_string_equal(config->exclude[0], "a/lit*eral");
    assert_true(config->fingerprint != built_in->fingerprint);
    config_unref(config);
    config_unref(built_in);
}

static const struct {
    const char *text;
    unsigned line, column;
    const char *reason; /* how it begins */
} cases[] = {
    {"", 1, 1, "empty"},
    {"[]", 1, 1, "a configuration has to be an object"},
    {"{\"views\": {}", 1, 13, "ends too early"},
    {"{}\n x", 2, 2, ""},
    {"{\n  // none\n}", 2, 3, ""},
    {"{\n  \"layuot\": 1}", 2, 3, "unknown member \"layuot\"; did you mean \"layout\"?"},
    {"{\"zzzzzzz\": [{}]}", 1, 2, "unknown member \"zzzzzzz\""},
    {"{\"\\u001b[0m\": 0}", 1, 2, "unknown member \"\\x1b[0m\""},
    {"{\"views\": {},\n\"views\": {}}", 2, 1, "\"views\" is there twice"},
    {"{\"manifest\": 1}", 1, 14, "\"manifest\" has to be a string"},
    {"{\"manifest\": \"a/b\"}", 1, 16, "a name has no '/'"},
    {"{\"manifest\": \"\"}", 1, 14, "the path is empty"},
    {"{\"manifest\": \"..\"}", 1, 15, "a path has no"},
    {"{\"manifest\": \"runsfs.json\"}", 1, 14, "\"runsfs.json\" is something else already"},
    {"{\"manifest\": \"a\\u0000b\"}", 1, 14, "\"a\\x00b\" can be no file's name"},
    {"{\"manifest\": \"a\\ud800b\"}", 1, 14, "\"a\\xed\\xa0\\x80b\" can be no file's name"},
    {"{\"manifest\": \"a\\nb\"}", 1, 14, "\"a\\x0ab\" has a control character"},
    {"{\"layout\": 5}", 1, 12, "\"layout\" has to be a string or an array of strings"},
    {"{\"layout\": []}", 1, 13, "\"layout\" has to have a path"},
    {"{\"layout\": [5]}", 1, 13, "an entry has to be a string"},
    {"{\"layout\": \"\"}", 1, 12, "the path is empty"},
    {"{\"layout\": \"/a\"}", 1, 12, "a path does not begin with '/'"},
    {"{\"layout\": \"a//b\"}", 1, 15, "a name is empty here"},
    {"{\"layout\": \"a/\"}", 1, 15, "a name is empty here"},
    {"{\"layout\": \"a/../b\"}", 1, 15, "a path has no"},
    {"{\"layout\": \"a/**\"}", 1, 15, "\"**\" is not known"},
    {"{\"layout\": \"*/*/*/*/*\"}", 1, 21, "a path of more than 4 names"},
    {"{\"layout\": \"a/b[c\"}", 1, 16, "'[' without ']'"},
    {"{\"layout\": \"\\u0061/..\"}", 1, 12, "a path has no"},
    {"{\"layout\": \"a/[[:alpha:]]\"}", 1, 16, "classes like"},
    {"{\"layout\": \"[z-a]\"}", 1, 14, "a range from"},
    {"{\"layout\": \"[\xc3\xa9]\"}", 1, 14, "a set holds ASCII"},
    {"{\"tracked\": \"*.md\"}", 1, 13, "\"tracked\" has to be an array of strings"},
    {"{\"tracked\": [\"a/b\"]}", 1, 16, "tracked files are directly"},
    {"{\"tracked\": [\"..\"]}", 1, 15, "a path has no"},
    {"{\"tracked\": [\"a\\\\\"]}", 1, 14, "'\\' with nothing behind it"},
    {"{\"tracked\": [\"a\\u007f\"]}", 1, 14, "\"a\\x7f\" has a control character"},
    {"{\"exclude\": {}}", 1, 13, "\"exclude\" has to be an array of strings"},
    {"{\"exclude\": [\"a\", \"../b\"]}", 1, 20, "a path has no"},
    {"{\"exclude\": [null]}", 1, 14, "an entry has to be a string"},
    {"{\"fields\": []}", 1, 12, "\"fields\" has to be an object"},
    {"{\"fields\": {\"Model\": \"a#/b\"}}", 1, 13, "\"Model\" may have a-z, 0-9 and _ alone"},
    {"{\"fields\": {\"\": \"a#/b\"}}", 1, 13, "\"\" has to have 1 to 64"},
    {"{\"fields\": {\"since\": \"a#/b\"}}", 1, 13, "\"since\" is a word of the query language"},
    {"{\"fields\": {\"day\": \"a#/b\"}}", 1, 13, "\"day\" is a field already"},
    {"{\"fields\": {\"a\": \"a#/b\", \"a\": 0}}", 1, 26, "\"a\" is there twice"},
    {"{\"fields\": {\"status\": \"a#/b\",\n\"verification_status\": 0}}", 2, 1,
     "\"verification_status\" is there twice"},
    {"{\"fields\": {\"a\": 5}}", 1, 18, "a field has to be FILE#POINTER"},
    {"{\"fields\": {\"a\": []}}", 1, 13, "the field is taken from nowhere"},
    {"{\"fields\": {\"a\": {\"type\": \"text\"}}}", 1, 13, "the field is taken from nowhere"},
    {"{\"fields\": {\"a\": {\"form\": \"a#/b\", \"from\": \"a#/b\"}}}", 1, 19,
     "unknown member \"form\"; did you mean \"from\"?"},
    {"{\"fields\": {\"a\": {\"from\": \"a#/b\", \"type\": \"date\"}}}", 1, 43, "a type is \"text\""},
    {"{\"fields\": {\"end_time\": {\"from\": \"a#/b\", \"type\": \"text\"}}}", 1, 50,
     "the type of \"end_time\" is \"time\" or \"epoch\""},
    {"{\"fields\": {\"tokens_in\": {\"from\": \"a#/b\", \"type\": \"epoch\"}}}", 1, 51,
     "the type of \"total_tokens_in\" is \"number\""},
    {"{\"fields\": {\"a\": \"m.json\"}}", 1, 18, "\"m.json\" names no value"},
    {"{\"fields\": {\"a\": \"m.json#\"}}", 1, 26, "the pointer behind '#'"},
    {"{\"fields\": {\"a\": \"m.json#b\"}}", 1, 26, "the pointer behind '#'"},
    {"{\"fields\": {\"a\": \"m.json#/b~2\"}}", 1, 28, "in a pointer '~'"},
    {"{\"fields\": {\"a\": \"m.json#/b~\"}}", 1, 28, "in a pointer '~'"},
    {"{\"fields\": {\"a\": \"#/b\"}}", 1, 18, "the path is empty"},
    {"{\"fields\": {\"a\": \"../m#/b\"}}", 1, 19, "a path has no"},
    {"{\"fields\": {\"a\": \"/m#/b\"}}", 1, 18, "a path does not begin"},
    {"{\"fields\": {\"a\": \"x/y/z#/b\"}}", 1, 23, "a path of more than 2 names"},
    {"{\"views\": []}", 1, 11, "\"views\" has to be an object"},
    {"{\"views\": {\"model\": \"day\"}}", 1, 12, "\"model\" has to begin with \"by-\""},
    {"{\"views\": {\"by-\": \"day\"}}", 1, 12, "\"by-\" has to begin with \"by-\""},
    {"{\"views\": {\"by-a/b\": \"day\"}}", 1, 12, "\"by-a/b\" has a '/'"},
    {"{\"views\": {\"by-status\": \"day\"}}", 1, 12, "\"by-status\" is a view already"},
    {"{\"views\": {\"by-a\": \"day\", \"by-a\": \"day\"}}", 1, 27, "\"by-a\" is a view already"},
    {"{\"views\": {\"by-a\": [\"day\"]}}", 1, 20, "a view has to be a string"},
    {"{\"views\": {\"by-a\": \"modle\"}, \"fields\": {\"model\": \"m#/a\"}}", 1, 20,
     "no field is called \"modle\"; did you mean \"model\"?"},
    {"{\"views\": {\"by-a\": \"day\\u0000\"}}", 1, 20, "no field is called \"day\\x00\"; did you mean"},
};

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        refuse(slice_of(cases[i].text));
        const struct config_fault *fault = &faults[0];
        if (fault_count != 1 || fault->line != cases[i].line || fault->column != cases[i].column ||
            strncmp(fault->reason, cases[i].reason, strlen(cases[i].reason)) != 0)
            fail_msg("%s: %zu faults, the first %u:%u: %s", cases[i].text, fault_count, fault->line,
                     fault->column, fault->reason);
    }
}

/* All faults at once, in the order of their places, though views are looked at last. */
static void test_several_faults(void **state)
{
    char text[300];

    (void)state;
    refuse(SLICE_LITERAL(
        "{\n \"views\": {\"by-x\": \"nothing_like_it\"},\n \"layout\": \"..\",\n \"fileds\": {},\n"
        " \"fields\": {\"a\": {\"from\": [\"x\", \"y#z\"], \"type\": 5}}\n}"));
    assert_int_equal(fault_count, 6);
    const unsigned lines[] = {2, 3, 4, 5, 5, 5};
    for (size_t i = 0; i < fault_count; i++)
        assert_int_equal(faults[i].line, lines[i]);
    assert_true(faults[3].column < faults[4].column && faults[4].column < faults[5].column);
    config_fault_describe(&faults[2], text, sizeof(text));
    assert_string_equal(text, "runsfs.json:4:2: unknown member \"fileds\"; did you mean \"fields\"?");
    /* What was found before the text broke off is told as well; views are not, for fields may be missing. */
    refuse(SLICE_LITERAL("{\"layout\": \"..\", \"views\": {\"by-x\": \"later\"}, "));
    assert_int_equal(fault_count, 2);
}

/* {"member": [entry, entry, ...]}, or {...} where the entries are members, with %zu in them counted up. */
static struct buffer repeated(const char *head, const char *entry, size_t count, const char *tail)
{
    struct buffer text = {0};

    buffer_append_text(&text, head);
    for (size_t i = 0; i < count; i++) {
        const char *number = strchr(entry, '#');

        buffer_append_text(&text, i ? "," : "");
        if (number)
            buffer_append_format(&text, "%.*s%zu%s", (int)(number - entry), entry, i, number + 1);
        else
            buffer_append_text(&text, entry);
    }
    buffer_append_text(&text, tail);
    return text;
}

static void test_limits(void **state)
{
    static const struct {
        const char *head, *entry, *tail;
        size_t limit;
    } limits[] = {
        {"{\"layout\": [", "\"a#\"", "]}", LIMIT_CONFIG_LAYOUTS},
        {"{\"tracked\": [", "\"a#\"", "]}", LIMIT_CONFIG_TRACKED},
        {"{\"exclude\": [", "\"x/a#\"", "]}", LIMIT_CONFIG_EXCLUDE},
        {"{\"exclude\": [", "\"x/a*\"", "]}", LIMIT_CONFIG_EXCLUDE_GLOBS},
        {"{\"views\": {", "\"by-#\": \"day\"", "}}", LIMIT_CONFIG_VIEWS - 2},
        {"{\"fields\": {", "\"f#\": \"m.json\\u0023/a\"", "}}", LIMIT_CONFIG_FIELDS - CONFIG_BUILT_IN_FIELDS},
        {"{\"fields\": {\"a\": [", "\"m.json\\u0023/a\"", "]}}", LIMIT_CONFIG_FIELD_SOURCES},
        {"{\"fields\": {\"a\": [", "\"m#\\u0023/a\"", "]}}", LIMIT_CONFIG_FILES - 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct buffer text = repeated(limits[i].head, limits[i].entry, limits[i].limit, limits[i].tail);
        config_unref(parse(text.bytes));
        buffer_free(&text);
        text = repeated(limits[i].head, limits[i].entry, limits[i].limit + 1, limits[i].tail);
        refuse(buffer_slice(&text));
        assert_int_equal(fault_count, 1);
        buffer_free(&text);
    }
    struct buffer pointer = {0};
    buffer_append_text(&pointer, "{\"fields\": {\"a\": \"m#");
    for (size_t i = 0; i <= LIMIT_CONFIG_POINTER_STEPS; i++)
        buffer_append_text(&pointer, "/s");
    buffer_append_text(&pointer, "\"}}");
    refuse(buffer_slice(&pointer));
    assert_string_equal(faults[0].reason, "a pointer of too many steps");
    buffer_free(&pointer);
}

static void test_hostile(void **state)
{
    struct buffer text = repeated("{\"tracked\": [", "5", 5000, "]}");

    (void)state;
    refuse(buffer_slice(&text));
    assert_int_equal(fault_count, CONFIG_FAULTS_AT_MOST);
    buffer_free(&text);
    text = (struct buffer){0};
    for (size_t i = 0; i < 100000; i++)
        buffer_append_text(&text, "{\"fields\":");
    refuse(buffer_slice(&text));
    buffer_clear(&text);
    buffer_append_text(&text, "{\"");
    for (size_t i = 0; i < 100000; i++)
        buffer_append_text(&text, "\xf0\x9f\x98\x80");
    buffer_append_text(&text, "\": 0}");
    refuse(buffer_slice(&text));
    assert_true(strlen(faults[0].reason) < sizeof(faults[0].reason) - 1);
    buffer_free(&text);
    refuse((struct slice){"{\"a\0\": 1}", 9});
    refuse((struct slice){"\xff\xfe", 2});
    /* Every beginning of a good text is a bad one, and every byte of it may be another. */
    for (size_t length = 0; length < sizeof(whole) - 3; length++)
        refuse((struct slice){whole, length});
    for (size_t i = 0; i < sizeof(whole) - 1; i++) {
        struct config *config;
        char damaged[sizeof(whole)];

        memcpy(damaged, whole, sizeof(whole));
        damaged[i] ^= 0x11;
        config_parse((struct slice){damaged, sizeof(whole) - 1}, &config, faults, &fault_count);
        config_unref(config);
    }
}

static void test_tracked(void **state)
{
    struct config *config = config_built_in();

    (void)state;
    assert_true(config_is_tracked(config, "metrics.json"));
    assert_true(config_is_tracked(config, "README.md"));
    assert_false(config_is_tracked(config, ".hidden.md"));
    assert_false(config_is_tracked(config, "README.mdx"));
    assert_false(config_is_tracked(config, "run.json"));
    config_unref(config);
    config = parse(whole);
    assert_true(config_is_tracked(config, ".env"));
    assert_true(config_is_tracked(config, "[x]"));
    assert_false(config_is_tracked(config, "metrics.md"));
    config_unref(config);
    config = parse("{\"tracked\": [\"?env\", \"[.]x\", \".*.md\", \"\\\\.y\"]}");
    assert_false(config_is_tracked(config, ".env"));
    assert_false(config_is_tracked(config, ".x"));
    assert_true(config_is_tracked(config, ".notes.md"));
    assert_true(config_is_tracked(config, ".y"));
    config_unref(config);
    config = parse("{\"tracked\": []}");
    assert_false(config_is_tracked(config, "metrics.json"));
    config_unref(config);
}

static void test_excluded(void **state)
{
    struct config *config =
        parse("{\"exclude\": [\"b/x\", \"old\", \"a/\\udcff\", \"c*/[!d]?\", \"c\", \"e/f g\"]}");

    (void)state;
    static const char *const excluded[] = {"b/x",     "b/x/deeper", "old", "old/run", "a/\xff",
                                           "chat/ab", "c.x/.a",     "c",   "c/d/e",   "e/f g"};
    static const char *const included[] = {"",  "b",       "b/y", "b/xx",     "older", "a/\xfe",
                                           "a", "chat/da", "d/x", "chat/abc", "e/f",   "x/old"};
    for (size_t i = 0; i < sizeof(excluded) / sizeof(excluded[0]); i++)
        if (!config_is_excluded(config, excluded[i]))
            fail_msg("%s", excluded[i]);
    for (size_t i = 0; i < sizeof(included) / sizeof(included[0]); i++)
        if (config_is_excluded(config, included[i]))
            fail_msg("%s", included[i]);
    config_unref(config);
}

static void test_layout(void **state)
{
    struct config *config = parse("{\"layout\": [\"*\", \"wandb/offline-*/x\", \"a/[bc]\"]}");

    (void)state;
    assert_true(config_is_run_path(config, "any"));
    assert_true(config_is_run_path(config, ".any"));
    assert_true(config_is_run_path(config, "wandb/offline-run-1/x"));
    assert_true(config_is_run_path(config, "a/b"));
    assert_false(config_is_run_path(config, ""));
    assert_false(config_is_run_path(config, "a/d"));
    assert_false(config_is_run_path(config, "wandb/offline-run-1"));
    assert_false(config_is_run_path(config, "wandb/offline-run-1/x/y"));
    assert_true(config_leads_to_runs(config, ""));
    assert_true(config_leads_to_runs(config, "wandb"));
    assert_true(config_leads_to_runs(config, "wandb/offline-run-1"));
    assert_false(config_leads_to_runs(config, "wandb/run-1"));
    assert_false(config_leads_to_runs(config, "any"));
    assert_false(config_leads_to_runs(config, "a/b"));
    assert_int_equal(config_greatest_depth(config), 3);
    config_unref(config);
}

/* Globs: what Git and fnmatch say of them. */
static void test_globs(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } globs[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"a*c", "abbc", true},
        {"a*c", "abcd", false},
        {"a*b*c", "axbxbyc", true},
        {"?", "a", true},
        {"?", "", false},
        {"??", "\xc3\xa9", true},
        {"[abc]", "b", true},
        {"[a-c]x", "bx", true},
        {"[!a-c]", "b", false},
        {"[^a-c]", "d", true},
        {"[]a]", "]", true},
        {"[!]a]", "]", false},
        {"[a-]", "-", true},
        {"[\\]]", "]", true},
        {"[a\\-z]", "b", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"*.md", ".md", true},
        {"*.md", "a.md.md", true},
        {"[", "[", false},
        {"**a", "ba", true},
        {"*[0-9]", "run12", true},
        {"*\\?", "a?", true},
    };
    size_t position;

    (void)state;
    for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++)
        if (glob_match(slice_of(globs[i].pattern), slice_of(globs[i].name)) != globs[i].matches)
            fail_msg("%s on %s", globs[i].pattern, globs[i].name);
    assert_null(glob_fault(SLICE_LITERAL("a[]b]\\[*?[!x-z]"), &position));
    assert_non_null(glob_fault(SLICE_LITERAL("ab[]"), &position));
    assert_int_equal(position, 2);
    /* What makes others take for ever. */
    char pattern[201], name[256];
    for (size_t i = 0; i < 200; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[199] = 'b';
    pattern[200] = '\0';
    memset(name, 'a', 255);
    name[255] = '\0';
    assert_false(glob_match(slice_of(pattern), slice_of(name)));
    struct buffer escaped = {0}, plain = {0};
    glob_escape(&escaped, SLICE_LITERAL("a*[b]\\?"));
    assert_true(glob_is_plain(buffer_slice(&escaped)));
    glob_unescape(&plain, buffer_slice(&escaped));
    assert_string_equal(plain.bytes, "a*[b]\\?");
    assert_false(glob_is_plain(buffer_slice(&plain)));
    buffer_free(&escaped);
    buffer_free(&plain);
}

static void test_nearest(void **state)
{
    static const char *const known[] = {"status", "start_time", "tokens", "tokens_in", "day"};
    static const struct {
        const char *name, *nearest;
    } near[] = {{"stauts", "status"},       {"statu", "status"}, {"Status", "status"},
                {"startime", "start_time"}, {"token", "tokens"}, {"xyzzy", NULL},
                {"tokensin", "tokens_in"},  {"", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        struct nearest nearest = {.name = slice_of(near[i].name)};

        for (size_t j = 0; j < sizeof(known) / sizeof(known[0]); j++)
            nearest_offer(&nearest, slice_of(known[j]));
        if (!slice_equal(nearest.best, slice_of(near[i].nearest)))
            fail_msg("%s: %s", near[i].name, nearest.best.bytes ? nearest.best.bytes : "none");
    }
}

static void test_edit(void **state)
{
    static const struct {
        const char *old_text, *path, *new_text;
        int result;
    } edits[] = {
        {NULL, "a/b", "{\n  \"exclude\": [\"a/b\"]\n}\n", 0},
        {"{}", "a/b", "{\"exclude\": [\"a/b\"]}", 0},
        {"{\n}", "a/b", "{\n  \"exclude\": [\"a/b\"]\n}", 0},
        {"{\"exclude\": [ ]}", "a/b", "{\"exclude\": [\"a/b\" ]}", 0},
        {"{\"exclude\":[\"x\"]}", "a/b", "{\"exclude\":[\"x\", \"a/b\"]}", 0},
        {"{\"exclude\": [\n\t\"x\" ,\n\t\"y\"\n]\n}", "a/b",
         "{\"exclude\": [\n\t\"x\" ,\n\t\"y\",\n\t\"a/b\"\n]\n}", 0},
        {"\xef\xbb\xbf{\r\n \"views\" : {},\r\n \"tracked\": [\"*\"]\r\n}\r\n", "a/b",
         "\xef\xbb\xbf{\r\n \"views\" : {},\r\n \"tracked\": [\"*\"],\r\n \"exclude\": [\"a/b\"]\r\n}\r\n",
         0},
        {"{}", "a/*[\\", "{\"exclude\": [\"a/\\\\*\\\\[\\\\\\\\\"]}", 0},
        {"{}", "a/\xff\xc3\xa9", "{\"exclude\": [\"a/\\udcff\\u00e9\"]}", 0},
        {"{\"exclude\": [\"a\"]}", "a/b", NULL, -EEXIST},
        {"{\"exclude\": [\"a/*\"]}", "a/b", NULL, -EEXIST},
        {"{\"exclude\": 1}", "a/b", NULL, -EBADMSG},
        {"", "a/b", NULL, -EBADMSG},
        {"{}", "", NULL, -EINVAL},
        {"{}", "a/../b", NULL, -EINVAL},
        {"{}", "/a", NULL, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct buffer text = {0};

        buffer_append_text(&text, "before ");
        int result = config_text_with_exclude(slice_of(edits[i].old_text), edits[i].path, &text);
        if (result != edits[i].result ||
            strcmp(text.bytes + 7, edits[i].new_text ? edits[i].new_text : "") != 0)
            fail_msg("case %zu: %d, %s", i, result, text.bytes);
        buffer_free(&text);
    }
    struct buffer text = repeated("{\"exclude\": [", "\"x/a#\"", LIMIT_CONFIG_EXCLUDE, "]}"), new_text = {0};
    assert_int_equal(config_text_with_exclude(buffer_slice(&text), "y", &new_text), -ENOSPC);
    assert_int_equal(new_text.length, 0);
    buffer_free(&text);
    buffer_free(&new_text);
}

static void write_file(int directory, const char *text, size_t length)
{
    int fd = openat(directory, CONFIG_FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    close(fd);
}

static void assert_unreadable(int directory, int error, const char *description)
{
    struct config *config;
    char text[300];

    assert_int_equal(config_load(directory, &config, faults, &fault_count), error);
    assert_null(config);
    assert_int_equal(fault_count, 1);
    config_fault_describe(&faults[0], text, sizeof(text));
    assert_string_equal(text, description);
}

static void test_load(void **state)
{
    char path[] = "/tmp/runsfs-config-XXXXXX";
    struct config *config;

    (void)state;
    assert_non_null(mkdtemp(path));
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(config_load(directory, &config, faults, &fault_count), 0);
    assert_built_in(config);
    config_unref(config);
    write_file(directory, whole, sizeof(whole) - 1);
    assert_int_equal(config_load(directory, &config, faults, &fault_count), 0);
    assert_string_equal(config->manifest_name, "index.json");
    config_unref(config);
    write_file(directory, "{", 1);
    assert_unreadable(directory, -EBADMSG, "runsfs.json:1:2: ends too early");
    int fd = openat(directory, CONFIG_FILE_NAME, O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, LIMIT_CONFIG_BYTES + 1), 0);
    close(fd);
    assert_unreadable(directory, -EFBIG, "runsfs.json: is larger than 4 MiB");
    assert_int_equal(unlinkat(directory, CONFIG_FILE_NAME, 0), 0);
    assert_int_equal(mkfifoat(directory, CONFIG_FILE_NAME, 0600), 0);
    assert_unreadable(directory, -EINVAL, "runsfs.json: is no regular file");
    assert_int_equal(unlinkat(directory, CONFIG_FILE_NAME, 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", directory, CONFIG_FILE_NAME), 0);
    assert_unreadable(directory, -EINVAL, "runsfs.json: is no regular file");
    assert_int_equal(unlinkat(directory, CONFIG_FILE_NAME, 0), 0);
    close(directory);
    assert_int_equal(rmdir(path), 0);
}

/* Every example of the documentation is a configuration. */
static void test_documentation(void **state)
{
    const char *docs = getenv("RUNSFS_DOCS");
    struct buffer text = {0};
    size_t count = 0;

    (void)state;
    if (!docs)
        skip();
    int directory = open(docs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(file_read_bounded(directory, "configuration.md", 1 << 20, &text, NULL), 0);
    close(directory);
    for (char *block = text.bytes; (block = strstr(block, "```json\n")); count++) {
        char *end = strstr(block + 8, "```");

        assert_non_null(end);
        *end = '\0';
        config_unref(parse(block + 8));
        block = end + 1;
    }
    assert_int_equal(count, 4);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in), cmocka_unit_test(test_whole),
        cmocka_unit_test(test_faults),   cmocka_unit_test(test_several_faults),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_tracked),  cmocka_unit_test(test_excluded),
        cmocka_unit_test(test_layout),   cmocka_unit_test(test_globs),
        cmocka_unit_test(test_nearest),  cmocka_unit_test(test_edit),
        cmocka_unit_test(test_load),     cmocka_unit_test(test_documentation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
