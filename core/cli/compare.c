/*
 * Comparing a manifest with the index: see compare.h. The text is walked as a stream; every run has a mark
 * that tells whether an entry was met, and its place in the order.
 */
#include "core/cli/compare.h"
#include "core/base/memory.h"
#include "core/cli/entry.h"
#include "core/cli/value.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

/* A run as it is expected in the manifest. */
struct expected_run {
    struct run *run;
    size_t position; /* in the order, from 1 */
    bool met;
    struct slice path; /* as the manifest has it; owned */
    UT_hash_handle hh;
};

struct expected_framework {
    struct slice name; /* as the manifest has it; owned */
    size_t run_count;  /* with those that the manifest has of it and nobody here may see */
    bool met;
    UT_hash_handle hh;
};

/* A directory at the source's top that an entry without a run lies below. */
struct top_directory {
    char *name;
    bool is_closed;
    UT_hash_handle hh;
};

struct comparison {
    struct index *index;
    int source_fd;
    struct top_directory *directories;
    size_t unseen_count;
    struct slice manifest_name;
    struct finding_list *findings;
    struct expected_run *runs;
    struct expected_framework *frameworks;
    struct expected_run *last_met; /* the one with the highest position yet */
    bool disorder_told;
};

enum top_member { TOP_VERSION, TOP_LAST_UPDATED, TOP_TOTAL_RUNS, TOP_FRAMEWORKS, TOP_RUNS, TOP_COUNT };
static const char *const top_names[TOP_COUNT] = {"version", "last_updated", "total_runs", "frameworks",
                                                 "runs"};

/* ---- what is expected ---- */

static struct slice file_name_text(struct slice name)
{
    struct buffer text = {0};
    utf8_append_file_name(&text, name);
    struct slice copy = slice_copy(buffer_slice(&text));
    buffer_free(&text);
    return copy;
}

/* text: as the manifest has it; taken over. */
static void expect_framework(struct comparison *comparison, struct slice text)
{
    struct expected_framework *framework;
    HASH_FIND(hh, comparison->frameworks, text.bytes, text.length, framework);
    if (framework) {
        slice_free(&text);
    } else {
        framework = memory_alloc_zeroed(1, sizeof(*framework));
        framework->name = text;
        HASH_ADD_KEYPTR(hh, comparison->frameworks, text.bytes, text.length, framework);
    }
    framework->run_count++;
}

static void expect_run(struct comparison *comparison, struct run *run, size_t position)
{
    struct expected_run *expected = memory_alloc_zeroed(1, sizeof(*expected));
    struct buffer path = {0};
    entry_append_path(&path, run);
    expected->run = run;
    expected->position = position;
    expected->path = file_name_text(buffer_slice(&path));
    HASH_ADD_KEYPTR(hh, comparison->runs, expected->path.bytes, expected->path.length, expected);
    buffer_free(&path);
}

static void expect_all(struct comparison *comparison)
{
    size_t position = 0;
    for (struct run *run = index_first(comparison->index); run; run = index_next(comparison->index, run)) {
        expect_run(comparison, run, ++position);
        expect_framework(comparison, file_name_text(run_framework(run)));
    }
}

static void free_all(struct comparison *comparison)
{
    struct expected_run *run, *next_run;
    HASH_ITER(hh, comparison->runs, run, next_run)
    {
        HASH_DEL(comparison->runs, run);
        slice_free(&run->path);
        free(run);
    }
    struct expected_framework *framework, *next_framework;
    HASH_ITER(hh, comparison->frameworks, framework, next_framework)
    {
        HASH_DEL(comparison->frameworks, framework);
        slice_free(&framework->name);
        free(framework);
    }
    struct top_directory *directory, *next_directory;
    HASH_ITER(hh, comparison->directories, directory, next_directory)
    {
        HASH_DEL(comparison->directories, directory);
        free(directory->name);
        free(directory);
    }
}

/* ---- entries ---- */

static void tell_of_run(struct comparison *comparison, const struct run *run, const char *detail)
{
    struct buffer path = {0};
    entry_append_path(&path, run);
    finding_add(comparison->findings, FINDING_DIFFERENCE, buffer_slice(&path), "%s", detail);
    buffer_free(&path);
}

/* subject: "total_runs", or a longer name of what stands there. */
static void tell_of_value(struct comparison *comparison, const char *subject, const struct value *stands,
                          const char *should)
{
    struct buffer description = {0};
    value_describe(stands, &description);
    finding_add(comparison->findings, FINDING_DIFFERENCE, comparison->manifest_name, "%s %s, should be %s",
                subject, description.bytes, should);
    buffer_free(&description);
}

