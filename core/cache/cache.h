/*
 * The index cache: what the files of a source's runs said when they were last read, outside of the source, so
 * that the next scan need only look whether they are still the same. A cache and no more: nothing depends on
 * it, whatever is wrong with it makes the runs be read.
 *
 * It holds runs whose files could all be read, with the stamps that those files had. Whoever takes a run from
 * it compares the stamps first; whoever puts one in sees to it that no change can hide behind them
 * (core/keeper/recall.c does both). docs/index-cache.md describes the file.
 */
#ifndef RUNSFS_CACHE_CACHE_H
#define RUNSFS_CACHE_CACHE_H

#include "core/run/load.h"
#include "core/source/source.h"

/* What is known of every run. A cache of another kind is of no use. */
struct cache_kind {
    uint64_t fingerprint; /* the configuration's */
    uint32_t file_count;  /* RUN_FILES_AT_MOST at most */
    uint32_t own_count;   /* fields of the configuration's own */
};

struct cached_run {
    struct file_stamp stamps[RUN_FILES_AT_MOST];
    struct run_fields fields; /* borrowed, but for `own` of a run that was found, which the caller frees */
};

/* ---- place.c: where a source's cache is ---- */

struct cache_place;

/* The place of the cache of the source, which is open as source_fd and whose path is source_path, in
 * directory (NULL: `runsfs` in the user's XDG cache directory), which is made where it is missing. 0 and
 * *place, to be closed with cache_place_close. -EXDEV where it would lie in the source itself; -EPERM where
 * it is not ours alone to write; -ENOENT where there is no such place; any errno of making and opening it. */
int cache_place_open(const char *directory, int source_fd, const char *source_path,
                     struct cache_place **place);
void cache_place_close(struct cache_place *place); /* may be NULL */

/* ---- contents.c: what is in it ---- */

struct cache;

/* Reads what stands there. 0 and *cache, to be freed with cache_free; -ENOENT for none; -EPERM where it is
 * not ours alone to write; -EBADMSG for one that is damaged, foreign or of another version or kind. */
int cache_load(const struct cache_place *place, const struct cache_kind *kind, struct cache **cache);
/* The same from the bytes of a file, which are taken over (and were had from malloc). */
int cache_parse(char *bytes, size_t size_bytes, const struct identity *source, const struct cache_kind *kind,
                struct cache **cache);
void cache_free(struct cache *cache); /* may be NULL */
size_t cache_count(const struct cache *cache);
/* The run of that name in that place; its fields are good as long as the cache. From any thread. */
bool cache_find(const struct cache *cache, struct slice place, struct slice name, struct cached_run *run);

/* ---- writer.c: writing another ---- */

struct cache_writer;

/* Begins to write a cache that replaces the one there when it is whole. 0 and *writer; -EAGAIN where another
 * process is at it; any errno. */
int cache_write_begin(const struct cache_place *place, const struct cache_kind *kind,
                      struct cache_writer **writer);
/* Adds a run in memory. Nothing in it can be as long as LIMIT_RUN_FILE_BYTES. */
void cache_write_run(struct cache_writer *writer, struct slice place, struct slice name,
                     const struct cached_run *run);
/* Writes out what was added. 0 or -errno, which every later call gives again. */
int cache_write_out(struct cache_writer *writer);
/* Puts it in place, and frees the writer. 0, or -errno of this or an earlier step: then the cache is the one
 * before, and nothing else is left. */
int cache_write_end(struct cache_writer *writer);

#endif
