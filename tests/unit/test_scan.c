/*
 * The first scan of a whole source: by one thread or by many, from files or from the index cache, it comes to
 * the same index.
 */
#include "tests/unit/a_source.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/cache/cache.h"
#include "core/keeper/keeper_internal.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FRAMEWORKS 5
#define RUNS_EACH 300

static void put(const char *framework, const char *run, const char *file, const char *content)
{
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", source_path, framework);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/%s/%s", source_path, framework, run);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/%s/%s/%s", source_path, framework, run, file);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fputs(content, stream);
    assert_int_equal(fclose(stream), 0);
}

/* Runs of all kinds: with one file and the other, aborted ones, broken ones, some of one time, some without.
 */
static void make_runs(void)
{
    char framework[16], run[32], content[200];
    for (int number = 0; number < FRAMEWORKS * RUNS_EACH; number++) {
        snprintf(framework, sizeof(framework), "f%d", number % FRAMEWORKS);
        snprintf(run, sizeof(run), "run-%d", number * 7919 % 10007);
        snprintf(content, sizeof(content),
                 "{\"start_time\": \"2025-10-%02dT%02d:00:00Z\", \"verification_status\": \"s%d\", "
                 "\"total_tokens_in\": %d}",
                 number % 28 + 1, number % 24, number % 7, number);
        if (number % 11 == 0)
            put(framework, run, "metrics.json", number % 22 ? "{\"start" : "{}");
        else if (number % 13 == 0)
            put(framework, run, "notes.md", "aborted");
        else
            put(framework, run, number % 17 ? "metrics.json" : "metadata.json", content);
        if (number % 5 == 0)
            put(framework, run, "metadata.json", "{\"end_time\": \"2025-11-01\"}");
    }
}

static struct keeper *open_cached(enum watch_backend watch, enum keeper_cache cache)
{
    return open_keeper(&(struct keeper_options){
        .read_only = true, .watch = watch, .cache = cache, .cache_directory = cache_path});
}

/* All that a look can tell: the manifest but for its time, the views' lists in their order, faults. */
static void describe(struct keeper *keeper, struct buffer *out)
{
    struct index *index = keeper_lock(keeper);
    struct snapshot *snapshot = snapshot_take(index);
    char *text = memory_alloc(snapshot_size(snapshot));
    size_t length = snapshot_read(snapshot, text, snapshot_size(snapshot), 0);
    const char *rest = memmem(text, length, "\"total_runs\"", 12);
    buffer_append(out, rest, length - (size_t)(rest - text));
    free(text);
    snapshot_unref(snapshot);
    for (unsigned facet = 0; facet < facet_count(index); facet++) {
        struct facet_value *value;
        uint64_t at = 0;
        while ((value = facet_next(index, facet, at, &at))) {
            struct run *run;
            uint64_t place = 0;
            buffer_append_format(out, "\n%s:", facet_value_name(value));
            while ((run = facet_value_next(value, place, &place)))
                buffer_append_format(out, " %.*s", (int)run->name.length, run->name.bytes);
        }
    }
    for (struct run *run = index_first(index); run; run = index_next(index, run))
        for (int file = 0; file < 2; file++) {
            const struct file_stamp *stamp = &run->stamps[file];
            buffer_append_format(out, "\n%d %llu %llu %lld %lld %s", run->has_good,
                                 (unsigned long long)stamp->ino, (unsigned long long)stamp->size_bytes,
                                 (long long)stamp->mtime_ns, (long long)stamp->ctime_ns,
                                 run->faults && run->faults[file].reason ? run->faults[file].reason : "");
        }
    keeper_unlock(keeper);
}

static struct buffer scan(enum keeper_cache cache, size_t expected_recalled)
{
    struct buffer description = {0};
    struct keeper *keeper = open_cached(WATCH_POLL, cache);
    assert_int_equal(keeper->recalled, expected_recalled);
    describe(keeper, &description);
    keeper_close(keeper);
    return description;
}

static void assert_same(struct buffer *a, struct buffer *b)
{
    assert_true(slice_equal(buffer_slice(a), buffer_slice(b)));
    buffer_free(b);
}

static void test_threads_make_no_difference(void **state)
{
    (void)state;
    make_runs();
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    int core = 0;
    while (!CPU_ISSET(core, &before))
        core++;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    struct buffer serial = scan(KEEPER_CACHE_NONE, 0);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    for (int i = 0; i < 5; i++) {
        struct buffer parallel = scan(KEEPER_CACHE_NONE, 0);
        assert_same(&serial, &parallel);
    }
    buffer_free(&serial);
}

