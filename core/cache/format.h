/*
 * The bytes of an index cache: docs/index-cache.md in C. All is in the byte order and with the alignment of
 * the machine that wrote it; another one knows it for foreign. Internal to core/cache.
 */
#ifndef RUNSFS_CACHE_FORMAT_H
#define RUNSFS_CACHE_FORMAT_H

#include "core/cache/cache.h"

#define CACHE_MAGIC "runsfs\0c"
/* Moves with every change of what stands here. */
#define CACHE_VERSION 2
#define CACHE_BYTE_ORDER 0x0102030405060708ull
#define CACHE_ABSENT UINT32_MAX /* the length of an absent text */

struct cache_header {
    char magic[8];
    uint64_t byte_order;
    uint32_t version;
    uint32_t derivation; /* RUN_DERIVATION of core/run */
    uint32_t header_size_bytes;
    uint32_t record_size_bytes; /* without texts */
    struct cache_kind kind;
    struct identity source; /* dev is 0: device numbers are given out anew with every boot */
    uint64_t run_count;
    uint64_t size_bytes; /* of the whole file */
    uint64_t checksum;   /* of the records, and then of the header up to here */
};

/* Behind it stand a stamp for each file (kind.file_count), a length for each own field (kind.own_count, with
 * zeros up to a multiple of 8 bytes), place, name, start_time, end_time, status and the own fields, and zeros
 * up to a multiple of 8 bytes. */
struct cache_record {
    uint32_t size_bytes; /* with all of that */
    uint16_t place_length;
    uint16_t name_length;
    uint32_t start_time_length;
    uint32_t end_time_length;
    uint32_t status_length;
    uint32_t zero;
    uint64_t tokens_in;
    uint64_t tokens_out;
};

_Static_assert(sizeof(struct cache_header) % 8 == 0 && sizeof(struct cache_record) % 8 == 0,
               "records must stand at multiples of 8 bytes");

struct cache_place {
    int directory_fd;
    struct identity source;
    char name[16 + sizeof(".index")];
};

/* Goes on with a checksum (0 at first) over bytes, whose length is a multiple of 8. Each step is a bijection
 * of the sum and of the word, so that no change of a single word goes unseen. */
uint64_t cache_checksum(uint64_t sum, const void *bytes, size_t length);
/* The header of a cache of this source, but for what is known at its end. */
struct cache_header cache_header_of(const struct identity *source, const struct cache_kind *kind);
/* The bytes of what stands between a record and its texts. */
size_t cache_stamps_bytes(const struct cache_kind *kind);
size_t cache_lengths_bytes(const struct cache_kind *kind);
/* Completes it. */
void cache_header_seal(struct cache_header *header, uint64_t records_checksum);
/* Is what fstat(2) says of a directory or file that of one which nobody but this user may change? */
bool cache_is_ours(const struct stat *info);

#endif
