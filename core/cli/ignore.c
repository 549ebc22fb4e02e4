/*
 * The block and its place: see ignore.h.
 *
 * Git takes the last pattern that matches, and does not look into a directory that is ignored. So every level
 * from the source to a run is ignored as a whole, its directories are taken back, and in the last one the
 * tracked files; after which directories, whatever they are called, are ignored once more.
 */
#include "core/cli/ignore.h"
#include <errno.h>
#include <string.h>

static const struct slice first_line =
    SLICE_CONSTANT("# >>> runsfs: of runs, Git takes their small files alone (made by `runs init`)");
static const struct slice last_line = SLICE_CONSTANT("# <<< runsfs");
/* By this much of them they are known again, should the wording change. */
static const struct slice first_mark = SLICE_CONSTANT("# >>> runsfs"),
                          last_mark = SLICE_CONSTANT("# <<< runsfs");

static void append_line(struct buffer *out, struct slice line)
{
    buffer_append_slice(out, line);
    buffer_append_byte(out, '\n');
}

/* The name of just one file, in a pattern. */
static void append_literal(struct buffer *out, const char *name)
{
    for (; *name; name++) {
        if (strchr("*?[\\ ", *name))
            buffer_append_byte(out, '\\');
        buffer_append_byte(out, *name);
    }
}

static void append_file(struct buffer *out, const char *name)
{
    buffer_append_text(out, "!/");
    append_literal(out, name);
    buffer_append_byte(out, '\n');
}

/* A glob of the configuration means the same to Git, but for blanks at its end, and for asterisks alone of
 * which there are several. */
static void append_glob(struct buffer *out, const char *glob)
{
    if (strspn(glob, "*") == strlen(glob))
        glob = "*";
    for (; *glob; glob++) {
        if (*glob == ' ')
            buffer_append_byte(out, '\\');
        else if (*glob == '\\' && glob[1])
            buffer_append_byte(out, *glob++);
        buffer_append_byte(out, *glob);
    }
}

/* Appends the first `depth` names of a layout, each after a slash. */
static void append_level(struct buffer *out, const struct config_layout *layout, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        buffer_append_byte(out, '/');
        append_glob(out, layout->components[i]);
    }
}

/* One pattern: `before`, a level, `after`. */
static void append_pattern(struct buffer *out, const char *before, const struct config_layout *layout,
                           size_t depth, const char *after)
{
    buffer_append_text(out, before);
    append_level(out, layout, depth);
    buffer_append_format(out, "%s\n", after);
}

/* Every level down to the runs: its directories taken back, what is in them ignored. Where there are several
 * layouts, level by level: what one takes back another must not ignore. */
static void append_levels(struct buffer *out, const struct config *config)
{
    for (size_t depth = 1; depth <= config_greatest_depth(config); depth++) {
        for (size_t i = 0; i < config->layout_count; i++)
            if (config->layouts[i].depth >= depth)
                append_pattern(out, "!", &config->layouts[i], depth, "/");
        for (size_t i = 0; i < config->layout_count; i++)
            if (config->layouts[i].depth >= depth)
                append_pattern(out, "", &config->layouts[i], depth, "/*");
    }
}

/* The tracked patterns in the runs of a layout; no wildcard stands for a leading dot. */
static void append_tracked(struct buffer *out, const struct config *config,
                           const struct config_layout *layout)
{
    for (int with_dot = 0; with_dot < 2; with_dot++) {
        for (size_t i = 0; i < config->tracked_count; i++) {
            if ((config->tracked[i][0] == '.') != (with_dot == 1))
                continue;
            buffer_append_byte(out, '!');
            append_level(out, layout, layout->depth);
            buffer_append_byte(out, '/');
            append_glob(out, config->tracked[i]);
            buffer_append_byte(out, '\n');
        }
        if (with_dot == 0)
            append_pattern(out, "", layout, layout->depth, "/.*");
    }
}

