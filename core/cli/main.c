/*
 * `runs`: finds the command that is meant and runs it. All that a command is stands in its own file; here is
 * the table.
 */
#include "core/base/log.h"
#include "core/base/nearest.h"
#include "core/cli/cli.h"
#include <locale.h>
#include <stdio.h>
#include <string.h>

#ifndef RUNSFS_VERSION
#define RUNSFS_VERSION "0"
#endif

const struct command *const commands[] = {
    &command_find,   &command_list,     &command_show, &command_log,    &command_progress,
    &command_du,     &command_check,    &command_init, &command_commit, &command_rebuild,
    &command_remove, &command_complete, NULL,
};

static const char help_head[] =
    "usage: runs [-C DIR] COMMAND [options]\n"
    "\n"
    "Works on a directory of runs (<framework>/<run-id>/) and its manifest, mounted or not.\n"
    "\n";

static const char help_tail[] =
    "\n"
    "    -C DIR         the directory of runs, or any place in it or in a mount of it; without it the\n"
    "                   current directory says which is meant\n"
    "    -h, --help     print this; after a command: what it does, by example\n"
    "    -V, --version  print the version\n"
    "\n"
    "    cd experiment/runs && runs list        every run, the oldest first\n"
    "    runs show 0a1b                         all of the run whose id begins so\n"
    "    runs find status=failed,limit=10       of those that failed, the first ten\n"
    "    runs -C experiment/runs check          is the manifest what the files say?\n"
    "    runs init experiment/runs              from now on git add -A takes the small files of runs alone\n"
    "\n"
    "Exit status: 0; 1 for no match or a finding; 2 for an error.\n";

static enum cli_status print_help(void)
{
    struct buffer out = {0};
    buffer_append_text(&out, help_head);
    for (const struct command *const *command = commands; *command; command++)
        if ((*command)->summary)
            buffer_append_format(&out, "    %-14s %s\n", (*command)->name, (*command)->summary);
    buffer_append_text(&out, help_tail);
    enum cli_status status = cli_print(&out);
    buffer_free(&out);
    return status;
}

static enum cli_status print_text(const char *text)
{
    struct buffer out = {0};
    buffer_append_text(&out, text);
    enum cli_status status = cli_print(&out);
    buffer_free(&out);
    return status;
}

static const struct command *find_command(const char *name)
{
    struct nearest nearest = {.name = slice_of(name)};
    for (const struct command *const *command = commands; *command; command++) {
        if (strcmp((*command)->name, name) == 0)
            return *command;
        if ((*command)->summary)
            nearest_offer(&nearest, slice_of((*command)->name));
    }
    if (nearest.best.bytes)
        cli_error("%s: no such command; did you mean %s? runs --help lists what there is", name,
                  nearest.best.bytes);
    else
        cli_error("%s: no such command; runs --help lists what there is", name);
    return NULL;
}

/* Are there as many arguments as the command takes? */
static bool check_arguments(const struct command *command, const struct cli_options *options)
{
    const char *name = command->name;
    int count = options->argument_count;
    switch (command->argument) {
    case CLI_ARGUMENT_NONE:
        if (count > 0)
            cli_error("%s: %s takes no argument; runs %s --help tells more", options->arguments[0], name,
                      name);
        return count == 0;
    case CLI_ARGUMENT_RUN:
    case CLI_ARGUMENT_RUNS:
        if (count == 0)
            cli_error("%s: give a run by its id, or by the beginning of it; runs list has them all", name);
        else if (count > 1 && command->argument == CLI_ARGUMENT_RUN)
            cli_error("%s: %s takes one run at a time", options->arguments[1], name);
        return count == 1 || (count > 1 && command->argument == CLI_ARGUMENT_RUNS);
    case CLI_ARGUMENT_ONE_OR_ALL:
        if (count > 1)
            cli_error("%s: %s takes one run at a time, or none for all", options->arguments[1], name);
        return count <= 1;
    case CLI_ARGUMENT_DIRECTORY:
        if (count > 1)
            cli_error("%s: %s takes one directory at a time", options->arguments[1], name);
        return count <= 1;
    case CLI_ARGUMENT_RUNS_IF_ANY:
    case CLI_ARGUMENT_QUERY:
    case CLI_ARGUMENT_VERBATIM:
        break;
    }
    return true;
}

/* `runs help [COMMAND]`, as git has it: --help by another name. */
static enum cli_status help_for(int count, char **arguments)
{
    if (count == 0)
        return print_help();
    const struct command *command = find_command(arguments[0]);
    if (!command || !command->help)
        return CLI_ERROR;
    return print_text(command->help);
}

static enum cli_status run_command(const struct command *command, int count, char **arguments,
                                   struct cli_options *options)
{
    int first =
        command->argument == CLI_ARGUMENT_VERBATIM ? 1 : options_parse(count, arguments, command, options);
    if (first < 0)
        return CLI_ERROR;
    if (options->help)
        return print_text(command->help);
    if (options->version)
        return print_text("runs " RUNSFS_VERSION "\n");
    options->arguments = arguments + first;
    options->argument_count = count - first;
    return check_arguments(command, options) ? command->run(options) : CLI_ERROR;
}

int main(int count, char **arguments)
{
    struct cli_options options = {0};
    setlocale(LC_CTYPE, "");
    /* What the engine warns of is in the answers of `check`. */
    log_configure(false, LOG_LEVEL_NONE);
    int first = options_parse(count, arguments, NULL, &options);
    if (first < 0)
        return CLI_ERROR;
    if (options.help)
        return (int)print_help();
    if (options.version)
        return (int)print_text("runs " RUNSFS_VERSION "\n");
    if (first == count) {
        cli_error("give a command; runs --help lists what there is");
        return CLI_ERROR;
    }
    if (strcmp(arguments[first], "help") == 0)
        return (int)help_for(count - first - 1, arguments + first + 1);
    const struct command *command = find_command(arguments[first]);
    return (int)(command ? run_command(command, count - first, arguments + first, &options) : CLI_ERROR);
}
