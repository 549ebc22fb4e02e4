/*
 * The options of all commands, read in one place so that they read alike everywhere.
 */
#include "core/cli/cli.h"
#include <errno.h>
#include <getopt.h>

const struct cli_option_name cli_option_names[] = {
    {"json", 0, CLI_OPTION_JSON, "for programs"},
    {"paths", 0, CLI_OPTION_PATHS, "a path a line"},
    {NULL, '0', CLI_OPTION_NUL, "paths, each ended by a NUL"},
    {"fix", 0, CLI_OPTION_FIX, "mend what can be mended"},
    {"yes", 'y', CLI_OPTION_YES, "do not ask"},
    {"keep-files", 0, CLI_OPTION_KEEP_FILES, "leave the files, exclude the run"},
    {"apparent-size", 0, CLI_OPTION_APPARENT_SIZE, "bytes in files, not blocks on disk"},
    {"help", 'h', 0, "what there is, by example"},
    {"version", 'V', 0, "print the version"},
    {0},
};
#define OPTION_COUNT (sizeof(cli_option_names) / sizeof(*cli_option_names) - 1)

/* What getopt returns for an option that has no letter: its place, beyond all letters. */
#define NO_LETTER 256

/* Fills the two forms in which getopt is told of options. */
static void describe_options(struct option *names, char *letters)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct cli_option_name *option = &cli_option_names[i];
        if (option->letter)
            *letters++ = option->letter;
        if (option->name)
            *names++ = (struct option){option->name, no_argument, NULL,
                                       option->letter ? option->letter : NO_LETTER + (int)i};
    }
    *letters = '\0';
    *names = (struct option){0};
}

/* The enum cli_option of what getopt returned; 0 for none. */
static unsigned flag_of(int option)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option == NO_LETTER + (int)i ||
            (cli_option_names[i].letter && option == cli_option_names[i].letter))
            return cli_option_names[i].option;
    return 0;
}

/* getopt says no more than that something is wrong; argument is the last that it read. */
static int refuse(const struct command *command, int option, const char *argument)
{
    const char *name = command ? command->name : "", *space = command ? " " : "";
    if (option == ':')
        cli_error("-C: give the directory that holds the runs");
    else if (argument[0] == '-' && argument[1] == '-')
        cli_error("%s: no such option; runs %s%s--help lists what there is", argument, name, space);
    else
        cli_error("-%c: no such option; runs %s%s--help lists what there is", optopt, name, space);
    return -EINVAL;
}

int options_parse(int count, char **arguments, const struct command *command, struct cli_options *options)
{
    unsigned accepts = command ? command->accepts : 0;
    struct option names[OPTION_COUNT + 1];
    char letters[OPTION_COUNT + 8] = "+:C:";
    char *begin = command ? letters + 1 : letters; /* '+': up to the first that is none */
    describe_options(names, letters + 4);
    opterr = 0;
    optind = 0; /* GNU: begin anew */
    for (int option; (option = getopt_long(count, arguments, begin, names, NULL)) != -1;) {
        unsigned flag = flag_of(option);
        if (option == 'C') {
            options->directory = optarg;
        } else if (option == 'h') {
            options->help = true;
        } else if (option == 'V') {
            options->version = true;
        } else if (flag & accepts) {
            options->set |= flag;
        } else {
            if (flag)
                optopt = option;
            return refuse(command, option, arguments[optind - 1]);
        }
    }
    return optind;
}
