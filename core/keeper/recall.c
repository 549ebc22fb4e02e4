/*
 * The keeper and the index cache: which runs are taken from it, which go into it, and when it is written.
 *
 * A run is taken from it where its files have the inode, size and times of when they were read. A change can
 * hide behind equal times only in the tick of the filesystem's clock in which the file was read; so a run
 * goes into it only if its files were older than that by seconds when they were read, or, being watched all
 * along, are by now.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/log.h"
#include "core/cache/cache.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Buckets of the index that are gone through at once, with the lock held: some thousand runs, a few
 * milliseconds. */
#define BUCKETS_AT_ONCE 2048
/* So many runs, or so great a part of all, must have been read before the cache is written in passing. */
#define READ_WORTH_WRITING 1000
#define READ_SHARE_WORTH_WRITING 10

static struct cache_kind kind_of(const struct keeper *keeper)
{
    return (struct cache_kind){.fingerprint = keeper->config->fingerprint,
                               .file_count = (uint32_t)keeper->plan->file_count,
                               .own_count = (uint32_t)keeper->plan->own_count};
}

void recall_open(struct keeper *keeper)
{
    const struct keeper_options *options = &keeper->options;
    if (options->cache == KEEPER_CACHE_NONE)
        return;
    int error = cache_place_open(options->cache_directory, source_root_fd(keeper->source),
                                 keeper->source_path, &keeper->cache_place);
    if (error == -EXDEV)
        log_info("no index cache: its directory lies in the source");
    else if (error)
        log_info("no index cache: %s",
                 error == -EPERM ? "others may write where it would be" : strerrordesc_np(-error));
    if (error || options->cache != KEEPER_CACHE_USE)
        return;
    struct cache_kind kind = kind_of(keeper);
    error = cache_load(keeper->cache_place, &kind, &keeper->cache);
    if (error && error != -ENOENT)
        log_info("the index cache is not used, and written anew: %s",
                 error == -EBADMSG ? "it is damaged, of another version, or of another configuration"
                                   : strerrordesc_np(-error));
}

void recall_forget(struct keeper *keeper)
{
    cache_free(keeper->cache);
    keeper->cache = NULL;
}

void recall_close(struct keeper *keeper)
{
    recall_forget(keeper);
    cache_place_close(keeper->cache_place);
    keeper->cache_place = NULL;
}

bool recall_run(const struct keeper *keeper, struct slice place, struct slice name, int run_fd,
                struct run_state *state)
{
    struct cached_run run;
    struct file_stamp stamps[RUN_FILES_AT_MOST];
    if (!keeper->cache || run_load_stamps(keeper->plan, run_fd, stamps) != 0 ||
        !cache_find(keeper->cache, place, name, &run))
        return false;
    bool is_same = true, is_run = false;
    for (size_t file = 0; file < keeper->plan->file_count; file++) {
        is_same &= file_stamp_equal(&stamps[file], &run.stamps[file]);
        is_run |= stamps[file].ino != 0;
    }
    if (!is_same || !is_run) {
        free(run.fields.own);
        return false;
    }
    *state = (struct run_state){.is_run = true, .is_whole = true, .fields = run.fields};
    state->file_count = keeper->plan->file_count;
    memcpy(state->stamps, stamps, state->file_count * sizeof(*stamps));
    return true;
}

/* ---- writing ---- */

struct saving {
    struct keeper *keeper;
    struct config *config; /* for which it is written; a reference, so that no other is taken for it */
    struct cache_writer *writer;
    int64_t began_ns; /* of run_clock_ns */
    size_t left_out;
    bool all_told; /* the watch has told of every change so far, and all is settled */
};

/* Does the watch tell of every file of the run? */
static bool is_watched(const struct member *member)
{
    bool all = atomic_load(&member->directory->watch_state) == WATCH_ACTIVE;
    struct member_position position = {0};
    for (const struct member *part; all && (part = member_next_child(member, &position));)
        all = atomic_load(&part->directory->watch_state) == WATCH_ACTIVE;
    return all;
}

/* May the run be taken for what its files say as long as they have these stamps? */
static bool is_certain(const struct saving *saving, const struct run *run)
{
    const struct member *member = run->owner;
    if (run->faults || member->unread || member->links)
        return false;
    if (member->was_fresh && !(saving->all_told && is_watched(member)))
        return false;
    for (size_t file = 0; file < saving->keeper->plan->file_count; file++)
        if (run_stamps_are_fresh(run_stamp(run, file), 1, saving->began_ns))
            return false;
    return true;
}

static int save_run(struct run *run, void *context)
{
    struct saving *saving = context;
    struct cached_run cached = {.fields = run->fields};
    if (!is_certain(saving, run)) {
        saving->left_out++;
        return 0;
    }
    for (size_t file = 0; file < saving->keeper->plan->file_count; file++)
        cached.stamps[file] = *run_stamp(run, file);
    cache_write_run(saving->writer, run_place(run), run->name, &cached);
    return 0;
}

/* Piece by piece, with the lock held for each: what is seen of the index is of no single moment, which does
 * not matter, since every run stands for itself. */
static void save_all(struct saving *saving)
{
    struct keeper *keeper = saving->keeper;
    size_t bucket = 0;
    bool is_same_config;
    do {
        pthread_mutex_lock(&keeper->lock);
        is_same_config = keeper->config == saving->config;
        if (is_same_config)
            index_each_part(keeper->index, &bucket, BUCKETS_AT_ONCE, save_run, saving);
        pthread_mutex_unlock(&keeper->lock);
        /* What a configuration that came meanwhile has of its runs does not belong into it. */
    } while (is_same_config && cache_write_out(saving->writer) == 0 && bucket != 0);
}

static void save(struct keeper *keeper, bool all_told)
{
    struct saving saving = {.keeper = keeper, .began_ns = run_clock_ns(), .all_told = all_told};
    int64_t began_ms = keeper_now_ms();
    pthread_mutex_lock(&keeper->lock);
    size_t owed = keeper->read_since_saved;
    keeper->read_since_saved = 0;
    struct cache_kind kind = kind_of(keeper);
    saving.config = config_ref(keeper->config);
    pthread_mutex_unlock(&keeper->lock);
    int error = cache_write_begin(keeper->cache_place, &kind, &saving.writer);
    if (error == 0) {
        save_all(&saving);
        error = cache_write_end(saving.writer);
    }
    config_unref(saving.config);
    pthread_mutex_lock(&keeper->lock);
    keeper->read_since_saved += error ? owed : saving.left_out;
    pthread_mutex_unlock(&keeper->lock);
    if (error)
        log_info("the index cache is not written: %s", strerrordesc_np(-error));
    else
        log_debug("the index cache is written, in %lld ms", (long long)(keeper_now_ms() - began_ms));
}

void recall_save_if_worth(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    size_t read = keeper->read_since_saved, count = index_count(keeper->index);
    pthread_mutex_unlock(&keeper->lock);
    if (keeper->cache_place && read > 0 &&
        (read >= READ_WORTH_WRITING || read >= count / READ_SHARE_WORTH_WRITING))
        save(keeper, false);
}

void recall_save_at_end(struct keeper *keeper)
{
    if (keeper->cache_place && keeper->read_since_saved > 0)
        save(keeper, true);
}
