/*
 * `runs complete WORDS...`, for the completions of shells (scripts/completion): what the last word may be,
 * the others being what stands before it.
 */
#include "core/base/escape.h"
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/complete.h"
#include "core/cli/git_source.h"
#include "core/git/revision.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the words before the last say. */
struct context {
    const struct command *command; /* NULL where none is given yet */
    bool is_unknown;               /* one is, which there is not */
    char *directory;               /* of -C; owned */
    bool wants_directory;          /* the last word is one */
    bool is_past_options;          /* "--" was given */
    int argument_count;            /* of the command's arguments before the last word */
    unsigned value_of;             /* the option whose value the last word is; 0 where it is none */
};

/* The last commits that changed the runs, which are offered beside branches and tags. */
#define OFFERED_COMMITS 10

/* The shell has not put the home directory in its place yet. */
static char *directory_of(const char *text)
{
    struct buffer path = {0};
    const char *home = getenv("HOME");
    if (home && text[0] == '~' && (text[1] == '/' || text[1] == '\0'))
        buffer_append_text(&path, home), text++;
    buffer_append_text(&path, text);
    return path.bytes;
}

static void set_directory(struct context *context, const char *text)
{
    free(context->directory);
    context->directory = directory_of(text);
}

static void read_command(struct context *context, const char *name)
{
    for (const struct command *const *command = commands; *command; command++)
        if ((*command)->summary && strcmp((*command)->name, name) == 0)
            context->command = *command;
    context->is_unknown = !context->command;
}

/* The option that this word is, where its value is the next word; 0 for any other. */
static unsigned option_before_value(const struct command *command, const char *word)
{
    const struct cli_option_name *option = cli_option_names;
    if (!command || strncmp(word, "--", 2) != 0)
        return 0;
    while ((option->name || option->letter) &&
           !(option->value && option->name && strcmp(option->name, word + 2) == 0))
        option++;
    return option->value ? option->option & command->accepts : 0;
}

static void read_words(struct context *context, char **words, int count)
{
    for (int i = 0; i < count; i++) {
        bool is_option = words[i][0] == '-' && words[i][1] != '\0' && !context->is_past_options;
        if (is_option && strcmp(words[i], "--") == 0)
            context->is_past_options = true;
        else if (is_option && strcmp(words[i], "-C") == 0 && i + 1 == count)
            context->wants_directory = true;
        else if (is_option && strcmp(words[i], "-C") == 0)
            set_directory(context, words[++i]);
        else if (is_option && words[i][1] == 'C')
            set_directory(context, words[i] + 2);
        else if (is_option && option_before_value(context->command, words[i])) {
            if (i + 1 == count)
                context->value_of = option_before_value(context->command, words[i]);
            i++;
        } else if (is_option)
            continue;
        else if (!context->command && !context->is_unknown)
            read_command(context, words[i]);
        else
            context->argument_count++;
    }
}

static void add_options(struct candidates *candidates, const struct command *command)
{
    candidates_add(candidates, SLICE_LITERAL("-C"), SLICE_LITERAL("the directory of runs"));
    for (const struct cli_option_name *option = cli_option_names; option->name || option->letter; option++) {
        struct buffer text = {0};
        bool fits = !option->option || (command && (command->accepts & option->option));
        if (option->name)
            buffer_append_format(&text, "--%s", option->name);
        else
            buffer_append_format(&text, "-%c", option->letter);
        if (fits)
            candidates_add(candidates, buffer_slice(&text), slice_of(option->summary));
        buffer_free(&text);
    }
}

static void add_commands(struct candidates *candidates)
{
    for (const struct command *const *command = commands; *command; command++)
        if ((*command)->summary)
            candidates_add(candidates, slice_of((*command)->name), slice_of((*command)->summary));
}

/* Run ids, and frameworks before their slash; behind it the ids of that one. */
static void add_runs(struct candidates *candidates, struct index *index)
{
    bool with_framework = memchr(candidates->typed.bytes, '/', candidates->typed.length);
    struct buffer text = {0};
    uint64_t after = 0;
    for (struct facet_value *value; (value = facet_next(index, FACET_FRAMEWORK, after, &after));) {
        buffer_clear(&text);
        if (with_framework || facet_value_runs(value) == 0 ||
            escape_decode(slice_of(facet_value_name(value)), &text) != 0)
            continue;
        buffer_append_byte(&text, '/');
        candidates_add(candidates, buffer_slice(&text), SLICE_LITERAL("framework"));
    }
    for (struct run *run = index_first(index); run; run = index_next(index, run)) {
        buffer_clear(&text);
        if (with_framework) {
            buffer_append_slice(&text, run_framework(run));
            buffer_append_byte(&text, '/');
        }
        buffer_append_slice(&text, run->name);
        candidates_add(candidates, buffer_slice(&text), run->fields.status);
    }
    buffer_free(&text);
}

