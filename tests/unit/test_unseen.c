/*
 * Runs that can't be looked at, on a source of somebody whom permissions stop: the manifest keeps what it has
 * of them until they can, and goes on being written for all others.
 */
#include "tests/unit/a_source.h"
#include "core/base/memory.h"
#include "core/manifest/snapshot.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct keeper *open_unwatched(void)
{
    return open_keeper(&(struct keeper_options){.watch = WATCH_POLL});
}

static void look_at_all(struct keeper *keeper)
{
    keeper_note_all(keeper);
    keeper_lock(keeper);
    keeper_unlock(keeper);
}

/* Two runs, and a manifest that has them, with a member that somebody added. */
static void make_two_runs(void)
{
    make_run("a/1", "verified");
    make_run("a/2", "failed");
    keeper_close(open_unwatched());
    shell("sed -i 's|\"path\": \"a/1\",|\"note\": \"kept\",\\n      &|' runs_manifest.json");
    keeper_close(open_unwatched());
}

static const char *status_of(struct keeper *keeper, const char *name)
{
    static char status[32];
    look_at_all(keeper);
    const struct run *run = index_find(keeper_lock(keeper), SLICE_LITERAL("a"), slice_of(name));
    snprintf(status, sizeof(status), "%.*s", run ? (int)run->fields.status.length : 4,
             run ? run->fields.status.bytes : "none");
    keeper_unlock(keeper);
    return status;
}

static void test_a_run_that_is_closed_at_the_start(void **state)
{
    (void)state;
    make_two_runs();
    shell("chmod 0 a/1 && cp runs_manifest.json before");
    struct keeper *keeper = open_unwatched();
    assert_int_equal(keeper_flush(keeper), 0);
    shell("cmp before runs_manifest.json");
    assert_string_equal(status_of(keeper, "1"), "verified");
    const struct run *run = index_find(keeper_lock(keeper), SLICE_LITERAL("a"), SLICE_LITERAL("1"));
    assert_non_null(run->faults);
    keeper_unlock(keeper);
    /* Others go on. */
    make_run("a/2", "verified");
    look_at_all(keeper);
    assert_int_equal(keeper_flush(keeper), 0);
    shell("grep -q kept runs_manifest.json && ! grep -q failed runs_manifest.json");
    shell("chmod 755 a/1");
    make_run("a/1", "failed");
    assert_string_equal(status_of(keeper, "1"), "failed");
    assert_int_equal(keeper_flush(keeper), 0);
    shell("grep -q kept runs_manifest.json");
    keeper_close(keeper);
}

static void test_what_was_closed_may_be_no_run(void **state)
{
    (void)state;
    make_two_runs();
    shell("mkdir a/3 && chmod 0 a/1 a/2 a/3");
    struct keeper *keeper = open_unwatched();
    assert_string_equal(status_of(keeper, "3"), "none");
    shell("chmod 755 a/? && rm a/1/metrics.json && rm -r a/2");
    assert_string_equal(status_of(keeper, "1"), "none");
    assert_string_equal(status_of(keeper, "2"), "none");
    assert_int_equal(keeper_flush(keeper), 0);
    shell("! grep -q '\"a/' runs_manifest.json");
    keeper_close(keeper);
}

/* Also what the manifest on disk does not have yet. */
static void test_an_edit_of_the_configuration(void **state)
{
    (void)state;
    make_two_runs();
    struct keeper *keeper = open_unwatched();
    make_run("a/1", "another");
    look_at_all(keeper);
    shell("chmod 0 a/1 && echo '{\"exclude\": [\"b\"]}' > runsfs.json");
    assert_string_equal(status_of(keeper, "1"), "another");
    assert_int_equal(keeper_flush(keeper), 0);
    shell("grep -q kept runs_manifest.json && grep -q another runs_manifest.json");
    /* What the configuration does not want is not kept for that. */
    shell("echo '{\"exclude\": [\"a/1\"]}' > runsfs.json");
    assert_string_equal(status_of(keeper, "1"), "none");
    keeper_close(keeper);
    shell("chmod 755 a/1");
}

static void test_the_same_configuration_is_not_taken_over_again(void **state)
{
    (void)state;
    make_two_runs();
    shell("echo '{\"exclude\": [\"b\"]}' > runsfs.json");
    struct keeper *keeper = open_unwatched();
    struct timespec before = index_configured_at(keeper_lock(keeper));
    keeper_unlock(keeper);
    look_at_all(keeper); /* its times are too fresh to go by */
    shell("touch runsfs.json");
    look_at_all(keeper);
    struct timespec after = index_configured_at(keeper_lock(keeper));
    keeper_unlock(keeper);
    assert_memory_equal(&before, &after, sizeof(before));
    shell("echo '{\"exclude\": [\"c\"]}' > runsfs.json");
    look_at_all(keeper);
    after = index_configured_at(keeper_lock(keeper));
    keeper_unlock(keeper);
    assert_memory_not_equal(&before, &after, sizeof(before));
    keeper_close(keeper);
}

/* The framework can be listed, but what stands in it can't be looked at; or it can't be listed. */
static void closed_framework(const char *mode)
{
    make_two_runs();
    shell("chmod %s a && cp runs_manifest.json before", mode);
    make_run("b/1", "verified");
    struct keeper *keeper = open_unwatched();
    assert_int_equal(keeper_flush(keeper), -EACCES);
    look_at_all(keeper);
    assert_int_equal(keeper_flush(keeper), -EACCES);
    shell("cmp before runs_manifest.json && chmod 755 a");
    look_at_all(keeper);
    assert_int_equal(keeper_flush(keeper), 0);
    shell("grep -q kept runs_manifest.json && grep -q '\"b/1\"' runs_manifest.json");
    keeper_close(keeper);
}

static void test_a_framework_that_can_not_be_listed(void **state)
{
    (void)state;
    closed_framework("0");
}

static void test_a_framework_that_can_not_be_searched(void **state)
{
    (void)state;
    closed_framework("444");
}

/* What the manifest has nothing of hinders nobody, however deep the layout. */
static void test_deep_layouts(void **state)
{
    (void)state;
    shell("echo '{\"layout\": [\"*/*/*\"]}' > runsfs.json && mkdir -m 0 lost+found");
    make_run("x/a/1", "verified");
    shell("mkdir x/closed && chmod 0 x/closed");
    struct keeper *keeper = open_unwatched();
    assert_int_equal(keeper_flush(keeper), 0);
    shell("grep -q '\"x/a/1\"' runs_manifest.json && chmod 0 x/a");
    keeper_close(keeper);
    keeper = open_unwatched();
    assert_int_equal(keeper_flush(keeper), -EACCES);
    char *hiding = keeper_hiding(keeper);
    assert_string_equal(hiding, "x/a");
    free(hiding);
    keeper_close(keeper);
    shell("grep -q '\"x/a/1\"' runs_manifest.json && chmod 755 x/a x/closed lost+found");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_source_of_nobody, remove_source_of_nobody)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_that_is_closed_at_the_start),
        TEST(test_what_was_closed_may_be_no_run),
        TEST(test_an_edit_of_the_configuration),
        TEST(test_the_same_configuration_is_not_taken_over_again),
        TEST(test_a_framework_that_can_not_be_listed),
        TEST(test_a_framework_that_can_not_be_searched),
        TEST(test_deep_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
