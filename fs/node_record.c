/*
 * Records: what the kernel was last told of a file or directory, against which the examiner holds what stands
 * on disk. See node.h.
 */
#include "fs/node.h"

/* The coarsest clock tick with which a kernel without exact times stamps files (HZ=100), with a margin. */
#define CLOCK_TICK_NS 20000000ll

bool nodes_times_are_exact;

static struct record *record_of(struct node *node)
{
    if (node->kind == NODE_FILE)
        return &((struct file_node *)node)->record;
    return &((struct directory_node *)node)->record;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct record record_make(const struct attributes *attributes)
{
    return (struct record){
        .mtime_ns = nanoseconds(attributes->stat.st_mtim),
        .ctime_ns = nanoseconds(attributes->stat.st_ctim),
        .size_bytes = attributes->stat.st_size,
    };
}

static bool record_is_racy(const struct record *record)
{
    if (nodes_times_are_exact)
        return false;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return record->ctime_ns > nanoseconds(now) - CLOCK_TICK_NS;
}

void nodes_record(struct nodes *nodes, struct node *node, const struct attributes *attributes)
{
    struct record record = record_make(attributes);
    bool racy = record_is_racy(&record);
    pthread_mutex_lock(&nodes->lock);
    *record_of(node) = record;
    node->racy = racy;
    pthread_mutex_unlock(&nodes->lock);
}

bool nodes_record_matches(struct nodes *nodes, struct node *node, const struct attributes *attributes)
{
    struct record record = record_make(attributes);
    bool racy = record_is_racy(&record);
    pthread_mutex_lock(&nodes->lock);
    struct record *known = record_of(node);
    bool matches = !node->racy && known->mtime_ns == record.mtime_ns && known->ctime_ns == record.ctime_ns &&
                   known->size_bytes == record.size_bytes;
    *known = record;
    node->racy = racy;
    pthread_mutex_unlock(&nodes->lock);
    return matches;
}
