/*
 * The keeper without a mount and without a watch: what a source says after every change, when everything is
 * looked at again. Directories that take each other's place are the point: members are dropped while others
 * are looked at.
 */
#include "tests/unit/a_source.h"
#include "core/base/memory.h"
#include "core/keeper/keeper_internal.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct keeper *open_unwatched(bool read_only)
{
    return open_keeper(&(struct keeper_options){.read_only = read_only, .watch = WATCH_POLL});
}

/* Every run as "path=status ", in the manifest's order, after everything was looked at. */
static void assert_runs(struct keeper *keeper, const char *expected)
{
    struct buffer found = {0};
    keeper_note_all(keeper);
    struct index *index = keeper_lock(keeper);
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        buffer_append_slice(&found, run_framework(run));
        buffer_append_byte(&found, '/');
        buffer_append_slice(&found, run->name);
        buffer_append_byte(&found, '=');
        buffer_append_slice(&found, run->fields.status);
        buffer_append_byte(&found, ' ');
    }
    keeper_unlock(keeper);
    assert_string_equal(found.bytes ? found.bytes : "", expected);
    buffer_free(&found);
}

static void test_runs_come_and_go(void **state)
{
    (void)state;
    struct keeper *keeper = open_unwatched(true);
    assert_runs(keeper, "");
    make_run("a/1", "verified");
    shell("mkdir -p a/aborted .git/x && cp a/1/metrics.json .git/x && ln -s a link && ln -s 1 a/2");
    assert_runs(keeper, "a/1=verified ");
    make_run("a/1", "failed");
    make_run("b/2", "pending");
    assert_runs(keeper, "a/1=failed b/2=pending ");
    shell("rm a/1/metrics.json && rm -r b");
    assert_runs(keeper, "");
    keeper_close(keeper);
}

static void test_frameworks_take_each_others_place(void **state)
{
    (void)state;
    make_run("a/1", "one");
    make_run("b/2", "two");
    make_run("c/3", "three");
    struct keeper *keeper = open_unwatched(true);
    shell("mv a t && mv b a && mv c b && mv t c");
    assert_runs(keeper, "c/1=one a/2=two b/3=three ");
    /* A framework becomes the place of a run in another, and the reverse. */
    shell("cp a/2/metrics.json b/ && mv b a/b");
    assert_runs(keeper, "c/1=one a/2=two a/b=two ");
    shell("mv c a/z && mv a/b c && mv a b");
    assert_runs(keeper, "b/2=two c/3=three ");
    shell("mv b/z a");
    assert_runs(keeper, "a/1=one b/2=two c/3=three ");
    keeper_close(keeper);
}

static void test_runs_take_each_others_place(void **state)
{
    (void)state;
    for (int run = 0; run < 8; run++) {
        char path[16], status[16];
        snprintf(path, sizeof(path), "a/%d", run);
        snprintf(status, sizeof(status), "s%d", run);
        make_run(path, status);
    }
    struct keeper *keeper = open_unwatched(true);
    shell("cd a && mv 0 t && for i in 1 2 3 4 5 6 7; do mv $i $((i - 1)); done && mv t 7");
    assert_runs(keeper, "a/0=s1 a/1=s2 a/2=s3 a/3=s4 a/4=s5 a/5=s6 a/6=s7 a/7=s0 ");
    shell("cd a && rm -r 0 2 4 && mv 1 0 && mv 3 2 && mkdir ../b && mv 5 6 ../b");
    assert_runs(keeper, "a/0=s2 a/2=s4 b/5=s6 b/6=s7 a/7=s0 ");
    keeper_close(keeper);
}

static void test_last_good_values(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    make_run("a/2", "verified");
    struct keeper *keeper = open_unwatched(false);
    shell("printf '{\"verif' > a/1/metrics.json");
    assert_runs(keeper, "a/1=verified a/2=verified ");
    keeper_close(keeper);
    /* Also by one that never saw it whole: the manifest has it. */
    keeper = open_unwatched(false);
    assert_runs(keeper, "a/1=verified a/2=verified ");
    make_run("a/1", "failed");
    assert_runs(keeper, "a/1=failed a/2=verified ");
    keeper_close(keeper);
}

static void test_one_file_in_two_runs(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    shell("mkdir a/2 && ln a/1/metrics.json a/2/metrics.json");
    struct keeper *keeper = open_unwatched(true);
    shell("printf '{\"verification_status\": \"failed\"}' > a/2/metrics.json");
    struct stat st;
    char path[128];
    snprintf(path, sizeof(path), "%s/a/1/metrics.json", source_path);
    assert_int_equal(stat(path, &st), 0);
    keeper_note_content(keeper, st.st_ino);
    struct index *index = keeper_lock(keeper);
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        assert_true(slice_equal(run->fields.status, SLICE_LITERAL("failed")));
    keeper_unlock(keeper);
    keeper_close(keeper);
}

