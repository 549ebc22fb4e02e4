/*
 * Changes that come while the keeper is at something else: while a sweep reads, while descriptors are short,
 * by another name of a file. Whatever the moment, what is known in the end is what the files say.
 */
#include "tests/unit/a_source.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUNS = 400, FRAMEWORKS = 300, ATTEMPTS = 1000 };

static void write_status(const char *directory, const char *status)
{
    char path[256], content[80];
    int length = snprintf(content, sizeof(content), "{\"verification_status\": \"%s\"}", status);
    snprintf(path, sizeof(path), "%s/metrics.json", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, (size_t)length), length);
    close(fd);
}

static size_t count_of(struct keeper *keeper, const char *status)
{
    size_t count = 0;
    struct index *index = keeper_lock(keeper);
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        count += slice_equal(run->fields.status, slice_of(status));
    keeper_unlock(keeper);
    return count;
}

/* What the watch tells comes soon, but not at once. */
static void assert_becomes(struct keeper *keeper, const char *status, size_t count)
{
    for (int attempt = 0; attempt < ATTEMPTS && count_of(keeper, status) != count; attempt++)
        usleep(10000);
    assert_int_equal(count_of(keeper, status), count);
}

static struct keeper *open_watching(void)
{
    struct keeper *keeper = open_keeper(&(struct keeper_options){.read_only = true, .watch = WATCH_INOTIFY});
    assert_int_equal(keeper_start(keeper, NULL, NULL), 0);
    return keeper;
}

/* A framework of many runs is moved in, and its files are written while they are read for the first time. */
static void test_written_while_it_is_read(void **state)
{
    (void)state;
    char from[150], path[200];
    snprintf(from, sizeof(from), "%s/made", scratch_path);
    assert_int_equal(mkdir(from, 0755), 0);
    for (int i = 0; i < RUNS; i++) {
        snprintf(path, sizeof(path), "%s/r%04d", from, i);
        assert_int_equal(mkdir(path, 0755), 0);
        write_status(path, "old");
    }
    struct keeper *keeper = open_watching();
    snprintf(path, sizeof(path), "%s/f", source_path);
    assert_int_equal(rename(from, path), 0);
    for (int i = 0; i < RUNS; i++) {
        snprintf(path, sizeof(path), "%s/f/r%04d", source_path, i);
        write_status(path, "new");
        usleep(20);
    }
    assert_becomes(keeper, "new", RUNS);
    keeper_close(keeper);
}

/* Directory after directory is made, and a run put into each at once. */
static void test_made_while_they_are_found(void **state)
{
    (void)state;
    struct keeper *keeper = open_watching();
    for (int i = 0; i < FRAMEWORKS; i++) {
        char path[200];
        snprintf(path, sizeof(path), "%s/f%04d", source_path, i);
        assert_int_equal(mkdir(path, 0755), 0);
        for (int run = 0; run < 6; run++) {
            snprintf(path, sizeof(path), "%s/f%04d/r%d", source_path, i, run);
            assert_int_equal(mkdir(path, 0755), 0);
            write_status(path, "new");
        }
        if (i % 20 == 0)
            usleep(1000);
    }
    assert_becomes(keeper, "new", 6 * FRAMEWORKS);
    keeper_close(keeper);
}

/* One file in two runs: one look never shows it in two states. */
static void test_one_file_is_in_one_state(void **state)
{
    (void)state;
    make_run("f/r1", "old");
    shell("mkdir f/r2 && ln f/r1/metrics.json f/r2/metrics.json");
    struct keeper *keeper = open_keeper(&(struct keeper_options){.read_only = true, .watch = WATCH_POLL});
    assert_int_equal(count_of(keeper, "old"), 2);
    struct index *index = keeper_lock(keeper);
    struct directory *directory = keeper_run_directory(keeper, index_first(index));
    keeper_unlock(keeper);
    make_run("f/r1", "brandnew");
    keeper_note(keeper, directory, "metrics.json");
    assert_int_equal(count_of(keeper, "brandnew"), 2);
    directory_unref(keeper_source(keeper), directory);
    keeper_close(keeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_written_while_it_is_read, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_made_while_they_are_found, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_one_file_is_in_one_state, make_source, remove_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
