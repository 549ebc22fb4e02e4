/*
 * What a file is: its attributes and its identity, from one statx(2). The identity has the birth time in it,
 * so that an inode number that was given out again is not taken for the file that had it before.
 */
#include "core/source/source.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

static struct timespec timespec_of(struct statx_timestamp time)
{
    return (struct timespec){.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec};
}

int source_stat_at(int directory_fd, const char *name, struct attributes *attributes)
{
    struct statx from;
    if (statx(directory_fd, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT,
              STATX_BASIC_STATS | STATX_BTIME, &from) < 0)
        return -errno;
    attributes->stat = (struct stat){
        .st_dev = makedev(from.stx_dev_major, from.stx_dev_minor),
        .st_ino = from.stx_ino,
        .st_nlink = from.stx_nlink,
        .st_mode = from.stx_mode,
        .st_uid = from.stx_uid,
        .st_gid = from.stx_gid,
        .st_rdev = makedev(from.stx_rdev_major, from.stx_rdev_minor),
        .st_size = (off_t)from.stx_size,
        .st_blksize = from.stx_blksize,
        .st_blocks = (blkcnt_t)from.stx_blocks,
        .st_atim = timespec_of(from.stx_atime),
        .st_mtim = timespec_of(from.stx_mtime),
        .st_ctim = timespec_of(from.stx_ctime),
    };
    attributes->identity = (struct identity){.dev = attributes->stat.st_dev, .ino = from.stx_ino};
    if (from.stx_mask & STATX_BTIME) /* unsigned: a time from a damaged inode wraps, it must not overflow */
        attributes->identity.birth_ns =
            (int64_t)((uint64_t)from.stx_btime.tv_sec * 1000000000u + from.stx_btime.tv_nsec);
    return 0;
}

bool identity_equal(const struct identity *a, const struct identity *b)
{
    return a->ino == b->ino && a->dev == b->dev && a->birth_ns == b->birth_ns;
}

uint64_t identity_hash(const struct identity *identity)
{
    uint64_t hash = identity->ino * 0x9E3779B97F4A7C15u;
    hash = (hash ^ (hash >> 32) ^ identity->dev) * 0xD6E8FEB86659FD93u;
    hash = (hash ^ (hash >> 32) ^ (uint64_t)identity->birth_ns) * 0xD6E8FEB86659FD93u;
    return hash ^ (hash >> 32);
}
