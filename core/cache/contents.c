/*
 * Reading a cache: one read of the whole file (it is never mapped: a file that shrinks would be a SIGBUS),
 * one pass that checks every length and enters every run in a hash table of places.
 */
#include "core/base/file.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/cache/format.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cache {
    char *bytes;
    struct cache_kind kind;
    size_t run_count;
    uint32_t *slots;   /* where in bytes a record stands, in units of 8 bytes; 0 for none */
    size_t slot_count; /* a power of two, at least twice the runs */
};

static size_t first_slot(const struct cache *cache, struct slice place, struct slice name)
{
    return (size_t)(text_hash(name) + 31 * text_hash(place)) & (cache->slot_count - 1);
}

static const struct cache_record *record_at(const struct cache *cache, uint32_t place)
{
    return (const void *)(cache->bytes + (size_t)place * 8);
}

static const struct file_stamp *stamps_of(const struct cache_record *record)
{
    return (const void *)(record + 1);
}

/* The lengths of the own fields' texts. */
static const uint32_t *lengths_of(const struct cache *cache, const struct cache_record *record)
{
    return (const void *)((const char *)(record + 1) + cache_stamps_bytes(&cache->kind));
}

static const char *texts_of(const struct cache *cache, const struct cache_record *record)
{
    return (const char *)lengths_of(cache, record) + cache_lengths_bytes(&cache->kind);
}

static struct slice place_of(const struct cache *cache, const struct cache_record *record)
{
    return (struct slice){texts_of(cache, record), record->place_length};
}

static struct slice name_of(const struct cache *cache, const struct cache_record *record)
{
    return (struct slice){texts_of(cache, record) + record->place_length, record->name_length};
}

static size_t text_length(uint32_t length)
{
    return length == CACHE_ABSENT ? 0 : length;
}

/* Does a record stand at the beginning of room_bytes, and do its texts fit into it? */
static bool is_record(const struct cache *cache, const struct cache_record *record, size_t room_bytes)
{
    size_t needed = sizeof(*record) + cache_stamps_bytes(&cache->kind) + cache_lengths_bytes(&cache->kind);
    if (room_bytes < needed || record->size_bytes > room_bytes || record->size_bytes % 8 != 0 ||
        record->size_bytes < needed || record->status_length == CACHE_ABSENT)
        return false;
    needed += (size_t)record->place_length + record->name_length + text_length(record->start_time_length) +
              text_length(record->end_time_length) + record->status_length;
    for (size_t i = 0; i < cache->kind.own_count; i++)
        needed += text_length(lengths_of(cache, record)[i]);
    return record->size_bytes >= needed;
}

/* The first of two with one name counts; there are none, unless names came and went while it was written. */
static void enter(struct cache *cache, uint32_t place)
{
    const struct cache_record *record = record_at(cache, place);
    size_t slot = first_slot(cache, place_of(cache, record), name_of(cache, record));
    while (cache->slots[slot])
        slot = (slot + 1) & (cache->slot_count - 1);
    cache->slots[slot] = place;
}

static bool is_header_good(const struct cache_header *header, size_t size_bytes,
                           const struct identity *source, const struct cache_kind *kind)
{
    struct cache_header expected = cache_header_of(source, kind);
    return size_bytes % 8 == 0 && size_bytes <= LIMIT_CACHE_BYTES && header->size_bytes == size_bytes &&
           memcmp(header, &expected, offsetof(struct cache_header, run_count)) == 0 &&
           header->run_count <= size_bytes / sizeof(struct cache_record);
}

static bool is_checksum_good(const struct cache_header *header, const char *bytes, size_t size_bytes)
{
    struct cache_header sealed = *header;
    cache_header_seal(&sealed, cache_checksum(0, bytes + sizeof(*header), size_bytes - sizeof(*header)));
    return sealed.checksum == header->checksum;
}

