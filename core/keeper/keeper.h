/*
 * The keeper makes the manifest true: it owns the index, hears of every change (from the watch, and from fs
 * for what goes through the mount), derives what they mean, and keeps the manifest's file.
 *
 * A change is first only noted, which is cheap and never waits for the disk; whoever then looks (keeper_lock)
 * first settles what is noted: reads just the runs that were named. So a look that begins after a note sees
 * what was noted, without any thread having to be waited for.
 *
 * Locks, in this order: keeper->lock (the index; held while small files are read), notes_lock (the notes;
 * never held for a system call). A listener or handler may note at any time, holding anything.
 */
#ifndef RUNSFS_KEEPER_KEEPER_H
#define RUNSFS_KEEPER_KEEPER_H

#include "core/config/config.h"
#include "core/manifest/snapshot.h"
#include "core/query/field.h"
#include "core/watch/watch.h"

struct keeper;

/* The index cache: not at all; written, but not believed; or both. */
enum keeper_cache { KEEPER_CACHE_NONE, KEEPER_CACHE_RENEW, KEEPER_CACHE_USE };

struct keeper_options {
    bool read_only; /* never write the manifest */
    enum watch_backend watch;
    unsigned poll_interval_ms; /* for what can't be watched; 0 is LIMIT_POLL_INTERVAL_MS */
    unsigned descriptors;      /* for the cache of directories; 0 is a default */
    enum keeper_cache cache;
    const char *cache_directory; /* NULL: the user's; need not outlive keeper_open */
    bool show_progress;          /* of the first scan, to somebody at a terminal */
    const char *source_name;     /* of the source's directory, where it stands in a mount under another name;
                                    NULL:     the path's; need not outlive keeper_open */
};

/* Opens a source, scans it whole, adopts the manifest that stands there and, unless read_only, writes it
 * where it is not true. No thread runs yet. 0 and *keeper, to be closed with keeper_close; -errno of opening
 * the source; -EBADMSG where runsfs.json is broken, of which the log was told. A read_only keeper does
 * without it then. */
int keeper_open(const char *source_path, const struct keeper_options *options, struct keeper **keeper);
/* Starts the watch and the thread that settles and writes. listener (may be NULL) is told every change from
 * the watch, after it was noted, on the watch's thread; and of an overflow, on any thread and with the keeper
 * locked, after an edit of runsfs.json: it notes what there is to do, and asks nothing of the keeper. */
int keeper_start(struct keeper *keeper, watch_listener *listener, void *context);
/* Ends the threads and writes the manifest if it is due, and the index cache if a run was read. The listener
 * is not called any more. Safe to call twice. */
void keeper_stop(struct keeper *keeper);
/* keeper_stop, and frees all. Without keeper_start, writes the index cache where many runs were read. */
void keeper_close(struct keeper *keeper);

/* Has changed called whenever anything did that a manifest or a view shows, on some thread, with the keeper
 * locked: to wake another one, no more. Before keeper_start, or with the keeper locked. */
void keeper_set_observer(struct keeper *keeper, void (*changed)(void *context), void *context);

struct source *keeper_source(struct keeper *keeper);
struct watch *keeper_watch(struct keeper *keeper);
/* The manifest's name in the source's root. Never changes while the keeper lives. */
const char *keeper_manifest_name(const struct keeper *keeper);
bool keeper_is_manifest(struct keeper *keeper, const struct directory *directory, const char *name);

/* The configuration that is in force. The caller holds the lock. */
const struct config *keeper_config(const struct keeper *keeper);
/* Of a read_only keeper: does it stand in for a runsfs.json that was broken when the keeper was opened? */
bool keeper_config_is_broken(const struct keeper *keeper);
/* How its fields are read from a run's files. The caller holds the lock. */
const struct run_plan *keeper_plan(const struct keeper *keeper);
/* The fields that a query may name. The caller holds the lock. */
const struct field_set *keeper_fields(struct keeper *keeper);

