/*
 * Files without a name for what is too large for memory: see spool.h.
 */
#include "fs/past/spool.h"
#include "core/base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int past_spool_find(struct past_spools *spools, const struct object_id *id)
{
    for (size_t i = 0; i < LIMIT_PAST_SPOOLS; i++)
        if (spools->all[i].used && object_id_equal(&spools->all[i].id, id)) {
            spools->all[i].used = ++spools->uses;
            return spools->all[i].fd;
        }
    return -1;
}

static int make_file_in(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    struct buffer path = {0};
    buffer_append_format(&path, "%s/runsfs-XXXXXX", directory);
    fd = mkostemp(path.bytes, O_CLOEXEC);
    if (fd >= 0)
        unlink(path.bytes);
    buffer_free(&path);
    return fd;
}

static int make_file(void)
{
    const char *const directories[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    int fd = -1;
    for (size_t i = 0; fd < 0 && i < sizeof(directories) / sizeof(*directories); i++)
        if (directories[i] && *directories[i])
            fd = make_file_in(directories[i]);
    return fd < 0 ? -errno : fd;
}

static void close_one(struct past_spool *spool)
{
    if (spool->used)
        close(spool->fd);
    *spool = (struct past_spool){.fd = -1};
}

int past_spool_make(struct past_spools *spools, struct repository *repository, const struct object_id *id,
                    int *fd)
{
    struct past_spool *place = &spools->all[0];
    for (size_t i = 1; i < LIMIT_PAST_SPOOLS; i++)
        if (spools->all[i].used < place->used)
            place = &spools->all[i];
    close_one(place); /* first: it may be its room that is missing */
    int file = make_file();
    if (file < 0)
        return file;
    int error = blob_write(repository, id, file);
    if (error) {
        close(file);
        return error;
    }
    *place = (struct past_spool){*id, file, ++spools->uses};
    *fd = file;
    return 0;
}

void past_spools_close(struct past_spools *spools)
{
    for (size_t i = 0; i < LIMIT_PAST_SPOOLS; i++)
        close_one(&spools->all[i]);
}

bool past_spools_are_empty(const struct past_spools *spools)
{
    for (size_t i = 0; i < LIMIT_PAST_SPOOLS; i++)
        if (spools->all[i].used)
            return false;
    return true;
}
