/*
 * What the files of the nodes share: node.c (the table, life, files and directories), node_derived.c (the
 * kinds that no single real file stands behind) and node_place.c (where files and directories are). Nobody
 * else includes it. Where nothing else is said, nodes->lock is held.
 */
#ifndef RUNSFS_FS_NODE_INTERNAL_H
#define RUNSFS_FS_NODE_INTERNAL_H

#include "fs/node.h"

/* ---- node.c ---- */

/* The hash of what a node is found by, of two parts. */
uint64_t nodes_hash(uint64_t a, uint64_t b);
/* The first node of the list in which a node of that hash is. */
struct node *nodes_first(struct nodes *nodes, uint64_t hash);
void nodes_insert(struct nodes *nodes, struct node *node);
void nodes_remove(struct nodes *nodes, struct node *node);
/* No reference is taken. */
struct directory_node *nodes_find_directory(struct nodes *nodes, const struct node *parent,
                                            const struct directory *directory, bool tracked);
void node_init(struct nodes *nodes, struct node *node, enum node_kind kind);

/* ---- node_derived.c ---- */

uint64_t derived_hash(const struct node *node);
/* Frees what a derived node owns, but for the node. Its reference to a parent is returned (NULL for none),
 * for the caller to give back. The lock is not held. */
struct node *derived_release(struct nodes *nodes, struct node *node);

/* ---- node_past.c ---- */

uint64_t past_hash(const struct past_node *node);

/* ---- node_place.c ---- */

/* Puts the node on the list of its directory's places, or takes it off. */
void directory_place_insert(struct directory_node *node);
void directory_place_remove(struct directory_node *node);
/* Frees all places of a file that goes; the lock is not held. */
void file_places_free(struct nodes *nodes, struct file_node *file);

#endif
