/*
 * Memory and cleanup: allocation that can't fail, and attributes that release a local when it leaves its
 * scope. Small allocations end the process with a log line when memory is out (the kernel overcommits; what
 * is left to do is nothing); large buffers whose size the outside decides are taken with malloc and answer
 * -ENOMEM.
 */
#ifndef RUNSFS_BASE_MEMORY_H
#define RUNSFS_BASE_MEMORY_H

#include <stddef.h>

/* Like malloc, calloc and realloc, but never NULL; the caller owns the result and frees it with free(). */
void *memory_alloc(size_t size_bytes);
void *memory_alloc_zeroed(size_t count, size_t size_bytes);
void *memory_resize(void *block, size_t size_bytes);
/* A NUL-terminated copy of length_bytes bytes; owned by the caller. */
char *memory_copy_text(const char *bytes, size_t length_bytes);

void cleanup_free_pointer(void *pointer_to_pointer);
void cleanup_close_fd(int *fd);

#define CLEANUP_FREE __attribute__((cleanup(cleanup_free_pointer)))
#define CLEANUP_FD __attribute__((cleanup(cleanup_close_fd)))

#endif
