/*
 * The manifest's file: when to write it, and what to make of it when somebody else did.
 *
 * A burst of changes is written once it was quiet for a moment, and at most a fixed time after its first
 * change, but never so often that writing takes more than its share of a core. What somebody else writes is
 * read, what it adds is adopted, and what it says that the files do not is corrected by one write; two that
 * derive the same bytes adopt each other's and never write in turn. Somebody who is in the middle of writing
 * (the file is no JSON yet) is not interrupted before a limit.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/manifest/file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* How long somebody may take between two writes of the file before it is replaced under him. */
#define HOLD_MS 2000
#define RETRY_FIRST_MS 500
#define RETRY_LONGEST_MS 60000
/* Corrections in a row, of what nobody's files changed, that are no mere coincidence. */
#define CONFLICTS_BEFORE_YIELDING 4

static void hold(struct publisher *publisher)
{
    publisher->hold_until_ms = keeper_now_ms() + HOLD_MS;
}

static void forget_on_disk(struct publisher *publisher)
{
    snapshot_unref(publisher->on_disk);
    publisher->on_disk = NULL;
}

/* Something is to be written: the file is not what the index says, though the index did not change. */
static void want_write(struct publisher *publisher)
{
    int64_t now_ms = keeper_now_ms();
    if (!publisher->first_change_ms)
        publisher->first_change_ms = now_ms;
    publisher->last_change_ms = now_ms;
}

