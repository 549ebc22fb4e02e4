/*
 * core.sharedRepository: a repository that several users write to. Git gives each file and directory that it
 * makes there the permissions which the setting asks for, whatever the umask of who makes it; else the next
 * user could not add to a directory of objects, nor append to a log. libgit2 1.5 does not.
 */
#include "core/git/commit_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The setting: permissions that are added to those of a new file, or below 0 (negated) those it has. */
#define SHARED_NOT 0
#define SHARED_GROUP 0660
#define SHARED_ALL 0664

static int read_number(long number, int *shared)
{
    switch (number) {
    case 0: /* as old versions of Git wrote them */
        *shared = SHARED_NOT;
        return 0;
    case 1:
        *shared = SHARED_GROUP;
        return 0;
    case 2:
        *shared = SHARED_ALL;
        return 0;
    default:
        *shared = -(int)(number & 0666);
        return (number & 0600) == 0600 ? 0 : -EINVAL;
    }
}

static int read_value(const char *value, int *shared)
{
    static const struct {
        const char *name;
        int shared;
    } names[] = {{"umask", SHARED_NOT},
                 {"group", SHARED_GROUP},
                 {"all", SHARED_ALL},
                 {"world", SHARED_ALL},
                 {"everybody", SHARED_ALL}};
    char *end;
    int is_true;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(value, names[i].name) == 0) {
            *shared = names[i].shared;
            return 0;
        }
    long number = strtol(value, &end, 8);
    if (*value && !*end)
        return read_number(number, shared);
    if (git_config_parse_bool(&is_true, value) != 0)
        return -EINVAL;
    *shared = is_true ? SHARED_GROUP : SHARED_NOT;
    return 0;
}

int shared_read(git_config *config, int *shared)
{
    git_config_entry *entry;
    *shared = SHARED_NOT;
    if (git_config_get_entry(&entry, config, "core.sharedrepository") != 0)
        return 0;
    int error = 0;
    if (!entry->value) /* the name alone */
        *shared = SHARED_GROUP;
    else if (read_value(entry->value, shared) != 0)
        error =
            repository_fail(-ENOTSUP, "core.sharedRepository is %s, which Git does not take", entry->value);
    git_config_entry_free(entry);
    return error;
}

int shared_adjust(int shared, const char *path)
{
    struct stat info;
    if (shared == SHARED_NOT)
        return 0;
    if (stat(path, &info) != 0)
        return -errno;
    mode_t old_mode = info.st_mode & 07777, granted = (mode_t)abs(shared);
    if (!(old_mode & S_IWUSR))
        granted &= ~(mode_t)0222;
    if (old_mode & S_IXUSR)
        granted |= (granted & 0444) >> 2;
    mode_t mode = shared < 0 ? (old_mode & ~(mode_t)0777) | granted : old_mode | granted;
    if (S_ISDIR(info.st_mode)) {
        mode |= (mode & 0444) >> 2;
        if (mode & 060) /* what is made in it is to be of the same group */
            mode |= S_ISGID;
    }
    return mode == old_mode || chmod(path, mode) == 0 ? 0 : -errno;
}
