/*
 * What the tests share that need a source on disk: a temporary directory with an empty source in it and room
 * beside it, made before each test and removed after it; commands run in the source; runs put into it; a
 * keeper of it. A test has one source, so its paths are global: tests speak of it as a shell does.
 */
#ifndef RUNSFS_TESTS_A_SOURCE_H
#define RUNSFS_TESTS_A_SOURCE_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "core/keeper/keeper.h"

extern char scratch_path[64]; /* holds the others; all below it goes after the test */
extern char source_path[80];  /* empty, and everybody may enter it */
extern char cache_path[80];   /* where an index cache may be made; not there yet */

/* Set-up and tear-down of a test, for cmocka; those of tests that have more to make call them. */
int make_source(void **state);
int remove_source(void **state);
/* The same with a source of another user, as whom the test goes on where it runs as root, who may read
 * anything. */
int make_source_of_nobody(void **state);
int remove_source_of_nobody(void **state);

/* Runs a command of sh, which must succeed, in the source. */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes the run at path, or gives it another status: a metrics.json that has nothing else. */
void make_run(const char *path, const char *status);

/* Opens a keeper of the source, which must succeed; closed by the caller. */
struct keeper *open_keeper(const struct keeper_options *options);

#endif
