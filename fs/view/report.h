/*
 * What the files in `.runsfs/` say.
 */
#ifndef RUNSFS_FS_VIEW_REPORT_H
#define RUNSFS_FS_VIEW_REPORT_H

#include "fs/view/view.h"

/* Appends text of somebody else's choice: what would end the line or steer a terminal, and what is no UTF-8,
 * spelled as \xXX, as in the log. */
void report_append_printable(struct buffer *text, struct slice shown);
/* status.json: version, source, counts per view, watch, requests, caches, the manifest's last writing. */
void report_status(struct fs *fs, struct buffer *text);
/* errors: a line each. */
void report_errors(struct fs *fs, struct buffer *text);
/* find/<query>: a JSON array of the entries that match, in the order that the query asks for. 0, or -ENOENT
 * or -EINVAL after the refusal was noted. */
int report_find(struct fs *fs, const char *query, struct buffer *text);

#endif
