/*
 * Looking for what outranks the block: see git_findings.h.
 */
#include "core/cli/git_findings.h"
#include "core/base/memory.h"
#include "core/cli/ignore.h"
#include "core/cli/tree.h"
#include "core/json/writer.h"
#include "core/run/load.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A .gitignore is lines that somebody typed. */
#define IGNORE_FILE_BYTES (1u << 20)
/* Exit status of git where it can't do what it was asked, be it that there is no repository. */
#define GIT_FATAL 128

static void append_quoted(struct buffer *out, struct slice text)
{
    struct buffer name = {0};
    utf8_append_file_name(&name, text);
    json_append_string(out, buffer_slice(&name));
    buffer_free(&name);
}

/* ---- rules ---- */

struct search {
    const struct config *config;
    struct finding_list *findings;
};

struct rules {
    const struct search *search;
    struct slice path; /* of the .gitignore, below the source */
    bool is_own;       /* the source's, read behind the block */
};

/* A name that a tracked pattern matches: the pattern itself, with a letter in the place of what is wild. */
static char *example_of(const char *pattern)
{
    char *name = memory_copy_text(pattern, strlen(pattern));
    for (char *wild = name; (wild = strpbrk(wild, "*?"));)
        *wild = 'x';
    return name;
}

static bool is_matched(const char *rule, const char *name)
{
    return fnmatch(rule, name, FNM_PATHNAME) == 0;
}

/* Would the rule keep a tracked file out? A pattern with a slash in it speaks of one place only, which for a
 * file in a run's own .gitignore is the run. */
static bool hides_tracked(struct slice pattern, const struct config *config)
{
    static const char usual[] = "README.md";
    CLEANUP_FREE char *text = memory_copy_text(pattern.bytes, pattern.length);
    const char *rule = text[0] == '/' ? text + 1 : text;
    while (strncmp(rule, "**/", 3) == 0) /* in any directory, this one too */
        rule += 3;
    bool hides = config_is_tracked(config, usual) && is_matched(rule, usual);
    for (size_t i = 0; !hides && i < config->tracked_count; i++) {
        CLEANUP_FREE char *example = example_of(config->tracked[i]);
        hides = is_matched(rule, example);
    }
    return hides;
}

static void look_at_rule(struct slice pattern, unsigned line, void *context)
{
    const struct rules *rules = context;
    struct buffer quoted = {0};
    append_quoted(&quoted, pattern);
    if (pattern.bytes[0] == '!')
        finding_add(rules->search->findings, FINDING_GIT, rules->path,
                    "line %u, %s, outranks the block: Git takes what it names, tracked file or not", line,
                    quoted.bytes);
    else if (!rules->is_own && hides_tracked(pattern, rules->search->config))
        finding_add(rules->search->findings, FINDING_GIT, rules->path,
                    "line %u, %s, outranks the block: it keeps tracked files from Git", line, quoted.bytes);
    buffer_free(&quoted);
}

/* The .gitignore in a directory, the source for path "". One that is no regular file Git does not read. */
static void look_at_rules(const struct search *search, int directory_fd, const char *path)
{
    struct buffer content = {0}, file = {0};
    buffer_append_format(&file, "%s%s.gitignore", path, *path ? "/" : "");
    int error = file_read_bounded(directory_fd, ".gitignore", IGNORE_FILE_BYTES, &content, NULL);
    struct rules rules = {search, buffer_slice(&file), *path == '\0'};
    if (error == 0)
        ignore_each_pattern(buffer_slice(&content), rules.is_own, look_at_rule, &rules);
    else if (error != -ENOENT && error != -EINVAL)
        finding_add(search->findings, FINDING_GIT, rules.path,
                    "can't be read (%s); its rules outrank the block", strerrordesc_np(-error));
    buffer_free(&file);
    buffer_free(&content);
}

/* ---- directories ---- */

static void look_at_directory(const struct search *search, int parent_fd, const char *name, const char *path,
                              unsigned depth);

/* The directories in a directory of so many levels below the source, whose path is given. */
static void look_into(const struct search *search, int fd, const char *path, unsigned depth)
{
    int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
    if (!list && list_fd >= 0)
        close(list_fd);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        if ((entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0 || strcmp(entry->d_name, ".git") == 0)
            continue;
        struct buffer inner = {0};
        buffer_append_format(&inner, "%s%s%s", path, *path ? "/" : "", entry->d_name);
        look_at_directory(search, list_fd, entry->d_name, inner.bytes, depth + 1);
        buffer_free(&inner);
    }
    if (list)
        closedir(list);
}

