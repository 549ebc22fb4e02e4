/*
 * Places, the directories in which runs stand, and frameworks, by whose names they are counted: interned
 * names, and the list that the manifest shows with a count for each. The list holds those of the file that
 * stood there first, in its order, and then those found since, in byte order. Internal to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_FRAMEWORK_H
#define RUNSFS_MANIFEST_FRAMEWORK_H

#include "core/base/text.h"
#include <uthash.h>

struct framework {
    struct slice name; /* directory name, raw bytes; absent where only a manifest speaks of it */
    struct slice text; /* as the manifest has it (WTF-8); the key */
    struct slice json; /* the text as a JSON string, with its quotes */
    size_t run_count;
    size_t place_count;
    bool in_file;
    UT_hash_handle hh;
};

struct place {
    struct slice path; /* below the source, raw bytes; "" for the source; the key */
    struct slice json; /* the path as a JSON string, with its quotes */
    uint64_t hash;     /* text_hash of path */
    size_t run_count;
    struct framework *framework; /* of that directory's name */
    UT_hash_handle hh;
};

struct framework_list {
    struct place *places;
    struct slice source_name; /* the framework of the source itself; owned */
    struct framework *by_text;
    struct framework **listed;
    size_t listed_count, listed_capacity;
    size_t file_count; /* of listed: those of the file, which stay also without runs */
};

void framework_list_finish(struct framework_list *list);
/* The place of that path, with one run more, as its framework has. */
struct place *place_enter(struct framework_list *list, struct slice path);
/* One run less. A place without runs is gone afterwards, and a framework without runs that no file names. */
void place_leave(struct framework_list *list, struct place *place);
/* Takes over the order of a file: texts without duplicates. True where the list differs now. */
bool framework_adopt(struct framework_list *list, const struct slice *texts, size_t count);
/* The list as it is stands in the file. */
void framework_written(struct framework_list *list);

#endif
