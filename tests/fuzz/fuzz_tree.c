/*
 * Bytes of a Git tree, which anybody may have made, become names of a directory.
 */
#include "core/base/limits.h"
#include "core/git/repository.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tree *tree = tree_parse((const char *)data, size);
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *entry = &tree->entries[i];
        size_t length = strlen(entry->name);
        if (length == 0 || length > LIMIT_NAME_BYTES || strchr(entry->name, '/') ||
            strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
            abort();
        if (!S_ISDIR(entry->mode) && !S_ISREG(entry->mode) && !S_ISLNK(entry->mode))
            abort();
        const struct tree_entry *found = tree_find(tree, entry->name);
        if (found && strcmp(found->name, entry->name) != 0)
            abort();
    }
    free(tree);
    return 0;
}
