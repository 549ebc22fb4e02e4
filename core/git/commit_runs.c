/*
 * The runs of an attempt: what of them is in the commit, and what it says of them. What is wrong with one run
 * stops no other: it is left out, with its own result.
 */
#include "core/base/memory.h"
#include "core/git/commit_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A run among others whose files changed meanwhile in so many attempts is left for later. */
#define RESTLESS_ATTEMPTS 3

/* ---- looks ---- */

static void set_result(struct attempt_run *run, int result, const char *text)
{
    run->is_in = false;
    run->run->result = result;
    free(run->run->text); /* the line of an attempt before */
    run->run->text = memory_copy_text(text, strlen(text));
}

/* What has to do with the process as a whole, and may be better in a moment. */
static bool is_passing(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

void attempt_give_up(struct attempt_run *run)
{
    struct buffer text = {0};
    buffer_append_format(&text, "%s: its files change all the time", run->run->path);
    set_result(run, -ETXTBSY, text.bytes);
    buffer_free(&text);
}

/* The files changed while they were looked at. */
static int note_restless(const struct attempt *attempt, struct attempt_run *run)
{
    if (++run->restless < RESTLESS_ATTEMPTS || attempt->run_count == 1)
        return -EAGAIN;
    attempt_give_up(run);
    return 0;
}

static int look_at_run(struct attempt *attempt, struct attempt_run *run)
{
    size_t count = attempt->changes.count;
    int error = build_changes(attempt->committer, attempt->config, &attempt->head, run->run->path, true,
                              &run->seen, &attempt->changes);
    if (error == 0)
        user_index_keep_sparse(&attempt->user, &attempt->changes, count);
    run->is_in = error == 0 && attempt->changes.count > count;
    if (error == -EAGAIN)
        return note_restless(attempt, run);
    if (is_passing(error))
        return error;
    if (error && error != -ENOENT)
        set_result(run, error, repository_error());
    return 0;
}

int attempt_look(struct attempt *attempt)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < attempt->run_count; i++)
        if (attempt->runs[i].run->result == 0)
            error = look_at_run(attempt, &attempt->runs[i]);
    return error;
}

size_t attempt_count(const struct attempt *attempt)
{
    size_t count = 0;
    for (size_t i = 0; i < attempt->run_count; i++)
        count += attempt->runs[i].is_in;
    return count;
}

bool attempt_is_same(struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->run_count; i++) {
        struct attempt_run *run = &attempt->runs[i];
        if (run->is_in && !seen_run_is_same(attempt->committer, run->run->path, &run->seen)) {
            note_restless(attempt, run);
            return false;
        }
    }
    return true;
}

/* ---- what they say ---- */

static struct run *find_run(struct index *runs, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct slice place = {path, slash ? (size_t)(slash - path) : 0};
    return index_find(runs, place, slice_of(slash ? slash + 1 : path));
}

/* The first file of the run that is broken: its number, or -1. */
static int broken_file(const struct run_plan *plan, const struct run *run)
{
    for (size_t i = 0; run && run->faults && i < plan->file_count; i++)
        if (run->faults[i].reason)
            return (int)i;
    return -1;
}

size_t attempt_drop_broken(struct attempt *attempt, struct index *runs)
{
    const struct run_plan *plan = attempt->committer->base.rules->plan;
    size_t dropped = 0;
    for (size_t i = 0; i < attempt->run_count; i++) {
        struct attempt_run *run = &attempt->runs[i];
        const struct run *found = run->is_in ? find_run(runs, run->run->path) : NULL;
        int file = broken_file(plan, found);
        char fault[200];
        struct buffer text = {0};
        if (file < 0)
            continue;
        run_fault_describe(&found->faults[file], fault, sizeof(fault));
        buffer_append_format(&text, "%s/%s: %s; it is not committed as it is", run->run->path,
                             plan->files[file].name, fault);
        set_result(run, -EBADMSG, text.bytes);
        buffer_free(&text);
        dropped++;
    }
    return dropped;
}

void commit_message_append(struct buffer *message, const char *run_path, const struct run_fields *fields)
{
    for (const char *at = run_path; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            buffer_append_format(message, "%%%02X", (unsigned char)*at);
        else
            buffer_append_byte(message, *at);
    }
    if (!fields)
        return;
    buffer_append_text(message, ": ");
    for (size_t i = 0; i < fields->status.length; i++) {
        unsigned char byte = (unsigned char)fields->status.bytes[i];
        buffer_append_byte(message, byte < ' ' || byte == 0x7f ? '?' : (char)byte);
    }
    buffer_append_format(message, ", %llu tokens in, %llu out", (unsigned long long)fields->tokens_in,
                         (unsigned long long)fields->tokens_out);
}

static void compose_line(struct attempt_run *run, struct index *runs)
{
    struct buffer line = {0};
    const struct run *found = find_run(runs, run->run->path);
    commit_message_append(&line, run->run->path, found ? &found->fields : NULL);
    free(run->run->text);
    run->run->text = line.bytes;
}

void attempt_compose(struct attempt *attempt, struct index *runs)
{
    struct buffer message = {0};
    size_t count = attempt_count(attempt);
    if (count > 1)
        buffer_append_format(&message, "%zu runs\n\n", count);
    for (size_t i = 0; i < attempt->run_count; i++)
        if (attempt->runs[i].is_in) {
            compose_line(&attempt->runs[i], runs);
            buffer_append_format(&message, "%s\n", attempt->runs[i].run->text);
        }
    attempt->message = message.bytes;
    attempt->subject = memory_copy_text(message.bytes, strcspn(message.bytes, "\n"));
}
