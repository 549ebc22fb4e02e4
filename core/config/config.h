/*
 * The configuration of a source, `runsfs.json` in it: which directories are runs, what is tracked, what
 * fields are taken from where, and which views there are. What it leaves out is as the built-in configuration
 * has it, which is the table of spec section 2. docs/configuration.md is the format.
 *
 * A configuration never changes once it is made: many threads read it without a lock, each with a reference.
 */
#ifndef RUNSFS_CONFIG_CONFIG_H
#define RUNSFS_CONFIG_CONFIG_H

#include "core/base/text.h"

#include <stdatomic.h>

#define CONFIG_FILE_NAME "runsfs.json"

enum config_type {
    CONFIG_TEXT,   /* a string; for own fields the JSON spelling of a number, true or false too */
    CONFIG_COUNT,  /* an integer from 0 to 2^53: the tokens */
    CONFIG_NUMBER, /* any number */
    CONFIG_TIME,   /* a string, kept as it is spelled, whatever it says */
    CONFIG_EPOCH,  /* a number: seconds since 1970, which becomes a time */
};

/* The fields that the manifest has from a run's files. */
enum {
    CONFIG_START_TIME, /* CONFIG_TIME or CONFIG_EPOCH, like the end */
    CONFIG_END_TIME,
    CONFIG_STATUS,
    CONFIG_TOKENS_IN,
    CONFIG_TOKENS_OUT,
    CONFIG_BUILT_IN_FIELDS,
};

/* One place that a field may be taken from: a value in a JSON file, by the steps of a JSON pointer. */
struct config_source {
    unsigned file;       /* index in files */
    struct slice *steps; /* unescaped, WTF-8; at least one */
    size_t step_count;
};

struct config_field {
    char *name; /* the manifest's (`verification_status`, not `status`) or an own one */
    enum config_type type;
    struct config_source *sources; /* the first that has a value of the type counts; none: never a value */
    size_t source_count;
};

/* Globs for the names from the source down to a run directory. */
struct config_layout {
    char **components;
    size_t depth; /* 1 to LIMIT_CONFIG_DEPTH */
};

struct config_view {
    char *directory; /* `by-status` */
    char *field;     /* a field by its long name, or framework, run_id, path, tokens, duration, day */
};

/* Names are bytes, as the disk has them. */
struct config {
    atomic_uint references;
    char *manifest_name; /* NULL: the one that is there, else runs_manifest.json */
    struct config_layout *layouts;
    size_t layout_count;
    char **tracked;
    size_t tracked_count;
    char **exclude; /* first the plain paths, unescaped and in the order of strcmp; then the globs */
    size_t exclude_count;
    size_t exclude_plain_count;
    char **files; /* that fields are taken from: `name` or `directory/name`, below the run */
    size_t file_count;
    struct config_field *fields; /* the built-in ones first, in the order of the enum, then the own */
    size_t field_count;
    struct config_view *views; /* by-status and by-framework first */
    size_t view_count;
    /* Of files and fields: where it is the same in two configurations, so is what is derived of a run. Kept
     * fields of another fingerprint are not taken for true. */
    uint64_t fingerprint;
    uint64_t text_hash; /* of the file's text, to tell one edit from the next; 0 for none */
};

/* What is wrong with a configuration. */
struct config_fault {
    unsigned line, column; /* 0 where it has no place in the text: the file could not be read */
    char reason[200];      /* one printable line of UTF-8 */
};

/* Room that the array of faults must have. */
#define CONFIG_FAULTS_AT_MOST 32

/* The built-in configuration, a reference of the caller's own. */
struct config *config_built_in(void);
/* From the text of runsfs.json: 0 and *config (one reference), or -EBADMSG and the faults in order of their
 * places, CONFIG_FAULTS_AT_MOST at most; *config is NULL then. *fault_count is set in any case. */
int config_parse(struct slice text, struct config **config, struct config_fault *faults, size_t *fault_count);
/* Reads runsfs.json in directory_fd: 0 and *config, the built-in one where there is none; -EBADMSG as above;
 * or another negative errno where it can't be read (is no regular file, is too large, ...), with one fault
 * that says why. */
int config_load(int directory_fd, struct config **config, struct config_fault *faults, size_t *fault_count);
/* "runsfs.json:3:17: unknown member "layuot"; did you mean "layout"?", one line without its end, into text.
 */
void config_fault_describe(const struct config_fault *fault, char *text, size_t size_bytes);

/* One more reference; the last unref frees. NULL may be unreferenced. */
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* A name directly in a run directory: does a tracked pattern match it? A leading dot has to be in the pattern
 * itself: `*.md` does not track `.notes.md`. */
bool config_is_tracked(const struct config *config, const char *name);
/* A directory's path below the source: is it, or a directory above it, excluded? Wildcards match a leading
 * dot. */
bool config_is_excluded(const struct config *config, const char *path);
/* Where does a layout have the runs? Of a directory's path below the source, `exclude` aside: it has the
 * names of a run directory (config_is_run_path); it has such a number of names less, so that runs may lie
 * below it (config_leads_to_runs, true of "" always). Both can be true where there are several layouts.
 * Wildcards match a leading dot. The names .git and .runsfs at the source's top are the scan's concern. */
bool config_is_run_path(const struct config *config, const char *path);
bool config_leads_to_runs(const struct config *config, const char *path);
/* The most names that a run directory has in its path below the source. */
size_t config_greatest_depth(const struct config *config);

/* The index of a field by its name, long or short (`status`), in config->fields; -1 where there is none. */
int config_find_field(const struct config *config, struct slice name);

/* The text of runsfs.json with one more path (of a run, below the source) in `exclude`, appended to new_text:
 * all else stays byte for byte. old_text may be absent. Wildcards in path are escaped, so that it excludes
 * this one alone. 0; -EBADMSG where old_text is no valid configuration; -ENOSPC where it or `exclude` is
 * full; -EEXIST where the path is excluded already; -EINVAL where path is no path of a run. On an error
 * new_text is as it was. */
int config_text_with_exclude(struct slice old_text, const char *path, struct buffer *new_text);

#endif
