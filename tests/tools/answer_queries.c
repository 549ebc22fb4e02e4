/*
 * answer_queries SOURCE: reads queries, one a line, and answers each with a line: ENOENT or EINVAL, or "ok"
 * and, each behind a NUL, the paths of the runs that match. The source is scanned once and left as it is; for
 * tests that compare answers by the thousand.
 */
#include "core/base/log.h"
#include "core/keeper/keeper.h"
#include "core/query/query.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_answer(struct index *index, struct slice text)
{
    struct query *query;
    struct query_error error;
    int result = query_parse(field_set_built_in(), text, &query, &error);
    if (result != 0) {
        puts(strerrorname_np(-result));
        return;
    }
    struct run **runs;
    size_t count = query_evaluate(query, index, NULL, &runs);
    fputs("ok", stdout);
    for (size_t i = 0; i < count; i++) {
        struct slice framework = run_framework(runs[i]);
        putchar('\0');
        fwrite(framework.bytes, 1, framework.length, stdout);
        putchar('/');
        fwrite(runs[i]->name.bytes, 1, runs[i]->name.length, stdout);
    }
    putchar('\n');
    free(runs);
    query_free(query);
}

int main(int count, char **arguments)
{
    struct keeper_options options = {.read_only = true, .watch = WATCH_POLL, .cache = KEEPER_CACHE_NONE};
    struct keeper *keeper;
    log_configure(false, LOG_LEVEL_NONE);
    int error = count == 2 ? keeper_open(arguments[1], &options, &keeper) : -EINVAL;
    if (error) {
        fprintf(stderr, "answer_queries SOURCE: %s\n", strerrordesc_np(-error));
        return 1;
    }
    struct index *index = keeper_lock(keeper);
    char *line = NULL;
    size_t size = 0;
    for (ssize_t length; (length = getline(&line, &size, stdin)) > 0;)
        print_answer(index, (struct slice){line, (size_t)length - (line[length - 1] == '\n')});
    free(line);
    keeper_unlock(keeper);
    keeper_close(keeper);
    return 0;
}
