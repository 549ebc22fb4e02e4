/*
 * The Git repository in which a source lies, and its objects as far as this project needs them. core/git is
 * the only place that knows libgit2; nothing here runs a hook, a filter or any other program.
 *
 * A repository is used by one thread at a time; who has several threads opens one for each, or has a lock.
 * Objects are looked for again where they are not found, so that a repack or a fetch meanwhile does no harm.
 */
#ifndef RUNSFS_GIT_REPOSITORY_H
#define RUNSFS_GIT_REPOSITORY_H

#include "core/base/text.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OBJECT_ID_BYTES 20
#define OBJECT_ID_DIGITS 40

/* The name of an object; all zero is none, which stands for a tree without entries wherever a tree is meant.
 */
struct object_id {
    unsigned char bytes[OBJECT_ID_BYTES];
};

struct repository;

/* Before anything else here; only the first call in a process does anything. any_owner: repositories of
 * others are opened too; who does that reads them with the rights of their owner. */
void repositories_begin(bool any_owner);
/* For a process that lives long and whose memory is bounded: libgit2 keeps less. */
void repositories_save_memory(void);
/* Whose configuration counts, where that is not the process's own user: that in this home directory. */
void repositories_set_home(const char *home);

/* Between these two, a file of the repository that shrinks while this thread reads it is a broken one, and
 * no end of the process. */
void repository_guard_begin(void);
void repository_guard_end(void);

/* Opens the repository in which the directory source_path lies: that of the nearest `.git` in it or above, on
 * the same filesystem. 0 and *repository, to be closed; -ENOENT where there is none; -EPERM where it is
 * somebody else's, -EIO and the like where it can't be used: then repository_error says why. */
int repository_open(const char *source_path, struct repository **repository);
void repository_close(struct repository *repository);
/* Does its directory belong to that user, and the one that a linked working tree has its branches in? 0;
 * -EPERM where not: a `.git` that is a file may lead to what is somebody else's; -errno. */
int repository_check_owner(const struct repository *repository, uid_t owner);
/* Have packs come or gone since it was opened? libgit2 never lets go of one that it has opened: where the
 * repository stays open for long, it is to be opened anew. */
bool repository_has_other_packs(const struct repository *repository);
/* Is it still that of the source: does this lie where it did when the repository was opened, and has no
 * `.git` come or changed nearer to it? */
bool repository_is_nearest(const struct repository *repository);
/* Bytes of memory that libgit2 has in this process. */
size_t repositories_bytes(void);
/* Has it let go of all that it remembers of a repository: objects, packs, references. What is needed is read
 * again. 0; where not, the repository is good for nothing but to be closed. */
int repository_let_go(struct repository *repository);
/* Why the last call on this thread failed, one printable line. Good until the next call. */
const char *repository_error(void);

/* The path of the source below the top of the working tree, without "/" at its ends; "" where it is the top.
 */
const char *repository_prefix(const struct repository *repository);
/* The name of the source's own directory, which is the framework of runs directly in it. */
const char *repository_source_name(const struct repository *repository);
/* The top of the working tree, with "/" at its end. */
const char *repository_top(const struct repository *repository);
/* The directory .git itself (of a linked working tree: its own one), with "/" at its end. */
const char *repository_directory(const struct repository *repository);
/* Where its objects lie, with "/" at its end. */
const char *repository_objects(const struct repository *repository);

bool object_id_is_none(const struct object_id *id);
bool object_id_equal(const struct object_id *a, const struct object_id *b);
/* 40 digits and NUL. */
void object_id_format(const struct object_id *id, char text[OBJECT_ID_DIGITS + 1]);
/* Exactly 40 hexadecimal digits; false for all else. */
bool object_id_parse(const char *text, struct object_id *id);

/* ---- trees and blobs ---- */

/* A tree's entry. mode is the file's: S_IFDIR | 0755, S_IFREG | 0644 or 0755, S_IFLNK | 0777. What Git knows
 * of another repository in it (a submodule) is a directory with no id. */
struct tree_entry {
    const char *name;
    struct object_id id;
    mode_t mode;
};

/* In Git's order (directories as if their names ended in "/"). One block of memory, free(3). */
struct tree {
    size_t count;
    struct tree_entry entries[];
};

/* 0 and *tree (empty for no id), to be freed with free(3); -EIO where the object is missing or broken.
 * Entries whose names could not stand in a directory (".", "..", "/" in it, longer than a name can be) are
 * left out. */
int tree_read(struct repository *repository, const struct object_id *id, struct tree **tree);
/* The same of an object's bytes, whatever they are: what is no entry ends it. */
struct tree *tree_parse(const char *bytes, size_t length);
/* Of two trees the entries that are not the same in both, as trees of their own, at the cost of a look at
 * their bytes. */
int tree_read_differing(struct repository *repository, const struct object_id *old_id,
                        const struct object_id *new_id, struct tree **old_tree, struct tree **new_tree);
/* The block's size. */
size_t tree_bytes(const struct tree *tree);
/* The entry of that name, or NULL. */
const struct tree_entry *tree_find(const struct tree *tree, const char *name);
/* One entry without reading out the whole tree. 0; -ENOENT; -EIO. name of *entry is not set. */
int tree_entry_of(struct repository *repository, const struct object_id *tree, const char *name,
                  struct tree_entry *entry);
int blob_size(struct repository *repository, const struct object_id *id, uint64_t *size_bytes);
/* Appends its content. 0; -EFBIG where it is larger than limit_bytes; -EIO; -ENOMEM. */
int blob_read(struct repository *repository, const struct object_id *id, uint64_t limit_bytes,
              struct buffer *content);
/* Writes its content to a file. One that lies loose is never in memory as a whole, whatever its size; one in
 * a pack is for the moment, up to LIMIT_PACKED_BLOB_BYTES. 0; -EFBIG; -EIO where Git's object is broken; what
 * write(2) failed by. */
int blob_write(struct repository *repository, const struct object_id *id, int fd);

/* ---- commits ---- */

struct commit {
    struct object_id id;
    struct object_id tree; /* of the source; none where the source is not in it */
    int64_t time_s;        /* the committer's, since 1970 */
};

/* 0; -EIO; -ENOENT where the id is no commit's. */
int commit_read(struct repository *repository, const struct object_id *id, struct commit *commit);

#endif
