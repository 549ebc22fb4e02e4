/*
 * `runs show RUN`: all that is known of one run: the fields of its entry, the configuration's own, what
 * somebody added to the entry, what could not be read, and its tracked files.
 */
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/display.h"
#include "core/cli/entry.h"
#include "core/query/moment.h"
#include "core/cli/pick.h"
#include "core/cli/show_difference.h"
#include "core/cli/tree.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the tracked files ---- */

struct tracked_file {
    char *name;
    uint64_t size_bytes;
    bool is_link;
};

struct tracked_list {
    struct tracked_file *files;
    size_t count, capacity;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tracked_file *)a)->name, ((const struct tracked_file *)b)->name);
}

static void tracked_add(struct tracked_list *list, int directory_fd, const char *name)
{
    struct stat info;
    if (fstatat(directory_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !(S_ISREG(info.st_mode) || S_ISLNK(info.st_mode)))
        return;
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 8;
        list->files = memory_resize(list->files, list->capacity * sizeof(*list->files));
    }
    list->files[list->count++] = (struct tracked_file){memory_copy_text(name, strlen(name)),
                                                       (uint64_t)info.st_size, S_ISLNK(info.st_mode)};
}

/* Those of the run directory at path, by name. 0 or -errno. */
static int tracked_read(int source_fd, const char *path, const struct config *config,
                        struct tracked_list *list)
{
    int fd = tree_open(source_fd, path, true);
    if (fd < 0)
        return fd;
    DIR *directory = fdopendir(fd);
    if (!directory) {
        close(fd);
        return -ENOMEM;
    }
    for (struct dirent *entry; (entry = readdir(directory));)
        if (config_is_tracked(config, entry->d_name))
            tracked_add(list, fd, entry->d_name);
    closedir(directory);
    if (list->count > 1)
        qsort(list->files, list->count, sizeof(*list->files), by_name);
    return 0;
}

static void tracked_free(struct tracked_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->files[i].name);
    free(list->files);
}

/* ---- for people ---- */

#define LABEL_WIDTH 21

static void append_label(struct buffer *out, struct slice label)
{
    unsigned width = display_width(label);
    display_append(out, label);
    buffer_append_format(out, "%*s", width < LABEL_WIDTH ? (int)(LABEL_WIDTH - width) : 1, "");
}

static void append_text(struct buffer *out, const char *label, struct slice text)
{
    append_label(out, slice_of(label));
    display_append(out, text.bytes ? text : SLICE_LITERAL("-"));
    buffer_append_byte(out, '\n');
}

static void append_count(struct buffer *out, const char *label, uint64_t count)
{
    append_label(out, slice_of(label));
    buffer_append_format(out, "%" PRIu64, count);
    if (count >= 1000) {
        buffer_append_text(out, " (");
        display_append_count(out, count);
        buffer_append_byte(out, ')');
    }
    buffer_append_byte(out, '\n');
}

static void append_duration(struct buffer *out, const struct run_fields *fields)
{
    int64_t start, end;
    if (moment_parse(fields->start_time, &start) != 0 || moment_parse(fields->end_time, &end) != 0)
        return;
    append_label(out, SLICE_LITERAL("duration"));
    display_append_duration(out, moment_seconds(end - start));
    buffer_append_byte(out, '\n');
}

/* What somebody added to the entry: each member's value as it is spelled. */
static void append_added(struct buffer *out, struct slice extras)
{
    struct json_reader reader;
    struct slice raw;
    struct buffer object = {0}, label = {0};
    buffer_append_format(&object, "{%.*s}", (int)extras.length, extras.bytes ? extras.bytes : "");
    json_reader_init(&reader, buffer_slice(&object));
    json_next(&reader);
    while (json_next(&reader) == JSON_MEMBER) {
        buffer_clear(&label);
        buffer_append_slice(&label, reader.text);
        if (json_skip_next(&reader, &raw) != 0)
            break;
        append_label(out, buffer_slice(&label));
        display_append(out, raw);
        buffer_append_byte(out, '\n');
    }
    json_reader_finish(&reader);
    buffer_free(&label);
    buffer_free(&object);
}

