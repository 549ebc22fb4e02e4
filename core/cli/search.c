/*
 * Answering a query: by a mount of the source where one can be asked, else by a scan.
 */
#include "core/cli/search.h"
#include "core/cli/ask_mount.h"
#include "core/cli/display.h"
#include "core/query/query.h"
#include <stdio.h>
#include <stdlib.h>

/* The line that says what to do, then the query with a mark below the byte that is wrong. */
static void print_fault(struct slice text, const struct query_error *error)
{
    struct buffer line = {0};
    cli_error("%s", error->reason);
    display_append(&line, (struct slice){text.bytes, error->position});
    unsigned width = display_width(buffer_slice(&line));
    display_append(&line, (struct slice){text.bytes + error->position, text.length - error->position});
    fprintf(stderr, "    %s\n    %*s^\n", line.bytes ? line.bytes : "", (int)width, "");
    buffer_free(&line);
}

static enum cli_status scan(const char *source_path, struct query *query, unsigned set)
{
    struct keeper *keeper = open_source(source_path, true, false);
    if (!keeper)
        return CLI_ERROR;
    struct run_list list;
    list.count = query_evaluate(query, keeper_lock(keeper), NULL, &list.runs);
    enum cli_status status = listing_print(&list, set);
    keeper_unlock(keeper);
    free(list.runs);
    keeper_close(keeper);
    return status;
}

static enum cli_status answer_query(const char *source_path, struct slice text, unsigned set)
{
    struct query *query;
    struct query_error error;
    if (query_parse(field_set_built_in(), text, &query, &error) != 0) {
        print_fault(text, &error);
        return CLI_ERROR;
    }
    struct answer answer;
    enum cli_status status;
    if (ask_mount(source_path, text, &answer)) {
        status = listing_print(&answer.list, set);
        answer_free(&answer);
    } else {
        status = scan(source_path, query, set);
    }
    query_free(query);
    return status;
}

enum cli_status search_print(const struct cli_options *options, struct slice text)
{
    if ((options->set & CLI_OPTION_JSON) && (options->set & (CLI_OPTION_PATHS | CLI_OPTION_NUL))) {
        cli_error("--json and --paths exclude each other; give one of them");
        return CLI_ERROR;
    }
    char *source_path = find_source(options->directory);
    enum cli_status status = source_path ? answer_query(source_path, text, options->set) : CLI_ERROR;
    free(source_path);
    return status;
}
