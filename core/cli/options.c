/*
 * The options of all commands, read in one place so that they read alike everywhere.
 */
#include "core/cli/cli.h"
#include <errno.h>
#include <getopt.h>

/* Options that have no letter, by values that are none. */
enum { OPTION_JSON = 256, OPTION_PATHS, OPTION_FIX };

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'V'},
    {"json", no_argument, NULL, OPTION_JSON}, {"paths", no_argument, NULL, OPTION_PATHS},
    {"fix", no_argument, NULL, OPTION_FIX},   {0},
};

/* What an option sets; 0 for those that set nothing of a command's own. */
static unsigned flag_of(int option)
{
    switch (option) {
    case OPTION_JSON:
        return CLI_OPTION_JSON;
    case OPTION_PATHS:
        return CLI_OPTION_PATHS;
    case OPTION_FIX:
        return CLI_OPTION_FIX;
    case '0':
        return CLI_OPTION_NUL;
    default:
        return 0;
    }
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
    const char *letters = command ? ":C:hV0" : "+:C:hV0"; /* '+': up to the first that is none */
    opterr = 0;
    optind = 0; /* GNU: begin anew */
    for (int option; (option = getopt_long(count, arguments, letters, long_options, NULL)) != -1;) {
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
