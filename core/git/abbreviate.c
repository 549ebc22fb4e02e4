/*
 * Short ids: see abbreviate.h. The rule for their length is that of Git, so that what is printed here can be
 * compared with what it prints.
 */
#include "core/git/abbreviate.h"
#include "core/git/repository_internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FEWEST_DIGITS 7

/* The number of objects in a pack, by the last place of its index's fan-out. */
static uint64_t count_of_index(int directory_fd, const char *name)
{
    static const unsigned char version_2[4] = {0xff, 't', 'O', 'c'};
    unsigned char magic[4], count[4];
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is_read = fd >= 0 && pread(fd, magic, sizeof(magic), 0) == sizeof(magic);
    off_t begin = is_read && memcmp(magic, version_2, sizeof(magic)) == 0 ? 8 : 0;
    is_read = is_read && pread(fd, count, sizeof(count), begin + 255 * 4) == sizeof(count);
    if (fd >= 0)
        close(fd);
    return is_read ? (uint64_t)count[0] << 24 | count[1] << 16 | count[2] << 8 | count[3] : 0;
}

static uint64_t count_packed_objects(struct repository *repository)
{
    struct buffer path = {0};
    uint64_t count = 0;
    buffer_append_format(&path, "%spack", repository_objects(repository));
    DIR *directory = opendir(path.bytes);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".idx") == 0)
            count += count_of_index(dirfd(directory), entry->d_name);
    }
    if (directory)
        closedir(directory);
    buffer_free(&path);
    return count;
}

size_t abbreviation_digits(struct repository *repository)
{
    git_config *config = NULL;
    int32_t wanted = 0, none = 0;
    if (git_repository_config_snapshot(&config, repository->handle) == 0) {
        if (git_config_get_bool(&none, config, "core.abbrev") == 0 && !none)
            wanted = OBJECT_ID_DIGITS;
        if (git_config_get_int32(&none, config, "core.abbrev") == 0 && none >= 4 && none <= OBJECT_ID_DIGITS)
            wanted = none;
        git_config_free(config);
    }
    if (wanted)
        return (size_t)wanted;
    /* 2^n objects: half of n bits in common are to be expected, at four bits a digit. */
    size_t bits = 0;
    for (uint64_t count = count_packed_objects(repository); count; count >>= 1)
        bits++;
    size_t digits = (bits + 1) / 2;
    return digits < FEWEST_DIGITS ? FEWEST_DIGITS : digits;
}

void object_id_abbreviate(struct repository *repository, const struct object_id *id, size_t digits,
                          char text[OBJECT_ID_DIGITS + 1])
{
    git_oid oid = oid_of(id), found;
    for (; digits < OBJECT_ID_DIGITS; digits++) {
        git_oid shortened = {{0}};
        memcpy(shortened.id, oid.id, (digits + 1) / 2);
        if (digits % 2)
            shortened.id[digits / 2] &= 0xf0;
        int result = git_odb_exists_prefix(&found, repository->objects, &shortened, digits);
        if (result != GIT_EAMBIGUOUS && (result != 0 || git_oid_equal(&found, &oid)))
            break;
    }
    object_id_format(id, text);
    text[digits] = '\0';
}
