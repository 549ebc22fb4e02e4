/*
 * The tables of nodes: see node.h for what they are and how they are identified.
 */
#include "fs/node.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>

/* ---- the hash ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t value = (a ^ (b * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;
    return value ^ (value >> 32);
}

static uint64_t directory_hash(const struct node *parent, const struct directory *directory)
{
    return mix((uintptr_t)parent, (uintptr_t)directory);
}

static uint64_t value_hash(const struct facet_value *value)
{
    return mix((uintptr_t)value, 1);
}

static uint64_t query_hash(const struct node *parent, const char *name)
{
    return mix((uintptr_t)parent, text_hash(slice_of(name)));
}

static uint64_t node_hash(const struct node *node)
{
    switch (node->kind) {
    case NODE_DIRECTORY: {
        const struct directory_node *directory = (const struct directory_node *)node;
        return directory_hash(directory->parent, directory->directory);
    }
    case NODE_FILE:
        return identity_hash(&((const struct file_node *)node)->identity);
    case NODE_VALUE:
        return value_hash(((const struct view_node *)node)->value);
    case NODE_QUERY: {
        const struct query_node *query = (const struct query_node *)node;
        return query_hash(query->parent, query->name);
    }
    default: /* a manifest or report: in the table only to be freed in the end */
        return (uintptr_t)node;
    }
}

