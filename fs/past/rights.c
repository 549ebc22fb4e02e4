/*
 * Rights to the past: see rights.h.
 */
#include "fs/past/rights.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Takes from rights what a directory does not give to all who would need it. */
static void narrow_rights(struct past_rights *rights, const char *path, mode_t needed)
{
    struct stat st;
    if (stat(path, &st) != 0)
        st = (struct stat){0};
    bool others = (st.st_mode & needed) == needed;
    bool group = st.st_gid == rights->gid ? (st.st_mode >> 3 & needed) == needed : others;
    rights->mask &= (mode_t) ~((others ? 0 : 07) | (group ? 0 : 070));
}

struct past_rights past_rights_find(const struct repository *repository)
{
    const char *top = repository_top(repository), *objects = repository_objects(repository);
    size_t top_length = strlen(top);
    struct stat st;
    if (stat(objects, &st) != 0)
        return (struct past_rights){.mask = 0700};
    struct past_rights rights = {st.st_uid, st.st_gid, 0777};
    char *path = memory_copy_text(objects, strlen(objects));
    narrow_rights(&rights, path, 5);
    for (size_t length = strlen(path); length > 1;) {
        for (length--; length > 0 && path[length - 1] != '/'; length--)
            ;
        path[length] = '\0';
        if (length > 0)
            narrow_rights(&rights, path, 1);
        if (length == top_length && strcmp(path, top) == 0)
            break;
    }
    free(path);
    return rights;
}
