/*
 * Answering a query: by a mount of the source where one can be asked, else by a scan.
 */
#include "core/cli/search.h"
#include "core/base/memory.h"
#include "core/cli/ask_mount.h"
#include "core/cli/display.h"
#include "core/query/query.h"
#include <fcntl.h>
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

static enum cli_status parse(const struct field_set *fields, struct slice text, struct query **query)
{
    struct query_error error;
    if (query_parse(fields, text, query, &error) == 0)
        return CLI_OK;
    print_fault(text, &error);
    return CLI_ERROR;
}

static enum cli_status scan(const char *source_path, struct slice text, unsigned set)
{
    struct keeper *keeper = open_source(source_path, true, false);
    struct query *query;
    if (!keeper)
        return CLI_ERROR;
    struct index *index = keeper_lock(keeper);
    enum cli_status status = parse(keeper_fields(keeper), text, &query);
    if (status == CLI_OK) {
        struct run_list list;
        list.count = query_evaluate(query, index, NULL, &list.runs);
        status = listing_print(&list, set);
        free(list.runs);
        query_free(query);
    }
    keeper_unlock(keeper);
    keeper_close(keeper);
    return status;
}

/* Is it a query, by the fields that there are? Told before anything is asked or read. */
static enum cli_status check(const char *source_path, struct slice text)
{
    struct query *query;
    CLEANUP_FD int fd = open(source_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct config *config = open_config(fd, source_path);
    if (!config)
        return CLI_ERROR;
    struct field_set *fields = field_set_create(config);
    enum cli_status status = parse(fields, text, &query);
    if (status == CLI_OK)
        query_free(query);
    field_set_free(fields);
    config_unref(config);
    return status;
}

static enum cli_status answer_query(const char *source_path, struct slice text, unsigned set)
{
    struct answer answer;
    enum cli_status status = check(source_path, text);
    if (status != CLI_OK)
        return status;
    if (!ask_mount(source_path, text, &answer))
        return scan(source_path, text, set);
    status = listing_print(&answer.list, set);
    answer_free(&answer);
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
