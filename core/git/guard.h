/*
 * Against files that shrink while they are read. libgit2 maps packs and their indexes; who cuts one of them
 * off would end the process by SIGBUS, and with it everybody's mount. Internal to core/git.
 */
#ifndef RUNSFS_GIT_GUARD_H
#define RUNSFS_GIT_GUARD_H

/* Once in a process: from then on what is gone reads as zeros in a thread that says so
 * (repository_guard_begin), which libgit2 finds to be no object. */
void guard_install(void);

#endif