static void test_links_made_later(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    make_run("a/3", "verified");
    struct keeper *keeper = open_unwatched(true);
    shell("cp -al a/1 a/2");
    assert_runs(keeper, "a/1=verified a/2=verified a/3=verified ");
    shell("printf '{\"verification_status\": \"failed\"}' > a/2/metrics.json");
    /* Only the name that was written is told of. */
    struct index *index = keeper_lock(keeper);
    struct run *run = index_find(index, SLICE_LITERAL("a"), SLICE_LITERAL("2"));
    struct directory *directory = keeper_run_directory(keeper, run);
    keeper_unlock(keeper);
    keeper_note(keeper, directory, "metrics.json");
    directory_unref(keeper_source(keeper), directory);
    index = keeper_lock(keeper);
    run = index_find(index, SLICE_LITERAL("a"), SLICE_LITERAL("1"));
    assert_true(slice_equal(run->fields.status, SLICE_LITERAL("failed")));
    keeper_unlock(keeper);
    shell("rm -r a/2");
    assert_runs(keeper, "a/1=failed a/3=verified ");
    keeper_close(keeper);
}

static void test_a_manifest_too_large_to_read_is_kept_and_replaced(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    shell("truncate -s 2G runs_manifest.json");
    keeper_close(open_unwatched(false));
    shell("grep -q a/1 runs_manifest.json && test $(stat -c %%s runs_manifest.json.broken) -gt 2000000000");
}

static void test_what_is_not_understood_is_not_replaced_without_a_copy(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    shell("printf '{\"precious' > runs_manifest.json && mkdir -p runs_manifest.json.broken/x");
    struct keeper *keeper = open_unwatched(false);
    assert_int_not_equal(keeper_flush(keeper), 0);
    keeper_close(keeper);
    shell("grep -q precious runs_manifest.json && rm -r runs_manifest.json.broken");
    keeper_close(open_unwatched(false));
    shell("grep -q precious runs_manifest.json.broken && grep -q a/1 runs_manifest.json");
}

static void test_manifest_is_written_and_adopted(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    keeper_close(open_unwatched(false));
    shell("grep -q '\"path\": \"a/1\"' runs_manifest.json");
    shell("sed -i 's/\"version\"/\"note\": 1,\\n  \"version\"/; s/verified/failed/' runs_manifest.json");
    struct keeper *keeper = open_unwatched(true);
    assert_int_equal(keeper_manifest_finding(keeper, NULL), MANIFEST_DIFFERS);
    keeper_close(keeper);
    keeper_close(open_unwatched(false));
    shell("grep -q '\"note\": 1' runs_manifest.json && grep -q verified runs_manifest.json");
    keeper = open_unwatched(true);
    assert_int_equal(keeper_manifest_finding(keeper, NULL), MANIFEST_TRUE);
    keeper_close(keeper);
}

enum { NOTED_RUNS = 60 };

struct noting {
    struct keeper *keeper;
    struct directory *runs[NOTED_RUNS];
    atomic_size_t noted;
    atomic_bool enough;
};

static void *note_without_end(void *context)
{
    struct noting *noting = context;
    for (size_t i = 0; !atomic_load(&noting->enough); i = (i + 1) % NOTED_RUNS) {
        keeper_note(noting->keeper, noting->runs[i], "metrics.json");
        atomic_fetch_add(&noting->noted, 1);
    }
    return NULL;
}

/* Who looks gets to look, though more is noted all the time than can be settled. */
static void test_changes_without_end(void **state)
{
    (void)state;
    for (int i = 0; i < NOTED_RUNS; i++) {
        char path[16];
        snprintf(path, sizeof(path), "a/%d", i);
        make_run(path, "x");
    }
    struct noting noting = {.keeper = open_unwatched(true)};
    struct index *index = keeper_lock(noting.keeper);
    size_t count = 0;
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        noting.runs[count++] = keeper_run_directory(noting.keeper, run);
    keeper_unlock(noting.keeper);
    assert_int_equal(count, NOTED_RUNS);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, note_without_end, &noting), 0);
    for (int looks = 0; looks < 100; looks++) {
        size_t noted = atomic_load(&noting.noted);
        while (atomic_load(&noting.noted) == noted)
            sched_yield();
        keeper_lock(noting.keeper);
        keeper_unlock(noting.keeper);
    }
    atomic_store(&noting.enough, true);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < NOTED_RUNS; i++)
        directory_unref(keeper_source(noting.keeper), noting.runs[i]);
    keeper_close(noting.keeper);
}

