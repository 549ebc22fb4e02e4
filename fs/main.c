/*
 * The life of runsfs: start (everything that can fail fails before the caller is told that it is mounted),
 * serve, and end with the manifest written.
 */
#include "fs/autocommit.h"
#include "fs/caller.h"
#include "fs/coherence.h"
#include "fs/mountpoint.h"
#include "fs/options.h"
#include "fs/real/real.h"
#include "fs/view/result.h"
#include "fs/workers.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef EXT4_SUPER_MAGIC
#define EXT4_SUPER_MAGIC 0xef53
#endif
#define XFS_MAGIC 0x58465342
#define BTRFS_MAGIC 0x9123683e
#define TMPFS_MAGIC 0x01021994

/* From Linux 6.13 these filesystems give a file a new, finer time at the first change after its time was
 * looked at. */
static bool times_are_exact(int source_fd)
{
    struct utsname kernel;
    struct statfs st;
    int major, minor;
    if (uname(&kernel) != 0 || sscanf(kernel.release, "%d.%d", &major, &minor) != 2 ||
        fstatfs(source_fd, &st) != 0)
        return false;
    if (major < 6 || (major == 6 && minor < 13))
        return false;
    unsigned type = (unsigned)st.f_type;
    return type == EXT4_SUPER_MAGIC || type == XFS_MAGIC || type == BTRFS_MAGIC || type == TMPFS_MAGIC;
}

/* ---- signals ---- */

struct signals {
    struct fs *fs;
    pthread_t thread;
    _Atomic(bool) ending;
};

static void do_nothing(int number)
{
    (void)number; /* it is enough that a worker's wait is interrupted */
}

/* Waits for signals, which every other thread has blocked: HUP looks at everything again, USR2 only wakes
 * this thread for its end, the rest end the session. */
static void *signal_thread(void *context)
{
    pthread_setname_np(pthread_self(), "signals");
    struct signals *signals = context;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    for (int number; sigwait(&set, &number) == 0 && !atomic_load(&signals->ending);) {
        if (number == SIGUSR2)
            continue;
        if (number == SIGHUP) {
            keeper_note_all(signals->fs->keeper);
            coherence_examine_all(signals->fs);
            continue;
        }
        coherence_stop(signals->fs);
        workers_stop(signals->fs);
    }
    return NULL;
}

static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = do_nothing}, NULL);
}

/* ---- the mount ---- */

/* libfuse's messages, in our log. A line may come in pieces; its end is a newline. */
static void log_libfuse(enum fuse_log_level level, const char *format, va_list arguments)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char line[1024];
    pthread_mutex_lock(&lock);
    size_t length = strlen(line);
    vsnprintf(line + length, sizeof(line) - length, format, arguments);
    length = strlen(line);
    if (length && (line[length - 1] == '\n' || length == sizeof(line) - 1)) {
        line[length - 1] = '\0';
        const char *message = strncmp(line, "fuse: ", 6) == 0 ? line + 6 : line;
        if (strncmp(message, "unknown option", strlen("unknown option")) == 0)
            log_error("%s; runsfs -h lists what there is", message);
        else if (level <= FUSE_LOG_ERR)
            log_error("%s", message);
        else
            log_debug("%s", message);
        line[0] = '\0';
    }
    pthread_mutex_unlock(&lock);
}

/* Before anything is read or written: what libfuse has never heard of is a wrong command line. It says so
 * itself, but not where to look. */
static struct fuse_session *session_create(struct fs *fs, struct options *options)
{
    char *mount_options = NULL;
    /* The source's name as it is shown by mount(8); libfuse splits at commas and backslashes. */
    struct buffer source = {0};
    for (const char *at = options->source; *at; at++) {
        if (*at == ',' || *at == '\\')
            buffer_append_byte(&source, '\\');
        buffer_append_byte(&source, *at);
    }
    int length = asprintf(&mount_options, "-ofsname=%s,subtype=runsfs,default_permissions", source.bytes);
    buffer_free(&source);
    if (length < 0)
        return NULL;
    fuse_opt_add_arg(&options->mount_arguments, mount_options);
    free(mount_options);
    return fuse_session_new(&options->mount_arguments, &fs_operations, sizeof(fs_operations), fs);
}

/* The kernel begins with INIT. It is answered before anything else, so that what it sets is settled when the
 * mount is reported as made. */
