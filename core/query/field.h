/*
 * The fields that a query may name: those of the manifest, short names and derived ones, and the
 * configuration's own; and the value that a run has for one.
 */
#ifndef RUNSFS_QUERY_FIELD_H
#define RUNSFS_QUERY_FIELD_H

#include "core/config/config.h"
#include "core/manifest/index.h"

enum field_type { FIELD_TEXT, FIELD_NUMBER, FIELD_TIME };

enum field_kind {
    FIELD_RUN_ID,
    FIELD_FRAMEWORK,
    FIELD_PATH,
    FIELD_START_TIME,
    FIELD_END_TIME,
    FIELD_STATUS,
    FIELD_TOKENS_IN,
    FIELD_TOKENS_OUT,
    FIELD_TOKENS,   /* in and out */
    FIELD_DURATION, /* whole seconds from start to end */
    FIELD_DAY,      /* of the start, in UTC: "2025-10-16" */
    FIELD_OWN,      /* the configuration's */
};

struct field {
    const char *name;
    enum field_type type;
    enum field_kind kind;
    size_t own; /* of FIELD_OWN: its number */
};

/* Every name that a query may use, in the order in which they are told to people. */
struct field_set {
    const struct field *fields;
    size_t count;
};

const struct field_set *field_set_built_in(void);
/* Those, and the own fields of a configuration, whose names must outlive the set. */
struct field_set *field_set_create(const struct config *config);
void field_set_free(struct field_set *fields);
/* NULL where there is none of that name. */
const struct field *field_find(const struct field_set *fields, struct slice name);
/* The known name that is most like this one; NULL where none is. */
const char *field_nearest(const struct field_set *fields, struct slice name);

/* What a run has for a field. */
struct field_value {
    bool is_present;
    bool is_number; /* of FIELD_NUMBER, and of FIELD_TIME where the text is a time */
    /* Of a time the microseconds since 1970, in UTC. Its 64 bits hold the sum of two counts up to 2^53. */
    long double number;
    struct slice text; /* as it is spelled; of a number only on demand (with_text) */
};

/* with_text: the text too. scratch holds what is put together for it; text is good until it is used again. */
struct field_value field_value_of(const struct field *field, const struct run *run, bool with_text,
                                  struct buffer *scratch);

#endif
