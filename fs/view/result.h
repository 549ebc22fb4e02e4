/*
 * Answers of queries for as long as somebody needs them: the runs that a limit leaves, for one state of the
 * index; and listings, from which a reader gets the rest of what he began to read.
 */
#ifndef RUNSFS_FS_VIEW_RESULT_H
#define RUNSFS_FS_VIEW_RESULT_H

#include "core/query/query.h"
#include "fs/view/view.h"

/* What a query's directory holds at this moment. Good while the keeper's lock is held. */
struct query_scope {
    struct run_set set; /* context is the scope */
    struct query *query;
    const struct facet_value *within;
    struct run **cut; /* what a limit leaves, by address; NULL where there is no limit */
    size_t cut_count;
};

/* The keeper's lock is held. 0, to be closed with query_scope_close; -ENOENT where the predicates mean
 * nothing any longer (the configuration's fields changed). */
int query_scope_open(struct fs *fs, struct index *index, const struct query_node *node,
                     struct query_scope *scope);
void query_scope_close(struct query_scope *scope);

struct query_listed {
    uint64_t ino;
    size_t name_at; /* in names, NUL-terminated */
};

struct query_listing {
    uint64_t number;
    unsigned users;
    struct query_listed *listed;
    size_t count;
    struct buffer names;
};

/* The listing to which offset belongs; a new one at the beginning, and where that one is gone. To be given
 * back. 0 or -ENOENT. */
int query_listing_take(struct fs *fs, const struct query_node *node, off_t offset,
                       struct query_listing **listing);
/* is_end: its end was told, for which readers ask once more, and it is not needed any longer. */
void query_listing_give(struct fs *fs, struct query_listing *listing, bool is_end);
/* Offsets above those of "." and "..": behind how many entries they stand, and which listing's. */
size_t query_listing_position(off_t offset);
uint64_t query_listing_offset(const struct query_listing *listing, size_t position);

void query_results_create(struct fs *fs);
void query_results_free(struct fs *fs);

#endif
