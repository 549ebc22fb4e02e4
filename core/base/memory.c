/*
 * Memory and cleanup: the one place that decides what happens when memory is out (the process ends, loudly),
 * so that no caller has a path for it that nothing ever runs.
 */
#include "core/base/memory.h"

#include "core/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *require(void *block, size_t size_bytes)
{
    if (block)
        return block;
    log_error("out of memory: %zu bytes could not be had", size_bytes);
    abort();
}

/* Allocating nothing still gives a block of its own: NULL means "out of memory" to require(), and
 * realloc(block, 0) would free the block. */
static size_t at_least_one(size_t size_bytes)
{
    return size_bytes ? size_bytes : 1;
}

void *memory_alloc(size_t size_bytes)
{
    return require(malloc(at_least_one(size_bytes)), size_bytes);
}

void *memory_alloc_zeroed(size_t count, size_t size_bytes)
{
    return require(calloc(at_least_one(count), at_least_one(size_bytes)), size_bytes);
}

void *memory_resize(void *block, size_t size_bytes)
{
    return require(realloc(block, at_least_one(size_bytes)), size_bytes);
}

char *memory_copy_text(const char *bytes, size_t length_bytes)
{
    char *copy = memory_alloc(length_bytes + 1);

    if (length_bytes)
        memcpy(copy, bytes, length_bytes);
    copy[length_bytes] = '\0';
    return copy;
}

void cleanup_free_pointer(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

void cleanup_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
