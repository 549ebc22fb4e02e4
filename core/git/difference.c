/*
 * Differences of a run's tracked files: see difference.h. What a file's header says is put together here, as
 * git-diff(1) does it by default; libgit2 has the hunks.
 */
#include "core/git/difference.h"
#include "core/base/memory.h"
#include "core/git/abbreviate.h"
#include "core/git/repository_internal.h"
#include "core/run/load.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Git takes larger ones for binary; here they are refused. */
#define FILE_BYTES_AT_MOST (512ull << 20)
/* A file is binary where a NUL is among so many first bytes. */
#define BINARY_SEARCH_BYTES 8000

/* One state of a file. */
struct side {
    mode_t mode; /* 0: it is not there */
    struct object_id id;
    struct buffer content; /* read where it is needed */
};

struct name_list {
    char **names;
    size_t count, capacity;
};

struct difference {
    struct repository *repository;
    const struct config *config;
    struct tree *old_tree; /* of the run */
    int run_fd;
    bool ignores_mode, quotes_all;
    size_t digits;
    const char *directory; /* the run's, from the repository's top, with "/" at its end */
    difference_writer *write;
    void *context;
    struct buffer names_line; /* "--- a/x\n+++ b/x\n", until the first hunk was written */
    bool is_any;
};

/* ---- the names of the files ---- */

