/*
 * Queries that were refused, and why: in the log, and the last of them in `.runsfs/errors`, for who typed a
 * path and got no more than "No such file or directory".
 */
#include "fs/view/report.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEPT 64

struct refusal {
    char *path, *reason;
    struct timespec at; /* the last time */
    unsigned times;
};

struct refusals {
    pthread_mutex_t lock;
    struct refusal list[KEPT]; /* the oldest first */
    size_t count;
};

void refused_create(struct fs *fs)
{
    fs->refusals = memory_alloc_zeroed(1, sizeof(*fs->refusals));
    pthread_mutex_init(&fs->refusals->lock, NULL);
}

static void refusal_free(struct refusal *refusal)
{
    free(refusal->path);
    free(refusal->reason);
}

void refused_free(struct fs *fs)
{
    for (size_t i = 0; i < fs->refusals->count; i++)
        refusal_free(&fs->refusals->list[i]);
    pthread_mutex_destroy(&fs->refusals->lock);
    free(fs->refusals);
}

/* Takes the refusal of that path out of the list, or the oldest where it is full; a new one where there is
 * room. The lock is held. */
static struct refusal take(struct refusals *refusals, const char *path)
{
    size_t at = 0;
    while (at < refusals->count && strcmp(refusals->list[at].path, path) != 0)
        at++;
    struct refusal taken = {0};
    if (at == refusals->count) {
        if (refusals->count < KEPT)
            return taken;
        at = 0;
    }
    taken = refusals->list[at];
    memmove(&refusals->list[at], &refusals->list[at + 1], (--refusals->count - at) * sizeof(*refusals->list));
    return taken;
}

void refused_add(struct fs *fs, const char *path, const char *reason)
{
    struct refusals *refusals = fs->refusals;
    pthread_mutex_lock(&refusals->lock);
    struct refusal refusal = take(refusals, path);
    bool again = refusal.path && strcmp(refusal.path, path) == 0 && strcmp(refusal.reason, reason) == 0;
    if (!again) {
        refusal_free(&refusal);
        refusal = (struct refusal){
            memory_copy_text(path, strlen(path)), memory_copy_text(reason, strlen(reason)), {0}, 0};
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!again || now.tv_sec - refusal.at.tv_sec > 1) /* one ls looks several times */
        refusal.times++;
    refusal.at = now;
    refusals->list[refusals->count++] = refusal;
    pthread_mutex_unlock(&refusals->lock);
    if (!again) /* a shell's completion asks for the same over and over */
        log_warning("%s: %s", path, reason);
}

void refused_render(struct fs *fs, struct buffer *text)
{
    struct refusals *refusals = fs->refusals;
    pthread_mutex_lock(&refusals->lock);
    for (size_t i = 0; i < refusals->count; i++) {
        const struct refusal *refusal = &refusals->list[i];
        struct tm utc;
        char at[32];
        gmtime_r(&refusal->at.tv_sec, &utc);
        strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &utc);
        buffer_append_format(text, "%s query ", at);
        report_append_printable(text, slice_of(refusal->path));
        buffer_append_format(text, ": %s", refusal->reason);
        if (refusal->times > 1)
            buffer_append_format(text, " (%u times)", refusal->times);
        buffer_append_byte(text, '\n');
    }
    pthread_mutex_unlock(&refusals->lock);
}
