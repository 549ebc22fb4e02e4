/*
 * What keeps Git from taking just the tracked files of a source that has the block of ignore.h.
 */
#ifndef RUNSFS_CLI_GIT_FINDINGS_H
#define RUNSFS_CLI_GIT_FINDINGS_H

#include "core/cli/finding.h"
#include "core/config/config.h"

/* Git is asked in git_path: the source on disk, also where a command works in a mount of it, since a
 * repository that lies above the source can't be seen from there. */

/* Looks for rules that outrank the block: those behind it, and files .gitignore in frameworks and runs; for
 * repositories in these, which Git takes for submodules; and asks Git, where it is installed, for rules above
 * the source that keep it from looking in there, and for files that it tracks already. Paths are below the
 * source. */
void git_findings(const char *git_path, int source_fd, const struct config *config,
                  struct finding_list *findings);
/* Files over 1 MB that Git has, or would take with `git add -A`, but for the manifest, which is as long as
 * there are runs; nothing where there is no repository or no Git. */
void git_find_big_files(const char *git_path, int source_fd, const struct config *config,
                        const char *manifest_name, struct finding_list *findings);
/* Has the source's .gitignore the block? */
bool git_has_block(int source_fd);
/* Does the source lie in a repository? (True also where Git is not installed and can't tell.) */
bool git_has_repository(const char *git_path);

#endif
