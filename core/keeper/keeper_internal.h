/*
 * What the parts of the keeper share: keeper.c (life, notes, locks), scan.c (which directories are frameworks
 * and runs; settling), sweep.c (many new runs at once), tracking.c (a single member and its run), links.c
 * (run files with several names), publish.c (the manifest's file).
 */
#ifndef RUNSFS_KEEPER_INTERNAL_H
#define RUNSFS_KEEPER_INTERNAL_H

#include "core/keeper/keeper.h"
#include "core/keeper/member.h"
#include "core/manifest/existing.h"
#include "core/query/views.h"
#include <pthread.h>

/* One note: a whole look at member (name NULL), or a look at the entry `name` in it. */
struct note {
    struct note *next;
    struct member *member;
    char name[]; /* "" for the member itself */
};

struct publisher {
    struct snapshot *on_disk; /* what the file holds; NULL where that is unknown or not ours */
    struct file_stamp stamp;  /* the file's; all zero for none */
    enum manifest_finding finding;
    struct run_fault fault;
    bool judged;                /* what stands there with this stamp was read */
    bool adopted;               /* a manifest was, so what is missing from the next was taken out of it */
    unsigned conflicts;         /* corrections in a row of what nobody's files changed */
    struct timespec written_at; /* CLOCK_REALTIME, by us; 0 for never */
    uint64_t written_bytes;
    uint64_t written_generation; /* of the index, when the file was last written */
    bool keep_broken;            /* what stands there is not understood: keep a copy before it is replaced */
    int64_t first_change_ms, last_change_ms; /* monotonic; 0 for none since the last write */
    int64_t not_before_ms; /* no write before this (share of a core; retry after an error) */
    int64_t hold_until_ms; /* somebody is writing the file himself */
    bool writing;          /* publish_write is at it, without the lock */
    bool recheck;          /* somebody touched the file meanwhile */
    unsigned retry_ms;
    int last_error;
    uint64_t generation; /* of the index, last seen by publish_notice */
};

struct keeper {
    struct keeper_options options;
    struct source *source;
    struct watch *watch;
    char *manifest_name; /* set with the first configuration, and never changed */
    char *source_path;
    char *source_name;     /* of its directory */
    struct config *config; /* a reference; this and the next three are changed by configure.c */
    struct run_plan *plan; /* notes_lock guards it as well */
    struct field_set *fields;
    struct query_views views;
    bool is_plain;                  /* the layout asks for no more than a depth, and nothing is excluded */
    struct file_stamp config_stamp; /* of the file that was last read; all zero for none */
    bool config_is_broken;          /* as it was found at opening */
    bool config_was_fresh;          /* it was read so soon that a change may hide behind its stamp */
    struct index *index;
    pthread_mutex_t lock;
    struct member *root;
    size_t unwatched; /* members that are polled */
    size_t hiding;    /* members that hide runs: while there are any, the manifest is not written */
    unsigned polls;   /* counts polls up */
    unsigned listing; /* counts listings up, for member->seen */
    struct publisher publisher;
    struct cache_place *cache_place; /* NULL: no index cache */
    struct cache *cache;             /* what was in it; during the first scan alone */
    size_t recalled;                 /* runs that were taken from it */
    size_t read_since_saved;         /* runs that are not in it as they are now */
    struct sweep *sweep;             /* of the first scan: collects what is listed; else NULL */

    pthread_mutex_t notes_lock;
    pthread_cond_t wake; /* with notes_lock: something for the keeper's thread */
    struct note *notes_first, **notes_last;
    struct note *linked; /* made by settling itself: what the same look has to settle as well */
    struct link_table
        *links; /* links.c's: runs by the inode numbers of their files, once one has other names */
    _Atomic(bool) has_links;
    bool manifest_noted, manifest_closed, config_noted, rescan_noted, stopping;
    bool settled;          /* since the keeper's thread last looked */
    _Atomic(bool) pending; /* anything noted? a look without is one atomic read */

    pthread_t thread;
    bool started;
    watch_listener *listener;
    void *listener_context;
    void (*observer)(void *context); /* NULL for none */
    void *observer_context;
};

int64_t keeper_now_ms(void);

/* keeper.c; notes_lock is held. */
void note_member(struct keeper *keeper, struct member *member, const char *name);
/* For the look that is going on: a file of the run was found changed by another of its names. */
void note_linked_member(struct keeper *keeper, struct member *member);

/* links.c; the caller holds keeper->lock. */
/* What was read of member, before it is put into the index; NULL: it is no run any longer. */
void links_update(struct keeper *keeper, struct member *member, const struct run_state *state);
void links_finish(struct keeper *keeper);

