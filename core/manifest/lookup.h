/*
 * Finding runs by name, at the same cost whatever their number: two intrusive hash tables, one by path
 * (place and run id), one by run id alone. Internal to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_LOOKUP_H
#define RUNSFS_MANIFEST_LOOKUP_H

#include "core/manifest/index.h"

struct lookup {
    struct run **by_path;
    struct run **by_name;
    size_t bucket_count; /* of both tables; a power of two */
    size_t run_count;
};

void lookup_init(struct lookup *lookup);
/* Frees the tables, not the runs. */
void lookup_finish(struct lookup *lookup);

/* A hash of the place and name of a run, which tells apart what `<name>.<framework>` does not. */
uint64_t lookup_path_hash(struct slice place, struct slice name);
/* Sets run->name_hash and enters the run by its path and by its name. run->place is set. */
void lookup_add(struct lookup *lookup, struct run *run);
void lookup_remove(struct lookup *lookup, struct run *run);
struct run *lookup_find(const struct lookup *lookup, struct slice place, struct slice name);
/* The chain (by path_next) in which a run of this path hash would be. */
struct run *lookup_chain(const struct lookup *lookup, uint64_t path_hash);
/* The runs of that name, one in each place at most: the first, where `after` is NULL, and the one after
 * it; NULL at the end. */
struct run *lookup_named(const struct lookup *lookup, struct slice name, const struct run *after);

#endif
