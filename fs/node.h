/*
 * Nodes: what the kernel knows by number. The number is the node's address, except that the root is 1.
 *
 * Identity. A file that is no directory is one node whatever path leads to it: one page cache, one set of
 * locks, right link counts. A directory can stand at one place only in the kernel's tree, so a real directory
 * has one node per place where it is shown: under runs/, under by-status/verified/<run>/, and so on; all of
 * them refer to one `struct directory`.
 *
 *   kind            found by                            shows
 *   NODE_ROOT       (the one)                           the mount's top
 *   NODE_FACET      facet                               by-status/
 *   NODE_VALUE      facet value                         by-status/verified/
 *   NODE_QUERY      parent node and name                where/status=failed/, by-status/failed/limit=3/
 *   NODE_DIRECTORY  parent node and struct directory    a real directory at one place: under runs/, tracked/
 *                                                       or a view
 *   NODE_FILE       device, inode number, birth time    any other real file
 *   NODE_MANIFEST   its snapshot                        the manifest's bytes at one moment
 *   NODE_CONTROL    (the two)                           .runsfs/, .runsfs/find/
 *   NODE_REPORT     never again                         .runsfs/status.json and the like at one moment
 *   NODE_REFRESH    (the one)                           .runsfs/refresh
 *   NODE_AT         (the one)                           at/
 *   NODE_PAST       parent node, name and commit        what is below at/: it never changes
 *
 * A node lives while the kernel has looked it up (lookups) or somebody here refers to it (references). Memory
 * is spent with care: there is one for every file that the kernel has seen.
 *
 * Locking: nodes->lock guards the tables, counts, names, places and records; a leaf lock, held for no system
 * call.
 */
#ifndef RUNSFS_FS_NODE_H
#define RUNSFS_FS_NODE_H

#include "core/git/repository.h"
#include "core/keeper/keeper.h"
#include "fs/handle.h"
#include <pthread.h>

#ifndef FUSE_ROOT_ID
#define FUSE_ROOT_ID 1
#endif

struct node_operations;

enum node_kind {
    NODE_ROOT,
    NODE_FACET,
    NODE_VALUE,
    NODE_QUERY,
    NODE_DIRECTORY,
    NODE_FILE,
    NODE_MANIFEST,
    NODE_CONTROL,
    NODE_REPORT,
    NODE_REFRESH,
    NODE_AT,
    NODE_PAST,
    NODE_KIND_COUNT
};

/* What was last told the kernel of a file, to tell its own echo from another's change. */
struct record {
    int64_t mtime_ns, ctime_ns;
    int64_t size_bytes;
};

struct node {
    const struct node_operations *operations;
    struct node *hash_next;
    uint64_t lookups;
    unsigned references;
    uint32_t generation; /* node numbers are addresses, and so come again: this tells them apart */
    uint8_t kind;
    bool racy;    /* the record is so fresh that a further change may have the same times */
    bool removed; /* of NODE_DIRECTORY: removed through the mount; who is in it finds it empty */
    bool spoiled; /* of NODE_MANIFEST: written to, so what the kernel has of it is no snapshot */
};

struct directory_node {
    struct node node;
    struct node *parent;         /* a reference */
    struct directory *directory; /* a reference */
    struct directory_node *next_place;
    atomic_uint listings; /* begun so far */
    bool tracked;         /* it shows tracked files alone (real/tracked.c), and so do those below it */
    struct record record;
    /* Where the last listing found the end: who goes on there is told so without another look. 0: unknown. */
    _Atomic(off_t) end_offset;
};

/* Where a file was seen: the directory (a reference) and its name there. */
struct file_place {
    struct directory *directory;
    char *name;
    struct file_place *next;
};

struct file_node {
    struct node node;
    struct identity identity;
    struct directory *directory; /* where it was last seen; a reference */
    char *name;                  /* and its name there */
    struct file_place *others;   /* of a file with several names: where it was seen before, the last first */
    struct handle *handles;      /* see handle.h */
    struct record record;
};

struct view_node {
    struct node node;
    unsigned facet;
    struct facet_value *value; /* of NODE_VALUE */
};

struct query_node {
    struct node node;
    struct node *parent;        /* a reference: a value, or another query; NULL for where/ */
    struct facet_value *within; /* the value below which it stands; NULL below where/ */
    char *name;                 /* in its parent; owned */
    char *text;                 /* all predicates from where/ or the value on, joined by '/'; owned */
};

/* Who may do what with a file. */
struct file_rights {
    uid_t uid;
    gid_t gid;
    mode_t mode;
    uint64_t acl_hash; /* 0 where there is no access list */
};

struct manifest_node {
    struct node node;
    struct file_rights rights; /* that the kernel checks who opens it by; manifest_lock guards it */
    struct snapshot *snapshot; /* a reference */
    struct handle *handles;
};

struct report_node {
    struct node node;
    uint64_t ino;
    char *text; /* owned; NULL where it is empty */
    size_t length;
    struct timespec made_at;
};

/* What a node below at/ shows. */
enum past_kind {
    PAST_REVISION, /* at/HEAD~1 */
    PAST_TREE,     /* a directory that Git has */
    PAST_FILE,
    PAST_LINK,
    PAST_MANIFEST, /* derived */
    PAST_FACET,    /* by-status */
    PAST_VALUE,    /* by-status/verified */
    PAST_QUERY,    /* where, and what is asked below it or a value */
    PAST_KIND_COUNT
};

/* Everything in it stays as it was made. There are more of these than of anything else: whoever compares a
 * hundred revisions makes the kernel know all of each. */
struct past_node {
    struct node node;
    struct node *parent; /* a reference */
    uint64_t ino;
    struct object_id id; /* of a revision its commit; of a tree, file or link its object */
    uint16_t mode;       /* of what Git has: its type and bits there */
    uint8_t past_kind;
    char name[]; /* in its parent */
};