static int enter_all(struct cache *cache, size_t size_bytes)
{
    size_t at = sizeof(struct cache_header), entered = 0;
    for (; at < size_bytes; entered++) {
        const struct cache_record *record = (const void *)(cache->bytes + at);
        if (entered == cache->run_count || !is_record(cache, record, size_bytes - at))
            return -EBADMSG;
        enter(cache, (uint32_t)(at / 8));
        at += record->size_bytes;
    }
    return entered == cache->run_count ? 0 : -EBADMSG;
}

int cache_parse(char *bytes, size_t size_bytes, const struct identity *source, const struct cache_kind *kind,
                struct cache **result)
{
    const struct cache_header *header = (const void *)bytes;
    *result = NULL;
    if (size_bytes < sizeof(*header) || !is_header_good(header, size_bytes, source, kind) ||
        !is_checksum_good(header, bytes, size_bytes)) {
        free(bytes);
        return -EBADMSG;
    }
    struct cache *cache = memory_alloc_zeroed(1, sizeof(*cache));
    cache->bytes = bytes;
    cache->kind = *kind;
    cache->run_count = header->run_count;
    cache->slot_count = 16;
    while (cache->slot_count < 2 * cache->run_count)
        cache->slot_count *= 2;
    cache->slots = memory_alloc_zeroed(cache->slot_count, sizeof(*cache->slots));
    int error = enter_all(cache, size_bytes);
    if (error) {
        cache_free(cache);
        return error;
    }
    *result = cache;
    return 0;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    free(cache->slots);
    free(cache->bytes);
    free(cache);
}

size_t cache_count(const struct cache *cache)
{
    return cache->run_count;
}

/* The text that stands at *at, behind which *at is set. */
static struct slice take_text(const char **at, uint32_t length)
{
    struct slice text = {*at, length};
    if (length == CACHE_ABSENT)
        return SLICE_ABSENT;
    *at += length;
    return text;
}

static struct run_own *own_of(const struct cache *cache, const struct cache_record *record, const char *at)
{
    struct slice values[LIMIT_CONFIG_FIELDS];
    for (size_t i = 0; i < cache->kind.own_count; i++)
        values[i] = take_text(&at, lengths_of(cache, record)[i]);
    return run_own_copy(values, cache->kind.own_count);
}

bool cache_find(const struct cache *cache, struct slice place, struct slice name, struct cached_run *run)
{
    size_t slot = first_slot(cache, place, name);
    const struct cache_record *record = NULL;
    for (; cache->slots[slot]; slot = (slot + 1) & (cache->slot_count - 1)) {
        record = record_at(cache, cache->slots[slot]);
        if (slice_equal(name_of(cache, record), name) && slice_equal(place_of(cache, record), place))
            break;
        record = NULL;
    }
    if (!record)
        return false;
    const char *at = name_of(cache, record).bytes + record->name_length;
    memcpy(run->stamps, stamps_of(record), cache_stamps_bytes(&cache->kind));
    run->fields.start_time = take_text(&at, record->start_time_length);
    run->fields.end_time = take_text(&at, record->end_time_length);
    run->fields.status = take_text(&at, record->status_length);
    run->fields.tokens_in = record->tokens_in;
    run->fields.tokens_out = record->tokens_out;
    run->fields.own = own_of(cache, record, at);
    return true;
}

/* ---- the file ---- */

int cache_load(const struct cache_place *place, const struct cache_kind *kind, struct cache **cache)
{
    struct stat info;
    CLEANUP_FD int fd =
        openat(place->directory_fd, place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0)
        return -errno;
    if (!S_ISREG(info.st_mode) || !cache_is_ours(&info))
        return -EPERM;
    if (info.st_size < (off_t)sizeof(struct cache_header) || (uint64_t)info.st_size > LIMIT_CACHE_BYTES)
        return -EBADMSG;
    char *bytes = malloc((size_t)info.st_size);
    if (!bytes)
        return -ENOMEM;
    int error = file_read_all(fd, bytes, (size_t)info.st_size);
    if (error) {
        free(bytes);
        return error;
    }
    return cache_parse(bytes, (size_t)info.st_size, &place->source, kind, cache);
}