/* Something about name in directory changed: to be called after the change and before anybody is told that it
 * is done. */
void keeper_note(struct keeper *keeper, struct directory *directory, const char *name);
/* What stood at name in directory stands at new_name in new_directory now (or they changed places): one note,
 * so that nobody sees it at neither. */
void keeper_note_move(struct keeper *keeper, struct directory *directory, const char *name,
                      struct directory *new_directory, const char *new_name);
/* The content of the file with this inode number changed, by whatever name: notes the runs that have it as a
 * hard link. */
void keeper_note_content(struct keeper *keeper, uint64_t ino);
/* Everything may have changed (events lost, SIGHUP). */
void keeper_note_all(struct keeper *keeper);

/* Somebody took the manifest away through the mount: it is not written for a moment, in which he can make a
 * new one. Returns its end (monotonic, ms). Takes the lock. */
int64_t keeper_pause_manifest(struct keeper *keeper);

/* Settles what is noted and gives the index, locked until keeper_unlock. */
struct index *keeper_lock(struct keeper *keeper);
void keeper_unlock(struct keeper *keeper);
/* The directory of a run, with a new reference. The caller holds the lock. */
struct directory *keeper_run_directory(struct keeper *keeper, const struct run *run);
/* The run in a directory; NULL for none. The caller holds the lock. */
struct run *keeper_run_of_directory(struct keeper *keeper, const struct directory *directory);
/* What the layout makes of a directory: of no concern; on the way to runs; the place of a run. The caller
 * holds the lock. */
enum keeper_role { KEEPER_OUTSIDE, KEEPER_INNER, KEEPER_RUN };
enum keeper_role keeper_role(struct keeper *keeper, const struct directory *directory);
/* Is the directory `name` in directory one where a run can be, or is there such a one below it? The caller
 * holds the lock. */
bool keeper_leads_to_place(struct keeper *keeper, const struct directory *directory, const char *name);
/* The manifest as it is now, and the stamp of the file if it holds just this (all zero otherwise). NULL where
 * something stands there that is no regular file. The caller unrefs. Takes the lock. */
struct snapshot *keeper_manifest(struct keeper *keeper, struct file_stamp *on_disk);
/* What the keeper did, for people. Takes the lock. */
struct keeper_report {
    size_t recalled;            /* runs that the first scan took from the index cache */
    size_t polled;              /* directories that no watch tells of */
    struct timespec written_at; /* the manifest, by us; 0 for never */
    uint64_t written_bytes;
};
void keeper_report(struct keeper *keeper, struct keeper_report *report);
/* Writes the manifest now if it is not true on disk. 0 (also when nothing was to be written); -errno. */
int keeper_flush(struct keeper *keeper);
/* Why that gives -EACCES though the file could be written: the path below the source of a directory that
 * can't be looked at and has runs of the manifest ("." for the source). NULL for none; the caller frees it.
 */
char *keeper_hiding(struct keeper *keeper);

/* What keeper_check_manifest finds of the manifest's file. */
enum manifest_finding {
    MANIFEST_TRUE,
    MANIFEST_MISSING, /* and there are runs */
    MANIFEST_EMPTY,
    MANIFEST_BROKEN, /* not JSON */
    MANIFEST_FOREIGN,
    MANIFEST_DIFFERS,
    MANIFEST_NOT_A_FILE,
    MANIFEST_UNREADABLE,
};
/* What was found of the file when it was last read (read_only keepers: at opening). fault is set for
 * MANIFEST_BROKEN and _FOREIGN. */
enum manifest_finding keeper_manifest_finding(struct keeper *keeper, struct run_fault *fault);
/* Calls visit for every directory where a run could be and is none (it has none of the files), with its path
 * below the source. The caller holds the lock. */
int keeper_each_candidate(struct keeper *keeper, int (*visit)(const char *path, void *context),
                          void *context);

#endif
