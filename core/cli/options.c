/*
 * The options of all commands, read in one place so that they read alike everywhere.
 */
#include "core/cli/cli.h"
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>

const struct cli_option_name cli_option_names[] = {
    {"json", 0, CLI_OPTION_JSON, "for programs", NULL, 0},
    {"paths", 0, CLI_OPTION_PATHS, "a path a line", NULL, 0},
    {NULL, '0', CLI_OPTION_NUL, "paths, each ended by a NUL", NULL, 0},
    {"fix", 0, CLI_OPTION_FIX, "mend what can be mended", NULL, 0},
    {"yes", 'y', CLI_OPTION_YES, "do not ask", NULL, 0},
    {"keep-files", 0, CLI_OPTION_KEEP_FILES, "leave the files, exclude the run", NULL, 0},
    {"apparent-size", 0, CLI_OPTION_APPARENT_SIZE, "bytes in files, not blocks on disk", NULL, 0},
    {"since", 0, CLI_OPTION_SINCE, "leave out what was before", "DATE", offsetof(struct cli_options, since)},
    {"csv", 0, CLI_OPTION_CSV, "the numbers", NULL, 0},
    {"svg", 0, CLI_OPTION_SVG, "a picture, as SVG", "FILE", offsetof(struct cli_options, svg_file)},
    {"png", 0, CLI_OPTION_PNG, "a picture, as PNG", "FILE", offsetof(struct cli_options, png_file)},
    {"diff", 0, CLI_OPTION_DIFF, "what changed in its files since", "REV",
     offsetof(struct cli_options, revision)},
    {"help", 'h', 0, "what there is, by example", NULL, 0},
    {"version", 'V', 0, "print the version", NULL, 0},
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
            *names++ = (struct option){option->name, option->value ? required_argument : no_argument, NULL,
                                       option->letter ? option->letter : NO_LETTER + (int)i};
    }
    *letters = '\0';
    *names = (struct option){0};
}

/* The option that getopt returned; NULL for none. */
static const struct cli_option_name *find_option(int option)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option == NO_LETTER + (int)i ||
            (cli_option_names[i].letter && option == cli_option_names[i].letter))
            return &cli_option_names[i];
    return NULL;
}

/* getopt says no more than that something is wrong; argument is the last that it read, known the option
 * where there is such a one, for another command. */
static int refuse(const struct command *command, const struct cli_option_name *known, const char *argument)
{
    const char *name = command ? command->name : "", *space = command ? " " : "";
    if (known && known->name)
        cli_error("--%s: no such option; runs %s%s--help lists what there is", known->name, name, space);
    else if (argument[0] == '-' && argument[1] == '-')
        cli_error("%s: no such option; runs %s%s--help lists what there is", argument, name, space);
    else
        cli_error("-%c: no such option; runs %s%s--help lists what there is", known ? known->letter : optopt,
                  name, space);
    return -EINVAL;
}

/* An option without the value that it has to have. */
static int refuse_without_value(const struct cli_option_name *known)
{
    if (!known)
        cli_error("-C: give the directory that holds the runs");
    else
        cli_error("--%s: give a %s behind it", known->name, known->value);
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
        const struct cli_option_name *known = find_option(option);
        if (option == 'C') {
            options->directory = optarg;
        } else if (option == ':') {
            return refuse_without_value(find_option(optopt));
        } else if (option == 'h') {
            options->help = true;
        } else if (option == 'V') {
            options->version = true;
        } else if (known && (known->option & accepts)) {
            options->set |= known->option;
            if (known->value)
                memcpy((char *)options + known->value_offset, &optarg, sizeof(optarg));
        } else {
            return refuse(command, known, arguments[optind - 1]);
        }
    }
    return optind;
}
