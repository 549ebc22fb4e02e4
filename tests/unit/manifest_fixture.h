/*
 * What the manifest's tests share: runs put in by a line, and snapshots as text.
 */
#ifndef RUNSFS_TESTS_MANIFEST_FIXTURE_H
#define RUNSFS_TESTS_MANIFEST_FIXTURE_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include "core/base/memory.h"
#include "core/manifest/existing.h"
#include <stdlib.h>
#include <string.h>

/* Puts a run whose files are whole, or not. NULL for a time that is absent. */
static inline bool put_state(struct index *index, const char *framework, const char *name, const char *start,
                             const char *status, uint64_t tokens_in, bool is_whole)
{
    struct run_state state = {
        .is_run = true,
        .is_whole = is_whole,
        .fields = {.start_time = slice_of(start), .status = slice_of(status), .tokens_in = tokens_in},
    };
    bool changed;
    struct run *run = index_put(index, slice_of(framework), slice_of(name), &state, &changed);
    assert_ptr_equal(run, index_find(index, slice_of(framework), slice_of(name)));
    return changed;
}

static inline bool put(struct index *index, const char *framework, const char *name, const char *start,
                       const char *status)
{
    return put_state(index, framework, name, start, status, 0, true);
}

static inline struct run *find(struct index *index, const char *framework, const char *name)
{
    return index_find(index, slice_of(framework), slice_of(name));
}

/* The manifest's bytes now; freed by the caller. */
static inline char *manifest_text(struct index *index)
{
    struct snapshot *snapshot = snapshot_take(index);
    size_t size_bytes = snapshot_size(snapshot);
    char *text = memory_alloc(size_bytes + 1);
    assert_int_equal(snapshot_read(snapshot, text, size_bytes + 1, 0), size_bytes);
    text[size_bytes] = '\0';
    snapshot_unref(snapshot);
    return text;
}

static inline enum existing_verdict adopt(struct index *index, const char *text)
{
    return existing_adopt(index, slice_of(text), true, NULL, NULL);
}

#endif
