/*
 * Members: the directories that the layout puts on the way to runs or makes the place of one, and those in a
 * run that hold files from which its fields come. There is one for every run, so they are small: a member
 * with children has a table of them by name, whose chains run through the children.
 */
#ifndef RUNSFS_KEEPER_MEMBER_H
#define RUNSFS_KEEPER_MEMBER_H

#include "core/source/source.h"
#include "core/manifest/index.h"

struct children;

enum member_role { MEMBER_ROOT, MEMBER_INNER, MEMBER_RUN, MEMBER_PART };

/*
 * directory->keeper_data points to the member. Guarded by keeper->lock, but for `queued`, `noted`, `dead` and
 * directory->keeper_data, which notes_lock guards.
 */
struct member {
    uint8_t role;     /* enum member_role */
    bool noted;       /* a whole look at it is in the queue */
    bool dead;        /* dropped while notes of it were in the queue: the last of them frees it */
    bool unwatched;   /* polled: counted in keeper->unwatched */
    bool unread;      /* its files, or itself, could not be reached when last tried */
    bool warned;      /* an entry that could not be reached was logged */
    bool unlisted;    /* it can't be listed, of which the log was told */
    bool hides;       /* the manifest has runs below it that were not seen; counted in keeper->hiding */
    bool was_fresh;   /* of MEMBER_RUN: a change may hide behind the stamps of its files */
    bool links;       /* of MEMBER_RUN: a file of it has other names */
    unsigned queued;  /* notes of it in the queue */
    unsigned seen;    /* the last listing of the parent in which it stood */
    unsigned listing; /* its own last listing, for the `seen` of what is in it */
    struct directory *directory; /* a reference */
    struct member *parent;
    struct member *sibling;    /* the next in its chain of the parent's table */
    struct children *children; /* NULL while there are none */
    struct run *run;           /* of MEMBER_RUN: NULL where it is no run (aborted) */
    char name[];               /* in its parent */
};

/* A new member, put into its parent's table (NULL for the root). Takes over the reference to directory. */
struct member *member_new(struct member *parent, const char *name, struct directory *directory,
                          enum member_role role);
/* The path of the member's directory below the source, appended. */
void member_append_path(const struct member *member, struct buffer *path);
/* The same of the directory in which it stands; scratch may hold it. */
struct slice member_place(const struct member *member, struct buffer *scratch);
/* Takes all children out of their table: a chain by sibling, with no parent. */
struct member *member_take_children(struct member *parent);
/* Takes a member out of its parent's table. */
void member_detach(struct member *member);
/* Frees a member that is in no table and has no children. */
void member_free(struct member *member);

struct member *member_child(const struct member *parent, const char *name);
/* Where member_next_child is; {0} at first. */
struct member_position {
    size_t bucket;
    struct member *member;
};

/* Every child once, in no order; NULL at the end. Children may be neither added nor taken out meanwhile. */
struct member *member_next_child(const struct member *parent, struct member_position *position);

#endif
