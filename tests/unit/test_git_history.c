/*
 * The history of runs in repositories that `git fast-import` makes: what commits changed, how many runs stood
 * where, what a run's files have become; and the marks of an axis of time.
 */
#include "core/cli/chart_axis.h"
#include "core/git/counts.h"
#include "core/git/difference.h"
#include "core/git/history.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    struct repository *repository;
    struct deriver *deriver;
};

/* A repository in which git fast-import has read the stream, with the source runs/ in its working tree. */
static struct fixture import(const char *stream)
{
    struct fixture fixture = {.directory = "/tmp/runsfs-history-XXXXXX"};
    char line[256];
    assert_non_null(mkdtemp(fixture.directory));
    snprintf(line, sizeof(line), "cd %s && git init -q -b main . && mkdir runs", fixture.directory);
    assert_int_equal(system(line), 0);
    snprintf(line, sizeof(line), "git -C %s fast-import --quiet", fixture.directory);
    FILE *pipe = popen(line, "we");
    assert_non_null(pipe);
    fputs(stream, pipe);
    assert_int_equal(pclose(pipe), 0);
    snprintf(line, sizeof(line), "%s/runs", fixture.directory);
    assert_int_equal(repository_open(line, &fixture.repository), 0);
    fixture.deriver = deriver_create(fixture.repository);
    return fixture;
}

static void finish(struct fixture *fixture)
{
    char line[128];
    deriver_free(fixture->deriver);
    repository_close(fixture->repository);
    snprintf(line, sizeof(line), "rm -rf %s", fixture->directory);
    assert_int_equal(system(line), 0);
}

#define COMMIT(branch, mark, time, parents) \
    "commit refs/heads/" branch "\nmark :" mark "\ncommitter A <a@b> " time " +0000\ndata 1\nx\n" parents
#define RUN(path, content) "M 100644 inline runs/" path "/metrics.json\ndata <<END\n" content "\nEND\n"
#define STATUS(status) "{\"verification_status\": \"" status "\"}"

/* Two runs; one verified on a branch, one added on main; merged, where the second gets failed besides; then
 * one renamed, one removed. */
static const char stream[] = COMMIT("main", "1", "1000000000", "") RUN("a/r1", STATUS("pending"))
    RUN("a/r2", "{}") COMMIT("side", "2", "1000000100", "from :1\n") RUN("a/r1", STATUS("verified"))
        COMMIT("main", "3", "1000000200", "from :1\n") RUN("b/r3", STATUS("odd"))
            COMMIT("main", "4", "1000000300", "from :3\nmerge :2\n") RUN("a/r1", STATUS("verified"))
                RUN("a/r2", STATUS("failed"))
                    COMMIT("main", "5", "1000000400", "from :4\n") "R runs/a/r1 runs/b/r1\nD runs/a/r2\n";

/* Every change as `kind path[<old path]|`, the newest first. */
static struct buffer told(const struct fixture *fixture, int64_t since_s, const char *path)
{
    struct history *history;
    const struct history_commit *commit;
    struct buffer text = {0};
    int error;
    buffer_append_text(&text, "");
    assert_int_equal(history_open(fixture->deriver, since_s, path, &history), 0);
    while ((error = history_next(history, &commit)) == 0)
        for (size_t i = 0; i < commit->change_count; i++) {
            const struct history_change *change = &commit->changes[i];
            buffer_append_format(&text, "%d %s%s%s|", (int)change->kind, change->path,
                                 change->old_path ? "<" : "", change->old_path ? change->old_path : "");
        }
    assert_int_equal(error, -ENOENT);
    history_close(history);
    return text;
}

static void assert_told(const struct fixture *fixture, int64_t since_s, const char *path,
                        const char *expected)
{
    struct buffer text = told(fixture, since_s, path);
    assert_string_equal(text.bytes, expected);
    buffer_free(&text);
}

static void test_what_commits_changed(void **state)
{
    (void)state;
    struct fixture fixture = import(stream);
    assert_told(&fixture, INT64_MIN, NULL, "1 a/r2|2 b/r1<a/r1|3 a/r2|0 b/r3|3 a/r1|0 a/r1|0 a/r2|");
    assert_told(&fixture, INT64_MIN, "b/r1", "2 b/r1<a/r1|3 a/r1|0 a/r1|");
    assert_told(&fixture, INT64_MIN, "a/r2", "1 a/r2|3 a/r2|0 a/r2|");
    assert_told(&fixture, INT64_MIN, "no/such", "");
    assert_told(&fixture, 1000000400, NULL, "1 a/r2|2 b/r1<a/r1|");
    finish(&fixture);
}

