/*
 * Nodes of the past, which show what stands in Git. What one shows never changes: another commit is another
 * node, also where it is reached by the same name (at/HEAD). See node.h.
 */
#include "core/base/memory.h"
#include "fs/node_internal.h"
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const struct node *parent, const char *name)
{
    return nodes_hash((uintptr_t)parent, text_hash(slice_of(name)) + 1);
}

uint64_t past_hash(const struct past_node *node)
{
    return hash_of(node->parent, node->name);
}

/* The node that stands there, with one more lookup; NULL where there is none. The lock is held. */
static struct past_node *find(struct nodes *nodes, const struct node *parent, const char *name,
                              const struct object_id *id)
{
    for (struct node *node = nodes_first(nodes, hash_of(parent, name)); node; node = node->hash_next) {
        struct past_node *past = (struct past_node *)node;
        if (node->kind == NODE_PAST && past->parent == parent && strcmp(past->name, name) == 0 &&
            object_id_equal(&past->id, id)) {
            node->lookups++;
            return past;
        }
    }
    return NULL;
}

static struct commit *copy_of(const struct commit *commit)
{
    struct commit *copy = memory_alloc(sizeof(*copy));
    *copy = *commit;
    return copy;
}

/* The node as nodes_past has it. commit is given for a revision's. */
static struct past_node *find_or_enter(struct nodes *nodes, struct node *parent, const char *name,
                                       const struct past_node *like, const struct commit *commit)
{
    pthread_mutex_lock(&nodes->lock);
    struct past_node *past = find(nodes, parent, name, &like->id);
    if (!past) {
        size_t length = strlen(name);
        past = memory_alloc_zeroed(1, sizeof(*past) + length + 1);
        node_init(nodes, &past->node, NODE_PAST);
        past->node.operations = like->node.operations;
        past->node.lookups = 1;
        past->parent = parent;
        parent->references++;
        past->top = parent->kind == NODE_PAST ? ((struct past_node *)parent)->top : past;
        past->ino = like->ino;
        past->id = like->id;
        past->mode = like->mode;
        past->past_kind = like->past_kind;
        if (commit)
            past->commit = copy_of(commit);
        memcpy(past->name, name, length);
        nodes_insert(nodes, &past->node);
    }
    pthread_mutex_unlock(&nodes->lock);
    return past;
}

struct past_node *nodes_past(struct nodes *nodes, struct node *parent, const char *name,
                             const struct past_node *like)
{
    return find_or_enter(nodes, parent, name, like, NULL);
}

struct past_node *nodes_revision(struct nodes *nodes, const char *name, const struct commit *commit,
                                 const struct past_node *like)
{
    return find_or_enter(nodes, &nodes->at, name, like, commit);
}
