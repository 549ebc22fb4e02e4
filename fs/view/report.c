/*
 * What the files in `.runsfs/` say: see report.h. Each is made whole for one look.
 */
#include "fs/view/report.h"
#include "core/json/writer.h"
#include "core/manifest/render.h"
#include "core/query/query.h"
#include "fs/counters.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- status.json ---- */

static void append_name(struct buffer *text, const char *name)
{
    struct buffer readable = {0};
    utf8_append_file_name(&readable, slice_of(name));
    json_append_string(text, buffer_slice(&readable));
    buffer_free(&readable);
}

static void append_source(struct fs *fs, struct buffer *text)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", source_root_fd(fs->source));
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    path[length < 0 ? 0 : length] = '\0';
    buffer_append_text(text, "  \"source\": ");
    append_name(text, path);
    buffer_append_text(text, ",\n");
}

/* "name": runs, for every value of every view. The keeper's lock is held. */
static void append_views(struct index *index, struct buffer *text)
{
    buffer_append_text(text, "  \"views\": {");
    for (unsigned facet = 0; facet < facet_count(index); facet++) {
        if (!facet_directory(index, facet))
            continue;
        buffer_append_text(text, facet ? ",\n    " : "\n    ");
        append_name(text, facet_directory(index, facet));
        buffer_append_text(text, ": {");
        uint64_t sequence = 0;
        const char *separator = "";
        for (struct facet_value *value; (value = facet_next(index, facet, sequence, &sequence));) {
            buffer_append_format(text, "%s\n      ", separator);
            append_name(text, facet_value_name(value));
            buffer_append_format(text, ": %zu", facet_value_runs(value));
            separator = ",";
        }
        buffer_append_text(text, *separator ? "\n    }" : "}");
    }
    buffer_append_text(text, "\n  },\n");
}

static void append_time(struct buffer *text, struct timespec at)
{
    if (!at.tv_sec) {
        buffer_append_text(text, "null");
        return;
    }
    buffer_append_byte(text, '"');
    render_time(text, at);
    buffer_append_byte(text, '"');
}

static void append_manifest(struct fs *fs, const struct keeper_report *report, struct buffer *text)
{
    buffer_append_text(text, "  \"manifest\": {\n    \"name\": ");
    append_name(text, keeper_manifest_name(fs->keeper));
    buffer_append_text(text, ",\n    \"last_write\": ");
    append_time(text, report->written_at);
    buffer_append_format(text, ",\n    \"bytes\": %llu\n  },\n", (unsigned long long)report->written_bytes);
}

void report_status(struct fs *fs, struct buffer *text)
{
    struct keeper_report report;
    keeper_report(fs->keeper, &report);
    pthread_mutex_lock(&fs->nodes.lock);
    unsigned open_files = fs->nodes.handles.count;
    pthread_mutex_unlock(&fs->nodes.lock);
    buffer_append_text(text, "{\n  \"version\": \"" RUNSFS_VERSION "\",\n");
    append_source(fs, text);
    buffer_append_text(text, "  \"mounted_at\": ");
    append_time(text, fs->mounted_at);
    buffer_append_text(text, ",\n");
    struct index *index = keeper_lock(fs->keeper);
    buffer_append_format(text, "  \"runs\": %zu,\n  \"generation\": %llu,\n", index_count(index),
                         (unsigned long long)index_generation(index));
    append_views(index, text);
    keeper_unlock(fs->keeper);
    append_manifest(fs, &report, text);
    struct watch *watch = keeper_watch(fs->keeper);
    buffer_append_format(text, "  \"watch\": {\n    \"kind\": \"%s\",\n    \"directories\": %zu,\n",
                         watch_backend_name(watch_backend_in_use(watch)), watch_count(watch));
    buffer_append_format(text, "    \"polled\": %zu\n  },\n", report.polled);
    buffer_append_format(text,
                         "  \"caches\": {\n    \"runs_from_index_cache\": %zu,\n    \"nodes\": %zu,\n"
                         "    \"open_files\": %u\n  },\n",
                         report.recalled, nodes_count(&fs->nodes), open_files);
    buffer_append_text(text, "  \"requests\": {\n");
    counters_render(fs, text);
    buffer_append_text(text, "  }\n}\n");
}