static void test_counts(void **state)
{
    static const char *const names[] = {"verified", "pending", "failed", "odd"};
    static const uint32_t expected[][4] = {
        {0, 2, 0, 0}, {1, 1, 0, 0}, {0, 2, 0, 1}, {1, 0, 1, 1}, {1, 0, 0, 1}};
    struct count_table *table;

    (void)state;
    struct fixture fixture = import(stream);
    assert_int_equal(count_history(fixture.deriver, NULL, NULL, &table), 0);
    assert_int_equal(table->status_count, 4);
    assert_int_equal(table->row_count, 5);
    for (size_t row = 0; row < 5; row++)
        for (size_t status = 0; status < 4; status++) {
            assert_true(slice_equal(table->statuses[status], slice_of(names[status])));
            assert_int_equal(count_of(table, &table->rows[row], status), expected[row][status]);
        }
    assert_false(table->rows[1].is_mainline);
    assert_true(table->rows[4].is_mainline);
    count_table_free(table);
    finish(&fixture);
}

static void test_no_commit(void **state)
{
    struct count_table *table;

    (void)state;
    struct fixture fixture = import("");
    assert_told(&fixture, INT64_MIN, NULL, "");
    assert_int_equal(count_history(fixture.deriver, NULL, NULL, &table), 0);
    assert_int_equal(table->row_count, 0);
    count_table_free(table);
    finish(&fixture);
}

static bool is_r(const char *path, void *context)
{
    (void)context;
    return strstr(path, "/r1");
}

static void append_path(const char *path, void *context)
{
    buffer_append_format(context, "%s|", path);
}

static void test_runs_that_were(void **state)
{
    struct buffer found = {0};
    const struct path_search search = {is_r, append_path, &found};

    (void)state;
    struct fixture fixture = import(stream);
    assert_int_equal(search_head(fixture.deriver, &search), 0);
    assert_string_equal(found.bytes, "b/r1|");
    assert_int_equal(search_history(fixture.deriver, &search), 0);
    assert_non_null(strstr(found.bytes, "a/r1|"));
    buffer_free(&found);
    finish(&fixture);
}

static void append_part(enum difference_part part, struct slice text, void *context)
{
    buffer_append_format(context, "%d", (int)part);
    buffer_append_slice(context, text);
}

static void test_a_difference(void **state)
{
    struct object_id head;
    struct commit commit;
    struct buffer text = {0};
    char path[256];

    (void)state;
    struct fixture fixture = import(stream);
    assert_int_equal(history_head(fixture.repository, &head), 0);
    assert_int_equal(commit_read(fixture.repository, &head, &commit), 0);
    struct config *config = config_built_in();
    snprintf(path, sizeof(path), "mkdir -p %s/runs/b/r3 && echo hello > %s/runs/b/r3/new.md",
             fixture.directory, fixture.directory);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof(path), "%s/runs/b/r3", fixture.directory);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(
        difference_of_run(fixture.repository, config, &commit.tree, "b/r3", fd, append_part, &text), 0);
    assert_non_null(strstr(text.bytes, "0diff --git a/runs/b/r3/metrics.json b/runs/b/r3/metrics.json\n"
                                       "deleted file mode 100644\nindex "));
    assert_non_null(strstr(text.bytes, "0--- /dev/null\n+++ b/runs/b/r3/new.md\n1@@ -0,0 +1 @@2\n4+hello\n"));
    /* Neither then nor now. */
    assert_int_equal(
        difference_of_run(fixture.repository, config, &commit.tree, "b/none", -1, append_part, &text), 1);
    close(fd);
    config_unref(config);
    buffer_free(&text);
    finish(&fixture);
}

static void assert_marks(int64_t first_s, int64_t last_s, unsigned most, const char *expected)
{
    struct buffer marks = {0};
    buffer_append_text(&marks, "");
    chart_append_marks(&marks, first_s, last_s, most);
    assert_string_equal(marks.bytes, expected);
    buffer_free(&marks);
}

static void test_marks_of_time(void **state)
{
    (void)state;
    assert_marks(1760000000, 1760000001, 4,
                 "\"08:53:20\\n2025-10-09\" 1760000000, \"08:53:21\\n2025-10-09\" 1760000001");
    assert_marks(
        1760000000, 1760100000, 3,
        "\"12:00\\n2025-10-09\" 1760011200, \"00:00\\n2025-10-10\" 1760054400, \"12:00\\n2025-10-10\" "
        "1760097600");
    assert_marks(1760000000, 1766000000, 3, "\"2025-11\" 1761955200, \"2025-12\" 1764547200");
    assert_marks(0, 100000000, 4, "\"1970\" 0, \"1971\" 31536000, \"1972\" 63072000, \"1973\" 94694400");
    for (int64_t span_s = 1; span_s < 10000000000; span_s = span_s * 3 / 2 + 1) {
        struct buffer marks = {0};
        size_t count = 0;
        chart_append_marks(&marks, 1760000000, 1760000000 + span_s, 5);
        for (const char *at = marks.bytes; at && (at = strstr(at, "\" ")); at++)
            count++;
        assert_in_range(count, 0, 5);
        buffer_free(&marks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_commits_changed),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_no_commit),
        cmocka_unit_test(test_runs_that_were),
        cmocka_unit_test(test_a_difference),
        cmocka_unit_test(test_marks_of_time),
    };
    repositories_begin(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