/* Files younger than this would be read again, whatever is remembered. */
static void wait_until_old(void)
{
    nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 100000000}, NULL);
}

static void test_the_cache_makes_no_difference(void **state)
{
    (void)state;
    make_runs();
    struct buffer read = scan(KEEPER_CACHE_NONE, 0), other;
    other = scan(KEEPER_CACHE_USE, 0); /* writes one, without runs that are this fresh */
    assert_same(&read, &other);
    wait_until_old();
    other = scan(KEEPER_CACHE_USE, 0);
    assert_same(&read, &other);
    size_t good = 0;
    for (int number = 0; number < FRAMEWORKS * RUNS_EACH; number++) {
        bool is_run = number % 11 == 0 || number % 13 != 0 || number % 5 == 0;
        bool is_broken = number % 11 == 0 && number % 22 != 0;
        good += is_run && !is_broken;
    }
    other = scan(KEEPER_CACHE_USE, good);
    assert_same(&read, &other);
    other = scan(KEEPER_CACHE_RENEW, 0);
    assert_same(&read, &other);
    buffer_free(&read);
}

/* Each way in which a file can be another: done to run 1 of a framework of its own, in which 2 and 3 stand
 * too. */
static const struct {
    const char *change;
    const char *status; /* of run 1 afterwards; NULL for none */
    size_t recalled;    /* of the three */
} changes[] = {
    {"printf '{\"verification_status\": \"B\"}' > 1/metrics.json && touch -r old 1/metrics.json", "B", 2},
    {"printf '{\"verification_status\":  \"B\"}' > 1/metrics.json", "B", 2},
    {"printf '{\"verification_status\": \"B\"}' > n && touch -r old n && mv n 1/metrics.json", "B", 2},
    {"mv 1 t && mv 2 1 && mv t 2", "Y", 1},
    {"rm 1/metrics.json", NULL, 2},
    {"printf '{' > 1/metadata.json", "A", 2},
    {"rm -r 1", NULL, 2},
};
#define CHANGES (sizeof(changes) / sizeof(*changes))

static void test_every_change_is_seen(void **state)
{
    (void)state;
    char framework[8];
    size_t recalled = 0;
    for (size_t i = 0; i < CHANGES; i++) {
        snprintf(framework, sizeof(framework), "%zu", i);
        put(framework, "1", "metrics.json", "{\"verification_status\": \"A\"}");
        put(framework, "2", "metrics.json", "{\"verification_status\": \"Y\"}");
        put(framework, "3", "metrics.json", "{\"verification_status\": \"A\"}");
        shell("cd %zu && touch -d 2020-01-01 */metrics.json old", i);
        recalled += changes[i].recalled;
    }
    wait_until_old();
    keeper_close(open_cached(WATCH_POLL, KEEPER_CACHE_RENEW));
    struct keeper *keeper = open_cached(WATCH_POLL, KEEPER_CACHE_USE);
    assert_int_equal(keeper->recalled, 3 * CHANGES);
    keeper_close(keeper);
    for (size_t i = 0; i < CHANGES; i++)
        shell("cd %zu && %s", i, changes[i].change);
    keeper = open_cached(WATCH_POLL, KEEPER_CACHE_USE);
    struct index *index = keeper_lock(keeper);
    for (size_t i = 0; i < CHANGES; i++) {
        snprintf(framework, sizeof(framework), "%zu", i);
        struct run *run = index_find(index, slice_of(framework), SLICE_LITERAL("1"));
        assert_int_equal(run != NULL, changes[i].status != NULL);
        if (run)
            assert_true(slice_equal(run->fields.status, slice_of(changes[i].status)));
    }
    keeper_unlock(keeper);
    assert_int_equal(keeper->recalled, recalled);
    keeper_close(keeper);
}

static void assert_status(const char *run_name, const char *status, size_t recalled)
{
    struct keeper *keeper = open_cached(WATCH_POLL, KEEPER_CACHE_USE);
    assert_int_equal(keeper->recalled, recalled);
    struct run *run = index_find(keeper_lock(keeper), SLICE_LITERAL("a"), slice_of(run_name));
    if (status)
        assert_true(run && slice_equal(run->fields.status, slice_of(status)));
    else
        assert_null(run);
    keeper_unlock(keeper);
    keeper_close(keeper);
}

