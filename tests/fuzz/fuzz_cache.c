/*
 * Whatever stands in an index cache: it is refused, or every run that is found in it lies within its bytes.
 * The input is given a good header and checksum, which it would never guess, so that what is behind them is
 * reached; its first byte says whether.
 */
#include "core/base/memory.h"
#include "core/cache/format.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

/* Reads that nobody looks at would be left out. */
static volatile uint64_t read_sum;

static const struct cache_kind kind = {.fingerprint = 1, .file_count = 2, .own_count = 3};
static const struct identity source = {.dev = 1, .ino = 2, .birth_ns = 3};

static void seal(char *bytes, size_t size_bytes)
{
    struct cache_header header = cache_header_of(&source, &kind);
    const struct cache_header *given = (const void *)bytes;
    header.run_count = given->run_count % 64;
    header.size_bytes = size_bytes;
    cache_header_seal(&header, cache_checksum(0, bytes + sizeof(header), size_bytes - sizeof(header)));
    memcpy(bytes, &header, sizeof(header));
}

static uint64_t sum_of(struct slice text)
{
    uint64_t sum = text.length;
    for (size_t i = 0; i < text.length; i++)
        sum += (unsigned char)text.bytes[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct cache *cache;
    if (size_bytes < 1 + sizeof(struct cache_header))
        return 0;
    size_t length = (size_bytes - 1) & ~(size_t)7;
    char *bytes = memory_alloc(length);
    memcpy(bytes, data + 1, length);
    if (length >= sizeof(struct cache_header) && data[0] & 1)
        seal(bytes, length);
    if (cache_parse(bytes, length, &source, &kind, &cache) != 0)
        return 0;
    struct cached_run run;
    uint64_t sum = cache_count(cache);
    /* Names are anything: those of one byte are found soon. */
    for (int i = 0; i < 256; i++) {
        char name[2] = {(char)i, '\0'};
        if (!cache_find(cache, slice_of(name), slice_of(name), &run))
            continue;
        sum += sum_of(run.fields.start_time) + sum_of(run.fields.end_time) + sum_of(run.fields.status);
        for (size_t own = 0; own < run.fields.own->count; own++)
            sum += sum_of(run.fields.own->values[own]);
        free(run.fields.own);
    }
    read_sum = sum;
    cache_free(cache);
    return 0;
}
