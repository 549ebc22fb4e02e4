/*
 * The index: every run of the source in memory, in the manifest's order and by view. Derived data only; the
 * truth is in the files. No I/O and no lock here: the caller (core/keeper) holds the lock that guards an
 * index.
 *
 * Three structures hang on one `struct run`:
 *   - hashes by directory names (lookup.h), for everything that starts from a path or from a name in a view;
 *   - the order (order.h): leaves of up to 512 runs sorted by (start_time, run_id, framework), each with its
 * rendered text, so that a change re-renders one leaf whatever the number of runs;
 *   - for every facet (a view such as by-status) the membership of the run in one value of it (facet.h).
 */
#ifndef RUNSFS_MANIFEST_INDEX_H
#define RUNSFS_MANIFEST_INDEX_H

#include "core/base/limits.h"
#include "core/run/load.h"
#include <time.h>

struct index;
struct facet;
struct facet_value;

/* These every index has; those of a configuration's own views come behind. A number never comes again. */
enum facet_id { FACET_STATUS, FACET_FRAMEWORK, FACET_BUILT_IN };

/* So many stamps stand in a run itself; a configuration may have it take its fields from more files. */
#define RUN_OWN_STAMPS 2

/* What most runs do not have. */
struct run_more;

struct run_membership {
    struct facet_value *value; /* NULL: the run is in no value of that view */
    uint64_t sequence;
};

/* One run. Fields are read by everyone who holds the index's lock and written by index_* alone, but for
 * `owner`. */
struct run {
    struct slice name; /* directory name, raw bytes: the run id as it stands on disk */
    struct run_fields
        fields; /* what the manifest says of it; owned by the index, the status shared with its view */
    struct file_stamp stamps[RUN_OWN_STAMPS]; /* run_stamp knows them all */
    struct run_fault *faults; /* of each file, why a file could not be read (the fields are then the last
                               * good ones); NULL where all could be */
    void *owner;              /* the keeper's */
    bool has_good;            /* fields come from whole files (or from a manifest that once had them) */
    /* The rest belongs to core/manifest. */
    bool name_is_text; /* name is UTF-8, and so is its own text in the manifest */
    uint32_t name_hash;
    struct place *place;
    struct order_leaf *leaf;
    struct run_membership membership[FACET_BUILT_IN];
    struct run_more *more; /* owned; NULL where there is nothing to keep in it */
    struct run *path_next; /* the chains of lookup.h: by path, */
    struct run *name_next; /* and by name */
    struct run *name_previous;
};

/* The name of the directory above the run's (of the source itself, where that is the source), raw bytes;
 * owned by the index, shared by its runs. */
struct slice run_framework(const struct run *run);
/* The path of the directory above the run's, below the source: "" where that is the source. Shared as well.
 */
struct slice run_place(const struct run *run);
/* Appends the path of the run's directory below the source. */
void run_append_path(const struct run *run, struct buffer *path);
const struct file_stamp *run_stamp(const struct run *run, size_t file);
/* JSON members that somebody added to its entry, laid out as the manifest lays them out:
 * `"a": 1,\n      "b": []`; or absent. */
struct slice run_extras(const struct run *run);

struct index *index_create(void);
void index_destroy(struct index *index);

/* What an index is of. Without it: files and views as without a configuration, and no name. */
struct index_setup {
    struct slice source_name; /* the framework of runs directly in the source */
    size_t file_count;        /* that fields are taken from */
    size_t view_count;        /* besides by-status and by-framework */
    const struct index_view {
        const char *directory, *field;
    } * views;
    /* The text by which a run stands in such a view, absent for none; scratch may hold it. */
    struct slice (*view_text)(const struct run *run, size_t view, struct buffer *scratch, void *context);
    void *context;
};
/* Takes over a setup (a copy; the context stays the caller's). There are no runs in the index. Views that
 * were there before keep their numbers; those that are not wanted any more are neither found nor listed. */
void index_configure(struct index *index, const struct index_setup *setup);
/* When that was last done, strictly increasing. */
struct timespec index_configured_at(const struct index *index);

