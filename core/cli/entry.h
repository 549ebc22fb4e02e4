/*
 * A run as an entry of the manifest: its members and their values as JSON.
 */
#ifndef RUNSFS_CLI_ENTRY_H
#define RUNSFS_CLI_ENTRY_H

#include "core/manifest/index.h"

/* In the order of the format. */
enum entry_field {
    ENTRY_RUN_ID,
    ENTRY_FRAMEWORK,
    ENTRY_PATH,
    ENTRY_START_TIME,
    ENTRY_END_TIME,
    ENTRY_STATUS,
    ENTRY_TOKENS_IN,
    ENTRY_TOKENS_OUT,
    ENTRY_FIELD_COUNT
};
extern const char *const entry_field_names[ENTRY_FIELD_COUNT];

/* "framework/run-id", as it stands on disk. */
void entry_append_path(struct buffer *out, const struct run *run);
/* The field's value as JSON, spelled as the manifest spells it. */
void entry_append_value(struct buffer *out, const struct run *run, enum entry_field field);
/* The whole entry, whose own line stands at depth levels of indentation. */
void entry_append(struct buffer *out, const struct run *run, unsigned depth);

#endif
