/*
 * Nodes of the derived kinds, which show what was made of the runs: values of facets, queries, the manifest
 * and reports. See node.h.
 */
#include "core/base/memory.h"
#include "fs/node_internal.h"
#include <stdlib.h>
#include <string.h>

static uint64_t value_hash(const struct facet_value *value)
{
    return nodes_hash((uintptr_t)value, 1);
}

static uint64_t query_hash(const struct node *parent, const char *name)
{
    return nodes_hash((uintptr_t)parent, text_hash(slice_of(name)));
}

uint64_t derived_hash(const struct node *node)
{
    if (node->kind == NODE_VALUE)
        return value_hash(((const struct view_node *)node)->value);
    if (node->kind == NODE_QUERY) {
        const struct query_node *query = (const struct query_node *)node;
        return query_hash(query->parent, query->name);
    }
    if (node->kind == NODE_PAST)
        return past_hash((const struct past_node *)node);
    return (uintptr_t)node; /* a manifest or report: in the table only to be freed in the end */
}

struct node *derived_release(struct nodes *nodes, struct node *node)
{
    if (node->kind == NODE_MANIFEST) {
        struct manifest_node *manifest = (struct manifest_node *)node;
        handles_close(nodes, &manifest->handles);
        snapshot_unref(manifest->snapshot);
    } else if (node->kind == NODE_QUERY) {
        struct query_node *query = (struct query_node *)node;
        free(query->name);
        free(query->text);
        return query->parent;
    } else if (node->kind == NODE_PAST) {
        atomic_fetch_sub(&nodes->past_count, 1);
        return ((struct past_node *)node)->parent;
    } else if (node->kind == NODE_REPORT) {
        free(((struct report_node *)node)->text);
    }
    return NULL;
}

struct view_node *nodes_facet(struct nodes *nodes, unsigned facet)
{
    pthread_mutex_lock(&nodes->lock);
    for (; nodes->facet_count <= facet; nodes->facet_count++) {
        nodes->facets = memory_resize(nodes->facets, (nodes->facet_count + 1) * sizeof(*nodes->facets));
        struct view_node *view = memory_alloc_zeroed(1, sizeof(*view));
        node_init(nodes, &view->node, NODE_FACET);
        view->facet = (unsigned)nodes->facet_count;
        nodes->facets[nodes->facet_count] = view;
    }
    struct view_node *view = nodes->facets[facet];
    view->node.lookups++;
    pthread_mutex_unlock(&nodes->lock);
    return view;
}

struct view_node *nodes_value(struct nodes *nodes, unsigned facet, struct facet_value *value)
{
    pthread_mutex_lock(&nodes->lock);
    struct view_node *view = NULL;
    for (struct node *node = nodes_first(nodes, value_hash(value)); node && !view; node = node->hash_next)
        if (node->kind == NODE_VALUE && ((struct view_node *)node)->value == value)
            view = (struct view_node *)node;
    if (!view) {
        view = memory_alloc_zeroed(1, sizeof(*view));
        node_init(nodes, &view->node, NODE_VALUE);
        view->facet = facet;
        view->value = value;
        nodes_insert(nodes, &view->node);
    }
    view->node.lookups++;
    pthread_mutex_unlock(&nodes->lock);
    return view;
}

/* name is put behind what its parent asks for. */
static char *query_text(const struct node *parent, const char *name)
{
    struct buffer text = {0};
    if (parent->kind == NODE_QUERY && *((const struct query_node *)parent)->text) {
        buffer_append_text(&text, ((const struct query_node *)parent)->text);
        buffer_append_byte(&text, '/');
    }
    buffer_append_text(&text, name);
    return text.bytes;
}

struct query_node *nodes_query(struct nodes *nodes, struct node *parent, const char *name)
{
    struct query_node *query = NULL;
    pthread_mutex_lock(&nodes->lock);
    for (struct node *node = nodes_first(nodes, query_hash(parent, name)); node && !query;
         node = node->hash_next)
        if (node->kind == NODE_QUERY && ((struct query_node *)node)->parent == parent &&
            strcmp(((struct query_node *)node)->name, name) == 0)
            query = (struct query_node *)node;
    if (!query) {
        query = memory_alloc_zeroed(1, sizeof(*query));
        node_init(nodes, &query->node, NODE_QUERY);
        query->parent = parent;
        parent->references++;
        query->within = parent->kind == NODE_VALUE ? ((struct view_node *)parent)->value
                                                   : ((struct query_node *)parent)->within;
        query->name = memory_copy_text(name, strlen(name));
        query->text = query_text(parent, name);
        nodes_insert(nodes, &query->node);
    }
    query->node.lookups++;
    pthread_mutex_unlock(&nodes->lock);
    return query;
}

struct manifest_node *nodes_manifest(struct nodes *nodes, struct snapshot *snapshot)
{
    struct manifest_node *node = memory_alloc_zeroed(1, sizeof(*node));
    pthread_mutex_lock(&nodes->lock);
    node_init(nodes, &node->node, NODE_MANIFEST);
    node->node.lookups = 1;
    node->snapshot = snapshot;
    nodes_insert(nodes, &node->node);
    pthread_mutex_unlock(&nodes->lock);
    return node;
}

struct report_node *nodes_report(struct nodes *nodes, uint64_t ino, struct buffer text)
{
    struct report_node *node = memory_alloc_zeroed(1, sizeof(*node));
    node->ino = ino;
    node->text = text.bytes; /* NULL where nothing was put in: then there is nothing to read */
    node->length = text.length;
    clock_gettime(CLOCK_REALTIME, &node->made_at);
    pthread_mutex_lock(&nodes->lock);
    node_init(nodes, &node->node, NODE_REPORT);
    node->node.lookups = 1;
    nodes_insert(nodes, &node->node);
    pthread_mutex_unlock(&nodes->lock);
    return node;
}
