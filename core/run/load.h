/*
 * Reads the JSON files of one run directory from which its fields come, safely: whatever stands there (FIFO,
 * device, link, 1 GB, no permission) costs a stat and gives a reason, never a wait, a side effect or an
 * allocation without bound.
 */
#ifndef RUNSFS_RUN_LOAD_H
#define RUNSFS_RUN_LOAD_H

#include "core/base/limits.h"
#include "core/run/fields.h"
#include <sys/types.h>

/* Files of a plan, at most. */
#define RUN_FILES_AT_MOST LIMIT_CONFIG_FILES

/* What tells one state of a file from another without reading it; all zero for "not there". */
struct file_stamp {
    uint64_t ino;
    uint64_t size_bytes;
    int64_t mtime_ns;
    int64_t ctime_ns;
};

struct run_state {
    bool is_run;              /* one of the plan's files stands there, whatever it is */
    bool is_whole;            /* every one that stands there was read and is an object */
    struct run_fields fields; /* where is_run: derived, a faulty file counting as {} */
    struct file_stamp stamps[RUN_FILES_AT_MOST];
    size_t file_count; /* of the plan: so many stamps are set */
    bool is_fresh;     /* a file changed so shortly before it was read that a later change may not show in its
                          stamp */
    bool has_links[RUN_FILES_AT_MOST];          /* the file has other names, by which it may change as well */
    struct run_fault faults[RUN_FILES_AT_MOST]; /* reason NULL where there is none */
};

/* Reads the run in the directory run_fd (an O_PATH descriptor will do). 0 and state filled, to be freed with
 * run_state_free; a negative errno where the directory itself can't be searched (or one in it, and no other
 * file makes it a run), and -EMFILE, -ENFILE or -ENOMEM where there was no room to look: then nothing is
 * known of the run, and state is empty. */
int run_load(const struct run_plan *plan, int run_fd, struct run_state *state);
/* Just the stamps, of as many files as the plan has, for telling whether anything changed. 0 or a negative
 * errno as above. */
int run_load_stamps(const struct run_plan *plan, int run_fd, struct file_stamp *stamps);
/* The clock of stamps. */
int64_t run_clock_ns(void);
/* Did one of the files change so shortly before at_ns that another change since could have given it just this
 * stamp? Filesystems tell times apart by their own ticks, of up to 2 s. */
bool run_stamps_are_fresh(const struct file_stamp *stamps, size_t count, int64_t at_ns);
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);
/* From the contents of the plan's files (absent for one that is not there, or has a fault in state already)
 * to the rest of a state: its fields and is_whole. A fault that is there stays, one of a content is added. */
void run_state_derive(const struct run_plan *plan, struct run_state *state, const struct slice *contents);
void run_state_free(struct run_state *state);
/* Why a file of this type, which gave this error (a positive errno), is not read. Static text. */
const char *run_file_fault(mode_t type, int error);
/* "line 3, column 7: not an object" and the like, into text. */
void run_fault_describe(const struct run_fault *fault, char *text, size_t size_bytes);

/* The content of the regular file `name` in directory_fd, at most limit_bytes, appended to content. Looked
 * at first, so that nothing but a regular file is opened. A file that changed while it was read is read once
 * again; stamp (may be NULL) is from before the reading. 0; -ENOENT; -EFBIG; -EINVAL for what is no regular
 * file; any errno of reading. On an error content is as before. */
int file_read_bounded(int directory_fd, const char *name, uint64_t limit_bytes, struct buffer *content,
                      struct file_stamp *stamp);

#endif
