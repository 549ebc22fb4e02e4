/*
 * The manifest's file: when to write it, and what to make of it when somebody else did.
 *
 * A burst of changes is written once it was quiet for a moment, and at most a fixed time after its first change, but never so
 * often that writing takes more than its share of a core. What somebody else writes is read, what it adds is adopted, and what it says that
 * the files do not is corrected by one write; two that derive the same bytes adopt each other's and never write in turn.
 * Somebody who is in the middle of writing (the file is no JSON yet, or is open for writing through the mount) is not interrupted
 * before a limit.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/log.h"
#include "core/manifest/file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* How long somebody may take between two writes of the file before it is replaced under him. */
#define HOLD_MS 2000
#define RETRY_FIRST_MS 500
#define RETRY_LONGEST_MS 60000

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
    int error = file_read_bounded(source_root_fd(keeper->source), keeper->manifest_name, LIMIT_MANIFEST_BYTES, content,
                                  &publisher->stamp);
    publisher->finding = MANIFEST_TRUE;
    if (error == 0)
        return;
    publisher->stamp = (struct file_stamp){0};
    if (error == -ENOENT) {
        publisher->finding = MANIFEST_MISSING;
    } else if (error == -EINVAL || error == -ELOOP || error == -EISDIR) {
        publisher->finding = MANIFEST_NOT_A_FILE;
        log_error("%s: is no regular file; put a file in its place, or remove it, to have the manifest written",
                  keeper->manifest_name);
    } else {
        publisher->finding = MANIFEST_UNREADABLE;
        log_error("%s: can't be read (%s); it is written anew", keeper->manifest_name, strerrordesc_np(-error));
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
    forget_on_disk(publisher);
    if (verdict == EXISTING_SAME) {
        publisher->on_disk = snapshot_take(keeper->index);
        publisher->first_change_ms = publisher->last_change_ms = 0;
        publisher->generation = index_generation(keeper->index);
    } else {
        want_write(publisher);
    }
}

/* Somebody changed the file: adopts what it adds, and finds out whether it is to be written again. */
static void settle_changed_file(struct keeper *keeper, bool closed)
{
    struct publisher *publisher = &keeper->publisher;
    struct buffer content = {0};
    read_file(keeper, &content);
    if (publisher->finding == MANIFEST_TRUE) {
        judge(keeper, existing_adopt(keeper->index, buffer_slice(&content), true, &publisher->fault));
        bool unfinished = publisher->finding == MANIFEST_BROKEN || publisher->finding == MANIFEST_EMPTY;
        if (unfinished && !closed && keeper->started)
            hold(publisher);
    } else {
        forget_on_disk(publisher);
        publisher->keep_broken = false;
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
    if (!publisher->on_disk || !file_stamp_equal(&now, &publisher->stamp))
        settle_changed_file(keeper, closed);
    if (atomic_load(&publisher->holders))
        hold(publisher);
    else if (closed)
        publisher->hold_until_ms = 0;
}

void publish_notice(struct keeper *keeper)
{
    struct publisher *publisher = &keeper->publisher;
    uint64_t generation = index_generation(keeper->index);
    if (generation == publisher->generation)
        return;
    publisher->generation = generation;
    want_write(publisher);
}

int64_t publish_due_ms(struct keeper *keeper)
{
    const struct publisher *publisher = &keeper->publisher;
    if (!publisher->first_change_ms || keeper->options.read_only || keeper->unlisted ||
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
                            int64_t took_ms)
{
    struct publisher *publisher = &keeper->publisher;
    forget_on_disk(publisher);
    publisher->on_disk = snapshot_ref(snapshot);
    publisher->stamp = *stamp;
    publisher->finding = MANIFEST_TRUE;
    publisher->keep_broken = false;
    publisher->last_error = 0;
    publisher->retry_ms = 0;
    publisher->not_before_ms = keeper_now_ms() + took_ms * LIMIT_MANIFEST_WRITE_SHARE;
    if (snapshot_generation(snapshot) == index_generation(keeper->index))
        existing_written(keeper->index);
    log_debug("%s: written, %llu bytes", keeper->manifest_name, (unsigned long long)snapshot_size(snapshot));
}

/* Keeps a copy of a file that is not understood. Its new link moves the file's ctime, and so the stamp that is expected. */
static void keep_a_copy(struct keeper *keeper, struct file_stamp *expected)
{
    if (manifest_file_keep_broken(source_root_fd(keeper->source), keeper->manifest_name) != 0)
        return;
    log_warning("%s: not understood; it is kept as %s.broken and written anew", keeper->manifest_name,
                keeper->manifest_name);
    struct file_stamp now = stamp_on_disk(keeper);
    now.ctime_ns = now.ino == expected->ino ? now.ctime_ns : 0;
    expected->ctime_ns = now.ctime_ns;
}

int publish_write(struct keeper *keeper)
{
    struct publisher *publisher = &keeper->publisher;
    if (keeper->options.read_only || publisher->finding == MANIFEST_NOT_A_FILE)
        return 0;
    if (keeper->unlisted)
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
    if (keep_broken)
        keep_a_copy(keeper, &expected);
    int error = manifest_file_replace(source_fd, keeper->manifest_name, snapshot, &expected, &stamp);
    int64_t took_ms = keeper_now_ms() - began_ms;
    pthread_mutex_lock(&keeper->lock);
    publisher->writing = false;

    if (error == 0) {
        write_succeeded(keeper, snapshot, &stamp, took_ms);
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
