/*
 * The repository of the source, opened when somebody first looks into at/, and again where another one has
 * taken its place.
 *
 * Rights. A daemon that is root reads Git's files with the rights of their owner, so that nothing in a
 * repository (alternates, links) leads to what its owner may not read. And at/ may be searched by those who
 * could read the objects in the repository itself; whatever is below it is only reached through it.
 */
#include "fs/past/listing.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "fs/owner.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often a repository is looked for where there is none. */
#define RETRY_MS 500

/* Whose at/ is, and which bits of a mode may be set. */
struct rights {
    uid_t uid;
    gid_t gid;
    mode_t mask;
};

struct past_store {
    pthread_mutex_t lock;
    char *source_path;
    struct repository *repository;
    struct deriver *deriver;
    dev_t dev; /* of its directory */
    ino_t ino;
    struct owner owner;
    bool is_owner;               /* this thread acts as the owner */
    pthread_mutex_t rights_lock; /* guards rights; a leaf */
    struct rights rights;
    int64_t retry_at_ms;
    bool told_none;   /* the log knows that there is no repository */
    char *last_error; /* the last line that the log was told; NULL for none */
    struct past_kept *kept;
    struct past_listings *listings;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the owner ---- */

static void act_as_owner(struct fs *fs)
{
    struct past_store *store = fs->past;
    if (fs->is_root) {
        owner_assume(&store->owner);
        store->is_owner = true;
    }
}

static void act_as_oneself(struct past_store *store)
{
    if (store->is_owner)
        owner_restore(&store->owner);
    store->is_owner = false;
}

/* ---- the repository ---- */

static void forget_repository(struct past_store *store)
{
    past_kept_free(store->kept);
    deriver_free(store->deriver);
    repository_close(store->repository);
    past_listings_free(store->listings);
    store->kept = NULL;
    store->listings = NULL;
    store->deriver = NULL;
    store->repository = NULL;
}

/* Takes from rights what a directory does not give to all who would need it. */
static void narrow_rights(struct rights *rights, const char *path, mode_t needed)
{
    struct stat st;
    if (stat(path, &st) != 0)
        st = (struct stat){0};
    bool others = (st.st_mode & needed) == needed;
    bool group = st.st_gid == rights->gid ? (st.st_mode >> 3 & needed) == needed : others;
    rights->mask &= (mode_t) ~((others ? 0 : 07) | (group ? 0 : 070));
}

/* Who may read the objects: by every directory from the working tree's top to them, or from the root where
 * they lie elsewhere (a linked working tree's). */
static struct rights find_rights(const struct past_store *store)
{
    const char *top = repository_top(store->repository), *objects = repository_objects(store->repository);
    size_t top_length = strlen(top);
    struct stat st;
    if (stat(objects, &st) != 0)
        return (struct rights){.mask = 0700};
    struct rights rights = {st.st_uid, st.st_gid, 0777};
    char *path = memory_copy_text(objects, strlen(objects));
    narrow_rights(&rights, path, 5);
    for (size_t length = strlen(path); length > 1;) {
        for (length--; length > 0 && path[length - 1] != '/'; length--)
            ;
        path[length] = '\0';
        if (length > 0)
            narrow_rights(&rights, path, 1);
        if (length == top_length && strcmp(path, top) == 0)
            break;
    }
    free(path);
    return rights;
}

static void set_rights(struct past_store *store, struct rights rights)
{
    pthread_mutex_lock(&store->rights_lock);
    store->rights = rights;
    pthread_mutex_unlock(&store->rights_lock);
}

static int open_repository(struct fs *fs)
{
    struct past_store *store = fs->past;
    struct stat st;
    if (now_ms() < store->retry_at_ms)
        return -ENOENT;
    store->retry_at_ms = now_ms() + RETRY_MS;
    if (fstat(source_root_fd(fs->source), &st) == 0)
        owner_set(&store->owner, st.st_uid, st.st_gid);
    act_as_owner(fs);
    int error = repository_open(store->source_path, &store->repository);
    if (error == 0 && stat(repository_directory(store->repository), &st) != 0)
        error = -errno;
    act_as_oneself(store);
    if (error) {
        if (!store->told_none)
            log_warning("at/: %s", error == -ENOENT
                                       ? "the source lies in no Git repository; there is no past to show"
                                       : repository_error());
        store->told_none = true;
        repository_close(store->repository);
        store->repository = NULL;
        return error;
    }
    store->told_none = false;
    store->retry_at_ms = 0;
    store->dev = st.st_dev;
    store->ino = st.st_ino;
    owner_set(&store->owner, st.st_uid, st.st_gid);
    store->deriver = deriver_create(store->repository);
    store->kept = past_kept_create();
    store->listings = past_listings_create();
    return 0;
}

/* Is it the one that was opened, as it was? */
static bool is_still_there(const struct past_store *store)
{
    struct stat st;
    return stat(repository_directory(store->repository), &st) == 0 && st.st_dev == store->dev &&
           st.st_ino == store->ino && !repository_has_other_packs(store->repository);
}

int past_enter(struct fs *fs)
{
    struct past_store *store = fs->past;
    pthread_mutex_lock(&store->lock);
    if (store->repository && !is_still_there(store))
        forget_repository(store);
    int error = store->repository ? 0 : open_repository(fs);
    if (error) {
        pthread_mutex_unlock(&store->lock);
        return -ENOENT;
    }
    act_as_owner(fs);
    repository_guard_begin();
    return 0;
}

void past_leave(struct fs *fs)
{
    repository_guard_end();
    act_as_oneself(fs->past);
    pthread_mutex_unlock(&fs->past->lock);
}

struct repository *past_repository(struct fs *fs)
{
    return fs->past->repository;
}

struct deriver *past_deriver(struct fs *fs)
{
    return fs->past->deriver;
}

struct past_kept *past_kept(struct fs *fs)
{
    return fs->past->kept;
}

struct past_listings *past_listings(struct fs *fs)
{
    return fs->past->listings;
}

void past_at_stat(struct fs *fs, struct stat *st)
{
    struct rights rights = {0};
    if (past_enter(fs) == 0) {
        rights = find_rights(fs->past);
        past_leave(fs);
    } else { /* empty, and as the source */
        struct stat model;
        fstat(source_root_fd(fs->source), &model);
        rights = (struct rights){model.st_uid, model.st_gid, model.st_mode & 0777};
    }
    set_rights(fs->past, rights);
    past_model_stat(fs, S_IFDIR | 0777, PAST_INO, 0, st);
    /* What is listed changes with any reference: whoever looks lists anew. */
    clock_gettime(CLOCK_REALTIME, &st->st_mtim);
    st->st_ctim = st->st_atim = st->st_mtim;
}

void past_model_stat(struct fs *fs, mode_t mode, uint64_t ino, int64_t time_s, struct stat *st)
{
    struct past_store *store = fs->past;
    pthread_mutex_lock(&store->rights_lock);
    struct rights rights = store->rights;
    pthread_mutex_unlock(&store->rights_lock);
    *st = (struct stat){
        .st_ino = ino,
        .st_mode = (mode & S_IFMT) | (mode & rights.mask),
        .st_uid = rights.uid,
        .st_gid = rights.gid,
        .st_nlink = 1,
        .st_blksize = 4096,
        .st_mtim.tv_sec = time_s,
        .st_ctim.tv_sec = time_s,
        .st_atim.tv_sec = time_s,
    };
}

/* ---- errors ---- */

void past_append_path(const struct past_node *node, struct buffer *path)
{
    if (node->parent->kind == NODE_PAST)
        past_append_path((const struct past_node *)node->parent, path);
    else
        buffer_append_text(path, "at");
    buffer_append_byte(path, '/');
    buffer_append_text(path, node->name);
}

int past_failed(struct fs *fs, const struct past_node *node, int error)
{
    struct past_store *store = fs->past;
    struct buffer line = {0};
    past_append_path(node, &line);
    buffer_append_format(&line, ": can't be read from Git: %s", repository_error());
    if (!store->last_error || strcmp(store->last_error, line.bytes) != 0) {
        log_error("%s", line.bytes);
        free(store->last_error);
        store->last_error = line.bytes;
    } else {
        buffer_free(&line);
    }
    return error == -ENOMEM || error == -EFBIG ? error : -EIO;
}

/* ---- life ---- */

void past_begin(struct fs *fs, const char *source_path)
{
    struct stat st;
    repositories_begin(fs->is_root);
    fs->past = memory_alloc_zeroed(1, sizeof(*fs->past));
    fs->past->source_path = memory_copy_text(source_path, strlen(source_path));
    pthread_mutex_init(&fs->past->lock, NULL);
    pthread_mutex_init(&fs->past->rights_lock, NULL);
    /* Acting as the owner, root's own configuration of Git can't be read, and would not be meant. */
    if (fs->is_root && stat(source_path, &st) == 0 && st.st_uid != 0) {
        owner_set(&fs->past->owner, st.st_uid, st.st_gid);
        repositories_set_home(fs->past->owner.home);
    }
}

void past_end(struct fs *fs)
{
    forget_repository(fs->past);
    pthread_mutex_destroy(&fs->past->lock);
    pthread_mutex_destroy(&fs->past->rights_lock);
    free(fs->past->last_error);
    free(fs->past->source_path);
    free(fs->past);
}
