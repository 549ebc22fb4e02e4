/*
 * `runs progress`: how many runs stood in each status at each commit, as a picture or as numbers.
 */
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/progress.h"
#include "core/cli/chart.h"
#include "core/cli/display.h"
#include "core/cli/git_source.h"
#include "core/cli/replace.h"
#include "core/git/counts.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of a chart where no terminal says how large it is. */
enum { TEXT_COLUMNS = 80, TEXT_ROWS = 24 };
/* The prompt has to stand below it. */
#define ROWS_LEFT 2

/* ---- numbers ---- */

/* A field by RFC 4180, without anything in it that steers a terminal. */
static void append_csv_text(struct buffer *out, struct slice text)
{
    struct buffer shown = {0};
    display_append(&shown, text);
    bool is_quoted = shown.length && strpbrk(shown.bytes, ",\"");
    if (!is_quoted)
        buffer_append_slice(out, buffer_slice(&shown));
    for (size_t i = 0; is_quoted && i < shown.length; i++) {
        buffer_append_text(out, i == 0 ? "\"" : "");
        buffer_append_byte(out, shown.bytes[i]);
        buffer_append_text(out, shown.bytes[i] == '"' ? "\"" : "");
    }
    buffer_append_text(out, is_quoted ? "\"" : "");
    buffer_free(&shown);
}

static void append_csv(struct buffer *out, const struct count_table *table)
{
    buffer_append_text(out, "commit,time");
    for (size_t i = 0; i < table->status_count; i++) {
        buffer_append_byte(out, ',');
        append_csv_text(out, table->statuses[i]);
    }
    buffer_append_byte(out, '\n');
    for (size_t i = 0; i < table->row_count; i++) {
        const struct count_row *row = &table->rows[i];
        char id[OBJECT_ID_DIGITS + 1], time_text[64] = "";
        struct tm utc;
        time_t seconds = (time_t)row->time_s;
        object_id_format(&row->commit, id);
        if (gmtime_r(&seconds, &utc))
            strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", &utc);
        buffer_append_format(out, "%s,%s", id, time_text);
        for (size_t status = 0; status < table->status_count; status++)
            buffer_append_format(out, ",%" PRIu32, count_of(table, row, status));
        buffer_append_byte(out, '\n');
    }
}

/* ---- pictures in files ---- */

/* What is no regular file (a pipe, /dev/null) is written to; nothing is put in its place. */
static int write_into(const char *path, struct slice content)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? -errno : file_write_all(fd, content);
}

/* Replaces the file at path, or where it is a link the one that it leads to. */
static int replace_at(const char *path, struct slice content)
{
    char real[PATH_MAX];
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return -EISDIR;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return write_into(path, content);
    struct buffer directory = {0};
    const char *target = realpath(path, real) ? real : path;
    const char *slash = strrchr(target, '/');
    const char *name = slash ? slash + 1 : target;
    buffer_append_text(&directory, slash ? "" : ".");
    buffer_append(&directory, target, slash ? (size_t)(slash + 1 - target) : 0);
    CLEANUP_FD int fd = open(directory.bytes, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? -errno : *name ? replace_file(fd, name, content) : -EISDIR;
    buffer_free(&directory);
    return error;
}

static enum cli_status write_picture(const char *path, const struct buffer *picture)
{
    if (strcmp(path, "-") == 0)
        return cli_print(picture);
    int error = replace_at(path, buffer_slice(picture));
    if (error == 0)
        return CLI_OK;
    cli_error("%s: can't be written (%s); give a file in a directory that you may write to", path,
              strerrordesc_np(-error));
    return CLI_ERROR;
}

static enum cli_status draw(const struct count_table *table, const struct cli_options *options)
{
    unsigned columns = cli_terminal_width(), rows = cli_terminal_height();
    const char *path = options->svg_file ? options->svg_file : options->png_file;
    struct chart chart = {
        .form = options->svg_file   ? CHART_SVG
                : options->png_file ? CHART_PNG
                                    : CHART_TEXT,
        .columns = columns ? columns : TEXT_COLUMNS,
        .rows = rows > ROWS_LEFT ? rows - ROWS_LEFT : TEXT_ROWS,
        .has_color = cli_wants_color(),
        .table = table,
    };
    struct buffer picture = {0};
    enum cli_status status = chart_draw(&chart, &picture);
    if (status == CLI_OK)
        status = path ? write_picture(path, &picture) : cli_print(&picture);
    buffer_free(&picture);
    return status;
}

/* ---- the command ---- */

static void show_counting(size_t done, size_t total, void *context)
{
    progress_update(context, done, total);
}

static enum cli_status count_and_show(const struct git_source *source, const struct cli_options *options)
{
    struct count_table *table;
    struct progress progress;
    progress_begin(&progress, "commits");
    int error = count_history(source->deriver, show_counting, &progress, &table);
    progress_end(&progress);
    if (error)
        return git_source_fail(source);
    enum cli_status status = CLI_FINDING;
    if (table->row_count == 0) {
        cli_error("%s: no commit has touched the runs yet; there is nothing to show", source->path);
    } else if (options->set & CLI_OPTION_CSV) {
        struct buffer out = {0};
        append_csv(&out, table);
        status = cli_print(&out);
        buffer_free(&out);
    } else {
        status = draw(table, options);
    }
    count_table_free(table);
    return status;
}

static enum cli_status run_progress(const struct cli_options *options)
{
    struct git_source source;
    unsigned forms = options->set & (CLI_OPTION_CSV | CLI_OPTION_SVG | CLI_OPTION_PNG);
    if (forms & (forms - 1)) {
        cli_error("--csv, --svg and --png: give one of them at a time");
        return CLI_ERROR;
    }
    if (options->png_file && strcmp(options->png_file, "-") == 0 && isatty(STDOUT_FILENO)) {
        cli_error("--png -: a terminal shows no PNG; give a file, or send the output to one");
        return CLI_ERROR;
    }
    if (git_source_open(options->directory, &source) != CLI_OK)
        return CLI_ERROR;
    enum cli_status status = count_and_show(&source, options);
    git_source_close(&source);
    return status;
}

const struct command command_progress = {
    .name = "progress",
    .summary = "how many runs stood in each status over Git's history: a chart, or --csv, --svg, --png",
    .help =
        "usage: runs progress [-C DIR] [--csv | --svg FILE | --png FILE]\n"
        "\n"
        "Shows how many runs stood in each status at each commit in the history of HEAD that touched the\n"
        "source: as stacked areas, in the terminal or in a file, or as numbers. gnuplot draws; the numbers\n"
        "need nothing.\n"
        "\n"
        "    runs progress                          in the terminal\n"
        "    runs progress --svg progress.svg       as a picture; - for standard output\n"
        "    runs progress --png progress.png\n"
        "    runs progress --csv                    commit,time,verified,pending,failed,...\n"
        "\n"
        "The picture has the commits from HEAD on by first parents, the numbers have all. Exit status: 0;\n"
        "1 where no commit touched the source; 2 for an error.\n",
    .accepts = CLI_OPTION_CSV | CLI_OPTION_SVG | CLI_OPTION_PNG,
    .run = run_progress,
};
