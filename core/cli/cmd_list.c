/*
 * `runs list`: every run, in the manifest's order.
 */
#include "core/cli/search.h"

static enum cli_status run_list(const struct cli_options *options)
{
    return search_print(options, SLICE_LITERAL(""));
}

const struct command command_list = {
    .name = "list",
    .summary = "all runs: a table, or --json, --paths, -0",
    .help =
        "usage: runs list [-C DIR] [--json | --paths | -0]\n"
        "\n"
        "Lists every run, in the manifest's order (start time, run id), as its files say it now:\n"
        "what runs find answers without a query.\n"
        "\n"
        "    runs list                              a table\n"
        "    runs list --json | jq '.[].run_id'     the manifest's entries, as an array\n"
        "    runs list --paths                      <framework>/<run-id>, one a line\n"
        "    runs list -0 | xargs -0r du -sh        the same, each ended by a NUL: for names of any kind\n"
        "    runs list -C ~/experiment/runs         of another source than the one around you\n"
        "\n"
        "The table is for people: counts are rounded, times are in UTC, what does not fit the terminal is\n"
        "cut. Exit status: 0; 1 where there is no run; 2 for an error.\n",
    .accepts = CLI_OPTION_JSON | CLI_OPTION_PATHS | CLI_OPTION_NUL,
    .run = run_list,
};
