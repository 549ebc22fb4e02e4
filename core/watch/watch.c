/*
 * The common part of the watch: which backend it is, the thread that reads its events and tells them, and
 * those who wait until all has been told. The thread sleeps until there is an event or a wish; nothing here
 * wakes up by a clock.
 *
 * Network filesystems: inotify tells there what this host changes, and that is told on; but what another host
 * changes nothing tells. So whatever is on one is WATCH_FAILED even where it is watched.
 */
#include "core/watch/watch.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/watch/watch_internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { BLOCK_BYTES = 64 * 1024 };

/* f_type of filesystems that are changed from elsewhere (statfs(2); linux/magic.h has not all of them). */
static const uint32_t REMOTE_FILESYSTEMS[] = {
    0x00006969, /* NFS */
    0x0000517B, /* SMB */
    0xFF534D42, /* CIFS */
    0xFE534D42, /* SMB2 */
    0x65735546, /* FUSE, virtiofs */
    0x01021997, /* 9p */
    0x5346414F, /* AFS */
    0x6B414653, /* kAFS */
    0x73757245, /* Coda */
    0x00C36400, /* Ceph */
    0x0BD00BD0, /* Lustre */
    0x47504653, /* GPFS */
    0x01161970, /* GFS2 */
    0x7461636F, /* OCFS2 */
    0x20030528, /* OrangeFS */
    0xAAD7AAEA, /* PanFS */
    0x19830326, /* BeeGFS */
    0x786F4256, /* VirtualBox shared folders */
    0xBACBACBC, /* VMware shared folders */
};

static bool is_remote(int fd)
{
    struct statfs filesystem;
    if (fstatfs(fd, &filesystem) < 0)
        return true;
    for (size_t i = 0; i < sizeof(REMOTE_FILESYSTEMS) / sizeof(REMOTE_FILESYSTEMS[0]); i++) {
        if ((uint32_t)filesystem.f_type == REMOTE_FILESYSTEMS[i])
            return true;
    }
    return false;
}

static int open_backend(struct watch *watch, const struct watch_operations *operations)
{
    int error = operations->open(watch);
    if (error == 0)
        watch->operations = operations;
    return error;
}

static int choose_backend(struct watch *watch, enum watch_backend wanted)
{
    switch (wanted) {
    case WATCH_INOTIFY:
        return open_backend(watch, &watch_inotify);
    case WATCH_FANOTIFY:
        return open_backend(watch, &watch_fanotify);
    case WATCH_POLL:
        return 0;
    case WATCH_AUTO:
        break;
    }
    if (!watch->unreliable && open_backend(watch, &watch_fanotify) == 0)
        return 0;
    int error = open_backend(watch, &watch_inotify);
    if (error < 0)
        log_warning("the source cannot be watched, and is polled: %s%s", strerror(-error),
                    error == -EMFILE ? " (sysctl fs.inotify.max_user_instances)" : "");
    return 0;
}

int watch_open(struct source *source, enum watch_backend wanted, struct watch **watch)
{
    struct watch *opened = memory_alloc_zeroed(1, sizeof(*opened));
    opened->source = source;
    opened->event_fd = -1;
    atomic_init(&opened->unreliable, is_remote(source_root_fd(source)));
    opened->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int error = opened->wake_fd < 0 ? -errno : choose_backend(opened, wanted);
    if (error < 0) {
        if (opened->wake_fd >= 0)
            close(opened->wake_fd);
        free(opened);
        return error;
    }
    watch_table_init(opened);
    pthread_mutex_init(&opened->kernel_lock, NULL);
    pthread_mutex_init(&opened->drain_lock, NULL);
    pthread_cond_init(&opened->drain_changed, NULL);
    source_set_watch(source, opened);
    *watch = opened;
    return 0;
}

enum watch_backend watch_backend_in_use(const struct watch *watch)
{
    return watch->operations ? watch->operations->backend : WATCH_POLL;
}

const char *watch_backend_name(enum watch_backend backend)
{
    switch (backend) {
    case WATCH_INOTIFY:
        return "inotify";
    case WATCH_FANOTIFY:
        return "fanotify";
    case WATCH_POLL:
        return "poll";
    case WATCH_AUTO:
        break;
    }
    return "auto";
}

size_t watch_count(const struct watch *watch)
{
    return atomic_load(&watch->directory_count);
}

void watch_tell(struct watch *watch, struct change change)
{
    watch->listener(&change, watch->context);
}

void watch_tell_overflow(struct watch *watch)
{
    log_warning("the kernel's queue of %s overflowed: changes were lost, everything is looked at again",
                watch_backend_name(watch_backend_in_use(watch)));
    watch_tell(watch, (struct change){.kind = CHANGE_OVERFLOW});
}

/* Reads and tells a block, or as many as it takes for pending (by the count of FIONREAD). false when reading
 * failed for good. */
static bool tell_queue(struct watch *watch, char *block, size_t pending)
{
    bool readable = true;
    atomic_store(&watch->telling, true); /* before reading: see watch_drain */
    for (;;) {
        ssize_t length = read(watch->event_fd, block, BLOCK_BYTES);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0) {
            readable = length < 0 && errno == EAGAIN;
            break;
        }
        size_t told = watch->operations->tell_block(watch, block, (size_t)length);
        if (told >= pending)
            break;
        pending -= told;
    }
    atomic_store(&watch->telling, false);
    return readable;
}

/* How much is queued, by the count that tell_block has too. */
static size_t queued(const struct watch *watch)
{
    int pending = 0;
    return ioctl(watch->event_fd, FIONREAD, &pending) < 0 ? 0 : (size_t)pending;
}