/* tracking.c; the caller holds keeper->lock. */
/* Takes over the reference to directory. What the directory was before, elsewhere, is dropped. */
struct member *member_create(struct keeper *keeper, struct member *parent, const char *name,
                             struct directory *directory, enum member_role role);
void member_drop(struct keeper *keeper, struct member *member);
/* Are there runs in the manifest that nobody could look at, below the member? */
void set_hides(struct keeper *keeper, struct member *member, bool hides);
/* Decides anew whether the member is to be looked at without being told. */
void update_polling(struct keeper *keeper, struct member *member);
/* Notes whether the member could be reached; true where that is news. */
bool set_unread(struct keeper *keeper, struct member *member, bool unread);
/* Has the member's directory, of which fd is open, watched. */
void member_watch(struct keeper *keeper, struct member *member, int fd);
/* What the files of the run say, or the error of reading them, goes into the index. */
void run_settle(struct keeper *keeper, struct member *member, int error, const struct run_state *state);
/* Puts a run into the index whose directory could not be searched, with nothing that is known of it. */
void run_put_unread(struct keeper *keeper, struct member *member);
/* Reads the files of the run, and settles it. */
void run_read(struct keeper *keeper, struct member *member);
/* The same, if the files are not those that were read. */
void run_read_if_changed(struct keeper *keeper, struct member *member);

/* recall.c. recall_run is called by threads of a scan, the others by who opens, runs or closes the keeper. */
void recall_open(struct keeper *keeper);
/* Is there a run in the cache whose files still are what they were? Then state is filled, with texts that are
 * the cache's: not to be freed. */
bool recall_run(const struct keeper *keeper, struct slice place, struct slice name, int run_fd,
                struct run_state *state);
void recall_forget(struct keeper *keeper); /* the cache's content; its place is kept */
void recall_close(struct keeper *keeper);
/* Writes the cache if many runs were read since that was done. keeper->lock is not held. */
void recall_save_if_worth(struct keeper *keeper);
/* Writes it if any was; nothing happens in the source that is not settled. */
void recall_save_at_end(struct keeper *keeper);

/* sweep.c; the caller holds keeper->lock. */
/* Many entries of frameworks, of which none is known as a member, to be looked at on all cores. */
struct sweep *sweep_create(struct keeper *keeper);
/* name stands in the framework `parent`, and was met in that listing of it. */
void sweep_add(struct sweep *sweep, struct member *parent, const char *name);
/* Makes them members, watches them, reads their runs; what comes of it does not depend on the threads. Frees
 * the sweep. */
void sweep_run(struct sweep *sweep);

/* scan.c; the caller holds keeper->lock. */
/* Brings the entry in line with what stands there. name must not be that of a member, which may be dropped
 * for another of that name. */
void scan_settle_entry(struct keeper *keeper, struct member *parent, const char *name);
/* Is the directory one of those in which the member stands, or the member's? A bind mount can show a
 * directory within itself. */
bool is_within(const struct member *member, const struct directory *directory);
/* Finds and watches the directories in a run that hold files of the plan. */
void scan_parts(struct keeper *keeper, struct member *run, int run_fd);
void scan_begin(struct keeper *keeper); /* the first scan */
/* Takes every run out of the index, and every member but the root. */
void scan_empty(struct keeper *keeper);
void scan_again(struct keeper *keeper); /* fills them as they are now */
/* Settles what was noted before the call. Not what is noted meanwhile: with changes that come faster than
 * they are settled, the caller would never get to look. */
void scan_settle(struct keeper *keeper);
void scan_poll(struct keeper *keeper); /* looks at what no watch tells of */
void scan_end(struct keeper *keeper);  /* frees the index and all members */

/* configure.c; the caller holds keeper->lock. */
/* The configuration that stands in the source, or the built-in one where there is none or it is broken. No
 * runs are known yet. */
void configure_begin(struct keeper *keeper);
/* runsfs.json may have changed: takes it over where it is good. */
void configure_again(struct keeper *keeper);
void configure_end(struct keeper *keeper);

/* publish.c; the caller holds keeper->lock. */
void publish_settle(struct keeper *keeper, bool closed); /* the file was changed by somebody */
/* The index was emptied and filled again: what the manifest of before, which the file may not have yet, adds
 * to what the files say is taken over again. */
void publish_adopt_again(struct keeper *keeper, const struct snapshot *before);
/* Runs that the manifest has were not seen, and now are: what it adds to what their files say is taken over.
 */
void publish_adopt_seen(struct keeper *keeper);
void publish_notice(struct keeper *keeper);    /* notes that the index changed */
int64_t publish_due_ms(struct keeper *keeper); /* when to write, monotonic; -1 for never */
/* Writes the file; gives up the lock while it does, and has it again on return. */
int publish_write(struct keeper *keeper);

#endif
