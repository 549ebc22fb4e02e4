/*
 * Where files and directories are: the place of a file, by which it is opened, and the others of one with
 * several names; the nodes that show one directory, which are told of its changes. See node.h.
 */
#include "core/base/memory.h"
#include "fs/node_internal.h"
#include <stdlib.h>
#include <string.h>

/* ---- places of a directory ---- */

void directory_place_insert(struct directory_node *node)
{
    node->next_place = node->directory->places;
    node->directory->places = node;
}

void directory_place_remove(struct directory_node *node)
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

void nodes_directory_moved(struct nodes *nodes, struct directory_node *node, struct node *parent)
{
    pthread_mutex_lock(&nodes->lock);
    struct node *old_parent = node->parent;
    struct directory_node *taken = nodes_find_directory(nodes, parent, node->directory, node->tracked);
    if (old_parent != parent && !taken) {
        nodes_remove(nodes, &node->node);
        node->parent = parent;
        parent->references++;
        nodes_insert(nodes, &node->node);
    } else {
        old_parent = NULL;
    }
    pthread_mutex_unlock(&nodes->lock);
    if (old_parent)
        node_unref(nodes, old_parent);
}

/* ---- places of a file ---- */

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

void file_places_free(struct nodes *nodes, struct file_node *file)
{
    directory_unref(nodes->source, file->directory);
    free(file->name);
    for (struct file_place *next; file->others; file->others = next) {
        next = file->others->next;
        place_free(nodes, file->others);
    }
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

bool nodes_file_other_place(struct nodes *nodes, struct file_node *file, unsigned number,
                            struct directory **directory, char **name)
{
    pthread_mutex_lock(&nodes->lock);
    const struct file_place *place = file->others;
    for (; place && number > 0; number--)
        place = place->next;
    if (place) {
        *directory = directory_ref(place->directory);
        *name = memory_copy_text(place->name, strlen(place->name));
    }
    pthread_mutex_unlock(&nodes->lock);
    return place != NULL;
}
