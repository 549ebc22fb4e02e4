/*
 * What libgit2 has allocated, counted. Some of what it keeps it bounds by numbers that are no bytes (objects
 * by their content alone), and some (16 MB of each pack's objects, from which others are made) nobody can ask
 * it for: so who must stay within a limit asks here, and has it let go of everything.
 */
#include "core/git/repository_internal.h"
#include <git2/sys/alloc.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What malloc adds to a block. */
#define BLOCK_BYTES sizeof(size_t)

static atomic_size_t allocated_bytes;

size_t repositories_bytes(void)
{
    return atomic_load_explicit(&allocated_bytes, memory_order_relaxed);
}

static void *count(void *block)
{
    if (block)
        atomic_fetch_add_explicit(&allocated_bytes, malloc_usable_size(block) + BLOCK_BYTES,
                                  memory_order_relaxed);
    return block;
}

static void discount(void *block)
{
    if (block)
        atomic_fetch_sub_explicit(&allocated_bytes, malloc_usable_size(block) + BLOCK_BYTES,
                                  memory_order_relaxed);
}

static void *counted_malloc(size_t size_bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return count(malloc(size_bytes));
}

static void *counted_realloc(void *block, size_t size_bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    size_t before = block ? malloc_usable_size(block) + BLOCK_BYTES : 0;
    void *resized = realloc(block, size_bytes);
    if (resized) {
        atomic_fetch_sub_explicit(&allocated_bytes, before, memory_order_relaxed);
        count(resized);
    }
    return resized;
}

static void counted_free(void *block)
{
    discount(block);
    free(block);
}

#if RUNSFS_LIBGIT2_ALLOCATES_ARRAYS /* before 1.7 */

static void *counted_calloc(size_t number, size_t size_bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return count(calloc(number, size_bytes));
}

static char *counted_substrdup(const char *text, size_t length, const char *file, int line)
{
    char *copy = length + 1 ? counted_malloc(length + 1, file, line) : NULL;
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

static char *counted_strndup(const char *text, size_t length, const char *file, int line)
{
    return counted_substrdup(text, strnlen(text, length), file, line);
}

static char *counted_strdup(const char *text, const char *file, int line)
{
    return counted_substrdup(text, strlen(text), file, line);
}

static void *counted_reallocarray(void *block, size_t number, size_t size_bytes, const char *file, int line)
{
    size_t total;
    return __builtin_mul_overflow(number, size_bytes, &total) ? NULL
                                                              : counted_realloc(block, total, file, line);
}

static void *counted_mallocarray(size_t number, size_t size_bytes, const char *file, int line)
{
    return counted_reallocarray(NULL, number, size_bytes, file, line);
}

#endif

void allocation_begin(void)
{
    static git_allocator allocator = {
        .gmalloc = counted_malloc,
        .grealloc = counted_realloc,
        .gfree = counted_free,
#if RUNSFS_LIBGIT2_ALLOCATES_ARRAYS
        .gcalloc = counted_calloc,
        .gstrdup = counted_strdup,
        .gstrndup = counted_strndup,
        .gsubstrdup = counted_substrdup,
        .greallocarray = counted_reallocarray,
        .gmallocarray = counted_mallocarray,
#endif
    };
    git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, &allocator);
}
