/*
 * The configuration as the keeper obeys it, without a mount and without a watch: which directories are runs
 * by which layout, what own fields and views say of them, and what another runsfs.json makes of the same
 * source.
 */
#include "tests/unit/a_source.h"
#include "core/base/memory.h"
#include "core/manifest/snapshot.h"
#include <stdio.h>
#include <string.h>

static struct keeper *open_unwatched(void)
{
    return open_keeper(&(struct keeper_options){.watch = WATCH_POLL});
}

/* Puts text into the source's file of that path, whose directory is made where it is not there. */
static void put(const char *path, const char *text)
{
    char whole[200];
    shell("mkdir -p \"$(dirname '%s')\"", path);
    snprintf(whole, sizeof(whole), "%s/%s", source_path, path);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void configure(const char *text)
{
    put("runsfs.json", text);
}

/* Every run as "path(framework)=status ", in the manifest's order, after everything was looked at. */
static void assert_runs(struct keeper *keeper, const char *expected)
{
    struct buffer found = {0};
    keeper_note_all(keeper);
    struct index *index = keeper_lock(keeper);
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        run_append_path(run, &found);
        buffer_append_byte(&found, '(');
        buffer_append_slice(&found, run_framework(run));
        buffer_append_text(&found, ")=");
        buffer_append_slice(&found, run->fields.status);
        buffer_append_byte(&found, ' ');
    }
    keeper_unlock(keeper);
    assert_string_equal(found.bytes ? found.bytes : "", expected);
    buffer_free(&found);
}

/* What the configuration of this text makes of the source that is there, at the start. */
static void assert_runs_by(const char *config, const char *expected)
{
    configure(config);
    struct keeper *keeper = open_unwatched();
    assert_runs(keeper, expected);
    keeper_close(keeper);
}

/* How many runs stand in the value of the view; -1 where there is no such view. */
static int runs_in(struct keeper *keeper, const char *view, const char *value_name)
{
    struct index *index = keeper_lock(keeper);
    int facet = facet_of_directory(index, view);
    const struct facet_value *value = facet < 0 ? NULL : facet_find(index, (unsigned)facet, value_name);
    int count = facet < 0 ? -1 : value ? (int)facet_value_runs(value) : 0;
    keeper_unlock(keeper);
    return count;
}