/* ---- errors ---- */

void report_append_printable(struct buffer *text, struct slice shown)
{
    while (shown.length > 0) {
        uint32_t code_point;
        size_t size = utf8_decode(shown, false, &code_point);
        bool is_control = code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
        if (size > 0 && !is_control)
            buffer_append(text, shown.bytes, size);
        else
            buffer_append_format(text, "\\x%02x", (unsigned char)shown.bytes[0]);
        size = size > 0 && !is_control ? size : 1;
        shown.bytes += size;
        shown.length -= size;
    }
}

struct fault_report {
    const struct run_plan *plan;
    struct buffer *text;
};

static int append_faults(struct run *run, void *context)
{
    struct fault_report *report = context;
    struct buffer *text = report->text, path = {0};
    for (size_t file = 0; run->faults && file < report->plan->file_count; file++) {
        char reason[200];
        if (!run->faults[file].reason)
            continue;
        run_fault_describe(&run->faults[file], reason, sizeof(reason));
        buffer_clear(&path);
        run_append_path(run, &path);
        report_append_printable(text, buffer_slice(&path));
        buffer_append_format(text, "/%s: %s\n", report->plan->files[file].name, reason);
    }
    buffer_free(&path);
    return 0;
}

/* What is wrong in runsfs.json as it stands there now; the last good one is in force then. */
static void append_config_faults(struct fs *fs, struct buffer *text)
{
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    struct config *config = NULL;
    size_t count = 0;
    char line[sizeof(faults->reason) + 64];
    if (config_load(source_root_fd(fs->source), &config, faults, &count) == 0) {
        config_unref(config);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        config_fault_describe(&faults[i], line, sizeof(line));
        report_append_printable(text, slice_of(line));
        buffer_append_byte(text, '\n');
    }
}

void report_errors(struct fs *fs, struct buffer *text)
{
    append_config_faults(fs, text);
    struct index *index = keeper_lock(fs->keeper);
    index_each(index, append_faults, &(struct fault_report){keeper_plan(fs->keeper), text});
    keeper_unlock(fs->keeper);
    refused_render(fs, text);
}

/* ---- find/ ---- */

/* The texts of a run lie anywhere: those of the runs to come are asked for in time. */
#define PREFETCH_AHEAD 8

static void prefetch(const struct run *run)
{
    __builtin_prefetch(run->name.bytes);
    __builtin_prefetch(run->fields.start_time.bytes);
    __builtin_prefetch(run->fields.end_time.bytes);
}

int report_find(struct fs *fs, const char *name, struct buffer *text)
{
    struct query *query;
    struct query_error error;
    struct index *index = keeper_lock(fs->keeper);
    int result = query_parse(keeper_fields(fs->keeper), slice_of(name), &query, &error);
    if (result == 0) {
        struct run **runs;
        size_t count = query_evaluate(query, index, NULL, &runs);
        buffer_append_byte(text, '[');
        for (size_t i = 0; i < count; i++) {
            size_t start = text->length;
            if (i + PREFETCH_AHEAD < count)
                prefetch(runs[i + PREFETCH_AHEAD]);
            render_entry(text, runs[i]);
            if (i == 0) /* the comma that stands before every entry */
                text->bytes[start] = ' ';
        }
        buffer_append_text(text, "\n]\n");
        free(runs);
        query_free(query);
    }
    keeper_unlock(fs->keeper);
    if (result != 0) {
        char path[300];
        snprintf(path, sizeof(path), ".runsfs/find/%s", name);
        refused_add(fs, path, error.reason);
    }
    return result;
}
