/*
 * Revisions: from what somebody calls a moment of the past to a commit. What git-rev-parse(1) takes, a date,
 * or a date and time.
 */
#ifndef RUNSFS_GIT_REVISION_H
#define RUNSFS_GIT_REVISION_H

#include "core/git/repository.h"

/* The commit that text means now: any one revision in the syntax of gitrevisions(7); else a date
 * (`2025-10-16`: the last commit of that day or before, UTC; `2025-10-16T12:00`: of that moment or before) in
 * the history of HEAD, by the committer's time. 0; -ENOENT where it means no commit, of which
 * repository_error says more; -EIO. *is_fixed: it never can mean another one (a whole id). */
int revision_resolve(struct repository *repository, const char *text, struct object_id *commit,
                     bool *is_fixed);

/* HEAD, branches and tags that are commits' (or lead to them), and the ids of the last `commit_count` commits
 * in the history of HEAD in which something of the source changed, the newest first: calls visit for each,
 * stops at the first non-zero result and returns it. A name that is both a branch's and a tag's comes once.
 */
int revision_each_name(struct repository *repository, size_t commit_count,
                       int (*visit)(const char *name, void *context), void *context);

#endif