/* The fields by the source's configuration; the built-in ones alone where there is none, or it is broken. */
static void add_fields(struct candidates *candidates, const struct context *context)
{
    char *source_path = find_source(context->directory);
    CLEANUP_FD int fd = source_path ? open(source_path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    struct config *config = fd >= 0 ? open_config(fd, source_path) : NULL;
    struct field_set *fields = config ? field_set_create(config) : NULL;
    complete_query(candidates, fields ? fields : field_set_built_in(), NULL);
    field_set_free(fields);
    config_unref(config);
    free(source_path);
}

/* Candidates that come from the runs of the source, as far as there is one. */
static void add_from_source(struct candidates *candidates, const struct context *context)
{
    bool is_query = context->command->argument == CLI_ARGUMENT_QUERY;
    char *source_path = find_source(context->directory);
    struct keeper *keeper = source_path ? open_source(source_path, true, false) : NULL;
    struct index *index = keeper ? keeper_lock(keeper) : NULL;
    if (is_query)
        complete_query(candidates, keeper ? keeper_fields(keeper) : field_set_built_in(), index);
    else if (index)
        add_runs(candidates, index);
    if (keeper) {
        keeper_unlock(keeper);
        keeper_close(keeper);
    }
    free(source_path);
}

static int add_revision(const char *name, void *context)
{
    candidates_add(context, slice_of(name), SLICE_ABSENT);
    return 0;
}

/* Of a revision the names that there are; of anything else nothing is known. */
static void add_values(struct candidates *candidates, const struct context *context)
{
    struct git_source source;
    if (context->value_of != CLI_OPTION_DIFF || git_source_open(context->directory, &source) != CLI_OK)
        return;
    revision_each_name(source.repository, OFFERED_COMMITS, add_revision, candidates);
    git_source_close(&source);
}

static void add_arguments(struct candidates *candidates, const struct context *context)
{
    switch (context->command->argument) {
    case CLI_ARGUMENT_RUN:
    case CLI_ARGUMENT_ONE_OR_ALL:
        if (context->argument_count == 0)
            add_from_source(candidates, context);
        break;
    case CLI_ARGUMENT_RUNS:
    case CLI_ARGUMENT_SOME_OR_ALL:
        add_from_source(candidates, context);
        break;
    case CLI_ARGUMENT_QUERY:
        if (complete_query_needs_values(candidates->typed))
            add_from_source(candidates, context);
        else
            add_fields(candidates, context);
        break;
    case CLI_ARGUMENT_NONE:
    case CLI_ARGUMENT_DIRECTORY:
    case CLI_ARGUMENT_VERBATIM:
        break;
    }
}

static enum cli_status run_complete(const struct cli_options *options)
{
    if (options->argument_count == 0)
        return CLI_OK;
    struct context context = {0};
    const char *typed = options->arguments[options->argument_count - 1];
    struct candidates candidates = {.typed = slice_of(typed)};
    read_words(&context, options->arguments, options->argument_count - 1);
    if (context.command && context.command->argument == CLI_ARGUMENT_DIRECTORY &&
        context.argument_count == 0 && typed[0] != '-')
        context.wants_directory = true;
    if (context.value_of & (CLI_OPTION_SVG | CLI_OPTION_PNG))
        context.wants_directory = true;
    if (context.value_of)
        add_values(&candidates, &context);
    else if (!context.wants_directory && typed[0] == '-' && !context.is_past_options)
        add_options(&candidates, context.command);
    else if (!context.wants_directory && !context.command && !context.is_unknown)
        add_commands(&candidates);
    else if (!context.wants_directory && context.command)
        add_arguments(&candidates, &context);
    enum cli_status status = context.wants_directory ? CLI_FINDING : cli_print(&candidates.lines);
    buffer_free(&candidates.lines);
    free(context.directory);
    return status;
}

const struct command command_complete = {
    .name = "complete",
    .argument = CLI_ARGUMENT_VERBATIM,
    .run = run_complete,
};
