/*
 * What reading and writing a cache have in common: the header and the checksum.
 */
#include "core/cache/format.h"
#include <string.h>
#include <unistd.h>

uint64_t cache_checksum(uint64_t sum, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, (const char *)bytes + i, sizeof(word));
        sum = (sum ^ word) * 0x9E3779B97F4A7C15u + 1;
        sum ^= sum >> 32;
    }
    return sum;
}

size_t cache_stamps_bytes(const struct cache_kind *kind)
{
    return kind->file_count * sizeof(struct file_stamp);
}

size_t cache_lengths_bytes(const struct cache_kind *kind)
{
    return ((size_t)kind->own_count * sizeof(uint32_t) + 7) & ~(size_t)7;
}

struct cache_header cache_header_of(const struct identity *source, const struct cache_kind *kind)
{
    struct cache_header header = {
        .magic = CACHE_MAGIC,
        .byte_order = CACHE_BYTE_ORDER,
        .version = CACHE_VERSION,
        .derivation = RUN_DERIVATION,
        .header_size_bytes = sizeof(struct cache_header),
        .record_size_bytes = sizeof(struct cache_record),
        .kind = *kind,
        .source = {.ino = source->ino, .birth_ns = source->birth_ns},
    };
    return header;
}

void cache_header_seal(struct cache_header *header, uint64_t records_checksum)
{
    header->checksum = cache_checksum(records_checksum, header, offsetof(struct cache_header, checksum));
}

bool cache_is_ours(const struct stat *info)
{
    return info->st_uid == geteuid() && !(info->st_mode & (S_IWGRP | S_IWOTH));
}
