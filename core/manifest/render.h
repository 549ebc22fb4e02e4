/*
 * The manifest's bytes, as Python's json.dump(manifest, file, indent=2) writes them. Internal to
 * core/manifest.
 */
#ifndef RUNSFS_MANIFEST_RENDER_H
#define RUNSFS_MANIFEST_RENDER_H

#include "core/manifest/framework.h"
#include "core/manifest/index.h"

/* Depth of the members of the manifest and of an entry. */
#define RENDER_DEPTH_TOP 1
#define RENDER_DEPTH_ENTRY 3

/* A run's entry with the "," before it that the first of all does not have. */
void render_entry(struct buffer *out, const struct run *run);
/* All before the first entry's line; an absent last_updated is null. from and to tell where the bytes of
 * last_updated's value stand. */
void render_header(struct buffer *out, struct slice last_updated, size_t run_count,
                   const struct framework_list *frameworks, size_t *from, size_t *to);
/* All behind the last entry; extras are laid out already. */
void render_trailer(struct buffer *out, size_t run_count, struct slice extras);
/* A moment as ISO 8601 with microseconds, in UTC. */
void render_time(struct buffer *out, struct timespec at);
/* A line's beginning: newline and indentation. */
void render_line(struct buffer *out, unsigned depth);

#endif