static int answer_init(struct fs *fs)
{
    struct fuse_buf request = {0};
    int result;
    do
        result = fuse_session_receive_buf(fs->session, &request);
    while (result == -EINTR || result == -EAGAIN);
    if (result > 0)
        fuse_session_process_buf(fs->session, &request);
    free(request.mem);
    return result > 0 && !fuse_session_exited(fs->session) ? 0 : -EIO;
}

/* The kernel reads ahead 128 kB of any FUSE file, which is too little for large ones; root may say otherwise
 * (Documentation/ABI/testing/sysfs-class-bdi). Without it large reads are slower, that is all. */
static void set_read_ahead(const char *mount_point)
{
    struct statx info;
    char path[64];
    /* By what the kernel knows already: nobody serves requests yet. */
    if (statx(AT_FDCWD, mount_point, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &info) != 0)
        return;
    snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", info.stx_dev_major,
             info.stx_dev_minor);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (dprintf(fd, "%u", LIMIT_REQUEST_BYTES >> 10) < 0)
        log_debug("%s: can't be set: %s", path, strerrordesc_np(errno));
    close(fd);
}

static int serve(struct fs *fs, const struct options *options, struct autocommit *autocommit)
{
    struct signals signals = {.fs = fs};
    int error = coherence_start(fs);
    if (error == 0)
        error = autocommit_start(autocommit);
    if (error == 0)
        error = keeper_start(fs->keeper, coherence_listen, fs);
    if (error == 0)
        error = -pthread_create(&signals.thread, NULL, signal_thread, &signals);
    if (error) {
        log_error("threads can't be started: %s", strerrordesc_np(-error));
        autocommit_stop(autocommit);
        return error;
    }
    error = workers_run(fs, options->single_thread ? 1 : options->max_threads, options->low_latency);
    if (error)
        log_error("threads can't be started: %s", strerrordesc_np(-error));
    autocommit_stop(autocommit);
    atomic_store(&signals.ending, true);
    pthread_kill(signals.thread, SIGUSR2);
    pthread_join(signals.thread, NULL);
    return error;
}

static void fs_init(struct fs *fs, struct keeper *keeper, struct fuse_session *session,
                    const struct options *options)
{
    static const struct node_operations *const operations[NODE_KIND_COUNT] = {
        [NODE_ROOT] = &root_operations,       [NODE_FACET] = &facet_operations,
        [NODE_VALUE] = &value_operations,     [NODE_DIRECTORY] = &directory_operations,
        [NODE_CONTROL] = &control_operations, [NODE_REPORT] = &report_operations,
        [NODE_FILE] = &file_operations,       [NODE_MANIFEST] = &manifest_operations,
        [NODE_QUERY] = &query_operations,     [NODE_REFRESH] = &refresh_operations,
        [NODE_AT] = &at_operations,
    };
    *fs = (struct fs){
        .keeper = keeper,
        .source = keeper_source(keeper),
        .session = session,
        .max_read = options->max_read,
        .is_root = geteuid() == 0,
        .own_uid = geteuid(),
        .commits = options->autocommit,
    };
    clock_gettime(CLOCK_REALTIME, &fs->mounted_at);
    pthread_mutex_init(&fs->manifest_lock, NULL);
    pthread_mutex_init(&fs->linger_lock, NULL);
    pthread_rwlock_init(&fs->rename_lock, NULL);
    nodes_times_are_exact = times_are_exact(source_root_fd(fs->source));
    nodes_init(&fs->nodes, fs->source, operations, &tracked_operations);
    fs->nodes.handles.limit = options->descriptors / 2;
    query_results_create(fs);
    refused_create(fs);
    past_begin(fs, options->source);
    coherence_create(fs);
    workers_create(fs);
}

/* The order of the end: no request any more, no thread that tells the kernel, the keeper (which writes the
 * manifest), nodes last of all that holds directories. */
static void fs_finish(struct fs *fs)
{
    coherence_stop(fs);
    keeper_stop(fs->keeper);
    coherence_destroy(fs);
    fuse_session_destroy(fs->session);
    workers_destroy(fs);
    real_data_finish();
    view_linger_free(fs);
    query_results_free(fs);
    refused_free(fs);
    if (fs->manifest_current)
        node_unref(&fs->nodes, &fs->manifest_current->node);
    nodes_finish(&fs->nodes);
    past_end(fs);
    keeper_close(fs->keeper);
    pthread_mutex_destroy(&fs->manifest_lock);
    pthread_mutex_destroy(&fs->linger_lock);
    pthread_rwlock_destroy(&fs->rename_lock);
}