/* place: run_place of it. */
struct run *index_find(struct index *index, struct slice place, struct slice name);
size_t index_count(const struct index *index);
/* Counts up with every change of anything that a manifest or a view shows. */
uint64_t index_generation(const struct index *index);
/* When that was: CLOCK_REALTIME, made strictly increasing. */
struct timespec index_changed_at(const struct index *index);
/* Calls visit for every run, in no order; stops at the first non-zero result and returns it. Runs may be
 * removed by visit only if they are the one visited. */
int index_each(struct index *index, int (*visit)(struct run *run, void *context), void *context);
/* The same in parts: bucket_count buckets from *bucket on (0 at first), which is moved on, and to 0 at the
 * end. Between two parts the index may change: what stays in it is visited all the same, perhaps twice. */
int index_each_part(struct index *index, size_t *bucket, size_t bucket_count,
                    int (*visit)(struct run *run, void *context), void *context);
/* Every run in the manifest's order: the first, and the one after run; NULL at the end. */
struct run *index_first(struct index *index);
struct run *index_next(struct index *index, struct run *run);
/* The same some hundred at a time, for who looks at all: *count runs, *stretch of them from 0 on, which is
 * moved on; NULL at the end. */
struct run *const *index_stretch(struct index *index, size_t *stretch, size_t *count);

/* Takes what the files of the run directory say (a state with is_run). Adds the run where it is new. Where
 * the state is not whole and the run has good fields, these stay. Takes over nothing of state (copies what it
 * keeps). Returns the run; *changed tells whether a manifest or a view differs now. */
struct run *index_put(struct index *index, struct slice place, struct slice name,
                      const struct run_state *state, bool *changed);
void index_remove(struct index *index, struct run *run);
/* Many runs are put in at once: between these two only index_put, _remove, _find and _count are called. */
void index_begin_filling(struct index *index);
void index_end_filling(struct index *index);

/* ---- views ---- */

/* Numbers of facets are below this; some of them may be of views that are no more. */
unsigned facet_count(const struct index *index);
/* "by-status"; NULL for a view that is no more. */
const char *facet_directory(const struct index *index, unsigned facet);
/* The facet of that directory; -1 for none. */
int facet_of_directory(const struct index *index, const char *directory);

/* Values of a facet are listed, and the runs of a value, in the order of a sequence number that every entry
 * gets when it enters and that never comes again: a listing continued at `after` shows each entry that stayed
 * exactly once. */
struct facet_value *facet_find(struct index *index, unsigned facet,
                               const char *name); /* by its escaped name; NULL */
struct facet_value *facet_next(struct index *index, unsigned facet, uint64_t after, uint64_t *sequence);
size_t facet_value_count(struct index *index, unsigned facet);         /* of values that have runs */
struct timespec facet_changed_at(struct index *index, unsigned facet); /* strictly increasing */

const char *facet_value_name(const struct facet_value *value); /* escaped, as it stands in the view */
unsigned facet_value_facet(const struct facet_value *value);
size_t facet_value_runs(const struct facet_value *value);
bool facet_value_holds(const struct facet_value *value, const struct run *run);
struct timespec facet_value_changed_at(const struct facet_value *value); /* strictly increasing */
/* A number that stays this value's own as long as the index lives, from 1. */
uint64_t facet_value_number(const struct facet_value *value);
/* The run shown under name in the value, or NULL. */
struct run *facet_value_find(struct index *index, const struct facet_value *value, const char *name);
struct run *facet_value_next(struct facet_value *value, uint64_t after, uint64_t *sequence);
/* The name under which run stands in the values of facet: its own, `<name>.<framework>` where another run of
 * the same value has (or would have) that name, and where this is taken too `<name>.<framework>~<hash of
 * both>`; never over 255 bytes. */
void facet_run_name(struct index *index, unsigned facet, const struct run *run,
                    char name[LIMIT_NAME_BYTES + 1]);
/* The same in any set of runs, of which `holds` tells whether a run is in it. */
struct run_set {
    bool (*holds)(const struct run *run, const void *context);
    const void *context;
};
struct run *run_set_find(struct index *index, const struct run_set *set, const char *name);
void run_set_name(struct index *index, const struct run_set *set, const struct run *run,
                  char name[LIMIT_NAME_BYTES + 1]);
/* Values live as long as the index, so that a pointer to one stays good also when it has no runs. */

#endif