static struct file_stamp stamp_on_disk(struct keeper *keeper)
{
    struct stat st;
    if (fstatat(source_root_fd(keeper->source), keeper->manifest_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return (struct file_stamp){0};
    return (struct file_stamp){
        .ino = st.st_ino,
        .size_bytes = (uint64_t)st.st_size,
        .mtime_ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec,
        .ctime_ns = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec,
    };
}

/* Reads what stands in the file; finding and stamp are set. */
static void read_file(struct keeper *keeper, struct buffer *content)
{
    struct publisher *publisher = &keeper->publisher;
    int error = file_read_bounded(source_root_fd(keeper->source), keeper->manifest_name, LIMIT_MANIFEST_BYTES,
                                  content, &publisher->stamp);
    publisher->finding = MANIFEST_TRUE;
    publisher->judged = true;
    if (error == 0)
        return;
    publisher->stamp = stamp_on_disk(keeper);
    publisher->keep_broken = error != -ENOENT; /* what can't be read may be worth something */
    if (error == -ENOENT) {
        publisher->finding = MANIFEST_MISSING;
    } else if (error == -EINVAL || error == -ELOOP || error == -EISDIR) {
        publisher->finding = MANIFEST_NOT_A_FILE;
        log_error(
            "%s: is no regular file; put a file in its place, or remove it, to have the manifest written",
            keeper->manifest_name);
    } else {
        publisher->finding = MANIFEST_UNREADABLE;
        log_error("%s: can't be read (%s); it is written anew", keeper->manifest_name,
                  strerrordesc_np(-error));
    }
}

static void judge(struct keeper *keeper, enum existing_verdict verdict)
{
    static const enum manifest_finding findings[] = {
        [EXISTING_SAME] = MANIFEST_TRUE,       [EXISTING_DIFFERS] = MANIFEST_DIFFERS,
        [EXISTING_FOREIGN] = MANIFEST_FOREIGN, [EXISTING_BROKEN] = MANIFEST_BROKEN,
        [EXISTING_EMPTY] = MANIFEST_EMPTY,
    };
    struct publisher *publisher = &keeper->publisher;
    publisher->finding = findings[verdict];
    publisher->keep_broken = verdict == EXISTING_BROKEN || verdict == EXISTING_FOREIGN;
    publisher->adopted |= verdict != EXISTING_BROKEN && verdict != EXISTING_EMPTY;
    forget_on_disk(publisher);
    if (verdict == EXISTING_SAME) {
        publisher->on_disk = snapshot_take(keeper->index);
        publisher->first_change_ms = publisher->last_change_ms = 0;
        publisher->generation = index_generation(keeper->index);
    } else {
        want_write(publisher);
    }
}

/* Two who see different things of one source would correct each other for ever: whoever has just been
 * corrected without having changed his mind waits longer each time. */
static void yield_to_another(struct publisher *publisher, const char *name, bool unchanged)
{
    if (publisher->finding != MANIFEST_DIFFERS || !unchanged) {
        publisher->conflicts = 0;
        return;
    }
    if (++publisher->conflicts < CONFLICTS_BEFORE_YIELDING)
        return;
    if (publisher->conflicts == CONFLICTS_BEFORE_YIELDING)
        log_warning("%s: somebody else keeps writing it otherwise; it is corrected less and less often",
                    name);
    unsigned doublings = publisher->conflicts - CONFLICTS_BEFORE_YIELDING;
    publisher->not_before_ms = keeper_now_ms() + (doublings < 6 ? 1000 << doublings : RETRY_LONGEST_MS);
}

/* The manifest has an entry at path, and there is no such run. Is that so, or could it not be looked at? */
static struct run *find_unseen(void *context, struct slice path)
{
    struct keeper *keeper = context;
    struct member *member = keeper->root;
    CLEANUP_FREE char *copy = memory_copy_text(path.bytes, path.length);
    if (!config_is_run_path(keeper->config, copy) || config_is_excluded(keeper->config, copy))
        return NULL;
    char *rest = copy;
    for (char *name; (name = strsep(&rest, "/"));) {
        struct member *child = member_child(member, name);
        if (!child && member->role != MEMBER_RUN && (member->unlisted || member->unread)) {
            if (!member->hides)
                log_error(
                    "%s: the manifest has runs of it that can't be seen; it is not written until they can",
                    *member->name ? member->name : "the source");
            set_hides(keeper, member, true);
        }
        if (!child)
            return NULL;
        member = child;
    }
    if (member->role != MEMBER_RUN || member->run || !member->unread)
        return NULL;
    run_put_unread(keeper, member);
    return member->run;
}

/* Somebody changed the file: adopts what it adds, and finds out whether it is to be written again. */
static void settle_changed_file(struct keeper *keeper, bool closed)
{
    struct publisher *publisher = &keeper->publisher;
    struct buffer content = {0};
    bool unchanged = index_generation(keeper->index) == publisher->written_generation;
    struct existing_unseen unseen = {find_unseen, keeper};
    read_file(keeper, &content);
    if (publisher->finding == MANIFEST_TRUE) {
        judge(keeper, existing_adopt(keeper->index, buffer_slice(&content), publisher->adopted, &unseen,
                                     &publisher->fault));
        bool unfinished = publisher->finding == MANIFEST_BROKEN || publisher->finding == MANIFEST_EMPTY;
        if (unfinished && !closed && keeper->started)
            hold(publisher);
        else
            publisher->hold_until_ms = 0; /* what is whole was written to its end */
        yield_to_another(publisher, keeper->manifest_name, unchanged);
    } else {
        forget_on_disk(publisher);
        want_write(publisher);
    }
    buffer_free(&content);
}

void publish_settle(struct keeper *keeper, bool closed)
{
    struct publisher *publisher = &keeper->publisher;
    if (publisher->writing) {
        publisher->recheck = true;
        return;
    }
    struct file_stamp now = stamp_on_disk(keeper);
    bool moved = !publisher->judged || !file_stamp_equal(&now, &publisher->stamp);
    if (moved)
        settle_changed_file(keeper, closed);
    if (closed)
        publisher->hold_until_ms = 0;
}

void publish_adopt_again(struct keeper *keeper, const struct snapshot *before)
{
    struct buffer content = {0};
    struct existing_unseen unseen = {find_unseen, keeper};
    if (buffer_reserve(&content, snapshot_size(before)) == 0) {
        content.length = snapshot_read(before, content.bytes, snapshot_size(before), 0);
        existing_adopt(keeper->index, buffer_slice(&content), false, &unseen, NULL);
    }
    buffer_free(&content);
    /* The order of frameworks is the file's. Where it is being written, that of what is written will do. */
    keeper->publisher.judged = false;
    publish_settle(keeper, false);
}

static const struct member *find_hiding(const struct member *member)
{
    const struct member *found = member->hides ? member : NULL;
    struct member_position position = {0};
    for (const struct member *child;
         !found && member->role != MEMBER_RUN && (child = member_next_child(member, &position));)
        found = find_hiding(child);
    return found;
}

char *keeper_hiding(struct keeper *keeper)
{
    struct buffer path = {0};
    keeper_lock(keeper);
    const struct member *member = keeper->hiding ? find_hiding(keeper->root) : NULL;
    if (member && member->parent)
        member_append_path(member, &path);
    else if (member)
        buffer_append_byte(&path, '.');
    keeper_unlock(keeper);
    return path.bytes;
}

void publish_adopt_seen(struct keeper *keeper)
{
    keeper->publisher.judged = keeper->publisher.adopted = false;
    publish_settle(keeper, false);
}

int64_t keeper_pause_manifest(struct keeper *keeper)
{
    keeper_lock(keeper);
    hold(&keeper->publisher);
    int64_t until_ms = keeper->publisher.hold_until_ms;
    keeper_unlock(keeper);
    return until_ms;
}

void publish_notice(struct keeper *keeper)
{
    struct publisher *publisher = &keeper->publisher;
    uint64_t generation = index_generation(keeper->index);
    if (generation == publisher->generation)
        return;
    publisher->generation = generation;
    want_write(publisher);
    if (keeper->observer)
        keeper->observer(keeper->observer_context);
}

int64_t publish_due_ms(struct keeper *keeper)
{
    const struct publisher *publisher = &keeper->publisher;
    if (!publisher->first_change_ms || keeper->options.read_only || keeper->hiding ||
        publisher->finding == MANIFEST_NOT_A_FILE)
        return -1;
    int64_t due_ms = publisher->last_change_ms + LIMIT_MANIFEST_QUIET_MS;
    if (due_ms > publisher->first_change_ms + LIMIT_MANIFEST_DELAY_MS)
        due_ms = publisher->first_change_ms + LIMIT_MANIFEST_DELAY_MS;
    if (due_ms < publisher->not_before_ms)
        due_ms = publisher->not_before_ms;
    return due_ms < publisher->hold_until_ms ? publisher->hold_until_ms : due_ms;
}

static void write_failed(struct keeper *keeper, int error)
{
    struct publisher *publisher = &keeper->publisher;
    if (error != publisher->last_error)
        log_error("%s: can't be written (%s); the mount shows the true one, and the file follows when it can",
                  keeper->manifest_name, strerrordesc_np(-error));
    publisher->last_error = error;
    publisher->retry_ms = publisher->retry_ms ? publisher->retry_ms * 2 : RETRY_FIRST_MS;
    if (publisher->retry_ms > RETRY_LONGEST_MS)
        publisher->retry_ms = RETRY_LONGEST_MS;
    publisher->not_before_ms = keeper_now_ms() + publisher->retry_ms;
    want_write(publisher);
}

static void write_succeeded(struct keeper *keeper, struct snapshot *snapshot, const struct file_stamp *stamp,
                            int64_t began_ms)
{
    struct publisher *publisher = &keeper->publisher;
    forget_on_disk(publisher);
    publisher->on_disk = snapshot_ref(snapshot);
    publisher->stamp = *stamp;
    publisher->finding = MANIFEST_TRUE;
    publisher->keep_broken = false;
    publisher->last_error = 0;
    publisher->retry_ms = 0;
    /* What takes long is not done often; what is quick enough for the promise needs no rest. */
    int64_t took_ms = keeper_now_ms() - began_ms;
    bool is_long = took_ms * LIMIT_MANIFEST_WRITE_SHARE > 1000;
    if (publisher->conflicts < CONFLICTS_BEFORE_YIELDING)
        publisher->not_before_ms = is_long ? began_ms + took_ms * (LIMIT_MANIFEST_WRITE_SHARE - 1) : 0;
    publisher->judged = true;
    clock_gettime(CLOCK_REALTIME, &publisher->written_at);
    publisher->written_bytes = snapshot_size(snapshot);
    publisher->written_generation = index_generation(keeper->index);
    if (snapshot_generation(snapshot) == index_generation(keeper->index))
        existing_written(keeper->index);
    log_debug("%s: written, %llu bytes", keeper->manifest_name, (unsigned long long)snapshot_size(snapshot));
}

/* Keeps a copy of a file that is not understood. Its new link moves the file's ctime, and so the stamp that
 * is expected. 0 or -errno. */
static int keep_a_copy(struct keeper *keeper, struct file_stamp *expected)
{
    const char *name = keeper->manifest_name;
    int error = manifest_file_keep_broken(source_root_fd(keeper->source), name);
    struct file_stamp now = stamp_on_disk(keeper);
    if (now.ino == expected->ino && now.mtime_ns == expected->mtime_ns &&
        now.size_bytes == expected->size_bytes)
        expected->ctime_ns = now.ctime_ns;
    if (error == 0)
        log_warning("%s: not understood; it is kept as %s.broken and written anew", name, name);
    else if (error != keeper->publisher.last_error)
        log_error("%s: not understood, and can't be kept as %s.broken (%s); move one of them away", name,
                  name, strerrordesc_np(-error));
    return error;
}

int publish_write(struct keeper *keeper)
{
    struct publisher *publisher = &keeper->publisher;
    if (keeper->options.read_only || publisher->finding == MANIFEST_NOT_A_FILE)
        return 0;
    if (keeper->hiding) /* to write it would lose them */
        return -EACCES;
    struct snapshot *snapshot = snapshot_take(keeper->index);
    publisher->first_change_ms = publisher->last_change_ms = 0;
    if (publisher->on_disk && snapshot_same_content(snapshot, publisher->on_disk)) {
        existing_restore_last_updated(keeper->index, publisher->on_disk);
        forget_on_disk(publisher);
        publisher->on_disk = snapshot_take(keeper->index);
        publisher->generation = index_generation(keeper->index);
        snapshot_unref(snapshot);
        return 0;
    }
    struct file_stamp expected = publisher->stamp, stamp;
    int source_fd = source_root_fd(keeper->source);
    bool keep_broken = publisher->keep_broken;
    int64_t began_ms = keeper_now_ms();

    /* The index goes on changing while the file is written; only this thread writes. */
    publisher->writing = true;
    pthread_mutex_unlock(&keeper->lock);
    int error = keep_broken ? keep_a_copy(keeper, &expected) : 0;
    if (error == 0)
        error = manifest_file_replace(source_fd, keeper->manifest_name, snapshot, &expected, &stamp);
    pthread_mutex_lock(&keeper->lock);
    publisher->writing = false;

    if (error == 0) {
        write_succeeded(keeper, snapshot, &stamp, began_ms);
    } else if (error == -EAGAIN) { /* somebody wrote it meanwhile: what he added is to be adopted first */
        publish_settle(keeper, false);
        want_write(publisher);
    } else {
        write_failed(keeper, error);
    }
    snapshot_unref(snapshot);
    if (publisher->recheck) {
        publisher->recheck = false;
        publish_settle(keeper, false);
    }
    return error;
}