static size_t count_polled(struct keeper *keeper)
{
    struct keeper_report report;
    keeper_note_all(keeper);
    keeper_report(keeper, &report);
    return report.polled;
}

/* Nothing that is told no more is taken for told, whether it changed or not: neither the directory of a run
 * nor one in it. */
static void test_watches_that_are_lost(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    shell("mkdir a/1/files && mv a/1/metrics.json a/1/files/x.json");
    shell("echo '{\"fields\": {\"status\": \"files/x.json#/verification_status\"}}' > runsfs.json");
    shell("sleep 2.1"); /* neither is fresh: what did not change is not read again */
    struct keeper *keeper = open_keeper(&(struct keeper_options){.read_only = true, .watch = WATCH_INOTIFY});
    assert_int_equal(count_polled(keeper), 0);
    struct member *run = index_first(keeper_lock(keeper))->owner, *part = member_child(run, "files");
    keeper_unlock(keeper);
    struct directory *lost[] = {run->directory, part->directory};
    for (size_t i = 0; i < 2; i++) { /* for now */
        watch_remove(keeper_watch(keeper), lost[i]);
        assert_int_equal(count_polled(keeper), 0);
        assert_int_equal(atomic_load(&lost[i]->watch_state), WATCH_ACTIVE);
    }
    for (size_t i = 0; i < 2; i++) { /* for good */
        watch_remove(keeper_watch(keeper), lost[i]);
        atomic_store(&lost[i]->watch_state, WATCH_FAILED);
        assert_int_equal(count_polled(keeper), i + 1);
    }
    keeper_close(keeper);
}

static void test_a_source_that_can_not_be_listed_keeps_its_manifest(void **state)
{
    (void)state;
    if (geteuid() == 0)
        skip();
    make_run("a/1", "verified");
    keeper_close(open_unwatched(false));
    shell("cp runs_manifest.json before && chmod 0 a");
    struct keeper *keeper = open_unwatched(false);
    assert_int_equal(keeper_flush(keeper), -EACCES);
    keeper_close(keeper);
    shell("chmod 755 a && cmp before runs_manifest.json");
    /* One that never held a run does not matter. */
    make_run("a/2", "verified");
    shell("mkdir -m 0 lost+found");
    keeper_close(open_unwatched(false));
    shell("chmod 755 lost+found && grep -q a/2 runs_manifest.json");
}

/* One of a run's directories that can't be entered is a fault of the file in it: the run has others. */
static void test_a_directory_in_a_run_that_can_not_be_entered(void **state)
{
    (void)state;
    make_run("a/1", "verified");
    shell("mkdir -p a/1/files a/2/files && echo '{\"status\": \"failed\"}' > a/1/files/x.json");
    shell("cp a/1/files/x.json a/2/files");
    shell(
        "echo '{\"fields\": {\"status\": [\"files/x.json#/status\", \"metrics.json#/verification_status\"]}}'"
        " > runsfs.json");
    shell("chmod 0 a/1/files");
    struct keeper *keeper = open_unwatched(true);
    assert_runs(keeper, "a/1=verified a/2=failed ");
    const struct run *run = index_first(keeper_lock(keeper));
    assert_non_null(run->faults);
    assert_string_equal(run->faults[run_plan_find(keeper_plan(keeper), "files", "x.json")].reason,
                        "Permission denied");
    keeper_unlock(keeper);
    /* What was read of it before stays; where nothing else is known of the run as well. */
    shell("chmod 755 a/1/files");
    assert_runs(keeper, "a/1=failed a/2=failed ");
    shell("chmod 0 a/1/files a/2/files");
    assert_runs(keeper, "a/1=failed a/2=failed ");
    shell("chmod 755 a/?/files && rm -r a/2/files");
    assert_runs(keeper, "a/1=failed ");
    keeper_close(keeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs_come_and_go, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_frameworks_take_each_others_place, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_runs_take_each_others_place, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_last_good_values, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_one_file_in_two_runs, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_links_made_later, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_a_manifest_too_large_to_read_is_kept_and_replaced, make_source,
                                        remove_source),
        cmocka_unit_test_setup_teardown(test_what_is_not_understood_is_not_replaced_without_a_copy,
                                        make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_manifest_is_written_and_adopted, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_changes_without_end, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_watches_that_are_lost, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_a_source_that_can_not_be_listed_keeps_its_manifest, make_source,
                                        remove_source),
        cmocka_unit_test_setup_teardown(test_a_directory_in_a_run_that_can_not_be_entered,
                                        make_source_of_nobody, remove_source_of_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