static void look_at_directory(const struct search *search, int parent_fd, const char *name, const char *path,
                              unsigned depth)
{
    CLEANUP_FD int fd = tree_open(parent_fd, name, true);
    if (fd < 0)
        return;
    look_at_rules(search, fd, path);
    if (faccessat(fd, ".git", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        finding_add(search->findings, FINDING_GIT, slice_of(path),
                    "a repository of its own: Git takes it as a submodule, and none of its files; move its "
                    ".git away");
    if (depth < config_greatest_depth(search->config))
        look_into(search, fd, path, depth);
}

/* ---- Git itself ---- */

/* Runs git with those arguments (the first is "git") and sets out to what it writes. Its exit status, or -1
 * where it can't be run. */
static int ask_git(char *const arguments[], struct buffer *out)
{
    int pipes[2], status;
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&child, "git", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    char bytes[4096];
    for (ssize_t length; !error && (length = read(pipes[0], bytes, sizeof(bytes))) != 0;) {
        if (length < 0 && errno != EINTR)
            break;
        if (length > 0)
            buffer_append(out, bytes, (size_t)length);
    }
    close(pipes[0]);
    if (error)
        return -1;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool git_has_repository(const char *git_path)
{
    struct buffer out = {0};
    char *const arguments[] = {"git", "-C", (char *)git_path, "rev-parse", "--is-inside-work-tree", NULL};
    int status = ask_git(arguments, &out);
    buffer_free(&out);
    return status != GIT_FATAL;
}

/* A rule above the source that ignores the source itself, or a directory around it. */
static void look_above(const char *git_path, struct finding_list *findings)
{
    struct buffer out = {0}, rule = {0};
    char *const ask[] = {"git",        "-C", (char *)git_path, "check-ignore", "--no-index", "-q", "--",
                         ".gitignore", NULL};
    char *const tell[] = {"git",        "-C", (char *)git_path, "check-ignore", "--no-index", "-v", "--",
                          ".gitignore", NULL};
    /* With -v it tells of rules that take back, too. Its answer is FILE:LINE:PATTERN, a tab and the path. */
    if (ask_git(ask, &out) == 0 && ask_git(tell, &out) == 0) {
        const char *tab = memchr(out.bytes, '\t', out.length);
        append_quoted(&rule, (struct slice){out.bytes, tab ? (size_t)(tab - out.bytes) : out.length});
        finding_add(findings, FINDING_GIT, SLICE_LITERAL(".gitignore"),
                    "a rule above it, %s, keeps Git from looking in here at all; take that out", rule.bytes);
    }
    buffer_free(&rule);
    buffer_free(&out);
}

/* What is in Git's index already no rule takes out of it. */
static void look_at_index(const char *git_path, struct finding_list *findings)
{
    struct buffer out = {0};
    size_t count = 0;
    char *const arguments[] = {"git", "-C", (char *)git_path,     "ls-files", "-z",
                               "-c",  "-i", "--exclude-standard", NULL};
    if (ask_git(arguments, &out) == 0)
        for (size_t i = 0; i < out.length; i++)
            count += out.bytes[i] == '\0';
    if (count > 0)
        finding_add(findings, FINDING_GIT, slice_of(out.bytes),
                    "Git has %s already, and goes on with what it has; `git rm --cached` lets it forget",
                    count == 1 ? "this file" : "this file and others");
    buffer_free(&out);
}

#define BIG_BYTES (1 << 20)
/* More of them say no more than that there are many. */
#define BIG_FILES_TOLD 100

/* A file that the rules of `runs init` let pass: by its name, directly in what has the names of a run. */
static bool is_let_pass(const struct config *config, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || !config_is_tracked(config, slash + 1))
        return false;
    char *run = memory_copy_text(path, (size_t)(slash - path));
    bool is_run = config_is_run_path(config, run) && !config_is_excluded(config, run);
    free(run);
    return is_run;
}

/* What is to be done about a big file; `tag` is Git's, which has all but those of '?'. */
static const char *advice_on_big_file(const struct config *config, const char *path, char tag)
{
    if (is_let_pass(config, path))
        return "which Git takes by its name; rename it, or change `tracked` in runsfs.json";
    if (tag != '?')
        return "which Git has taken; `git rm --cached` lets it forget, and runs init keeps such files out";
    return "which Git would take; runs init keeps such files out";
}

void git_find_big_files(const char *git_path, int source_fd, const struct config *config,
                        const char *manifest_name, struct finding_list *findings)
{
    struct buffer out = {0};
    size_t first = findings->count, count = 0;
    const char *last = "";
    /* Each is a tag, a blank and the path; with conflicts one path comes several times in a row. */
    char *const arguments[] = {"git", "-C", (char *)git_path,     "ls-files", "-t", "-z",
                               "-c",  "-o", "--exclude-standard", NULL};
    if (ask_git(arguments, &out) != 0)
        out.length = 0;
    for (const char *line = out.bytes; line < out.bytes + out.length; line += strlen(line) + 1) {
        struct stat st;
        const char *path = line[0] && line[1] ? line + 2 : "";
        if (strcmp(path, last) == 0 || strcmp(path, manifest_name) == 0 ||
            fstatat(source_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
            st.st_size <= BIG_BYTES)
            continue;
        last = path;
        if (++count <= BIG_FILES_TOLD)
            finding_add(findings, FINDING_GIT, slice_of(path), "%.1f MB, %s", (double)st.st_size / 1e6,
                        advice_on_big_file(config, path, line[0]));
    }
    finding_sort(findings, first);
    if (count > BIG_FILES_TOLD)
        finding_add(findings, FINDING_GIT, SLICE_LITERAL(".gitignore"),
                    "%zu more files over 1 MB that Git would take or has taken", count - BIG_FILES_TOLD);
    buffer_free(&out);
}

bool git_has_block(int source_fd)
{
    struct buffer content = {0};
    bool has = file_read_bounded(source_fd, ".gitignore", IGNORE_FILE_BYTES, &content, NULL) == 0 &&
               ignore_has_block(buffer_slice(&content));
    buffer_free(&content);
    return has;
}

void git_findings(const char *git_path, int source_fd, const struct config *config,
                  struct finding_list *findings)
{
    size_t first = findings->count;
    const struct search search = {config, findings};
    look_at_rules(&search, source_fd, "");
    look_into(&search, source_fd, "", 0);
    look_above(git_path, findings);
    look_at_index(git_path, findings);
    finding_sort(findings, first);
}
