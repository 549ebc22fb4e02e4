/*
 * Writing a cache: piece by piece, so that neither memory nor anybody's lock is held for the whole of it, to
 * a file beside the one there, which it replaces when it is whole. That is not flushed to the disk: what a
 * crash tears, the checksum tells.
 */
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/cache/format.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct cache_writer {
    const struct cache_place *place;
    int fd;
    int error; /* the first; 0 */
    char temporary[sizeof(((struct cache_place *)NULL)->name) + sizeof(".new")];
    struct cache_header header;
    uint64_t checksum; /* of the records so far */
    struct buffer piece;
};

/* One temporary file for a source, locked by who writes it: what a killed process left is written over. */
static int open_temporary(const struct cache_place *place, const char *name)
{
    struct stat opened, named;
    int fd =
        openat(place->directory_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int error = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        error = errno == EWOULDBLOCK ? -EAGAIN : -errno;
    else if (fstat(fd, &opened) != 0 ||
             fstatat(place->directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
             opened.st_ino != named.st_ino)
        error = -EAGAIN; /* who had it locked before has just put it in place */
    else if (!S_ISREG(opened.st_mode) || !cache_is_ours(&opened) || opened.st_nlink != 1)
        error = -EPERM;
    else if (ftruncate(fd, 0) != 0)
        error = -errno;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int cache_write_begin(const struct cache_place *place, const struct cache_kind *kind,
                      struct cache_writer **result)
{
    struct cache_writer *writer = memory_alloc_zeroed(1, sizeof(*writer));
    snprintf(writer->temporary, sizeof(writer->temporary), "%s.new", place->name);
    writer->place = place;
    writer->header = cache_header_of(&place->source, kind);
    writer->header.size_bytes = sizeof(writer->header);
    writer->fd = open_temporary(place, writer->temporary);
    if (writer->fd < 0) {
        int error = writer->fd;
        free(writer);
        return error;
    }
    /* The header comes last; this keeps its place. */
    writer->error =
        file_write_all(writer->fd, (struct slice){(const char *)&writer->header, sizeof(writer->header)});
    *result = writer;
    return 0;
}

static uint32_t length_of(struct slice text)
{
    return text.bytes ? (uint32_t)text.length : CACHE_ABSENT;
}

static struct slice own_value(const struct run_fields *fields, size_t number)
{
    return fields->own && number < fields->own->count ? fields->own->values[number] : SLICE_ABSENT;
}

void cache_write_run(struct cache_writer *writer, struct slice place, struct slice name,
                     const struct cached_run *run)
{
    static const char zeros[8];
    const struct run_fields *fields = &run->fields;
    const struct cache_kind *kind = &writer->header.kind;
    size_t size_bytes = sizeof(struct cache_record) + cache_stamps_bytes(kind) + cache_lengths_bytes(kind) +
                        place.length + name.length + fields->start_time.length + fields->end_time.length +
                        fields->status.length;
    for (size_t i = 0; i < kind->own_count; i++)
        size_bytes += own_value(fields, i).length;
    size_t padding = -size_bytes % 8;
    struct cache_record record = {
        .size_bytes = (uint32_t)(size_bytes + padding),
        .place_length = (uint16_t)place.length,
        .name_length = (uint16_t)name.length,
        .start_time_length = length_of(fields->start_time),
        .end_time_length = length_of(fields->end_time),
        .status_length = length_of(fields->status),
        .tokens_in = fields->tokens_in,
        .tokens_out = fields->tokens_out,
    };
    buffer_append(&writer->piece, (const char *)&record, sizeof(record));
    buffer_append(&writer->piece, (const char *)run->stamps, cache_stamps_bytes(kind));
    for (size_t i = 0; i < kind->own_count; i++) {
        uint32_t length = length_of(own_value(fields, i));
        buffer_append(&writer->piece, (const char *)&length, sizeof(length));
    }
    buffer_append(&writer->piece, zeros, kind->own_count % 2 * sizeof(uint32_t));
    buffer_append_slice(&writer->piece, place);
    buffer_append_slice(&writer->piece, name);
    buffer_append_slice(&writer->piece, fields->start_time);
    buffer_append_slice(&writer->piece, fields->end_time);
    buffer_append_slice(&writer->piece, fields->status);
    for (size_t i = 0; i < kind->own_count; i++)
        buffer_append_slice(&writer->piece, own_value(fields, i));
    buffer_append(&writer->piece, zeros, padding);
    writer->header.run_count++;
}

int cache_write_out(struct cache_writer *writer)
{
    struct slice piece = buffer_slice(&writer->piece);
    if (writer->error == 0)
        writer->error = file_write_all(writer->fd, piece);
    writer->checksum = cache_checksum(writer->checksum, piece.bytes, piece.length);
    writer->header.size_bytes += piece.length;
    buffer_clear(&writer->piece);
    return writer->error;
}

static int put_in_place(struct cache_writer *writer)
{
    int directory_fd = writer->place->directory_fd;
    cache_header_seal(&writer->header, writer->checksum);
    ssize_t written = pwrite(writer->fd, &writer->header, sizeof(writer->header), 0);
    if (written != (ssize_t)sizeof(writer->header))
        return written < 0 ? -errno : -ENOSPC;
    return renameat(directory_fd, writer->temporary, directory_fd, writer->place->name) == 0 ? 0 : -errno;
}

int cache_write_end(struct cache_writer *writer)
{
    int error = cache_write_out(writer);
    if (error == 0)
        error = put_in_place(writer);
    if (error)
        unlinkat(writer->place->directory_fd, writer->temporary, 0);
    close(writer->fd);
    buffer_free(&writer->piece);
    free(writer);
    return error;
}
