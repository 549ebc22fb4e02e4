/*
 * The repository of the source, opened when somebody first looks into at/, and again where another one has
 * taken its place.
 * A daemon that is root reads Git's files with the rights of their owner, so that nothing in a repository
 * (alternates, links) leads to what its owner may not read.
 */
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "fs/owner.h"
#include "fs/past/past.h"
#include "fs/past/rights.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often a repository is looked for where there is none. */
#define RETRY_MS 500
/* Of all that is kept, so much may be what was derived of runs, and so much libgit2's. */
#define SHARE 4
/* Memory that was let go of in pieces is given back to the system when it is so much. */
#define TRIM_BYTES ((size_t)4 << 20)
/* After so long without a look, what is larger than may be kept goes, and large files' copies. */
#define IDLE_MS 10000

struct past_store {
    pthread_mutex_t lock;
    struct repository *repository;
    struct deriver *deriver;
    dev_t dev; /* of its directory */
    ino_t ino;
    struct owner owner;
    bool is_owner;               /* this thread acts as the owner */
    pthread_mutex_t rights_lock; /* guards rights; a leaf */
    struct past_rights rights;
    int64_t retry_at_ms, used_ms;
    bool told_none;   /* the log knows that there is no repository */
    char *last_error; /* the last line that the log was told; NULL for none */
    struct past_kept *kept;
    size_t git_bytes;   /* what libgit2 has of its own, and for others than at/ */
    size_t loose_bytes; /* freed since the last trim */
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
    store->kept = NULL;
    store->deriver = NULL;
    store->repository = NULL;
}

static void set_rights(struct past_store *store, struct past_rights rights)
{
    pthread_mutex_lock(&store->rights_lock);
    store->rights = rights;
    pthread_mutex_unlock(&store->rights_lock);
}

static int open_repository(struct fs *fs)
{
    struct past_store *store = fs->past;
    struct stat st;
    char source[40];
    if (now_ms() < store->retry_at_ms)
        return -ENOENT;
    store->retry_at_ms = now_ms() + RETRY_MS;
    if (fstat(source_root_fd(fs->source), &st) == 0)
        owner_set(&store->owner, st.st_uid, st.st_gid);
    act_as_owner(fs);
    /* Where the source is now, whatever became of the path by which it was mounted. */
    snprintf(source, sizeof(source), "/proc/self/fd/%d", source_root_fd(fs->source));
    int error = repository_open(source, &store->repository);
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
    store->git_bytes = repositories_bytes();
    return 0;
}

/* Is it the one that was opened, as it was, and still the source's? */
static bool is_still_there(const struct past_store *store)
{
    struct stat st;
    return stat(repository_directory(store->repository), &st) == 0 && st.st_dev == store->dev &&
           st.st_ino == store->ino && !repository_has_other_packs(store->repository) &&
           repository_is_nearest(store->repository);
}

/* ---- memory ---- */

/* Grows with what the kernel knows of the past; see LIMIT_PAST_BYTES. */
static size_t limit_bytes(struct fs *fs)
{
    return LIMIT_PAST_BYTES + atomic_load(&fs->nodes.past_count) * LIMIT_PAST_BYTES_PER_NODE;
}

/* Of what libgit2 has for at/. */
static size_t git_bytes(const struct past_store *store)
{
    size_t now = repositories_bytes();
    return now > store->git_bytes ? now - store->git_bytes : 0;
}

static size_t trim_deriver(struct past_store *store, size_t limit)
{
    size_t before = deriver_bytes(store->deriver);
    deriver_trim(store->deriver, limit);
    if (deriver_bytes(store->deriver) > limit) { /* so many configurations, which indexes refer to */
        before += past_kept_shrink(store->kept, 0, true);
        deriver_free(store->deriver);
        store->deriver = deriver_create(store->repository);
    }
    return before - deriver_bytes(store->deriver);
}

static size_t trim_repository(struct past_store *store)
{
    size_t before = git_bytes(store);
    int error = repository_let_go(store->repository);
    store->git_bytes = repositories_bytes();
    if (error)
        forget_repository(store);
    return before;
}

/* Keeps within limits what at/ has in memory; wholly: also what was used last. What libgit2 took for one big
 * tree goes first, before all lists make room for it. */
static void trim(struct fs *fs, bool wholly)
{
    struct past_store *store = fs->past;
    size_t limit = limit_bytes(fs), share = limit / SHARE;
    if (git_bytes(store) > share)
        store->loose_bytes += trim_repository(store);
    if (!store->repository)
        return;
    if (deriver_bytes(store->deriver) > share)
        store->loose_bytes += trim_deriver(store, share);
    size_t others = deriver_bytes(store->deriver) + git_bytes(store);
    store->loose_bytes += past_kept_shrink(store->kept, limit - (others < limit ? others : limit), wholly);
}

bool past_expire(struct fs *fs)
{
    struct past_store *store = fs->past;
    if (pthread_mutex_trylock(&store->lock) != 0)
        return false; /* it is looked at */
    bool later = store->repository && (!past_spools_are_empty(past_kept_spools(store->kept)) ||
                                       past_kept_bytes(store->kept) > limit_bytes(fs));
    if (later && now_ms() - store->used_ms >= IDLE_MS) {
        past_spools_close(past_kept_spools(store->kept));
        act_as_owner(fs);
        trim(fs, true);
        act_as_oneself(store);
        malloc_trim(0);
        store->loose_bytes = 0;
        later = false;
    }
    pthread_mutex_unlock(&store->lock);
    return later;
}

/* ---- entering ---- */

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
    struct past_store *store = fs->past;
    trim(fs, false);
    repository_guard_end();
    act_as_oneself(store);
    store->used_ms = now_ms();
    bool is_much = store->loose_bytes > TRIM_BYTES;
    if (is_much)
        store->loose_bytes = 0;
    pthread_mutex_unlock(&store->lock);
    if (is_much)
        malloc_trim(0);
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

void past_at_stat(struct fs *fs, struct stat *st)
{
    struct past_rights rights = {0};
    if (past_enter(fs) == 0) {
        rights = past_rights_find(fs->past->repository);
        past_leave(fs);
    } else { /* empty, and as the source */
        struct stat model;
        fstat(source_root_fd(fs->source), &model);
        rights = (struct past_rights){model.st_uid, model.st_gid, model.st_mode & 0777};
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
    struct past_rights rights = store->rights;
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
    bool is_ours = error == -ENOMEM || error == -EFBIG || error == -ENOSPC || error == -EDQUOT;
    return is_ours ? error : -EIO;
}

/* ---- life ---- */

void past_begin(struct fs *fs, const char *source_path)
{
    struct stat st;
    repositories_begin(fs->is_root);
    repositories_save_memory();
    fs->past = memory_alloc_zeroed(1, sizeof(*fs->past));
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
    free(fs->past);
}
