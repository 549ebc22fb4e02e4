/*
 * `runs init`: has Git take the tracked files of a source, and nothing else.
 */
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/git_findings.h"
#include "core/cli/ignore.h"
#include "core/cli/replace.h"
#include "core/manifest/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IGNORE_FILE_BYTES (1u << 20)

static enum cli_status refuse(const char *source_path, int error)
{
    cli_error("%s/.gitignore: %s; mend that and run this again", source_path,
              error == -EINVAL ? "is no regular file" : strerrordesc_np(-error));
    return CLI_ERROR;
}

/* Brings the block into the source's .gitignore. *change is set. */
static enum cli_status put_block(const char *source_path, int source_fd, const struct config *config,
                                 enum ignore_change *change)
{
    struct buffer content = {0}, block = {0}, wanted = {0};
    enum cli_status status = CLI_OK;
    unsigned line = 0;
    int error = file_read_bounded(source_fd, ".gitignore", IGNORE_FILE_BYTES, &content, NULL);
    if (error == -ENOENT)
        error = 0;
    if (error == 0) {
        ignore_append_block(&block, config,
                            config->manifest_name ? config->manifest_name : manifest_file_name(source_fd));
        int put = ignore_put_block(buffer_slice(&content), buffer_slice(&block), &wanted, &line);
        if (put < 0) {
            cli_error(
                "%s/.gitignore: line %u begins a block that does not end; take it out and run this again",
                source_path, line);
            status = CLI_ERROR;
        } else {
            *change = (enum ignore_change)put;
            error = put == IGNORE_SAME ? 0 : replace_file(source_fd, ".gitignore", buffer_slice(&wanted));
        }
    }
    if (error)
        status = refuse(source_path, error);
    buffer_free(&wanted);
    buffer_free(&block);
    buffer_free(&content);
    return status;
}

static enum cli_status report(const char *git_path, enum ignore_change change,
                              const struct finding_list *findings)
{
    static const char *const changes[] = {
        [IGNORE_SAME] = "the rules are there already, left as they were",
        [IGNORE_ADDED] = "rules added: git add -A takes the small files of runs and nothing else",
        [IGNORE_UPDATED] = "rules brought up to date, all other lines left as they were",
    };
    struct buffer out = {0};
    buffer_append_format(&out, ".gitignore: %s\n", changes[change]);
    if (!git_has_repository(git_path))
        buffer_append_text(&out, "There is no Git repository around it yet; git init makes one.\n");
    finding_append_lines(&out, findings);
    enum cli_status status = cli_print(&out);
    buffer_free(&out);
    return status;
}

static enum cli_status init(const char *source_path, const char *git_path)
{
    struct finding_list findings = {0};
    enum ignore_change change;
    CLEANUP_FD int fd = open(source_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        cli_error("%s: %s; give the directory that holds the runs", source_path, strerrordesc_np(errno));
        return CLI_ERROR;
    }
    struct config *config = open_config(fd, source_path);
    enum cli_status status = config ? put_block(source_path, fd, config, &change) : CLI_ERROR;
    if (status == CLI_OK) {
        git_findings(git_path, fd, config, &findings);
        status = report(git_path, change, &findings);
    }
    if (status == CLI_OK && findings.count > 0)
        status = CLI_FINDING;
    finding_list_free(&findings);
    config_unref(config);
    return status;
}

static enum cli_status run_init(const struct cli_options *options)
{
    const char *directory = options->argument_count > 0 ? options->arguments[0] : options->directory;
    if (options->argument_count > 0 && options->directory) {
        cli_error("%s: the directory is given twice; leave -C out", directory);
        return CLI_ERROR;
    }
    char *source_path = find_source(directory);
    char *git_path = source_path ? find_source_on_disk(directory) : NULL;
    enum cli_status status = git_path ? init(source_path, git_path) : CLI_ERROR;
    free(git_path);
    free(source_path);
    return status;
}

const struct command command_init = {
    .name = "init",
    .summary = "has Git take the small files of runs, and nothing else",
    .help =
        "usage: runs init [DIR]\n"
        "\n"
        "Sets up selective tracking: with the rules that it puts into DIR/.gitignore, git add -A takes the\n"
        ".gitignore itself, the manifest, runsfs.json, and directly in a run metrics.json, metadata.json,\n"
        "commit.txt and *.md; and nothing else, whatever else lies there. DIR is the directory of runs, the\n"
        "repository's root or anywhere below it; without it the source around you.\n"
        "\n"
        "    runs init experiment/runs              once; again after an update of runsfs, or any time\n"
        "    git add -A && git status --short       10 kB a run, however large it is\n"
        "    runs init . && git add -A              goes on only where nothing is in the way\n"
        "\n"
        "The rules stand in a block of their own, between lines that begin with # >>> runsfs and # <<< "
        "runsfs;\n"
        "all other lines stay as they are. Then it says what outranks these rules: lines behind the block, "
        "a\n"
        ".gitignore in a run or framework, a repository in one (Git takes it as a submodule), rules above "
        "DIR\n"
        "that keep Git out of it, and files that Git has already.\n"
        "\n"
        "Exit status: 0; 1 where something is in the way of the rules; 2 for an error.\n",
    .argument = CLI_ARGUMENT_DIRECTORY,
    .run = run_init,
};