static void finish_drains(struct watch *watch, uint64_t done, bool running)
{
    pthread_mutex_lock(&watch->drain_lock);
    watch->drains_done = done;
    watch->running = running;
    pthread_cond_broadcast(&watch->drain_changed);
    pthread_mutex_unlock(&watch->drain_lock);
}

static void *watch_thread(void *argument)
{
    pthread_setname_np(pthread_self(), "watch");
    struct watch *watch = argument;
    uint64_t drains_done = 0;
    CLEANUP_FREE char *block = memory_alloc(BLOCK_BYTES);
    struct pollfd polled[] = {{.fd = watch->event_fd, .events = POLLIN},
                              {.fd = watch->wake_fd, .events = POLLIN}};
    for (;;) {
        if (poll(polled, 2, -1) < 0)
            continue; /* EINTR: signals are blocked here, but a debugger may stop us */
        uint64_t drains_wanted = drains_done, wakes;
        size_t pending = 0;
        if (polled[1].revents && read(watch->wake_fd, &wakes, sizeof(wakes)) > 0) {
            pthread_mutex_lock(&watch->drain_lock);
            bool closing = watch->closing;
            drains_wanted = watch->drains_wanted;
            pthread_mutex_unlock(&watch->drain_lock);
            if (closing)
                break;
            pending = polled[0].fd >= 0 ? queued(watch) : 0;
        }
        if ((polled[0].revents || pending > 0) && !tell_queue(watch, block, pending)) {
            log_error("the watch's events cannot be read (%s): the source is polled from now on",
                      strerror(errno));
            atomic_store(&watch->unreliable, true);
            watch_table_clear(watch, WATCH_FAILED);
            polled[0].fd = -1;
            watch_tell(watch, (struct change){.kind = CHANGE_OVERFLOW});
        }
        if (drains_wanted != drains_done)
            finish_drains(watch, drains_done = drains_wanted, true);
    }
    finish_drains(watch, drains_done, false);
    return NULL;
}

static void wake(const struct watch *watch)
{
    uint64_t one = 1;
    /* It fails only where the counter is full, and then the thread is awake. */
    ssize_t written = write(watch->wake_fd, &one, sizeof(one));
    (void)written;
}

static void set_running(struct watch *watch, bool running)
{
    pthread_mutex_lock(&watch->drain_lock);
    watch->running = running;
    pthread_mutex_unlock(&watch->drain_lock);
}

int watch_start(struct watch *watch, watch_listener *listener, void *context)
{
    watch->listener = listener;
    watch->context = context;
    if (!watch->operations)
        return 0;
    watch->own_pid = getpid();
    set_running(watch, true);
    /* Signals are for the threads that expect them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->thread, NULL, watch_thread, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        set_running(watch, false);
    return -error;
}

void watch_drain(struct watch *watch)
{
    if (!watch->operations)
        return;
    /* An empty queue, and nothing in the thread's hands: the usual case, without waking it. The thread says
     * that it is telling before it takes from the queue; so the queue must be looked at first. */
    if (queued(watch) == 0 && !atomic_load(&watch->telling))
        return;
    pthread_mutex_lock(&watch->drain_lock);
    if (watch->running) {
        uint64_t ticket = ++watch->drains_wanted;
        watch->drainers++;
        wake(watch);
        while (watch->running && watch->drains_done < ticket)
            pthread_cond_wait(&watch->drain_changed, &watch->drain_lock);
        if (--watch->drainers == 0 && watch->closing)
            pthread_cond_broadcast(&watch->drain_changed);
    }
    pthread_mutex_unlock(&watch->drain_lock);
}

static void stop_thread(struct watch *watch)
{
    pthread_mutex_lock(&watch->drain_lock);
    bool running = watch->running;
    watch->closing = true;
    pthread_mutex_unlock(&watch->drain_lock);
    if (!running)
        return;
    wake(watch);
    pthread_join(watch->thread, NULL);
    pthread_mutex_lock(&watch->drain_lock);
    while (watch->drainers > 0)
        pthread_cond_wait(&watch->drain_changed, &watch->drain_lock);
    pthread_mutex_unlock(&watch->drain_lock);
}

void watch_close(struct watch *watch)
{
    if (!watch)
        return;
    stop_thread(watch);
    source_set_watch(watch->source, NULL);
    watch_table_free(watch);
    if (watch->event_fd >= 0)
        close(watch->event_fd);
    close(watch->wake_fd);
    pthread_cond_destroy(&watch->drain_changed);
    pthread_mutex_destroy(&watch->drain_lock);
    pthread_mutex_destroy(&watch->kernel_lock);
    free(watch);
}

void watch_add(struct watch *watch, struct directory *directory, int directory_fd)
{
    if (atomic_load(&directory->watch_state) == WATCH_ACTIVE)
        return;
    bool unreliable = watch->unreliable;
    if (!unreliable && directory->identity.dev != source_root(watch->source)->identity.dev)
        unreliable = is_remote(directory_fd); /* something is mounted inside the source */
    int error = -EOPNOTSUPP;
    if (watch->operations)
        error =
            watch->operations->add(watch, directory, directory_fd, unreliable ? WATCH_FAILED : WATCH_ACTIVE);
    if (error < 0)
        atomic_store(&directory->watch_state, WATCH_FAILED);
}

void watch_remove(struct watch *watch, struct directory *directory)
{
    if (watch->operations)
        watch->operations->remove(watch, directory);
}