/* The configuration's own fields, as queries have them. */
static void append_own(struct buffer *out, const struct field_set *fields, const struct run *run)
{
    struct buffer scratch = {0};
    for (size_t i = 0; i < fields->count; i++)
        if (fields->fields[i].kind == FIELD_OWN)
            append_text(out, fields->fields[i].name,
                        field_value_of(&fields->fields[i], run, true, &scratch).text);
    buffer_free(&scratch);
}

static void append_faults(struct buffer *out, const struct run_plan *plan, const struct run *run)
{
    for (size_t file = 0; run->faults && file < plan->file_count; file++) {
        char reason[200];
        if (!run->faults[file].reason)
            continue;
        run_fault_describe(&run->faults[file], reason, sizeof(reason));
        append_label(out, slice_of(plan->files[file].name));
        buffer_append_format(out, "can't be read: %s%s\n", reason,
                             run->has_good ? "; the fields are the last good ones" : "");
    }
}

static void append_files(struct buffer *out, const struct tracked_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct buffer size = {0};
        if (list->files[i].is_link)
            buffer_append_text(&size, "link");
        else
            display_append_size(&size, list->files[i].size_bytes);
        append_label(out, i == 0 ? SLICE_LITERAL("tracked files") : SLICE_LITERAL(""));
        buffer_append_format(out, "%8s  ", size.bytes);
        display_append(out, slice_of(list->files[i].name));
        buffer_append_byte(out, '\n');
        buffer_free(&size);
    }
}

static void append_lines(struct buffer *out, const struct run_plan *plan, const struct field_set *fields,
                         const struct run *run, const struct tracked_list *list)
{
    struct buffer path = {0};
    entry_append_path(&path, run);
    append_text(out, "run_id", run->name);
    append_text(out, "framework", run_framework(run));
    append_text(out, "path", buffer_slice(&path));
    append_text(out, "start_time", run->fields.start_time);
    append_text(out, "end_time", run->fields.end_time);
    append_duration(out, &run->fields);
    append_text(out, "verification_status", run->fields.status);
    append_count(out, "total_tokens_in", run->fields.tokens_in);
    append_count(out, "total_tokens_out", run->fields.tokens_out);
    append_own(out, fields, run);
    append_added(out, run_extras(run));
    append_faults(out, plan, run);
    append_files(out, list);
    buffer_free(&path);
}

/* ---- for programs ---- */

static void append_json_faults(struct buffer *out, const struct run_plan *plan, const struct run *run)
{
    const char *before = "\n    ";
    buffer_append_text(out, "[");
    for (size_t file = 0; run->faults && file < plan->file_count; file++) {
        char reason[200];
        if (!run->faults[file].reason)
            continue;
        run_fault_describe(&run->faults[file], reason, sizeof(reason));
        buffer_append_format(out, "%s{\"file\": ", before);
        json_append_string(out, slice_of(plan->files[file].name));
        buffer_append_text(out, ", \"reason\": ");
        json_append_string(out, slice_of(reason));
        buffer_append_byte(out, '}');
        before = ",\n    ";
    }
    buffer_append_text(out, before[0] == ',' ? "\n  ]" : "]");
}

/* A number as it is spelled in the run's file, anything else as a string; null for what is absent. */
static void append_json_own(struct buffer *out, const struct field_set *fields, const struct run *run)
{
    const char *before = "\n    ";
    struct buffer scratch = {0};
    buffer_append_text(out, "{");
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->fields[i];
        if (field->kind != FIELD_OWN)
            continue;
        struct slice text = field_value_of(field, run, true, &scratch).text;
        buffer_append_format(out, "%s\"%s\": ", before, field->name);
        if (!text.bytes)
            buffer_append_text(out, "null");
        else if (field->type == FIELD_NUMBER)
            buffer_append_slice(out, text);
        else
            json_append_string(out, text);
        before = ",\n    ";
    }
    buffer_append_text(out, before[0] == ',' ? "\n  }" : "}");
    buffer_free(&scratch);
}

