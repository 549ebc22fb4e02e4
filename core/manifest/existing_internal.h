/*
 * What the adoption of a manifest (existing.c) and the look whether it is as it should be (existing_same.c)
 * share. Internal to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_EXISTING_INTERNAL_H
#define RUNSFS_MANIFEST_EXISTING_INTERNAL_H

#include "core/manifest/index_internal.h"
#include "core/manifest/members.h"

enum top_member { TOP_VERSION, TOP_LAST_UPDATED, TOP_TOTAL_RUNS, TOP_FRAMEWORKS, TOP_RUNS, TOP_COUNT };
extern const struct slice existing_top_names[TOP_COUNT];

/* Reads the members before `runs`, if there are no others than the format's. The position of the first byte
 * in that array; 0 where it is not like that. */
size_t existing_read_head(struct slice bytes, struct known_member known[TOP_COUNT]);
/* Is this what the index renders from its first entry on? */
bool existing_is_same_from_runs(struct index *index, struct slice bytes);

#endif