static void test_what_has_links_is_read(void **state)
{
    (void)state;
    put("a", "1", "metrics.json", "{\"verification_status\": \"A\"}");
    put("a", "2", "metrics.json", "{}");
    wait_until_old();
    keeper_close(open_cached(WATCH_POLL, KEEPER_CACHE_USE));
    assert_status("1", "A", 2);
    shell("ln a/1/metrics.json beside");
    wait_until_old();
    assert_status("1", "A", 1);
    assert_status("1", "A", 1);
}

/* A mount that saw everything from the beginning knows at its end what it could not know at its start. */
static void test_what_was_watched_becomes_certain(void **state)
{
    (void)state;
    put("a", "1", "metrics.json", "{\"verification_status\": \"A\"}");
    struct keeper *keeper = open_cached(WATCH_INOTIFY, KEEPER_CACHE_USE);
    assert_int_equal(keeper_start(keeper, NULL, NULL), 0);
    wait_until_old();
    put("a", "2", "metrics.json", "{\"verification_status\": \"A\"}");
    keeper_stop(keeper);
    keeper_close(keeper);
    assert_status("2", "A", 1);
}

/* Also where fields come from files in directories of the run. */
static void test_runs_with_directories(void **state)
{
    (void)state;
    shell("for i in $(seq 200); do mkdir -p a/$i/files; echo '{\"s\": \"old\"}' > a/$i/files/x.json; done");
    shell("echo '{\"fields\": {\"status\": \"files/x.json#/s\"}}' > runsfs.json");
    wait_until_old();
    struct buffer first = scan(KEEPER_CACHE_USE, 0), second = scan(KEEPER_CACHE_USE, 200);
    assert_same(&first, &second);
    buffer_free(&first);
    shell("echo '{\"s\": \"new\"}' > a/7/files/x.json && rm -r a/8/files && mv a/9/files a/8");
    struct keeper *keeper = open_cached(WATCH_INOTIFY, KEEPER_CACHE_USE);
    assert_int_equal(keeper->recalled, 197);
    assert_int_equal(keeper->read_since_saved, 2);
    assert_int_equal(index_count(keeper->index), 199);
    struct run *run = index_find(keeper->index, SLICE_LITERAL("a"), SLICE_LITERAL("7"));
    assert_true(slice_equal(run->fields.status, SLICE_LITERAL("new")));
    /* What was fresh is certain only where all of its directories are watched. */
    struct member *part = member_child(run->owner, "files");
    assert_int_equal(atomic_load(&part->directory->watch_state), WATCH_ACTIVE);
    watch_remove(keeper->watch, part->directory);
    assert_int_equal(keeper_start(keeper, NULL, NULL), 0);
    wait_until_old();
    keeper_close(keeper);
    second = scan(KEEPER_CACHE_USE, 198);
    buffer_free(&second);
}

static void test_a_damaged_cache_is_made_anew(void **state)
{
    (void)state;
    put("a", "1", "metrics.json", "{\"verification_status\": \"A\"}");
    wait_until_old();
    keeper_close(open_cached(WATCH_POLL, KEEPER_CACHE_USE));
    shell("for file in %s/*.index; do printf x >> $file; done", cache_path);
    assert_status("1", "A", 0);
    assert_status("1", "A", 1);
    shell("test $(ls %s | wc -l) = 1 && test $(ls | wc -l) = 1", cache_path);
}

static void test_no_cache_where_there_is_no_place(void **state)
{
    (void)state;
    put("a", "1", "metrics.json", "{\"verification_status\": \"A\"}");
    strcpy(cache_path, source_path);
    for (int i = 0; i < 2; i++)
        assert_status("1", "A", 0);
    strcpy(cache_path, "/proc/1/nothing");
    assert_status("1", "A", 0);
    shell("test $(ls | wc -l) = 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_threads_make_no_difference, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_the_cache_makes_no_difference, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_every_change_is_seen, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_what_has_links_is_read, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_what_was_watched_becomes_certain, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_runs_with_directories, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_a_damaged_cache_is_made_anew, make_source, remove_source),
        cmocka_unit_test_setup_teardown(test_no_cache_where_there_is_no_place, make_source, remove_source),
    };
    log_configure(false, LOG_LEVEL_NONE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
