/*
 * The frameworks: interned names, and the list that the manifest shows with a count for each. The list holds
 * those of the file that stood there first, in its order, and then those found since, in byte order. Internal
 * to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_FRAMEWORK_H
#define RUNSFS_MANIFEST_FRAMEWORK_H

#include "core/base/text.h"
#include <uthash.h>

struct framework {
    struct slice name; /* directory name, raw bytes; absent where only a manifest speaks of it */
    struct slice text; /* as the manifest has it (WTF-8); the key */
    struct slice json; /* the text as a JSON string, with its quotes */
    uint64_t hash;     /* text_hash of name */
    size_t run_count;
    bool in_file;
    UT_hash_handle hh;
};

struct framework_list {
    struct framework *by_text;
    struct framework **listed;
    size_t listed_count, listed_capacity;
    size_t file_count; /* of listed: those of the file, which stay also without runs */
};

void framework_list_finish(struct framework_list *list);
/* The framework of a directory, with one run more. */
struct framework *framework_enter(struct framework_list *list, struct slice name);
/* One run less. A framework without runs that no file names is gone afterwards. */
void framework_leave(struct framework_list *list, struct framework *framework);
/* Takes over the order of a file: texts without duplicates. True where the list differs now. */
bool framework_adopt(struct framework_list *list, const struct slice *texts, size_t count);
/* The list as it is stands in the file. */
void framework_written(struct framework_list *list);

#endif
