/*
 * What a mount answers to a query: the entries of the manifest that match, back in runs.
 */
#ifndef RUNSFS_CLI_ANSWER_H
#define RUNSFS_CLI_ANSWER_H

#include "core/cli/listing.h"

struct answer {
    struct index *index;  /* of these runs alone */
    struct run_list list; /* in the order of the answer */
};

/* Reads a JSON array of entries. 0 and the answer, to be freed; -EBADMSG for anything that is not just what a
 * mount writes. */
int answer_read(struct slice text, struct answer *answer);
void answer_free(struct answer *answer);

#endif
