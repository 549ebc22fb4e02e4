/*
 * Handles: the descriptors of real files that are held from one request to the next, under one budget.
 *
 * The kernel opens and closes files without telling (zero-message open), so which are open is not known here,
 * and a request finds its file by name. A descriptor is held only where a name does not do, or is slow:
 *
 *   HANDLE_KEPT    taken before the last known name of a file goes away, so that whoever has it open goes on;
 *                  until the kernel forgets the file. And by a daemon without privilege, of a file whose mode
 *                  forbids to open it again (Git makes its objects read-only).
 *   HANDLE_RECENT  of a large file that was just read: the next read needs no walk, and a reader in the
 *                  middle of it is not lost when somebody replaces the file beside the mount.
 *
 * When the budget is used up, the handle that was idle for longest goes, of those that a name can replace. Of
 * these, one that can write goes after a moment in any case: while it is there, nobody can execute the file.
 *
 * Locking: nodes->lock guards lists, counts and order; a handle that is used has a reference.
 */
#ifndef RUNSFS_FS_HANDLE_H
#define RUNSFS_FS_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

struct nodes;

enum handle_kind { HANDLE_KEPT, HANDLE_RECENT };

struct handle {
    int fd;
    int access; /* O_RDONLY, O_WRONLY, O_RDWR or O_PATH */
    enum handle_kind kind;
    bool replaceable;                     /* may go when the budget is used up */
    int64_t used_ms;                      /* monotonic */
    unsigned references;                  /* the list's, and those of requests */
    struct handle **list;                 /* the node's; NULL once it is off it */
    struct handle *next;                  /* of the same node */
    struct handle *prev_used, *next_used; /* of the replaceable ones, the last used first */
};

/* The budget, part of struct nodes. */
struct handle_budget {
    unsigned limit, count;
    unsigned writers;           /* of the replaceable ones, those that can write */
    struct handle *replaceable; /* utlist, the last used first */
};

/* Takes fd over: puts it on a node's list, with a reference for the caller. NULL where the budget is used up
 * by handles that can't go; fd is then still the caller's. */
struct handle *handle_add(struct nodes *nodes, struct handle **list, int fd, int access,
                          enum handle_kind kind, bool replaceable);
/* One of the list that can do what access asks (O_PATH: anything), with a reference; NULL for none. */
struct handle *handle_find(struct nodes *nodes, struct handle *const *list, int access);
/* Is there one that was kept? With lasting, from now on it is not replaceable any more. */
bool handle_has_kept(struct nodes *nodes, struct handle *const *list, bool lasting);
void handle_unref(struct nodes *nodes, struct handle *handle);
/* It need not be kept any more: it may go when the budget is used up. */
void handle_let_go(struct nodes *nodes, struct handle *handle);
/* Takes the handle off its list; it is closed when nobody uses it any more. */
void handle_close(struct nodes *nodes, struct handle *handle);
/* Closes those that can write, can be replaced and were idle for a moment. True where there are more of them:
 * to be called again. */
bool handles_expire(struct nodes *nodes);
/* The node goes: closes all that are on its list. */
void handles_close(struct nodes *nodes, struct handle **list);

#endif