struct nodes {
    pthread_mutex_t lock;
    struct source *source;
    const struct node_operations
        *operations[NODE_KIND_COUNT];                 /* by kind; set by the owner before any node is made */
    const struct node_operations *tracked_operations; /* of directories that show tracked files alone */
    struct node **buckets;
    size_t bucket_count, count;
    uint32_t generation;
    struct handle_budget handles;
    struct node root, control, find, refresh, at;
    struct query_node where;   /* where/ itself: no predicate */
    struct view_node **facets; /* by their numbers; made when they are first looked up, and kept */
    size_t facet_count;
    struct directory_node *runs, *tracked; /* the source's root under runs/ and tracked/ */
    atomic_size_t past_count;              /* of NODE_PAST */
};

/* operations by kind, but for tracked directories. */
void nodes_init(struct nodes *nodes, struct source *source, const struct node_operations *const operations[],
                const struct node_operations *tracked);
/* Frees every node, whatever the kernel still counts. */
void nodes_finish(struct nodes *nodes);

uint64_t node_number(const struct nodes *nodes, const struct node *node);
struct node *node_of_number(struct nodes *nodes, uint64_t number);

/* Found or made, with one more lookup: to be given to the kernel or taken back with nodes_forget. */
struct directory_node *nodes_directory(struct nodes *nodes, struct node *parent, struct directory *directory);
struct file_node *nodes_file(struct nodes *nodes, const struct attributes *attributes,
                             struct directory *directory, const char *name);
/* The directory of a view, always the same. */
struct view_node *nodes_facet(struct nodes *nodes, unsigned facet);
struct view_node *nodes_value(struct nodes *nodes, unsigned facet, struct facet_value *value);
/* The query `name` below a value or a query. */
struct query_node *nodes_query(struct nodes *nodes, struct node *parent, const char *name);
/* The node of `name` in parent, found or made with the operations, id, ino, mode and past_kind of `like`. */
struct past_node *nodes_past(struct nodes *nodes, struct node *parent, const char *name,
                             const struct past_node *like);
/* The same of a revision, directly in at/. */
struct past_node *nodes_revision(struct nodes *nodes, const char *name, const struct commit *commit,
                                 const struct past_node *like);
/* The revision's node above a node, or itself; and its commit. */
const struct past_node *past_node_top(const struct past_node *node);
const struct commit *past_node_commit(const struct past_node *node);
/* A new node, never found again; takes over the reference to snapshot. */
struct manifest_node *nodes_manifest(struct nodes *nodes, struct snapshot *snapshot);
/* The same; takes over text. */
struct report_node *nodes_report(struct nodes *nodes, uint64_t ino, struct buffer text);
/* How many nodes the kernel and we hold, but for those that are always there. */
size_t nodes_count(struct nodes *nodes);
/* Did the kernel look it up before the lookup that was just made? */
bool nodes_is_shared(struct nodes *nodes, const struct node *node);
void nodes_looked_up(struct nodes *nodes, struct node *node);
void nodes_forget(struct nodes *nodes, struct node *node, uint64_t lookups);

struct node *node_ref(struct nodes *nodes, struct node *node);
void node_unref(struct nodes *nodes, struct node *node);

/* Known nodes, each with a reference; NULL where there is none. */
struct file_node *nodes_file_known(struct nodes *nodes, const struct identity *identity);
struct directory_node *nodes_directory_known(struct nodes *nodes, struct node *parent,
                                             struct directory *directory);
/* The places of a directory other than `but` (may be NULL), each with a reference, in an array that the
 * caller frees; their number. */
size_t nodes_places(struct nodes *nodes, struct directory *directory, const struct node *but,
                    struct directory_node ***places);
void nodes_directory_removed(struct nodes *nodes, struct directory *directory);
bool nodes_have_places(struct nodes *nodes, struct directory *directory);
/* Every file and directory node, each with a reference. */
size_t nodes_all(struct nodes *nodes, struct node ***all);

/* A file was met, or was moved, at name in directory. Where it has several names (attributes) the former is
 * remembered. */
void nodes_file_at(struct nodes *nodes, struct file_node *file, struct directory *directory, const char *name,
                   const struct attributes *attributes);
/* The file was not found at its place: another one where it was seen, if there is any, becomes its place. How
 * many there are to be tried. */
unsigned nodes_file_try_another(struct nodes *nodes, struct file_node *file);
/* Is a place of the file known that is not name in directory? */
bool nodes_file_has_another(struct nodes *nodes, const struct file_node *file,
                            const struct directory *directory, const char *name);
/* Where a file was last seen: a reference to the directory and a copy of the name, both the caller's. */
void nodes_file_place(struct nodes *nodes, struct file_node *file, struct directory **directory, char **name);
/* The same of the other places where it was seen, by a number from 0; false where there is none. */
bool nodes_file_other_place(struct nodes *nodes, struct file_node *file, unsigned number,
                            struct directory **directory, char **name);
bool nodes_file_is_at(struct nodes *nodes, const struct file_node *file, const struct directory *directory,
                      const char *name);
/* The directory shown by a node was moved to another parent node (a rename through the mount). */
void nodes_directory_moved(struct nodes *nodes, struct directory_node *node, struct node *parent);

/* Remembers what the kernel is about to be told. */
void nodes_record(struct nodes *nodes, struct node *node, const struct attributes *attributes);
/* Does the record say the same as attributes, beyond doubt? Remembers attributes. */
bool nodes_record_matches(struct nodes *nodes, struct node *node, const struct attributes *attributes);
/* Set where the source's filesystem never gives two changes the same time once the first was looked at. */
extern bool nodes_times_are_exact;

#endif
