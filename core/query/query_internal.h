/*
 * A query from the inside: what parse.c makes and match.c and evaluate.c use.
 */
#ifndef RUNSFS_QUERY_INTERNAL_H
#define RUNSFS_QUERY_INTERNAL_H

#include "core/query/query.h"

enum predicate_kind {
    PREDICATE_EQUALS, /* one of the operands */
    PREDICATE_MIN,
    PREDICATE_MAX,
    PREDICATE_STARTS,
    PREDICATE_ENDS,
    PREDICATE_CONTAINS,
    PREDICATE_GLOB,
    PREDICATE_HAS,
};

struct operand {
    struct slice text; /* unescaped; owned */
    bool is_number;    /* of a number or time: and this is it */
    long double number;
};

struct predicate {
    enum predicate_kind kind;
    bool is_negated;
    const struct field *field;
    struct operand *operands;
    size_t operand_count;
};

struct sort_key {
    const struct field *field;
    bool is_descending;
};

struct query {
    struct predicate *predicates;
    size_t predicate_count;
    struct sort_key *keys;
    size_t key_count;
    bool has_limit;
    uint64_t limit;
    struct buffer scratch; /* for values that are put together */
};

#endif
