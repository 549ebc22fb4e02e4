/*
 * The loops around read(2) and write(2): see file.h.
 */
#include "core/base/file.h"
#include <errno.h>
#include <unistd.h>

int file_write_all(int fd, struct slice bytes)
{
    while (bytes.length > 0) {
        ssize_t written = write(fd, bytes.bytes, bytes.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        bytes.bytes += written;
        bytes.length -= (size_t)written;
    }
    return 0;
}

int file_read_all(int fd, char *bytes, size_t size_bytes)
{
    for (size_t done = 0; done < size_bytes;) {
        ssize_t got = read(fd, bytes + done, size_bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ENODATA;
        done += (size_t)got;
    }
    return 0;
}
