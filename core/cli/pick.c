/*
 * Telling the run that is meant from others: see pick.h. Every run is looked at, which for 100,000 is no more
 * than a tenth of what opening them costs.
 */
#include "core/cli/pick.h"
#include "core/cli/entry.h"
#include <string.h>

#define NAMED_CANDIDATES 4

struct choice {
    struct slice framework; /* absent where any is meant */
    struct slice beginning; /* of the run id */
    struct run *whole, *other_whole;
    struct run *begun[NAMED_CANDIDATES];
    size_t begun_count;
};

static void consider(struct choice *choice, struct run *run)
{
    if (choice->framework.bytes && !slice_equal(choice->framework, run_framework(run)))
        return;
    if (run->name.length < choice->beginning.length ||
        memcmp(run->name.bytes, choice->beginning.bytes, choice->beginning.length) != 0)
        return;
    if (run->name.length == choice->beginning.length) {
        if (choice->whole)
            choice->other_whole = run;
        else
            choice->whole = run;
    }
    if (choice->begun_count < NAMED_CANDIDATES)
        choice->begun[choice->begun_count] = run;
    choice->begun_count++;
}

static enum cli_status tell_of_several(const struct choice *choice, const char *text)
{
    /* Where one id is there twice more letters do not help: only these two are worth naming. */
    struct run *const same[] = {choice->whole, choice->other_whole};
    struct run *const *candidates = choice->other_whole ? same : choice->begun;
    size_t count = choice->other_whole ? 2 : choice->begun_count;
    size_t named = count < NAMED_CANDIDATES ? count : NAMED_CANDIDATES;
    struct buffer names = {0};
    for (size_t i = 0; i < named; i++) {
        buffer_append_text(&names, i > 0 ? ", " : "");
        entry_append_path(&names, candidates[i]);
    }
    if (count > named)
        buffer_append_format(&names, " and %zu more", count - named);
    cli_error("%s: may be %s; say which", text, names.bytes);
    buffer_free(&names);
    return CLI_ERROR;
}

enum cli_status pick_run(struct index *index, const char *text, struct run **run)
{
    struct choice choice = {.beginning = slice_of(text)};
    while (choice.beginning.length > 0 && choice.beginning.bytes[choice.beginning.length - 1] == '/')
        choice.beginning.length--;
    const char *slash = memchr(choice.beginning.bytes, '/', choice.beginning.length);
    if (slash) {
        choice.framework = (struct slice){text, (size_t)(slash - text)};
        choice.beginning.bytes = slash + 1;
        choice.beginning.length -= choice.framework.length + 1;
    }
    if (choice.beginning.length > 0)
        for (struct run *each = index_first(index); each; each = index_next(index, each))
            consider(&choice, each);
    if (choice.whole && !choice.other_whole) {
        *run = choice.whole;
        return CLI_OK;
    }
    if (choice.begun_count == 1) {
        *run = choice.begun[0];
        return CLI_OK;
    }
    if (choice.begun_count > 1)
        return tell_of_several(&choice, text);
    cli_error("%s: no run's id begins so; runs list has them all", text);
    return CLI_FINDING;
}
