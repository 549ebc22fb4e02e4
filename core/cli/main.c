/*
 * `runs`: finds the command that is meant and runs it. All that a command is stands in its own file; here is
 * the table.
 */
#include "core/base/log.h"
#include "core/cli/cli.h"
#include <locale.h>
#include <stdio.h>
#include <string.h>

#ifndef RUNSFS_VERSION
#define RUNSFS_VERSION "0"
#endif

static const struct command *const commands[] = {
    &command_find,
    &command_list,
    &command_check,
    &command_rebuild,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

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
    "    runs find status=failed,limit=10       of those that failed, the first ten\n"
    "    runs -C experiment/runs check          is the manifest what the files say?\n"
    "\n"
    "Exit status: 0; 1 for no match or a finding; 2 for an error.\n";

static enum cli_status print_help(void)
{
    struct buffer out = {0};
    buffer_append_text(&out, help_head);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        buffer_append_format(&out, "    %-14s %s\n", commands[i]->name, commands[i]->summary);
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
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    cli_error("%s: no such command; runs --help lists what there is", name);
    return NULL;
}

static enum cli_status run_command(const struct command *command, int count, char **arguments,
                                   struct cli_options *options)
{
    int first = options_parse(count, arguments, command, options);
    if (first < 0)
        return CLI_ERROR;
    if (options->help)
        return print_text(command->help);
    if (options->version)
        return print_text("runs " RUNSFS_VERSION "\n");
    options->arguments = arguments + first;
    options->argument_count = count - first;
    if (first < count && command->argument == CLI_ARGUMENT_NONE) {
        cli_error("%s: %s takes no argument; runs %s --help tells more", arguments[first], command->name,
                  command->name);
        return CLI_ERROR;
    }
    return command->run(options);
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
    const struct command *command = find_command(arguments[first]);
    return (int)(command ? run_command(command, count - first, arguments + first, &options) : CLI_ERROR);
}
