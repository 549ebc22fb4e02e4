/*
 * Parked requests: see parking.h.
 */
#include "fs/parking.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>

struct parked {
    struct parked *next;
    struct fuse_buf request;
};

void parking_init(struct parking *parking)
{
    *parking = (struct parking){.is_taken = false};
    parking->end = &parking->first;
    pthread_mutex_init(&parking->lock, NULL);
}

void parking_finish(struct parking *parking)
{
    struct fuse_buf request;
    while (parking_next(parking, &request))
        free(request.mem);
    pthread_mutex_destroy(&parking->lock);
}

bool parking_concerns(struct fs *fs, const struct fuse_in_header *header)
{
    if (header->opcode == FUSE_FORGET || header->nodeid == 0)
        return false;
    if (header->nodeid == FUSE_ROOT_ID)
        return header->opcode == FUSE_LOOKUP && strcmp((const char *)(header + 1), "at") == 0;
    const struct node *node = node_of_number(&fs->nodes, header->nodeid);
    return node->kind == NODE_PAST || node->kind == NODE_AT;
}

bool parking_enter(struct parking *parking, const struct fuse_buf *request)
{
    pthread_mutex_lock(&parking->lock);
    bool enters = !parking->is_taken;
    parking->is_taken = true;
    if (!enters) {
        struct parked *parked = memory_alloc_zeroed(1, sizeof(*parked));
        parked->request = *request;
        parked->request.mem = memory_alloc(request->size);
        memcpy(parked->request.mem, request->mem, request->size);
        *parking->end = parked;
        parking->end = &parked->next;
    }
    pthread_mutex_unlock(&parking->lock);
    return enters;
}

bool parking_next(struct parking *parking, struct fuse_buf *request)
{
    pthread_mutex_lock(&parking->lock);
    struct parked *parked = parking->first;
    if (parked) {
        *request = parked->request;
        parking->first = parked->next;
        if (!parking->first)
            parking->end = &parking->first;
    } else {
        parking->is_taken = false;
    }
    pthread_mutex_unlock(&parking->lock);
    free(parked);
    return parked != NULL;
}