/* The manifest's bytes, in memory and (after a flush) on disk, but for last_updated. */
static void assert_manifest(struct keeper *keeper, const char *head, const char *runs)
{
    char path[200], expected[4096], content[4096];
    assert_int_equal(keeper_flush(keeper), 0);
    snprintf(path, sizeof(path), "%s/runs_manifest.json", source_path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(content, 1, sizeof(content) - 1, file);
    fclose(file);
    content[length] = '\0';
    const char *updated = strstr(content, "\"last_updated\": \"");
    assert_non_null(updated);
    snprintf(expected, sizeof(expected),
             "{\n  \"version\": \"1.0\",\n  \"last_updated\": \"%.27s\",\n  %s,\n  \"runs\": %s\n}",
             updated + strlen("\"last_updated\": \""), head, runs);
    assert_string_equal(content, expected);
    struct file_stamp on_disk;
    struct snapshot *snapshot = keeper_manifest(keeper, &on_disk);
    assert_true(snapshot_equals_bytes(snapshot, slice_of(content)));
    assert_int_not_equal(on_disk.ino, 0);
    snapshot_unref(snapshot);
}

#define ENTRY(name, framework, path, status)                                                       \
    "    {\n      \"run_id\": \"" name "\",\n      \"framework\": \"" framework                    \
    "\",\n      \"path\": \"" path "\",\n      \"start_time\": null,\n      \"end_time\": null,\n" \
    "      \"verification_status\": \"" status                                                     \
    "\",\n      \"total_tokens_in\": 0,\n      \"total_tokens_out\": 0\n    }"

/* ---- layouts ---- */

static void test_layouts_of_each_depth(void **state)
{
    (void)state;
    make_run("1", "one");
    make_run("a/2", "two");
    make_run("b/c/3", "three");
    make_run("b/c/d/4", "four");
    assert_runs_by("{}", "a/2(a)=two ");
    assert_runs_by("{\"layout\": \"*\"}", "1(source)=one ");
    assert_runs_by("{\"layout\": \"*/*/*\"}", "b/c/3(c)=three ");
    assert_runs_by("{\"layout\": \"*/*/*/*\"}", "b/c/d/4(d)=four ");
    assert_runs_by("{\"layout\": [\"[a-z]/*\", \"b/c/*\"]}", "a/2(a)=two b/c/3(c)=three ");
}

/* Of two layouts the one that goes on from a directory counts. */
static void test_two_layouts(void **state)
{
    (void)state;
    make_run("a/1", "one");
    make_run("old/a/2", "two");
    make_run("old/3", "three"); /* where old/a stands */
    make_run("old/a", "four");
    struct keeper *keeper;
    configure("{\"layout\": [\"*/*\", \"old/*/*\"]}");
    keeper = open_unwatched();
    assert_runs(keeper, "a/1(a)=one old/a/2(a)=two ");
    assert_manifest(keeper, "\"total_runs\": 2,\n  \"frameworks\": {\n    \"a\": 2\n  }",
                    "[\n" ENTRY("1", "a", "a/1", "one") ",\n" ENTRY("2", "a", "old/a/2", "two") "\n  ]");
    /* One name in both places of the framework. */
    make_run("old/a/1", "five");
    keeper_note_all(keeper);
    assert_int_equal(runs_in(keeper, "by-framework", "a"), 3);
    shell("mv a old/b && mv old/a a");
    assert_runs(keeper, "a/1(a)=five old/b/1(b)=one a/2(a)=two ");
    keeper_close(keeper);
}

static void test_excluded(void **state)
{
    (void)state;
    make_run("a/1", "one");
    make_run("a/2", "two");
    make_run("scratch/3", "three");
    assert_runs_by("{\"exclude\": [\"a/1\", \"scratch/*\"]}", "a/2(a)=two ");
    assert_runs_by("{\"exclude\": [\"scratch\"]}", "a/1(a)=one a/2(a)=two ");
    assert_runs_by("{\"layout\": \"*\", \"exclude\": [\"a\", \"scratch\"]}", "");
    struct keeper *keeper = open_unwatched();
    make_run("a/4", "four");
    make_run("5", "five");
    assert_runs(keeper, "5(source)=five ");
    keeper_close(keeper);
}

/* ---- a file in a directory of the run ---- */

static void test_a_file_in_a_directory_of_the_run(void **state)
{
    (void)state;
    configure("{\"layout\": \"*\", \"fields\": {\"status\": \"files/summary.json#/state\"}}");
    put("r/files/summary.json", "{\"state\": \"one\"}");
    shell("mkdir aborted aborted/files");
    struct keeper *keeper = open_unwatched();
    assert_runs(keeper, "r(source)=one ");
    put("r/files/summary.json", "{\"state\": \"two\"}");
    assert_runs(keeper, "r(source)=two ");
    /* It is replaced as a whole, goes, and comes again; another run takes it over. */
    shell("mkdir r/new && echo '{\"state\": \"three\"}' > r/new/summary.json && mv r/files r/old && mv r/new "
          "r/files");
    assert_runs(keeper, "r(source)=three ");
    shell("mv r/files aborted/files/x && mv aborted/files/x/summary.json aborted/files");
    assert_runs(keeper, "aborted(source)=three ");
    shell("mv aborted/files r && mv r/old aborted/files");
    assert_runs(keeper, "aborted(source)=two r(source)=three ");
    shell("mv r/files t && mv aborted/files r && mv t aborted/files");
    assert_runs(keeper, "aborted(source)=three r(source)=two ");
    /* What is no directory is not entered; nor is a link. */
    shell("mv r/files t && ln -s ../t r/files && rm -r aborted/files && touch aborted/files");
    assert_runs(keeper, "");
    keeper_close(keeper);
}

/* The directory `name` in the first run, with a reference. */
static struct directory *directory_in_run(struct keeper *keeper, const char *name)
{
    struct source *source = keeper_source(keeper);
    struct attributes attributes;
    struct descriptor descriptor;
    struct directory *run = keeper_run_directory(keeper, index_first(keeper_lock(keeper)));
    keeper_unlock(keeper);
    assert_int_equal(source_borrow(source, run, &descriptor), 0);
    assert_int_equal(source_stat_at(descriptor.fd, name, &attributes), 0);
    source_release(source, &descriptor);
    struct directory *directory = source_directory_at(source, run, name, &attributes.identity);
    directory_unref(source, run);
    return directory;
}

/* Who says so of the directory in the run tells of the run. */
static void test_a_note_of_a_directory_of_the_run(void **state)
{
    (void)state;
    configure("{\"layout\": \"*\", \"fields\": {\"status\": \"files/summary.json#/state\"}}");
    put("r/files/summary.json", "{\"state\": \"one\"}");
    struct keeper *keeper = open_unwatched();
    struct source *source = keeper_source(keeper);
    struct directory *files = directory_in_run(keeper, "files");
    put("r/files/summary.json", "{\"state\": \"two\"}");
    keeper_note(keeper, files, "other");
    assert_int_equal(runs_in(keeper, "by-status", "one"), 1);
    keeper_note(keeper, files, "summary.json");
    assert_int_equal(runs_in(keeper, "by-status", "two"), 1);
    directory_unref(source, files);
    keeper_close(keeper);
}

/* ---- fields and views ---- */

static void test_own_fields_and_views(void **state)
{
    (void)state;
    configure("{\"fields\": {\"model\": \"metadata.json#/model\", \"cost\": {\"from\": "
              "[\"metrics.json#/usd\", \"metadata.json#/usd\"], \"type\": \"number\"}},"
              " \"views\": {\"by-model\": \"model\", \"by-cost\": \"cost\", \"by-run\": \"run_id\"}}");
    put("a/1/metadata.json", "{\"model\": \"x\", \"usd\": 0.5}");
    put("a/2/metadata.json", "{\"model\": \"y/z\", \"usd\": \"0.5\"}");
    put("b/1/metadata.json", "{\"model\": \"x\"}");
    put("b/1/metrics.json", "{\"usd\": 2}");
    struct keeper *keeper = open_unwatched();
    assert_int_equal(runs_in(keeper, "by-model", "x"), 2);
    assert_int_equal(runs_in(keeper, "by-model", "y%2Fz"), 1);
    assert_int_equal(runs_in(keeper, "by-cost", "0%2E5"), 0);
    assert_int_equal(runs_in(keeper, "by-cost", "0.5"), 1);
    assert_int_equal(runs_in(keeper, "by-cost", "2"), 1);
    assert_int_equal(runs_in(keeper, "by-run", "1"), 2);
    assert_int_equal(runs_in(keeper, "by-status", "pending"), 3);
    assert_int_equal(runs_in(keeper, "by-day", "x"), -1);
    put("b/1/metadata.json", "{\"model\": \"y/z\"}");
    shell("rm b/1/metrics.json && mv a/2 b/2");
    keeper_note_all(keeper);
    assert_int_equal(runs_in(keeper, "by-model", "x"), 1);
    assert_int_equal(runs_in(keeper, "by-model", "y%2Fz"), 2);
    assert_int_equal(runs_in(keeper, "by-cost", "2"), 0);
    assert_int_equal(runs_in(keeper, "by-framework", "b"), 2);
    keeper_close(keeper);
}

/* ---- another configuration ---- */

static void test_edits(void **state)
{
    (void)state;
    make_run("1", "one");
    make_run("a/2", "two");
    shell("echo '{\"verification_status\": \"two\", \"m\": \"x\"}' > a/2/metrics.json");
    struct keeper *keeper = open_unwatched();
    assert_manifest(keeper, "\"total_runs\": 1,\n  \"frameworks\": {\n    \"a\": 1\n  }",
                    "[\n" ENTRY("2", "a", "a/2", "two") "\n  ]");
    configure("{\"layout\": \"*\", \"fields\": {\"model\": \"metrics.json#/m\"},"
              " \"views\": {\"by-model\": \"model\", \"by-day\": \"day\"}}");
    assert_runs(keeper, "1(source)=one ");
    assert_int_equal(runs_in(keeper, "by-model", "x"), 0);
    assert_manifest(keeper, "\"total_runs\": 1,\n  \"frameworks\": {\n    \"a\": 0,\n    \"source\": 1\n  }",
                    "[\n" ENTRY("1", "source", "1", "one") "\n  ]");
    /* A broken one changes nothing; nor does what comes meanwhile go by another. */
    configure("{\"layout\": \"*/*\", \"veiws\": {}}");
    make_run("3", "three");
    assert_runs(keeper, "1(source)=one 3(source)=three ");
    assert_int_equal(runs_in(keeper, "by-day", ""), 0);
    configure("{\"fields\": {\"model\": \"metrics.json#/m\"}, \"views\": {\"by-model\": \"model\"}}");
    assert_runs(keeper, "a/2(a)=two ");
    assert_int_equal(runs_in(keeper, "by-model", "x"), 1);
    assert_int_equal(runs_in(keeper, "by-day", ""), -1);
    shell("rm runsfs.json");
    assert_runs(keeper, "a/2(a)=two ");
    assert_int_equal(runs_in(keeper, "by-model", "x"), -1);
    assert_manifest(keeper, "\"total_runs\": 1,\n  \"frameworks\": {\n    \"a\": 1,\n    \"source\": 0\n  }",
                    "[\n" ENTRY("2", "a", "a/2", "two") "\n  ]");
    keeper_close(keeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layouts_of_each_depth, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_two_layouts, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_excluded, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_a_file_in_a_directory_of_the_run, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_a_note_of_a_directory_of_the_run, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_own_fields_and_views, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_edits, make_source, remove_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