static void compare_fields(struct comparison *comparison, const struct run *run, const struct value *values)
{
    struct buffer should = {0}, detail = {0};
    for (enum entry_field field = 0; field < ENTRY_FIELD_COUNT; field++) {
        buffer_clear(&should);
        entry_append_value(&should, run, field);
        if (value_is(&values[field], buffer_slice(&should)))
            continue;
        struct value right = {JSON_STRING, buffer_slice(&should)};
        buffer_clear(&detail);
        buffer_append_format(&detail, "%s ", entry_field_names[field]);
        value_describe(&values[field], &detail);
        buffer_append_text(&detail, ", should be ");
        value_append_short(&right, &detail);
        tell_of_run(comparison, run, detail.bytes);
    }
    buffer_free(&should);
    buffer_free(&detail);
}

/* The path that an entry speaks of: its own, or what its two names make; empty where it has neither. */
static void path_of_entry(const struct value *values, struct buffer *path)
{
    struct buffer name = {0};
    buffer_clear(path);
    if (!value_text(&values[ENTRY_PATH], path) && value_text(&values[ENTRY_FRAMEWORK], path) &&
        value_text(&values[ENTRY_RUN_ID], &name)) {
        buffer_append_byte(path, '/');
        buffer_append_slice(path, buffer_slice(&name));
    }
    buffer_free(&name);
}

static struct expected_run *find_run(const struct comparison *comparison, const struct value *values,
                                     struct buffer *path)
{
    struct expected_run *expected;
    path_of_entry(values, path);
    struct slice text = buffer_slice(path);
    HASH_FIND(hh, comparison->runs, text.bytes, text.length, expected);
    if (expected)
        return expected;
    struct value names_alone[ENTRY_FIELD_COUNT];
    struct buffer other = {0};
    memcpy(names_alone, values, sizeof(names_alone));
    names_alone[ENTRY_PATH] = (struct value){JSON_END, SLICE_ABSENT};
    path_of_entry(names_alone, &other);
    text = buffer_slice(&other);
    HASH_FIND(hh, comparison->runs, text.bytes, text.length, expected);
    buffer_free(&other);
    return expected;
}

static void check_order(struct comparison *comparison, struct expected_run *expected)
{
    struct expected_run *last = comparison->last_met;
    if (!last || expected->position > last->position) {
        comparison->last_met = expected;
        return;
    }
    if (comparison->disorder_told) /* only the first: others may follow from it */
        return;
    comparison->disorder_told = true;
    struct buffer paths = {0};
    value_append_quoted(expected->path, &paths);
    buffer_append_text(&paths, " stands behind ");
    value_append_quoted(last->path, &paths);
    finding_add(comparison->findings, FINDING_DIFFERENCE, comparison->manifest_name,
                "the runs are not in order of start_time and run_id: %s", paths.bytes);
    buffer_free(&paths);
}

/* Does the path begin with a directory that can't be listed? Of what is below it nothing is known. */
static bool is_unseen(struct comparison *comparison, struct slice path)
{
    const char *slash = memchr(path.bytes, '/', path.length);
    if (!slash || comparison->source_fd < 0)
        return false;
    struct top_directory *directory;
    size_t length = (size_t)(slash - path.bytes);
    HASH_FIND(hh, comparison->directories, path.bytes, length, directory);
    if (!directory) {
        directory = memory_alloc_zeroed(1, sizeof(*directory));
        directory->name = memory_copy_text(path.bytes, length);
        CLEANUP_FD int fd = openat(comparison->source_fd, directory->name,
                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        directory->is_closed = fd < 0 && (errno == EACCES || errno == EPERM);
        HASH_ADD_KEYPTR(hh, comparison->directories, directory->name, length, directory);
    }
    return directory->is_closed;
}

/* What the manifest has of runs that can't be seen counts as expected. */
static void expect_unseen(struct comparison *comparison, const struct value *runs)
{
    struct value values[ENTRY_FIELD_COUNT];
    struct buffer path = {0}, framework = {0};
    struct json_reader reader;
    enum json_token token;
    json_reader_init(&reader, runs->raw);
    if (runs->token == JSON_ARRAY_BEGIN)
        json_next(&reader);
    while (runs->token == JSON_ARRAY_BEGIN && (token = json_next(&reader)) != JSON_ARRAY_END &&
           token != JSON_ERROR) {
        value_read_members(&reader, token, entry_field_names, ENTRY_FIELD_COUNT, values);
        if (find_run(comparison, values, &path) || !is_unseen(comparison, buffer_slice(&path)))
            continue;
        comparison->unseen_count++;
        buffer_clear(&framework);
        if (value_text(&values[ENTRY_FRAMEWORK], &framework))
            expect_framework(comparison, slice_copy(buffer_slice(&framework)));
    }
    json_reader_finish(&reader);
    buffer_free(&path);
    buffer_free(&framework);
}

static void compare_entry(struct comparison *comparison, const struct value *values, struct buffer *path)
{
    struct expected_run *expected = find_run(comparison, values, path);
    if (!expected && is_unseen(comparison, buffer_slice(path)))
        return;
    if (!expected) {
        struct slice named = path->length > 0 ? buffer_slice(path) : comparison->manifest_name;
        finding_add(comparison->findings, FINDING_DIFFERENCE, named, "%s",
                    path->length > 0 ? "in the manifest, but there is no such run"
                                     : "an entry of runs that names no run");
    } else if (expected->met) {
        tell_of_run(comparison, expected->run, "in the manifest more than once");
    } else {
        expected->met = true;
        compare_fields(comparison, expected->run, values);
        check_order(comparison, expected);
    }
}

static void compare_runs(struct comparison *comparison, const struct value *runs)
{
    if (runs->token != JSON_ARRAY_BEGIN) {
        tell_of_value(comparison, "runs", runs, "an array of the runs");
        return; /* to name each of them would say no more */
    }
    struct value values[ENTRY_FIELD_COUNT];
    struct buffer path = {0};
    struct json_reader reader;
    enum json_token token;
    json_reader_init(&reader, runs->raw);
    json_next(&reader);
    while ((token = json_next(&reader)) != JSON_ARRAY_END && token != JSON_ERROR) {
        value_read_members(&reader, token, entry_field_names, ENTRY_FIELD_COUNT, values);
        compare_entry(comparison, values, &path);
    }
    json_reader_finish(&reader);
    buffer_free(&path);
    for (struct expected_run *run = comparison->runs; run; run = run->hh.next)
        if (!run->met)
            tell_of_run(comparison, run->run, "not in the manifest");
}

/* ---- the members around them ---- */

static void compare_number(struct comparison *comparison, const char *subject, const struct value *stands,
                           size_t should)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%zu", should);
    if (!value_is(stands, slice_of(digits)))
        tell_of_value(comparison, subject, stands, digits);
}

