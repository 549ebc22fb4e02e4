/*
 * Nodes of the past, which show what stands in Git. What one shows never changes: another commit is another
 * node, also where it is reached by the same name (at/HEAD). See node.h.
 */
#include "core/base/memory.h"
#include "fs/node_internal.h"
#include <stddef.h>
#include <string.h>

static uint64_t hash_of(const struct node *parent, const char *name)
{
    return nodes_hash((uintptr_t)parent, text_hash(slice_of(name)) + 1);
}

uint64_t past_hash(const struct past_node *node)
{
    return hash_of(node->parent, node->name);
}

/* Where a revision's node has its commit: behind its name. */
static size_t commit_offset(size_t name_length)
{
    size_t end = offsetof(struct past_node, name) + name_length + 1;
    return (end + _Alignof(struct commit) - 1) / _Alignof(struct commit) * _Alignof(struct commit);
}

const struct past_node *past_node_top(const struct past_node *node)
{
    while (node->past_kind != PAST_REVISION)
        node = (const struct past_node *)node->parent;
    return node;
}

const struct commit *past_node_commit(const struct past_node *node)
{
    const struct past_node *top = past_node_top(node);
    return (const void *)((const char *)top + commit_offset(strlen(top->name)));
}

/* The node that stands there, with one more lookup; NULL where there is none. A commit has another tree where
 * the source was moved within its repository. The lock is held. */
static struct past_node *find(struct nodes *nodes, const struct node *parent, const char *name,
                              const struct object_id *id, const struct commit *commit)
{
    for (struct node *node = nodes_first(nodes, hash_of(parent, name)); node; node = node->hash_next) {
        struct past_node *past = (struct past_node *)node;
        if (node->kind == NODE_PAST && past->parent == parent && strcmp(past->name, name) == 0 &&
            object_id_equal(&past->id, id) &&
            (!commit || object_id_equal(&past_node_commit(past)->tree, &commit->tree))) {
            node->lookups++;
            return past;
        }
    }
    return NULL;
}

/* The node as nodes_past has it. commit is given for a revision's. */
static struct past_node *find_or_enter(struct nodes *nodes, struct node *parent, const char *name,
                                       const struct past_node *like, const struct commit *commit)
{
    pthread_mutex_lock(&nodes->lock);
    struct past_node *past = find(nodes, parent, name, &like->id, commit);
    if (!past) {
        size_t length = strlen(name);
        size_t size_bytes =
            commit ? commit_offset(length) + sizeof(*commit) : offsetof(struct past_node, name) + length + 1;
        past = memory_alloc_zeroed(1, size_bytes > sizeof(*past) ? size_bytes : sizeof(*past));
        node_init(nodes, &past->node, NODE_PAST);
        past->node.operations = like->node.operations;
        past->node.lookups = 1;
        past->parent = parent;
        parent->references++;
        past->ino = like->ino;
        past->id = like->id;
        past->mode = like->mode;
        past->past_kind = like->past_kind;
        memcpy(past->name, name, length);
        if (commit)
            memcpy((char *)past + commit_offset(length), commit, sizeof(*commit));
        nodes_insert(nodes, &past->node);
        atomic_fetch_add(&nodes->past_count, 1);
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
