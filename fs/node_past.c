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

/* Fills in a new node, with one lookup, and enters it. The lock is held. */
static void enter(struct nodes *nodes, struct past_node *past, struct node *parent, const char *name,
                  const struct past_node *like)
{
    node_init(nodes, &past->node, NODE_PAST);
    past->node.operations = like->node.operations;
    past->node.lookups = 1;
    past->parent = parent;
    parent->references++;
    past->name = memory_copy_text(name, strlen(name));
    past->top = parent->kind == NODE_PAST ? ((struct past_node *)parent)->top : past;
    past->id = like->id;
    past->ino = like->ino;
    past->mode = like->mode;
    past->past_kind = like->past_kind;
    nodes_insert(nodes, &past->node);
}

struct past_node *nodes_past(struct nodes *nodes, struct node *parent, const char *name,
                             const struct past_node *like)
{
    pthread_mutex_lock(&nodes->lock);
    struct past_node *past = find(nodes, parent, name, &like->id);
    if (!past) {
        past = memory_alloc_zeroed(1, sizeof(*past));
        enter(nodes, past, parent, name, like);
    }
    pthread_mutex_unlock(&nodes->lock);
    return past;
}

struct revision_node *nodes_revision(struct nodes *nodes, const char *name, const struct commit *commit,
                                     const struct past_node *like)
{
    pthread_mutex_lock(&nodes->lock);
    struct revision_node *revision = (struct revision_node *)find(nodes, &nodes->at, name, &like->id);
    if (!revision) {
        revision = memory_alloc_zeroed(1, sizeof(*revision));
        revision->commit = *commit;
        enter(nodes, &revision->past, &nodes->at, name, like);
    }
    pthread_mutex_unlock(&nodes->lock);
    return revision;
}
