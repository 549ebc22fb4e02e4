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

enum facet_id { FACET_STATUS, FACET_FRAMEWORK, FACET_COUNT };
extern const char *const facet_directories[FACET_COUNT]; /* "by-status", "by-framework" */

/* One run. Fields are read by everyone who holds the index's lock and written by index_* alone, but for
 * `owner`. */
struct run {
    struct slice name; /* directory name, raw bytes: the run id as it stands on disk */
    struct run_fields
        fields; /* what the manifest says of it; owned by the index, the status shared with its view */
    struct file_stamp stamps[RUN_FILE_COUNT];
    struct run_fault *faults; /* of RUN_FILE_COUNT, why a file could not be read (the fields are then the last
                               * good ones); NULL where all could be */
    struct slice
        extras;    /* JSON members that somebody added to its entry, laid out as the manifest lays them out:
                    * `"a": 1,\n      "b": []`; or absent */
    void *owner;   /* the keeper's */
    bool has_good; /* fields come from whole files (or from a manifest that once had them) */
    /* The rest belongs to core/manifest. */
    bool name_is_text; /* name is UTF-8, and so is its own text in the manifest */
    uint32_t name_hash;
    struct framework *framework_entry;
    struct order_leaf *leaf;
    struct {
        struct facet_value *value;
        uint64_t sequence;
    } membership[FACET_COUNT];
    struct run *path_next; /* the chains of lookup.h: by path, */
    struct run *name_next; /* and by name */
    struct run *name_previous;
};

/* The framework's directory name, raw bytes; owned by the index, shared by its runs. */
struct slice run_framework(const struct run *run);

struct index *index_create(void);
void index_destroy(struct index *index);

struct run *index_find(struct index *index, struct slice framework, struct slice name);
size_t index_count(const struct index *index);
/* Does the manifest on disk list the framework of that directory name? */
bool index_names_framework(const struct index *index, struct slice name);
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
struct run *index_put(struct index *index, struct slice framework, struct slice name,
                      const struct run_state *state, bool *changed);
void index_remove(struct index *index, struct run *run);
/* Many runs are put in at once: between these two only index_put, _remove, _find and _count are called. */
void index_begin_filling(struct index *index);
void index_end_filling(struct index *index);

/* ---- views ---- */

/* Values of a facet are listed, and the runs of a value, in the order of a sequence number that every entry
 * gets when it enters and that never comes again: a listing continued at `after` shows each entry that stayed
 * exactly once. */
struct facet_value *facet_find(struct index *index, enum facet_id facet,
                               const char *name); /* by its escaped name; NULL */
struct facet_value *facet_next(struct index *index, enum facet_id facet, uint64_t after, uint64_t *sequence);
size_t facet_value_count(struct index *index, enum facet_id facet);         /* of values that have runs */
struct timespec facet_changed_at(struct index *index, enum facet_id facet); /* strictly increasing */

const char *facet_value_name(const struct facet_value *value); /* escaped, as it stands in the view */
enum facet_id facet_value_facet(const struct facet_value *value);
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
void facet_run_name(struct index *index, enum facet_id facet, const struct run *run,
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
