/*
 * Another runsfs.json while the keeper is at work: what is known of the runs and stands in no file of theirs
 * outlives it.
 */
#include "tests/unit/a_source.h"
#include "core/base/memory.h"
#include "core/manifest/snapshot.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

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

static void assert_status(struct keeper *keeper, const char *name, const char *expected)
{
    struct index *index = keeper_lock(keeper);
    const struct run *run = index_find(index, SLICE_LITERAL("a"), slice_of(name));
    assert_non_null(run);
    assert_true(slice_equal(run->fields.status, slice_of(expected)));
    keeper_unlock(keeper);
}

/* Also where the manifest on disk does not have them yet. */
static void test_last_good_values(void **state)
{
    (void)state;
    make_run("a/1", "one");
    make_run("a/2", "one");
    struct keeper *keeper = open_unwatched();
    make_run("a/1", "two");
    look_at_all(keeper);
    shell("printf '{\"verif' > a/1/metrics.json && printf '{\"verif' > a/2/metrics.json");
    look_at_all(keeper);
    assert_status(keeper, "1", "two");
    shell("echo '{\"exclude\": [\"b\"]}' > runsfs.json");
    look_at_all(keeper);
    assert_status(keeper, "1", "two");
    assert_status(keeper, "2", "one");
    assert_int_equal(keeper_flush(keeper), 0);
    keeper_close(keeper);
    shell("grep -q two runs_manifest.json");
}

/* Without a shell: quick enough to meet who writes. */
static void put(const char *name, const char *format, int number)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", source_path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, format, number);
    assert_int_equal(fclose(file), 0);
}

struct writing {
    struct keeper *keeper;
    atomic_bool enough;
};

/* Changes a run and writes the manifest, again and again. */
static void *write_without_end(void *context)
{
    struct writing *writing = context;
    for (int i = 0; !atomic_load(&writing->enough); i++) {
        put("a/1/metrics.json", "{\"total_tokens_in\": %d}", i);
        look_at_all(writing->keeper);
        int error = keeper_flush(writing->keeper);
        assert_true(error == 0 || error == -EAGAIN);
    }
    return NULL;
}

/* What somebody added to the manifest, when the configuration is edited while it is written. */
static void test_what_was_added_while_the_manifest_is_written(void **state)
{
    (void)state;
    make_run("a/1", "one");
    make_run("a/2", "one");
    keeper_close(open_unwatched());
    shell("sed -i 's|\"path\": \"a/2\",|\"note\": \"kept\",\\n      &|; s|\"version\"|\"top\": 1,\\n  &|'"
          " runs_manifest.json && grep -q kept runs_manifest.json");
    struct writing writing = {.keeper = open_unwatched()};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_without_end, &writing), 0);
    for (int i = 0; i < 300; i++) {
        put("runsfs.json", "{\"exclude\": [\"b%d\"]}", i);
        look_at_all(writing.keeper);
    }
    atomic_store(&writing.enough, true);
    pthread_join(thread, NULL);
    keeper_close(writing.keeper);
    shell("grep -q kept runs_manifest.json && grep -q '\"top\": 1' runs_manifest.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_last_good_values, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_what_was_added_while_the_manifest_is_written, make_source,
                                        remove_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