static int open_keeper(const struct options *options, struct keeper **keeper)
{
    struct keeper_options keeper_options = {
        .read_only = options->read_only,
        .watch = options->watch,
        .poll_interval_ms = options->poll_interval_ms,
        .descriptors = options->descriptors / 2,
        .cache = options->no_index_cache ? KEEPER_CACHE_NONE : KEEPER_CACHE_USE,
        .cache_directory = options->index_cache,
        .show_progress = true,
    };
    int error = keeper_open(options->source, &keeper_options, keeper);
    if (error == 0 && keeper_config_is_broken(*keeper)) {
        keeper_close(*keeper);
        error = -EBADMSG;
    }
    if (error == -EBADMSG)
        fprintf(stderr, "runsfs: %s/%s: not mounted; mend it, or move it away\n", options->source,
                CONFIG_FILE_NAME);
    else if (error == -EPERM && options->watch == WATCH_FANOTIFY)
        fprintf(stderr, "runsfs: watch=fanotify: only root may have it; give watch=inotify, or auto\n");
    else if (error)
        fprintf(stderr, "runsfs: %s: can't be opened as a source (%s)\n", options->source,
                strerrordesc_np(-error));
    return error;
}

/* As many open files as are to be held, and libfuse's and the libraries' own beside them. */
static int allow_open_files(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur = wanted;
    if (limit.rlim_cur <= limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return 0;
    fprintf(stderr,
            "runsfs: %u open files are needed, and the limit is %llu; raise it (ulimit -n), or give less by "
            "-o fds=\n",
            wanted, (unsigned long long)limit.rlim_max);
    return -EMFILE;
}

/* Mounts, and serves until the end; the exit status. */
static int mount_and_serve(struct fs *fs, const struct options *options, struct autocommit *autocommit)
{
    if (fuse_session_mount(fs->session, options->mount_point) != 0) /* libfuse has said why */
        return 1;
    if (answer_init(fs) != 0) {
        fprintf(stderr, "runsfs: %s: the kernel does not begin to use the mount; try again\n",
                options->mount_point);
        fuse_session_unmount(fs->session);
        return 1;
    }
    set_read_ahead(options->mount_point);
    int status = 1;
    if (fuse_daemonize(options->foreground) == 0) {
        if (!options->foreground)
            log_configure(true, options->log_level);
        block_signals();
        status = serve(fs, options, autocommit) == 0 ? 0 : 1;
    }
    coherence_stop(fs);
    fuse_session_unmount(fs->session);
    return status;
}

static int run(struct options *options)
{
    struct keeper *keeper;
    struct autocommit *autocommit = NULL;
    struct fs fs;
    struct fuse_session *session = session_create(&fs, options);
    if (!session)
        return 2;
    log_configure(options->to_syslog, options->log_level);
    caller_init();
    /* Rendered parts of the manifest come and go at this size; kept as free memory they would add up. */
    mallopt(M_MMAP_THRESHOLD, 64 << 10);
    /* What one thread allocates another frees; with a heap for each thread, half of all would stay unused. */
    mallopt(M_ARENA_MAX, 2);
    if (allow_open_files(options->open_files) != 0 ||
        mountpoint_prepare(options->source, &options->mount_point) != 0 ||
        open_keeper(options, &keeper) != 0) {
        fuse_session_destroy(session);
        return 1;
    }
    if (options->autocommit && autocommit_create(keeper, options->source, &autocommit) != 0) {
        keeper_close(keeper);
        fuse_session_destroy(session);
        return 1;
    }
    fs_init(&fs, keeper, session, options);
    int status = mount_and_serve(&fs, options, autocommit);
    autocommit_free(autocommit);
    fs_finish(&fs);
    return status;
}

int main(int count, char **arguments)
{
    struct options options;
    fuse_set_log_func(log_libfuse);
    int result = options_parse(count, arguments, &options);
    int status = result < 0 ? 2 : result > 0 ? 0 : run(&options);
    options_free(&options);
    return status;
}
