/*
 * The lists of handles and their budget: see handle.h.
 */
#include "fs/handle.h"
#include "core/base/memory.h"
#include "fs/node.h"
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

/* How long a handle may write without need. */
#define IDLE_WRITER_MS 1000

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_writer(const struct handle *handle)
{
    return handle->replaceable && (handle->access == O_WRONLY || handle->access == O_RDWR);
}

/* nodes->lock is held. */
static void take_off(struct nodes *nodes, struct handle *handle)
{
    struct handle **link = handle->list;
    while (*link != handle)
        link = &(*link)->next;
    *link = handle->next;
    handle->list = NULL;
    if (handle->replaceable)
        DL_DELETE2(nodes->handles.replaceable, handle, prev_used, next_used);
    nodes->handles.writers -= is_writer(handle);
    nodes->handles.count--;
}

/* nodes->lock is held. True where it was the last reference: the caller frees it without the lock. */
static bool drop(struct handle *handle)
{
    return --handle->references == 0;
}

static void handle_free(struct handle *handle)
{
    close(handle->fd);
    free(handle);
}

struct handle *handle_add(struct nodes *nodes, struct handle **list, int fd, int access,
                          enum handle_kind kind, bool replaceable)
{
    struct handle *handle = memory_alloc(sizeof(*handle)), *replaced = NULL;
    *handle = (struct handle){
        .fd = fd,
        .access = access,
        .kind = kind,
        .replaceable = replaceable,
        .references = 2,
        .list = list,
        .used_ms = now_ms(),
    };
    bool free_replaced = false;
    pthread_mutex_lock(&nodes->lock);
    if (nodes->handles.count >= nodes->handles.limit && nodes->handles.replaceable) {
        replaced = nodes->handles.replaceable->prev_used; /* the list's end */
        take_off(nodes, replaced);
        free_replaced = drop(replaced);
    }
    bool fits = nodes->handles.count < nodes->handles.limit;
    if (fits) {
        nodes->handles.count++;
        nodes->handles.writers += is_writer(handle);
        handle->next = *list;
        *list = handle;
        if (replaceable)
            DL_PREPEND2(nodes->handles.replaceable, handle, prev_used, next_used);
    }
    pthread_mutex_unlock(&nodes->lock);
    if (free_replaced)
        handle_free(replaced);
    if (fits)
        return handle;
    free(handle);
    return NULL;
}

static bool can_do(const struct handle *handle, int access)
{
    if (access == O_PATH || handle->access == access)
        return true;
    return handle->access == O_RDWR;
}

struct handle *handle_find(struct nodes *nodes, struct handle *const *list, int access)
{
    pthread_mutex_lock(&nodes->lock);
    struct handle *handle = *list;
    while (handle && !can_do(handle, access))
        handle = handle->next;
    if (handle) {
        handle->references++;
        handle->used_ms = now_ms();
        if (handle->replaceable && nodes->handles.replaceable != handle) {
            DL_DELETE2(nodes->handles.replaceable, handle, prev_used, next_used);
            DL_PREPEND2(nodes->handles.replaceable, handle, prev_used, next_used);
        }
    }
    pthread_mutex_unlock(&nodes->lock);
    return handle;
}

bool handle_has_kept(struct nodes *nodes, struct handle *const *list, bool lasting)
{
    pthread_mutex_lock(&nodes->lock);
    struct handle *handle = *list;
    while (handle && handle->kind != HANDLE_KEPT)
        handle = handle->next;
    if (handle && handle->replaceable && lasting) {
        nodes->handles.writers -= is_writer(handle);
        DL_DELETE2(nodes->handles.replaceable, handle, prev_used, next_used);
        handle->replaceable = false;
    }
    pthread_mutex_unlock(&nodes->lock);
    return handle != NULL;
}

void handle_unref(struct nodes *nodes, struct handle *handle)
{
    pthread_mutex_lock(&nodes->lock);
    bool last = drop(handle);
    pthread_mutex_unlock(&nodes->lock);
    if (last)
        handle_free(handle);
}

void handle_let_go(struct nodes *nodes, struct handle *handle)
{
    pthread_mutex_lock(&nodes->lock);
    if (handle->list && !handle->replaceable) {
        handle->replaceable = true;
        nodes->handles.writers += is_writer(handle);
        DL_PREPEND2(nodes->handles.replaceable, handle, prev_used, next_used);
    }
    pthread_mutex_unlock(&nodes->lock);
}

void handle_close(struct nodes *nodes, struct handle *handle)
{
    pthread_mutex_lock(&nodes->lock);
    bool last = false;
    if (handle->list) {
        take_off(nodes, handle);
        last = drop(handle);
    }
    pthread_mutex_unlock(&nodes->lock);
    if (last)
        handle_free(handle);
}

bool handles_expire(struct nodes *nodes)
{
    for (;;) {
        int64_t used_before_ms = now_ms() - IDLE_WRITER_MS;
        pthread_mutex_lock(&nodes->lock);
        struct handle *handle = nodes->handles.writers ? nodes->handles.replaceable : NULL;
        while (handle && !(is_writer(handle) && handle->used_ms < used_before_ms))
            handle = handle->next_used;
        bool last = false, more = nodes->handles.writers;
        if (handle) {
            take_off(nodes, handle);
            last = drop(handle);
        }
        pthread_mutex_unlock(&nodes->lock);
        if (last)
            handle_free(handle);
        if (!handle)
            return more;
    }
}

void handles_close(struct nodes *nodes, struct handle **list)
{
    for (;;) {
        pthread_mutex_lock(&nodes->lock);
        struct handle *handle = *list;
        bool last = false;
        if (handle) {
            take_off(nodes, handle);
            last = drop(handle);
        }
        pthread_mutex_unlock(&nodes->lock);
        if (!handle)
            return;
        if (last)
            handle_free(handle);
    }
}
