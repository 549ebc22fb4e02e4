/*
 * Telling the run that is meant from others: see pick.h. Every run is looked at, which for 100,000 is no more
 * than a tenth of what opening them costs.
 */
#include "core/cli/pick.h"
#include "core/base/memory.h"
#include "core/cli/entry.h"
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define NAMED_CANDIDATES 4

/* What somebody typed. */
struct wanted {
    struct slice framework; /* absent where any is meant */
    struct slice beginning; /* of the run id */
};

struct candidate {
    struct slice framework, name;
    struct run *run;  /* NULL for one of the past, */
    const char *path; /* which has this path */
};

struct choice {
    struct wanted wanted;
    struct candidate whole, other_whole; /* without a name where there is none */
    struct candidate begun[NAMED_CANDIDATES];
    size_t begun_count;
};

static struct wanted read_wanted(const char *text)
{
    struct wanted wanted = {.beginning = slice_of(text)};
    while (wanted.beginning.length > 0 && wanted.beginning.bytes[wanted.beginning.length - 1] == '/')
        wanted.beginning.length--;
    const char *slash = memchr(wanted.beginning.bytes, '/', wanted.beginning.length);
    if (slash) {
        wanted.framework = (struct slice){text, (size_t)(slash - text)};
        wanted.beginning.bytes = slash + 1;
        wanted.beginning.length -= wanted.framework.length + 1;
    }
    return wanted;
}

static bool fits(const struct wanted *wanted, struct slice framework, struct slice name)
{
    return wanted->beginning.length > 0 &&
           (!wanted->framework.bytes || slice_equal(wanted->framework, framework)) &&
           name.length >= wanted->beginning.length &&
           memcmp(name.bytes, wanted->beginning.bytes, wanted->beginning.length) == 0;
}

static void consider(struct choice *choice, const struct candidate *candidate)
{
    if (!fits(&choice->wanted, candidate->framework, candidate->name))
        return;
    if (candidate->name.length == choice->wanted.beginning.length) {
        if (choice->whole.name.bytes)
            choice->other_whole = *candidate;
        else
            choice->whole = *candidate;
    }
    if (choice->begun_count < NAMED_CANDIDATES)
        choice->begun[choice->begun_count] = *candidate;
    choice->begun_count++;
}

static enum cli_status tell_of_several(const struct choice *choice, const char *text)
{
    /* Where one id is there twice more letters do not help: only these two are worth naming. */
    const struct candidate same[] = {choice->whole, choice->other_whole};
    const struct candidate *candidates = choice->other_whole.name.bytes ? same : choice->begun;
    size_t count = choice->other_whole.name.bytes ? 2 : choice->begun_count;
    size_t named = count < NAMED_CANDIDATES ? count : NAMED_CANDIDATES;
    struct buffer names = {0};
    for (size_t i = 0; i < named; i++) {
        buffer_append_text(&names, i > 0 ? ", " : "");
        if (candidates[i].run)
            entry_append_path(&names, candidates[i].run);
        else
            buffer_append_text(&names, candidates[i].path);
    }
    if (count > named)
        buffer_append_format(&names, " and %zu more", count - named);
    cli_error("%s: may be %s; say which", text, names.bytes);
    buffer_free(&names);
    return CLI_ERROR;
}

/* CLI_OK and *chosen, or as pick.h has it. */
static enum cli_status choose(const struct choice *choice, const char *text, struct candidate *chosen)
{
    if (choice->whole.name.bytes && !choice->other_whole.name.bytes) {
        *chosen = choice->whole;
        return CLI_OK;
    }
    if (choice->begun_count == 1) {
        *chosen = choice->begun[0];
        return CLI_OK;
    }
    return choice->begun_count > 1 ? tell_of_several(choice, text) : CLI_FINDING;
}

enum cli_status pick_run(struct index *index, const char *text, struct run **run)
{
    struct choice choice = {.wanted = read_wanted(text)};
    struct candidate chosen = {0};
    if (choice.wanted.beginning.length > 0)
        for (struct run *each = index_first(index); each; each = index_next(index, each))
            consider(&choice, &(struct candidate){run_framework(each), each->name, each, NULL});
    enum cli_status status = choose(&choice, text, &chosen);
    if (status == CLI_OK)
        *run = chosen.run;
    else if (status == CLI_FINDING)
        cli_error("%s: no run's id begins so; runs list has them all", *text ? text : "\"\"");
    return status;
}

/* ---- of the past ---- */

struct known_path {
    char *path;
    UT_hash_handle hh;
};

struct path_choice {
    const char *text;
    struct wanted wanted;
    struct known_path *paths;
};

/* The last two names of a path. */
static struct candidate candidate_of(const char *path)
{
    struct candidate candidate = {.framework = SLICE_LITERAL(""), .name = slice_of(path), .path = path};
    const char *slash = strrchr(path, '/');
    if (slash) {
        candidate.name = slice_of(slash + 1);
        const char *begin = slash;
        while (begin > path && begin[-1] != '/')
            begin--;
        candidate.framework = (struct slice){begin, (size_t)(slash - begin)};
    }
    return candidate;
}

struct path_choice *path_choice_create(const char *text)
{
    struct path_choice *choice = memory_alloc_zeroed(1, sizeof(*choice));
    choice->text = text;
    choice->wanted = read_wanted(text);
    return choice;
}

bool path_choice_fits(const struct path_choice *choice, const char *path)
{
    struct candidate candidate = candidate_of(path);
    return fits(&choice->wanted, candidate.framework, candidate.name);
}

void path_choice_add(struct path_choice *choice, const char *path)
{
    struct known_path *known;
    HASH_FIND_STR(choice->paths, path, known);
    if (known)
        return;
    known = memory_alloc_zeroed(1, sizeof(*known));
    known->path = memory_copy_text(path, strlen(path));
    HASH_ADD_KEYPTR(hh, choice->paths, known->path, strlen(known->path), known);
}

size_t path_choice_count(const struct path_choice *choice)
{
    return HASH_COUNT(choice->paths);
}

enum cli_status path_choice_end(const struct path_choice *path_choice, const char **path)
{
    struct choice choice = {.wanted = path_choice->wanted};
    struct candidate chosen = {0};
    for (struct known_path *known = path_choice->paths; known; known = known->hh.next) {
        struct candidate candidate = candidate_of(known->path);
        consider(&choice, &candidate);
    }
    enum cli_status status = choose(&choice, path_choice->text, &chosen);
    if (status == CLI_OK)
        *path = chosen.path;
    return status;
}

void path_choice_free(struct path_choice *choice)
{
    struct known_path *known, *next;
    HASH_ITER(hh, choice->paths, known, next)
    {
        HASH_DEL(choice->paths, known);
        free(known->path);
        free(known);
    }
    free(choice);
}
