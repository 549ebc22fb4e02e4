/*
 * The table of all nodes, their life, and those of real files and directories: see node.h for what they are
 * and how they are identified.
 */
#include "core/base/memory.h"
#include "fs/node_internal.h"
#include <stdlib.h>
#include <string.h>

/* ---- the hash ---- */

uint64_t nodes_hash(uint64_t a, uint64_t b)
{
    uint64_t value = (a ^ (b * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;
    return value ^ (value >> 32);
}

static uint64_t directory_hash(const struct node *parent, const struct directory *directory)
{
    return nodes_hash((uintptr_t)parent, (uintptr_t)directory);
}

static uint64_t node_hash(const struct node *node)
{
    if (node->kind == NODE_FILE)
        return identity_hash(&((const struct file_node *)node)->identity);
    if (node->kind == NODE_DIRECTORY) {
        const struct directory_node *directory = (const struct directory_node *)node;
        return directory_hash(directory->parent, directory->directory);
    }
    return derived_hash(node);
}

static struct node **bucket(struct nodes *nodes, uint64_t hash)
{
    return &nodes->buckets[hash & (nodes->bucket_count - 1)];
}

struct node *nodes_first(struct nodes *nodes, uint64_t hash)
{
    return *bucket(nodes, hash);
}

static void grow(struct nodes *nodes)
{
    struct node **old = nodes->buckets;
    size_t old_count = nodes->bucket_count;
    nodes->bucket_count = old_count * 2;
    nodes->buckets = memory_alloc_zeroed(nodes->bucket_count, sizeof(*nodes->buckets));
    for (size_t i = 0; i < old_count; i++)
        for (struct node *node = old[i], *next; node; node = next) {
            next = node->hash_next;
            struct node **head = bucket(nodes, node_hash(node));
            node->hash_next = *head;
            *head = node;
        }
    free(old);
}

void nodes_insert(struct nodes *nodes, struct node *node)
{
    if (++nodes->count > nodes->bucket_count)
        grow(nodes);
    struct node **head = bucket(nodes, node_hash(node));
    node->hash_next = *head;
    *head = node;
}

void nodes_remove(struct nodes *nodes, struct node *node)
{
    for (struct node **link = bucket(nodes, node_hash(node)); *link; link = &(*link)->hash_next)
        if (*link == node) {
            *link = node->hash_next;
            nodes->count--;
            return;
        }
}

static bool is_tracked(const struct node *node)
{
    return node->kind == NODE_DIRECTORY && ((const struct directory_node *)node)->tracked;
}

struct directory_node *nodes_find_directory(struct nodes *nodes, const struct node *parent,
                                            const struct directory *directory, bool tracked)
{
    for (struct node *node = nodes_first(nodes, directory_hash(parent, directory)); node;
         node = node->hash_next) {
        struct directory_node *found = (struct directory_node *)node;
        if (node->kind == NODE_DIRECTORY && found->parent == parent && found->directory == directory &&
            found->tracked == tracked)
            return found;
    }
    return NULL;
}

static struct file_node *find_file(struct nodes *nodes, const struct identity *identity)
{
    for (struct node *node = nodes_first(nodes, identity_hash(identity)); node; node = node->hash_next) {
        struct file_node *found = (struct file_node *)node;
        if (node->kind == NODE_FILE && identity_equal(&found->identity, identity))
            return found;
    }
    return NULL;
}

/* ---- life ---- */

static bool is_static(const struct node *node)
{
    return node->kind == NODE_ROOT || node->kind == NODE_FACET || node->kind == NODE_CONTROL ||
           node->kind == NODE_REFRESH || node->kind == NODE_AT ||
           (node->kind == NODE_QUERY && !((const struct query_node *)node)->parent);
}

/* Takes a node out of the table and off the list of places; the lock is held. */
static void node_unlink(struct nodes *nodes, struct node *node)
{
    nodes_remove(nodes, node);
    if (node->kind == NODE_DIRECTORY)
        directory_place_remove((struct directory_node *)node);
}

/* Frees a node that was unlinked; the lock is not held. Its reference to a parent is returned (NULL for
 * none), for the caller to give back. */
static struct node *node_free(struct nodes *nodes, struct node *node)
{
    struct node *parent = NULL;
    if (node->kind == NODE_DIRECTORY) {
        struct directory_node *directory = (struct directory_node *)node;
        parent = directory->parent;
        directory_unref(nodes->source, directory->directory);
    } else if (node->kind == NODE_FILE) {
        handles_close(nodes, &((struct file_node *)node)->handles);
        file_places_free(nodes, (struct file_node *)node);
    } else {
        parent = derived_release(nodes, node);
    }
    free(node);
    return parent;
}

struct node *node_ref(struct nodes *nodes, struct node *node)
{
    pthread_mutex_lock(&nodes->lock);
    node->references++;
    pthread_mutex_unlock(&nodes->lock);
    return node;
}

static void drop(struct nodes *nodes, struct node *node, uint64_t lookups, unsigned references)
{
    pthread_mutex_lock(&nodes->lock);
    node->lookups -= lookups < node->lookups ? lookups : node->lookups;
    node->references -= references;
    bool gone = !node->lookups && !node->references && !is_static(node);
    if (gone)
        node_unlink(nodes, node);
    pthread_mutex_unlock(&nodes->lock);
    struct node *parent = gone ? node_free(nodes, node) : NULL;
    if (parent)
        node_unref(nodes, parent);
}

void node_unref(struct nodes *nodes, struct node *node)
{
    drop(nodes, node, 0, 1);
}

void nodes_forget(struct nodes *nodes, struct node *node, uint64_t lookups)
{
    drop(nodes, node, lookups, 0);
}

bool nodes_is_shared(struct nodes *nodes, const struct node *node)
{
    pthread_mutex_lock(&nodes->lock);
    bool shared = node->lookups > 1;
    pthread_mutex_unlock(&nodes->lock);
    return shared;
}

void nodes_looked_up(struct nodes *nodes, struct node *node)
{
    pthread_mutex_lock(&nodes->lock);
    node->lookups++;
    pthread_mutex_unlock(&nodes->lock);
}

uint64_t node_number(const struct nodes *nodes, const struct node *node)
{
    return node == &nodes->root ? FUSE_ROOT_ID : (uintptr_t)node;
}

struct node *node_of_number(struct nodes *nodes, uint64_t number)
{
    return number == FUSE_ROOT_ID ? &nodes->root : (struct node *)(uintptr_t)number;
}

/* ---- finding and making ---- */

void node_init(struct nodes *nodes, struct node *node, enum node_kind kind)
{
    node->kind = (uint8_t)kind;
    node->generation = ++nodes->generation;
    node->operations = nodes->operations[kind];
}

static struct directory_node *enter_directory(struct nodes *nodes, struct node *parent,
                                              struct directory *directory, bool tracked)
{
    pthread_mutex_lock(&nodes->lock);
    struct directory_node *node = nodes_find_directory(nodes, parent, directory, tracked);
    if (!node) {
        node = memory_alloc_zeroed(1, sizeof(*node));
        node_init(nodes, &node->node, NODE_DIRECTORY);
        node->tracked = tracked;
        if (tracked)
            node->node.operations = nodes->tracked_operations;
        node->parent = parent;
        parent->references++;
        node->directory = directory_ref(directory);
        nodes_insert(nodes, &node->node);
        directory_place_insert(node);
    }
    node->node.lookups++;
    pthread_mutex_unlock(&nodes->lock);
    return node;
}

struct directory_node *nodes_directory(struct nodes *nodes, struct node *parent, struct directory *directory)
{
    return enter_directory(nodes, parent, directory, is_tracked(parent));
}

struct file_node *nodes_file(struct nodes *nodes, const struct attributes *attributes,
                             struct directory *directory, const char *name)
{
    pthread_mutex_lock(&nodes->lock);
    struct file_node *file = find_file(nodes, &attributes->identity);
    bool new = !file;
    if (new) {
        file = memory_alloc_zeroed(1, sizeof(*file));
        node_init(nodes, &file->node, NODE_FILE);
        file->identity = attributes->identity;
        file->directory = directory_ref(directory);
        file->name = memory_copy_text(name, strlen(name));
        nodes_insert(nodes, &file->node);
    }
    file->node.lookups++;
    pthread_mutex_unlock(&nodes->lock);
    if (!new)
        nodes_file_at(nodes, file, directory, name, attributes);
    return file;
}

size_t nodes_count(struct nodes *nodes)
{
    pthread_mutex_lock(&nodes->lock);
    size_t count = nodes->count;
    pthread_mutex_unlock(&nodes->lock);
    return count;
}

struct file_node *nodes_file_known(struct nodes *nodes, const struct identity *identity)
{
    pthread_mutex_lock(&nodes->lock);
    struct file_node *file = find_file(nodes, identity);
    if (file)
        file->node.references++;
    pthread_mutex_unlock(&nodes->lock);
    return file;
}

struct directory_node *nodes_directory_known(struct nodes *nodes, struct node *parent,
                                             struct directory *directory)
{
    pthread_mutex_lock(&nodes->lock);
    struct directory_node *node = nodes_find_directory(nodes, parent, directory, is_tracked(parent));
    if (node)
        node->node.references++;
    pthread_mutex_unlock(&nodes->lock);
    return node;
}

size_t nodes_all(struct nodes *nodes, struct node ***all)
{
    pthread_mutex_lock(&nodes->lock);
    *all = memory_alloc((nodes->count + 1) * sizeof(**all));
    size_t count = 0;
    for (size_t i = 0; i < nodes->bucket_count; i++)
        for (struct node *node = nodes->buckets[i]; node; node = node->hash_next)
            if (node->kind == NODE_FILE || node->kind == NODE_DIRECTORY) {
                node->references++;
                (*all)[count++] = node;
            }
    pthread_mutex_unlock(&nodes->lock);
    return count;
}

/* ---- all of them ---- */

void nodes_init(struct nodes *nodes, struct source *source, const struct node_operations *const operations[],
                const struct node_operations *tracked)
{
    *nodes = (struct nodes){.source = source, .bucket_count = 1024, .tracked_operations = tracked};
    pthread_mutex_init(&nodes->lock, NULL);
    nodes->buckets = memory_alloc_zeroed(nodes->bucket_count, sizeof(*nodes->buckets));
    for (int kind = NODE_ROOT; kind < NODE_KIND_COUNT; kind++)
        nodes->operations[kind] = operations[kind];
    node_init(nodes, &nodes->root, NODE_ROOT);
    node_init(nodes, &nodes->control, NODE_CONTROL);
    node_init(nodes, &nodes->find, NODE_CONTROL);
    node_init(nodes, &nodes->refresh, NODE_REFRESH);
    node_init(nodes, &nodes->at, NODE_AT);
    node_init(nodes, &nodes->where.node, NODE_QUERY);
    nodes->where.name = nodes->where.text = "";
    nodes->runs = enter_directory(nodes, &nodes->root, source_root(source), false);
    nodes->tracked = enter_directory(nodes, &nodes->root, source_root(source), true);
}

void nodes_finish(struct nodes *nodes)
{
    /* Nobody else is here any more, so no lock is taken. References to parents are not given back: all go,
     * and the parent may be gone already. */
    for (size_t i = 0; i < nodes->bucket_count; i++)
        for (struct node *node; (node = nodes->buckets[i]);) {
            node_unlink(nodes, node);
            node_free(nodes, node);
        }
    for (size_t i = 0; i < nodes->facet_count; i++)
        free(nodes->facets[i]);
    free(nodes->facets);
    free(nodes->buckets);
    pthread_mutex_destroy(&nodes->lock);
}
