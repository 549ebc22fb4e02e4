/*
 * What the manifest that stands on disk adds to what the files say: the order of `frameworks`,
 * `last_updated`, members that somebody added, and last good values for runs whose files can't be read. All
 * else in it is derived, and so is not read.
 */
#ifndef RUNSFS_MANIFEST_EXISTING_H
#define RUNSFS_MANIFEST_EXISTING_H

#include "core/manifest/snapshot.h"

enum existing_verdict {
    EXISTING_SAME,    /* the bytes are what the index renders (its last_updated adopted): nothing to write */
    EXISTING_DIFFERS, /* a manifest, adopted, but something in it is not so: the next snapshot is to be
                         written */
    EXISTING_FOREIGN, /* valid JSON, but no manifest of version 1.0 (no object; another version; runs is no
                         array) */
    EXISTING_BROKEN,  /* not JSON: error, line and column say why */
    EXISTING_EMPTY,   /* nothing but white space */
};

/* Whom to ask of an entry without a run: is there one that could not be looked at? run_of is given the path
 * below the source, as the disk has it, and returns the run, put into the index for the purpose, or NULL. */
struct existing_unseen {
    struct run *(*run_of)(void *context, struct slice path);
    void *context;
};

/* Reads bytes (the file's whole content) into the index. An object that is EXISTING_FOREIGN still has its
 * added members and the order of its `frameworks` adopted, but what is not in it is not missed. After
 * EXISTING_BROKEN and EXISTING_EMPTY the index is as before. With drop_missing, added members that are in the
 * index and no longer in bytes are forgotten; those of an entry only where the entry is there (a writer that
 * forgot the run did not mean them). Without it (the first adoption) the values of entries are taken for runs
 * whose files can't be read and never could be; and always for a run that unseen has just told of. unseen and
 * fault may be NULL. */
enum existing_verdict existing_adopt(struct index *index, struct slice bytes, bool drop_missing,
                                     const struct existing_unseen *unseen, struct run_fault *fault);
/* To be called once the current snapshot stands on disk: its `frameworks` order is now the file's. */
void existing_written(struct index *index);
/* Undoes the move of last_updated, where the content came back to what `on_disk` says. Call with
 * snapshot_same_content true. */
void existing_restore_last_updated(struct index *index, const struct snapshot *on_disk);
/* For an index of the past, which does not change any more: last_updated is what bytes, a manifest that was
 * adopted, have there; where they have none, that time, or null without one. */
void existing_keep_last_updated(struct index *index, struct slice bytes, const struct timespec *otherwise);

#endif
