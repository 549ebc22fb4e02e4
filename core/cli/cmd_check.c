/*
 * `runs check`: what is not as it should be, and with --fix the manifest written anew first.
 */
#include "core/cli/cli.h"
#include "core/cli/git_findings.h"
#include "core/cli/inspect.h"
#include <stdlib.h>

struct check {
    const char *source_path;
    const char *git_path; /* the same on disk */
    struct finding_list findings;
    size_t run_count;
    size_t mended_count;
};

/* What is in the way of the rules of `runs init` is worth telling where they are. */
static void inspect_git(struct keeper *keeper, struct check *check)
{
    int source_fd = source_root_fd(keeper_source(keeper));
    keeper_lock(keeper);
    git_find_big_files(check->git_path, source_fd, keeper_config(keeper), keeper_manifest_name(keeper),
                       &check->findings);
    if (git_has_block(source_fd))
        git_findings(check->git_path, source_fd, keeper_config(keeper), &check->findings);
    keeper_unlock(keeper);
}

/* Looks at the source, having written its manifest where that is wanted. */
static enum cli_status inspect(struct check *check, bool with_writing)
{
    struct keeper *keeper = open_source(check->source_path, !with_writing, true);
    if (!keeper)
        return CLI_ERROR;
    enum cli_status status = with_writing ? write_manifest(keeper, check->source_path) : CLI_OK;
    if (status == CLI_OK) {
        finding_list_free(&check->findings);
        inspect_source(keeper, &check->findings);
        inspect_git(keeper, check);
        check->run_count = index_count(keeper_lock(keeper));
        keeper_unlock(keeper);
    }
    keeper_close(keeper);
    return status;
}

/* Looks again from the beginning, and says what is left. */
static enum cli_status mend(struct check *check)
{
    size_t before = finding_count_mendable(&check->findings);
    enum cli_status status = inspect(check, true);
    size_t left = finding_count_mendable(&check->findings);
    check->mended_count = before > left ? before - left : 0;
    return status;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void append_summary(struct buffer *out, const struct check *check)
{
    size_t count = check->findings.count;
    buffer_append_format(out, "%zu run%s: ", check->run_count, plural(check->run_count));
    if (check->mended_count > 0)
        buffer_append_format(out, "%zu finding%s mended, ", check->mended_count, plural(check->mended_count));
    if (count == 0)
        buffer_append_text(out, "the manifest is what the files say, nothing else found\n");
    else
        buffer_append_format(out, "%zu finding%s%s\n", count, plural(count),
                             check->mended_count > 0 ? " left" : "");
}

static enum cli_status print(const struct check *check, bool as_json)
{
    struct buffer out = {0};
    enum cli_status status = CLI_OK;
    if (!as_json) {
        finding_append_lines(&out, &check->findings);
        append_summary(&out, check);
    } else if (finding_append_json(&out, &check->findings) != 0) {
        cli_error("the findings do not fit into memory; run this without --json");
        status = CLI_ERROR;
    }
    if (status == CLI_OK)
        status = cli_print(&out);
    buffer_free(&out);
    return status;
}

static enum cli_status run_check(const struct cli_options *options)
{
    char *source_path = find_source(options->directory);
    char *git_path = source_path ? find_source_on_disk(options->directory) : NULL;
    if (!git_path) {
        free(source_path);
        return CLI_ERROR;
    }
    struct check check = {.source_path = source_path, .git_path = git_path};
    enum cli_status status = inspect(&check, false);
    if (status == CLI_OK && (options->set & CLI_OPTION_FIX) && finding_count_mendable(&check.findings) > 0)
        status = mend(&check);
    if (status == CLI_OK)
        status = print(&check, options->set & CLI_OPTION_JSON);
    if (status == CLI_OK && check.findings.count > 0)
        status = CLI_FINDING;
    finding_list_free(&check.findings);
    free(git_path);
    free(source_path);
    return status;
}

const struct command command_check = {
    .name = "check",
    .summary = "what differs between manifest and files, and what can't be read; --fix mends",
    .help =
        "usage: runs check [-C DIR] [--fix] [--json]\n"
        "\n"
        "Reports every difference between the manifest and what the files of the runs say, every file of a\n"
        "run that can't be read, every directory that looks like a run and is none (an aborted run), what "
        "is\n"
        "wrong in runsfs.json, every file over 1 MB that Git would take, and, after runs init, what "
        "outranks\n"
        "its rules and files that Git has against them.\n"
        "Changes nothing, unless told to by --fix.\n"
        "\n"
        "    runs check                             one line a finding: path, what stands, what should be\n"
        "    runs check --fix                       writes the manifest anew, and reports what is left\n"
        "    runs check --json | jq '.[].path'      an array of {kind, path, detail}; kind is manifest,\n"
        "                                           difference, unreadable, aborted,\n"
        "                                           configuration or git\n"
        "    runs check -C ~/experiment/runs && git commit -a\n"
        "\n"
        "Exit status: 0; 1 where something was found (with --fix: is left); 2 for an error.\n",
    .accepts = CLI_OPTION_JSON | CLI_OPTION_FIX,
    .run = run_check,
};