static struct node **bucket(struct nodes *nodes, uint64_t hash)
{
    return &nodes->buckets[hash & (nodes->bucket_count - 1)];
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

static void hash_insert(struct nodes *nodes, struct node *node)
{
    if (++nodes->count > nodes->bucket_count)
        grow(nodes);
    struct node **head = bucket(nodes, node_hash(node));
    node->hash_next = *head;
    *head = node;
}

static void hash_remove(struct nodes *nodes, struct node *node)
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

static struct directory_node *find_directory(struct nodes *nodes, const struct node *parent,
                                             const struct directory *directory, bool tracked)
{
    for (struct node *node = *bucket(nodes, directory_hash(parent, directory)); node;
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
    for (struct node *node = *bucket(nodes, identity_hash(identity)); node; node = node->hash_next) {
        struct file_node *found = (struct file_node *)node;
        if (node->kind == NODE_FILE && identity_equal(&found->identity, identity))
            return found;
    }
    return NULL;
}

/* ---- places of a directory ---- */

static void place_insert(struct directory_node *node)
{
    node->next_place = node->directory->places;
    node->directory->places = node;
}

static void place_remove(struct directory_node *node)
{
    for (struct directory_node **link = (struct directory_node **)&node->directory->places; *link;
         link = &(*link)->next_place)
        if (*link == node) {
            *link = node->next_place;
            return;
        }
}

size_t nodes_places(struct nodes *nodes, struct directory *directory, const struct node *but,
                    struct directory_node ***places)
{
    size_t count = 0;
    *places = NULL;
    pthread_mutex_lock(&nodes->lock);
    for (struct directory_node *node = directory->places; node; node = node->next_place)
        count += &node->node != but;
    if (count) {
        *places = memory_alloc(count * sizeof(**places));
        count = 0;
        for (struct directory_node *node = directory->places; node; node = node->next_place)
            if (&node->node != but) {
                node->node.references++;
                (*places)[count++] = node;
            }
    }
    pthread_mutex_unlock(&nodes->lock);
    return count;
}

void nodes_directory_removed(struct nodes *nodes, struct directory *directory)
{
    pthread_mutex_lock(&nodes->lock);
    for (struct directory_node *node = directory->places; node; node = node->next_place)
        node->node.removed = true;
    pthread_mutex_unlock(&nodes->lock);
}

bool nodes_have_places(struct nodes *nodes, struct directory *directory)
{
    pthread_mutex_lock(&nodes->lock);
    bool have = directory->places != NULL;
    pthread_mutex_unlock(&nodes->lock);
    return have;
}

/* ---- life ---- */

static bool is_static(const struct node *node)
{
    return node->kind == NODE_ROOT || node->kind == NODE_FACET || node->kind == NODE_CONTROL ||
           node->kind == NODE_REFRESH ||
           (node->kind == NODE_QUERY && !((const struct query_node *)node)->parent);
}

/* Takes a node that nobody has out of the tables; the lock is held. Freed by node_release, without the lock.
 */
static void node_unlink(struct nodes *nodes, struct node *node)
{
    hash_remove(nodes, node);
    if (node->kind == NODE_DIRECTORY)
        place_remove((struct directory_node *)node);
}

static void file_release(struct nodes *nodes, struct file_node *file)
{
    handles_close(nodes, &file->handles);
    directory_unref(nodes->source, file->directory);
    free(file->name);
    for (struct file_place *next; file->others; file->others = next) {
        next = file->others->next;
        directory_unref(nodes->source, file->others->directory);
        free(file->others->name);
        free(file->others);
    }
}

static void query_free_texts(struct query_node *query)
{
    free(query->name);
    free(query->text);
}

static void node_release(struct nodes *nodes, struct node *node)
{
    if (node->kind == NODE_DIRECTORY) {
        struct directory_node *directory = (struct directory_node *)node;
        node_unref(nodes, directory->parent);
        directory_unref(nodes->source, directory->directory);
    } else if (node->kind == NODE_FILE) {
        file_release(nodes, (struct file_node *)node);
    } else if (node->kind == NODE_MANIFEST) {
        handles_close(nodes, &((struct manifest_node *)node)->handles);
        snapshot_unref(((struct manifest_node *)node)->snapshot);
    } else if (node->kind == NODE_QUERY) {
        node_unref(nodes, ((struct query_node *)node)->parent);
        query_free_texts((struct query_node *)node);
    } else if (node->kind == NODE_REPORT) {
        free(((struct report_node *)node)->text);
    }
    free(node);
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
    if (gone)
        node_release(nodes, node);
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

static void node_init(struct nodes *nodes, struct node *node, enum node_kind kind)
{
    node->kind = (uint8_t)kind;
    node->generation = ++nodes->generation;
    node->operations = nodes->operations[kind];
}

static struct directory_node *enter_directory(struct nodes *nodes, struct node *parent,
                                              struct directory *directory, bool tracked)
{
    pthread_mutex_lock(&nodes->lock);
    struct directory_node *node = find_directory(nodes, parent, directory, tracked);
    if (!node) {
        node = memory_alloc_zeroed(1, sizeof(*node));
        node_init(nodes, &node->node, NODE_DIRECTORY);
        node->tracked = tracked;
        if (tracked)
            node->node.operations = nodes->tracked_operations;
        node->parent = parent;
        parent->references++;
        node->directory = directory_ref(directory);
        hash_insert(nodes, &node->node);
        place_insert(node);
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
        hash_insert(nodes, &file->node);
    }
    file->node.lookups++;
    pthread_mutex_unlock(&nodes->lock);
    if (!new)
        nodes_file_at(nodes, file, directory, name, attributes);
    return file;
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
    for (struct node *node = *bucket(nodes, value_hash(value)); node && !view; node = node->hash_next)
        if (node->kind == NODE_VALUE && ((struct view_node *)node)->value == value)
            view = (struct view_node *)node;
    if (!view) {
        view = memory_alloc_zeroed(1, sizeof(*view));
        node_init(nodes, &view->node, NODE_VALUE);
        view->facet = facet;
        view->value = value;
        hash_insert(nodes, &view->node);
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
    for (struct node *node = *bucket(nodes, query_hash(parent, name)); node && !query; node = node->hash_next)
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
        hash_insert(nodes, &query->node);
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
    hash_insert(nodes, &node->node);
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
    hash_insert(nodes, &node->node);
    pthread_mutex_unlock(&nodes->lock);
    return node;
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
    struct directory_node *node = find_directory(nodes, parent, directory, is_tracked(parent));
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

/* ---- where they are ---- */

bool nodes_file_is_at(struct nodes *nodes, const struct file_node *file, const struct directory *directory,
                      const char *name)
{
    pthread_mutex_lock(&nodes->lock);
    bool is = file->directory == directory && strcmp(file->name, name) == 0;
    pthread_mutex_unlock(&nodes->lock);
    return is;
}

/* So many names of one file are remembered; the lock is held for a walk over them. */
#define OTHER_PLACES 8

static void place_free(struct nodes *nodes, struct file_place *place)
{
    if (!place)
        return;
    directory_unref(nodes->source, place->directory);
    free(place->name);
    free(place);
}

/* Takes the place (and what comes after too many) off the list; the lock is held. */
static struct file_place *places_take(struct file_node *file, const struct directory *directory,
                                      const char *name)
{
    unsigned count = 0;
    for (struct file_place **link = &file->others; *link; link = &(*link)->next) {
        struct file_place *place = *link;
        if ((place->directory == directory && strcmp(place->name, name) == 0) ||
            (++count == OTHER_PLACES && !place->next)) {
            *link = place->next;
            return place;
        }
    }
    return NULL;
}

void nodes_file_at(struct nodes *nodes, struct file_node *file, struct directory *directory, const char *name,
                   const struct attributes *attributes)
{
    if (nodes_file_is_at(nodes, file, directory, name))
        return;
    char *new_name = memory_copy_text(name, strlen(name));
    struct file_place *old = memory_alloc(sizeof(*old));
    directory_ref(directory);
    pthread_mutex_lock(&nodes->lock);
    struct file_place *dropped = places_take(file, directory, name);
    *old = (struct file_place){.directory = file->directory, .name = file->name, .next = file->others};
    file->directory = directory;
    file->name = new_name;
    if (attributes->stat.st_nlink > 1) {
        file->others = old;
        old = NULL;
    }
    pthread_mutex_unlock(&nodes->lock);
    place_free(nodes, dropped);
    place_free(nodes, old);
}

unsigned nodes_file_try_another(struct nodes *nodes, struct file_node *file)
{
    unsigned count = 0;
    pthread_mutex_lock(&nodes->lock);
    struct file_place *other = file->others, **end = &file->others;
    if (other) {
        file->others = other->next;
        struct file_place now = *other;
        *other = (struct file_place){.directory = file->directory, .name = file->name};
        file->directory = now.directory;
        file->name = now.name;
        for (; *end; end = &(*end)->next)
            count++;
        *end = other;
        count++;
    }
    pthread_mutex_unlock(&nodes->lock);
    return count;
}

bool nodes_file_has_another(struct nodes *nodes, const struct file_node *file,
                            const struct directory *directory, const char *name)
{
    pthread_mutex_lock(&nodes->lock);
    bool has = file->others || file->directory != directory || strcmp(file->name, name) != 0;
    pthread_mutex_unlock(&nodes->lock);
    return has;
}

void nodes_file_place(struct nodes *nodes, struct file_node *file, struct directory **directory, char **name)
{
    pthread_mutex_lock(&nodes->lock);
    *directory = directory_ref(file->directory);
    *name = memory_copy_text(file->name, strlen(file->name));
    pthread_mutex_unlock(&nodes->lock);
}

void nodes_directory_moved(struct nodes *nodes, struct directory_node *node, struct node *parent)
{
    pthread_mutex_lock(&nodes->lock);
    struct node *old_parent = node->parent;
    struct directory_node *taken = find_directory(nodes, parent, node->directory, node->tracked);
    if (old_parent != parent && !taken) {
        hash_remove(nodes, &node->node);
        node->parent = parent;
        parent->references++;
        hash_insert(nodes, &node->node);
    } else {
        old_parent = NULL;
    }
    pthread_mutex_unlock(&nodes->lock);
    if (old_parent)
        node_unref(nodes, old_parent);
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
    node_init(nodes, &nodes->where.node, NODE_QUERY);
    nodes->where.name = nodes->where.text = "";
    nodes->runs = enter_directory(nodes, &nodes->root, source_root(source), false);
    nodes->tracked = enter_directory(nodes, &nodes->root, source_root(source), true);
}

void nodes_finish(struct nodes *nodes)
{
    /* Children refer to parents, so what is freed first must not take its parent along: all are taken out
     * before. */
    for (size_t i = 0; i < nodes->bucket_count; i++)
        for (struct node *node = nodes->buckets[i], *next; node; node = next) {
            next = node->hash_next;
            if (node->kind == NODE_DIRECTORY) {
                struct directory_node *directory = (struct directory_node *)node;
                directory->directory->places = NULL;
                directory_unref(nodes->source, directory->directory);
            } else if (node->kind == NODE_FILE) {
                file_release(nodes, (struct file_node *)node);
            } else if (node->kind == NODE_MANIFEST) {
                snapshot_unref(((struct manifest_node *)node)->snapshot);
                handles_close(nodes, &((struct manifest_node *)node)->handles);
            } else if (node->kind == NODE_QUERY) {
                query_free_texts((struct query_node *)node);
            } else if (node->kind == NODE_REPORT) {
                free(((struct report_node *)node)->text);
            }
            free(node);
        }
    for (size_t i = 0; i < nodes->facet_count; i++)
        free(nodes->facets[i]);
    free(nodes->facets);
    free(nodes->buckets);
    pthread_mutex_destroy(&nodes->lock);
}
