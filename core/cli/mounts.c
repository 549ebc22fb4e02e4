/*
 * Reading /proc/self/mountinfo. Nothing of the mounts themselves is touched: one of a daemon that is gone
 * would fail, and one of a daemon that hangs would hang.
 */
#include "core/cli/mounts.h"
#include "core/base/escape.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNT_TYPE "fuse.runsfs"

/* The fields of a line: id, parent, device, root, mount point, options, any number more, "-", then three. */
enum { FIELD_ID, FIELD_ROOT = 3, FIELD_PATH, FIELDS_BEFORE };

/* The number behind `name=` in comma options; false where it is not there. */
static bool option_number(const char *options, const char *name, unsigned long *number)
{
    const char *at = strstr(options, name);
    if (!at)
        return false;
    *number = strtoul(at + strlen(name), NULL, 10);
    return true;
}

/* Takes the line apart; false for any other mount. */
static bool read_line(char *line, struct runsfs_mount *mount)
{
    char *fields[FIELDS_BEFORE], *save = NULL, *word = strtok_r(line, " \n", &save);
    for (size_t i = 0; i < FIELDS_BEFORE; i++, word = strtok_r(NULL, " \n", &save)) {
        if (!word)
            return false;
        fields[i] = word;
    }
    while (word && strcmp(word, "-") != 0)
        word = strtok_r(NULL, " \n", &save);
    const char *type = strtok_r(NULL, " \n", &save);
    char *source = strtok_r(NULL, " \n", &save);
    const char *options = strtok_r(NULL, " \n", &save);
    unsigned long owner;
    if (!word || !type || !source || !options || strcmp(type, MOUNT_TYPE) != 0 ||
        strcmp(fields[FIELD_ROOT], "/") != 0 || !option_number(options, "user_id=", &owner))
        return false;
    escape_undo_octal(fields[FIELD_PATH]);
    escape_undo_octal(source);
    *mount =
        (struct runsfs_mount){strtoull(fields[FIELD_ID], NULL, 10), fields[FIELD_PATH], source, (uid_t)owner};
    return true;
}

bool mounts_each(bool (*visit)(const struct runsfs_mount *mount, void *context), void *context)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool done = false;
    struct runsfs_mount mount;
    while (mounts && !done && getline(&line, &size, mounts) > 0)
        done = read_line(line, &mount) && visit(&mount, context);
    free(line);
    if (mounts)
        fclose(mounts);
    return done;
}

uint64_t mount_id_of(int fd)
{
    struct statx info;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &info) != 0 ||
        !(info.stx_mask & STATX_MNT_ID))
        return 0;
    return info.stx_mnt_id;
}