/* Directories in runs are ignored, whatever they are called, but for those that lead to deeper runs. */
static void append_directories(struct buffer *out, const struct config *config)
{
    for (size_t i = 0; i < config->layout_count; i++)
        append_pattern(out, "", &config->layouts[i], config->layouts[i].depth, "/*/");
    for (size_t i = 0; config->layout_count > 1 && i < config->layout_count; i++)
        for (size_t depth = 1; depth <= config->layouts[i].depth; depth++)
            append_pattern(out, "!", &config->layouts[i], depth, "/");
}

void ignore_append_block(struct buffer *out, const struct config *config, const char *manifest_name)
{
    append_line(out, first_line);
    append_line(out,
                SLICE_LITERAL("# Write lines of your own outside of this block; behind it they outrank it."));
    buffer_append_text(out, "/*\n");
    append_file(out, ".gitignore");
    append_file(out, manifest_name);
    append_file(out, CONFIG_FILE_NAME);
    append_levels(out, config);
    for (size_t i = 0; i < config->layout_count; i++)
        append_tracked(out, config, &config->layouts[i]);
    append_directories(out, config);
    append_line(out, last_line);
}

/* Takes the next line off rest: without its end, which may be CR LF. */
static bool next_line(struct slice *rest, struct slice *line, struct slice *whole)
{
    if (rest->length == 0)
        return false;
    const char *end = memchr(rest->bytes, '\n', rest->length);
    size_t length = end ? (size_t)(end - rest->bytes) : rest->length;
    *line = (struct slice){rest->bytes, length};
    *whole = (struct slice){rest->bytes, length + (end ? 1 : 0)};
    if (line->length > 0 && line->bytes[line->length - 1] == '\r')
        line->length--;
    rest->bytes += whole->length;
    rest->length -= whole->length;
    return true;
}

static bool begins_with(struct slice line, struct slice mark)
{
    return line.length >= mark.length && memcmp(line.bytes, mark.bytes, mark.length) == 0;
}

int ignore_put_block(struct slice content, struct slice block, struct buffer *out, unsigned *line_number)
{
    struct slice rest = content, line, whole;
    unsigned number = 0, begun = 0;
    bool is_put = false;
    while (next_line(&rest, &line, &whole)) {
        number++;
        if (begun == 0 && begins_with(line, first_mark)) {
            begun = number;
        } else if (begun == 0) {
            buffer_append_slice(out, whole);
        } else if (begins_with(line, last_mark)) {
            begun = 0;
            if (!is_put)
                buffer_append_slice(out, block);
            is_put = true;
        }
    }
    if (begun != 0) {
        *line_number = begun;
        return -EBADMSG;
    }
    if (is_put)
        return slice_equal(buffer_slice(out), content) ? IGNORE_SAME : IGNORE_UPDATED;
    if (out->length > 0 && out->bytes[out->length - 1] != '\n')
        buffer_append_byte(out, '\n');
    buffer_append_slice(out, block);
    return IGNORE_ADDED;
}

bool ignore_has_block(struct slice content)
{
    struct slice rest = content, line, whole;
    while (next_line(&rest, &line, &whole))
        if (begins_with(line, first_mark))
            return true;
    return false;
}

/* A blank at the end counts only behind a backslash. */
static struct slice trimmed(struct slice pattern)
{
    while (pattern.length > 0 && pattern.bytes[pattern.length - 1] == ' ' &&
           !(pattern.length > 1 && pattern.bytes[pattern.length - 2] == '\\'))
        pattern.length--;
    return pattern;
}

void ignore_each_pattern(struct slice content, bool behind_block,
                         void (*visit)(struct slice pattern, unsigned line, void *context), void *context)
{
    struct slice rest = content, line, whole;
    unsigned number = 0;
    bool is_behind = !behind_block;
    while (next_line(&rest, &line, &whole)) {
        number++;
        is_behind |= begins_with(line, last_mark);
        line = trimmed(line);
        if (is_behind && line.length > 0 && line.bytes[0] != '#')
            visit(line, number, context);
    }
}
