/*
 * `runs find`: the runs that match a query.
 */
#include "core/cli/search.h"

static enum cli_status run_find(const struct cli_options *options)
{
    struct buffer text = {0};
    for (int i = 0; i < options->argument_count; i++) {
        if (i > 0)
            buffer_append_byte(&text, '/');
        buffer_append_text(&text, options->arguments[i]);
    }
    enum cli_status status = search_print(options, buffer_slice(&text));
    buffer_free(&text);
    return status;
}

const struct command command_find = {
    .name = "find",
    .summary = "the runs that match a query: a table, or --json, --paths, -0",
    .help =
        "usage: runs find [-C DIR] [--json | --paths | -0] QUERY...\n"
        "\n"
        "Lists the runs that match all predicates. They stand in one argument, joined by ',' or '/', or in\n"
        "several; a path below where/ in a mount is the same query.\n"
        "\n"
        "    runs find status=failed                        equals\n"
        "    runs find framework=chatdev+baes               one of these\n"
        "    runs find not_framework=ghspec                 differs\n"
        "    runs find min_tokens=100000 max_tokens=500000  at least, at most; of times too\n"
        "    runs find since=2025-10-16 until=2025-10-17T12:00    started then; UTC, unless a zone is given\n"
        "    runs find starts_run_id=0a                     also ends_, contains_; a glob: 'run_id~0a*'\n"
        "    runs find missing=end_time                     no end; has=end_time for the others\n"
        "    runs find status=verified,sort=-tokens,limit=10      the ten dearest\n"
        "    runs find 'status=two%2Cthree'                 , / + and % in a value: %2C %2F %2B %25\n"
        "\n"
        "Fields: run_id, framework, path, start_time, end_time, verification_status (or status),\n"
        "total_tokens_in, total_tokens_out (or tokens_in, tokens_out), tokens (both), duration (seconds),\n"
        "day (2025-10-16). To programs:\n"
        "\n"
        "    runs find --json status=failed | jq '.[].run_id'     the manifest's entries, as an array\n"
        "    runs find -0 status=failed | xargs -0r du -sh        <framework>/<run-id>, each ended by a NUL\n"
        "\n"
        "Exit status: 0; 1 where no run matches; 2 for an error, such as a wrong query, whose wrong\n"
        "character is shown.\n",
    .accepts = CLI_OPTION_JSON | CLI_OPTION_PATHS | CLI_OPTION_NUL,
    .argument = CLI_ARGUMENT_QUERY,
    .run = run_find,
};