static void compare_framework(struct comparison *comparison, struct slice name, const struct value *stands)
{
    struct expected_framework *framework;
    struct buffer subject = {0};
    HASH_FIND(hh, comparison->frameworks, name.bytes, name.length, framework);
    if (framework)
        framework->met = true;
    buffer_append_text(&subject, "frameworks, ");
    value_append_quoted(name, &subject);
    compare_number(comparison, subject.bytes, stands, framework ? framework->run_count : 0);
    buffer_free(&subject);
}

/* The order is that of the file itself, and so is always right. */
static void compare_frameworks(struct comparison *comparison, const struct value *frameworks)
{
    static const struct value missing = {JSON_END, {NULL, 0}};
    if (frameworks->token != JSON_OBJECT_BEGIN) {
        tell_of_value(comparison, "frameworks", frameworks, "an object of counts");
        return;
    }
    struct json_reader reader;
    struct buffer name = {0};
    json_reader_init(&reader, frameworks->raw);
    json_next(&reader);
    while (json_next(&reader) == JSON_MEMBER) {
        struct value value;
        buffer_clear(&name);
        buffer_append_slice(&name, reader.text);
        value.token = json_next(&reader);
        if (json_skip_value(&reader, value.token, &value.raw) != 0)
            break;
        compare_framework(comparison, buffer_slice(&name), &value);
    }
    json_reader_finish(&reader);
    buffer_free(&name);
    for (struct expected_framework *framework = comparison->frameworks; framework;
         framework = framework->hh.next)
        if (!framework->met)
            compare_framework(comparison, framework->name, &missing);
}

bool compare_manifest(struct index *index, int source_fd, const char *name, struct slice text,
                      struct finding_list *findings)
{
    struct comparison comparison = {
        .index = index, .source_fd = source_fd, .manifest_name = slice_of(name), .findings = findings};
    struct value top[TOP_COUNT];
    struct json_reader reader;
    json_reader_init(&reader, text);
    if (value_read_members(&reader, json_next(&reader), top_names, TOP_COUNT, top)) {
        expect_all(&comparison);
        expect_unseen(&comparison, &top[TOP_RUNS]);
        if (!value_is(&top[TOP_VERSION], SLICE_LITERAL("\"1.0\"")))
            tell_of_value(&comparison, "version", &top[TOP_VERSION], "\"1.0\"");
        if (top[TOP_LAST_UPDATED].token != JSON_STRING)
            tell_of_value(&comparison, "last_updated", &top[TOP_LAST_UPDATED], "a time");
        compare_number(&comparison, "total_runs", &top[TOP_TOTAL_RUNS],
                       index_count(index) + comparison.unseen_count);
        compare_frameworks(&comparison, &top[TOP_FRAMEWORKS]);
        compare_runs(&comparison, &top[TOP_RUNS]);
        free_all(&comparison);
    }
    json_reader_finish(&reader);
    return comparison.unseen_count == 0;
}