static void add_name(struct name_list *list, const char *name)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->names = memory_resize(list->names, list->capacity * sizeof(*list->names));
    }
    list->names[list->count++] = memory_copy_text(name, strlen(name));
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every name that is tracked on either side; one that is on both comes twice. */
static int read_names(const struct difference *difference, struct name_list *list)
{
    for (size_t i = 0; i < difference->old_tree->count; i++) {
        const struct tree_entry *entry = &difference->old_tree->entries[i];
        if (!S_ISDIR(entry->mode) && config_is_tracked(difference->config, entry->name))
            add_name(list, entry->name);
    }
    int fd =
        difference->run_fd < 0 ? -1 : openat(difference->run_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (difference->run_fd >= 0 && !directory)
        return repository_fail(-errno, "%s: %s", difference->directory, strerrordesc_np(errno));
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (config_is_tracked(difference->config, entry->d_name))
            add_name(list, entry->d_name);
    if (directory)
        closedir(directory);
    if (list->count > 1)
        qsort(list->names, list->count, sizeof(*list->names), by_bytes);
    return 0;
}

static void free_names(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
}

/* ---- the two sides ---- */

static void find_old(const struct difference *difference, const char *name, struct side *side)
{
    const struct tree_entry *entry = tree_find(difference->old_tree, name);
    *side = (struct side){0};
    if (entry && !S_ISDIR(entry->mode)) {
        side->mode = entry->mode;
        side->id = entry->id;
    }
}

static int read_link(const struct difference *difference, const char *name, struct buffer *content)
{
    char target[4096];
    ssize_t length = readlinkat(difference->run_fd, name, target, sizeof(target));
    if (length < 0)
        return -errno;
    buffer_append(content, target, (size_t)length);
    return 0;
}

/* What is neither a regular file nor a link is not there for Git. */
static int find_new(const struct difference *difference, const char *name, const struct side *old_side,
                    struct side *side)
{
    struct stat info;
    git_oid oid;
    *side = (struct side){0};
    if (difference->run_fd < 0)
        return 0;
    int error = fstatat(difference->run_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    if (error == -ENOENT || (error == 0 && !S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)))
        return 0;
    if (error == 0)
        error = S_ISLNK(info.st_mode)
                    ? read_link(difference, name, &side->content)
                    : file_read_bounded(difference->run_fd, name, FILE_BYTES_AT_MOST, &side->content, NULL);
    if (error)
        return repository_fail(error, "%s%s: %s", difference->directory, name, strerrordesc_np(-error));
    if (S_ISLNK(info.st_mode))
        side->mode = S_IFLNK | 0777;
    else if (difference->ignores_mode && S_ISREG(old_side->mode))
        side->mode = old_side->mode;
    else
        side->mode = S_IFREG | (info.st_mode & S_IXUSR && !difference->ignores_mode ? 0755 : 0644);
    git_odb_hash(&oid, buffer_slice(&side->content).bytes, side->content.length, GIT_OBJECT_BLOB);
    side->id = id_of(&oid);
    return 0;
}

/* ---- headers ---- */

/* As Git numbers modes: of a link just what it is. */
static unsigned git_mode(mode_t mode)
{
    return S_ISLNK(mode) ? S_IFLNK : (unsigned)mode;
}

static bool needs_escape(unsigned char byte, bool quotes_all)
{
    return byte < ' ' || byte == '"' || byte == '\\' || byte == 0x7f || (byte >= 0x80 && quotes_all);
}

/* A path behind "a/" or "b/", in quotes where Git puts it into them. */
static void append_path(struct buffer *out, const struct difference *difference, const char *side,
                        const char *name)
{
    static const char letters[] = "abtnvfr";
    struct buffer path = {0};
    bool is_quoted = false;
    buffer_append_format(&path, "%s%s%s", side, difference->directory, name);
    for (size_t i = 0; i < path.length && !is_quoted; i++)
        is_quoted = needs_escape((unsigned char)path.bytes[i], difference->quotes_all);
    if (is_quoted)
        buffer_append_byte(out, '"');
    for (size_t i = 0; i < path.length; i++) {
        unsigned char byte = (unsigned char)path.bytes[i];
        if (!needs_escape(byte, difference->quotes_all))
            buffer_append_byte(out, (char)byte);
        else if (byte == '"' || byte == '\\')
            buffer_append_format(out, "\\%c", byte);
        else if (byte >= '\a' && byte <= '\r')
            buffer_append_format(out, "\\%c", letters[byte - '\a']);
        else
            buffer_append_format(out, "\\%03o", byte);
    }
    if (is_quoted)
        buffer_append_byte(out, '"');
    buffer_free(&path);
}

static void append_modes(struct buffer *out, const struct side *old_side, const struct side *new_side)
{
    if (!old_side->mode)
        buffer_append_format(out, "new file mode %06o\n", git_mode(new_side->mode));
    else if (!new_side->mode)
        buffer_append_format(out, "deleted file mode %06o\n", git_mode(old_side->mode));
    else if (old_side->mode != new_side->mode)
        buffer_append_format(out, "old mode %06o\nnew mode %06o\n", git_mode(old_side->mode),
                             git_mode(new_side->mode));
}

static void append_index(struct buffer *out, const struct difference *difference, const struct side *old_side,
                         const struct side *new_side)
{
    char old_id[OBJECT_ID_DIGITS + 1], new_id[OBJECT_ID_DIGITS + 1];
    object_id_abbreviate(difference->repository, &old_side->id, difference->digits, old_id);
    object_id_abbreviate(difference->repository, &new_side->id, difference->digits, new_id);
    buffer_append_format(out, "index %s..%s", old_id, new_id);
    if (old_side->mode == new_side->mode)
        buffer_append_format(out, " %06o", git_mode(old_side->mode));
    buffer_append_byte(out, '\n');
}

/* One of the two lines that name the sides, and the words for it in "Binary files ... differ". */
static void append_side_name(struct buffer *out, const struct difference *difference, const struct side *side,
                             const char *letter, const char *name)
{
    if (side->mode)
        append_path(out, difference, letter, name);
    else
        buffer_append_text(out, "/dev/null");
}

static void append_side_line(struct buffer *out, const struct difference *difference, const struct side *side,
                             const char *begin, const char *letter, const char *name)
{
    struct buffer path = {0};
    append_side_name(&path, difference, side, letter, name);
    /* For the patches that take what stands behind a blank for a time. */
    buffer_append_format(out, "%s%s%s\n", begin, path.bytes, strchr(path.bytes, ' ') ? "\t" : "");
    buffer_free(&path);
}

/* ---- hunks ---- */

static void write_names(struct difference *difference)
{
    if (difference->names_line.length)
        difference->write(DIFFERENCE_HEADER, buffer_slice(&difference->names_line), difference->context);
    buffer_clear(&difference->names_line);
}

static int write_hunk(const git_diff_delta *delta, const git_diff_hunk *hunk, void *context)
{
    struct difference *difference = context;
    struct slice header = {hunk->header, hunk->header_len};
    const char *end = strstr(hunk->header + 2, "@@");
    size_t length = end ? (size_t)(end + 2 - hunk->header) : header.length;
    (void)delta;
    write_names(difference);
    difference->write(DIFFERENCE_HUNK, (struct slice){header.bytes, length}, difference->context);
    difference->write(DIFFERENCE_CONTEXT, (struct slice){header.bytes + length, header.length - length},
                      difference->context);
    return 0;
}

static int write_line(const git_diff_delta *delta, const git_diff_hunk *hunk, const git_diff_line *line,
                      void *context)
{
    struct difference *difference = context;
    enum difference_part part = line->origin == GIT_DIFF_LINE_ADDITION   ? DIFFERENCE_ADDED
                                : line->origin == GIT_DIFF_LINE_DELETION ? DIFFERENCE_REMOVED
                                                                         : DIFFERENCE_CONTEXT;
    struct buffer text = {0};
    (void)delta, (void)hunk;
    if (part != DIFFERENCE_CONTEXT || line->origin == GIT_DIFF_LINE_CONTEXT)
        buffer_append_byte(&text, line->origin);
    buffer_append(&text, line->content, line->content_len);
    difference->write(part, buffer_slice(&text), difference->context);
    buffer_free(&text);
    return 0;
}

static bool is_binary(const struct side *side)
{
    struct slice text = buffer_slice(&side->content);
    size_t length = text.length < BINARY_SEARCH_BYTES ? text.length : BINARY_SEARCH_BYTES;
    return length && memchr(text.bytes, '\0', length);
}

static int write_content(struct difference *difference, const struct side *old_side,
                         const struct side *new_side, const char *name)
{
    git_diff_options options;
    struct slice old_text = buffer_slice(&old_side->content), new_text = buffer_slice(&new_side->content);
    if (is_binary(old_side) || is_binary(new_side)) {
        struct buffer line = {0};
        buffer_append_text(&line, "Binary files ");
        append_side_name(&line, difference, old_side, "a/", name);
        buffer_append_text(&line, " and ");
        append_side_name(&line, difference, new_side, "b/", name);
        buffer_append_text(&line, " differ\n");
        difference->write(DIFFERENCE_CONTEXT, buffer_slice(&line), difference->context);
        buffer_free(&line);
        return 0;
    }
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.flags = GIT_DIFF_FORCE_TEXT | GIT_DIFF_INDENT_HEURISTIC;
    append_side_line(&difference->names_line, difference, old_side, "--- ", "a/", name);
    append_side_line(&difference->names_line, difference, new_side, "+++ ", "b/", name);
    int error = repository_result(git_diff_buffers(old_text.bytes, old_text.length, NULL, new_text.bytes,
                                                   new_text.length, NULL, &options, NULL, NULL, write_hunk,
                                                   write_line, difference));
    buffer_clear(&difference->names_line);
    return error;
}

/* ---- files ---- */

static int write_file(struct difference *difference, struct side *old_side, const struct side *new_side,
                      const char *name)
{
    struct buffer header = {0};
    bool is_same_content = object_id_equal(&old_side->id, &new_side->id);
    int error = 0;
    if (old_side->mode && !is_same_content && !old_side->content.length)
        error = blob_read(difference->repository, &old_side->id, FILE_BYTES_AT_MOST, &old_side->content);
    if (error)
        return error;
    difference->is_any = true;
    buffer_append_text(&header, "diff --git ");
    append_path(&header, difference, "a/", name);
    buffer_append_byte(&header, ' ');
    append_path(&header, difference, "b/", name);
    buffer_append_byte(&header, '\n');
    append_modes(&header, old_side, new_side);
    if (!is_same_content)
        append_index(&header, difference, old_side, new_side);
    difference->write(DIFFERENCE_HEADER, buffer_slice(&header), difference->context);
    buffer_free(&header);
    return is_same_content ? 0 : write_content(difference, old_side, new_side, name);
}

static int compare_file(struct difference *difference, const char *name)
{
    struct side old_side, new_side, none = {0};
    find_old(difference, name, &old_side);
    int error = find_new(difference, name, &old_side, &new_side);
    bool is_same = old_side.mode == new_side.mode && object_id_equal(&old_side.id, &new_side.id);
    if (error == 0 && !is_same) {
        if (old_side.mode && new_side.mode && (old_side.mode & S_IFMT) != (new_side.mode & S_IFMT)) {
            /* A file that became a link, or the other way round: two files to Git. */
            error = write_file(difference, &old_side, &none, name);
            if (error == 0)
                error = write_file(difference, &none, &new_side, name);
        } else {
            error = write_file(difference, &old_side, &new_side, name);
        }
    }
    buffer_free(&old_side.content);
    buffer_free(&new_side.content);
    return error;
}

/* The tree of the run in that of the source; one without entries where it is not in it. */
static int read_run_tree(struct repository *repository, const struct object_id *source_tree, const char *path,
                         struct tree **tree)
{
    struct tree_entry entry = {.id = *source_tree, .mode = S_IFDIR};
    char name[LIMIT_NAME_BYTES + 1];
    int error = 0;
    for (const char *at = path; *at && error == 0;) {
        size_t length = strcspn(at, "/");
        if (length > LIMIT_NAME_BYTES)
            return -ENAMETOOLONG;
        memcpy(name, at, length);
        name[length] = '\0';
        error = tree_entry_of(repository, &entry.id, name, &entry);
        if (error == 0 && !S_ISDIR(entry.mode))
            error = -ENOENT;
        at += length + (at[length] == '/');
    }
    if (error == -ENOENT)
        entry.id = (struct object_id){{0}};
    else if (error)
        return error;
    return tree_read(repository, &entry.id, tree);
}

static void read_settings(struct difference *difference)
{
    git_config *config = NULL;
    int is_true;
    difference->quotes_all = true;
    difference->digits = abbreviation_digits(difference->repository);
    if (git_repository_config_snapshot(&config, difference->repository->handle) != 0)
        return;
    if (git_config_get_bool(&is_true, config, "core.fileMode") == 0)
        difference->ignores_mode = !is_true;
    if (git_config_get_bool(&is_true, config, "core.quotePath") == 0)
        difference->quotes_all = is_true;
    git_config_free(config);
}

int difference_of_run(struct repository *repository, const struct config *config,
                      const struct object_id *old_tree, const char *path, int run_fd,
                      difference_writer *write, void *context)
{
    struct difference difference = {
        .repository = repository, .config = config, .run_fd = run_fd, .write = write, .context = context};
    struct name_list list = {0};
    struct buffer directory = {0};
    const char *prefix = repository_prefix(repository);
    int error = read_run_tree(repository, old_tree, path, &difference.old_tree);
    if (error)
        return error;
    buffer_append_format(&directory, "%s%s%s/", prefix, *prefix ? "/" : "", path);
    difference.directory = directory.bytes;
    read_settings(&difference);
    error = read_names(&difference, &list);
    for (size_t i = 0; i < list.count && error == 0; i++)
        if (i == 0 || strcmp(list.names[i], list.names[i - 1]) != 0)
            error = compare_file(&difference, list.names[i]);
    free_names(&list);
    free(difference.old_tree);
    buffer_free(&directory);
    buffer_free(&difference.names_line);
    return error ? error : !difference.is_any;
}
