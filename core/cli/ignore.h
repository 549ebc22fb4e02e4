/*
 * The block of a .gitignore by which Git takes the tracked files of runs and nothing else: its text, and
 * putting it among the lines that somebody else wrote. Pure.
 */
#ifndef RUNSFS_CLI_IGNORE_H
#define RUNSFS_CLI_IGNORE_H

#include "core/config/config.h"

/* Appends the block, from its first marker line to its last: for the layouts and tracked patterns of config.
 * manifest_name is the manifest's. */
void ignore_append_block(struct buffer *out, const struct config *config, const char *manifest_name);

enum ignore_change {
    IGNORE_SAME,    /* the block is there, as it should be */
    IGNORE_ADDED,   /* behind all other lines, so that it outranks them */
    IGNORE_UPDATED, /* in its place; a second one is gone */
};
/* Sets out to the file's content with the block in it, all other lines as they were. Returns the enum, or
 * -EBADMSG where a block begins (in *line, from 1) and does not end. */
int ignore_put_block(struct slice content, struct slice block, struct buffer *out, unsigned *line);

/* Does a block begin in the content of a .gitignore? */
bool ignore_has_block(struct slice content);
/* Calls visit for every pattern of a .gitignore, with its line (from 1), as it stands there, without white
 * space at its end. With behind_block only for those behind the block. */
void ignore_each_pattern(struct slice content, bool behind_block,
                         void (*visit)(struct slice pattern, unsigned line, void *context), void *context);

#endif