static void append_json_files(struct buffer *out, const struct tracked_list *list)
{
    buffer_append_text(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        struct buffer name = {0};
        utf8_append_file_name(&name, slice_of(list->files[i].name));
        buffer_append_text(out, i == 0 ? "\n    {\"name\": " : ",\n    {\"name\": ");
        json_append_string(out, buffer_slice(&name));
        buffer_append_format(out, ", \"size_bytes\": %" PRIu64 "}", list->files[i].size_bytes);
        buffer_free(&name);
    }
    buffer_append_text(out, list->count > 0 ? "\n  ]" : "]");
}

static void append_json(struct buffer *out, const struct run_plan *plan, const struct field_set *fields,
                        const struct run *run, const struct tracked_list *list)
{
    struct buffer added = {0};
    entry_append(out, run, 0);
    out->length -= strlen("\n}"); /* goes on */
    buffer_append_format(&added, "{%.*s}", (int)run_extras(run).length,
                         run_extras(run).bytes ? run_extras(run).bytes : "");
    buffer_append_text(out, ",\n  \"fields\": ");
    append_json_own(out, fields, run);
    buffer_append_text(out, ",\n  \"added\": ");
    json_append_value(out, buffer_slice(&added), 1);
    buffer_append_text(out, ",\n  \"faults\": ");
    append_json_faults(out, plan, run);
    buffer_append_text(out, ",\n  \"files\": ");
    append_json_files(out, list);
    buffer_append_text(out, "\n}\n");
    buffer_free(&added);
}

static enum cli_status show(struct keeper *keeper, const struct config *config,
                            const struct cli_options *options)
{
    struct run *run;
    struct buffer out = {0}, path = {0};
    struct tracked_list list = {0};
    enum cli_status status = pick_run(keeper_lock(keeper), options->arguments[0], &run);
    if (status == CLI_OK) {
        entry_append_path(&path, run);
        int error = tracked_read(source_root_fd(keeper_source(keeper)), path.bytes, config, &list);
        if (error) {
            cli_error("%s: can't be listed (%s); look at its permissions", path.bytes,
                      strerrordesc_np(-error));
            status = CLI_ERROR;
        }
    }
    if (status == CLI_OK && (options->set & CLI_OPTION_JSON))
        append_json(&out, keeper_plan(keeper), keeper_fields(keeper), run, &list);
    else if (status == CLI_OK)
        append_lines(&out, keeper_plan(keeper), keeper_fields(keeper), run, &list);
    keeper_unlock(keeper);
    if (status == CLI_OK)
        status = cli_print(&out);
    tracked_free(&list);
    buffer_free(&path);
    buffer_free(&out);
    return status;
}

static enum cli_status run_show(const struct cli_options *options)
{
    if (options->set & CLI_OPTION_DIFF)
        return show_difference(options);
    enum cli_status status = CLI_ERROR;
    char *source_path = find_source(options->directory);
    struct keeper *keeper = source_path ? open_source(source_path, true, false) : NULL;
    struct config *config = keeper ? open_config(source_root_fd(keeper_source(keeper)), source_path) : NULL;
    if (config)
        status = show(keeper, config, options);
    config_unref(config);
    if (keeper)
        keeper_close(keeper);
    free(source_path);
    return status;
}

const struct command command_show = {
    .name = "show",
    .summary = "one run: its fields, its tracked files, what can't be read",
    .help = "usage: runs show [-C DIR] [--json | --diff REV] RUN\n"
            "\n"
            "Shows all that is known of one run. RUN is a run id or as much of its beginning as tells it "
            "from the\n"
            "others; with FRAMEWORK/ before it, from the others of that framework.\n"
            "\n"
            "    runs show 0a1b2c                       the run whose id begins so\n"
            "    runs show chatdev/0a                   the one of chatdev whose id begins so\n"
            "    runs show --json 0a1b | jq .total_tokens_in\n"
            "    runs list --paths | fzf --preview 'runs show {}'\n"
            "    runs show 0a1b --diff HEAD~1           what changed in its tracked files since a revision\n"
            "    runs show 0a1b --diff 2025-10-16       or since the end of a day, as git diff prints it\n"
            "\n"
            "Exit status: 0; 1 where there is no such run, and with --diff where nothing changed; 2 where\n"
            "there are several runs, and for an error.\n",
    .accepts = CLI_OPTION_JSON | CLI_OPTION_DIFF,
    .argument = CLI_ARGUMENT_RUN,
    .run = run_show,
};
