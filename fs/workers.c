/*
 * The pool of threads that serve: see workers.h for its rules and their reasons.
 */
#include "fs/workers.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include "fs/counters.h"
#include "fs/latency.h"
#include "fs/parking.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 1000000
/* Ticks without a request after which the overseer goes to sleep. */
#define TICKS_BEFORE_SLEEP 50
/* Handles that nobody used for a while go also where requests never cease. */
#define TICKS_BETWEEN_EXPIRIES 100
/* A read or write of this size is worth another thread. */
#define LONG_REQUEST_BYTES (64u << 10)
/* How often a reader looks whether requests queue up, and how often in a row they must before another joins.
 */
#define REQUESTS_PER_LOOK 16
#define LOOKS_BEFORE_GROWTH 4
/* How long a worker looks for the next request before it sleeps, and how often in vain before it does without
 * for a while. */
#define LOOKING_NS 30000
#define VAIN_LOOKS 16
#define SLEEPS_BETWEEN_TRIES 512

struct worker {
    struct workers *workers;
    pthread_t thread;
    struct fuse_buf request;
    _Atomic(uint64_t) serving; /* the number of the request in hand; 0 while there is none */
    uint64_t seen;             /* the overseer's: what it was serving at the last tick */
    _Atomic(bool) has_turn;    /* written under workers->lock */
    unsigned served, crowded_looks;
    unsigned vain_looks; /* times in a row that it looked for a request and then had to sleep */
};

struct workers {
    struct fs *fs;
    pthread_mutex_t lock;
    pthread_cond_t turn, done, wake_overseer;
    struct worker *list[LIMIT_WORKERS];
    unsigned count, max;
    unsigned readers, readers_wanted, readers_max;
    unsigned waiting; /* for a turn */
    bool ending;
    _Atomic(bool) overseer_sleeps;
    _Atomic(uint64_t) requests; /* short ones, to tell one from the next */
    _Atomic(uint64_t) work;     /* all, a long one counting as many short ones */
    pthread_t overseer;
    struct latency latency; /* the overseer's, but for `storm` */
    struct parking parking;
};

static void *worker_thread(void *context);

/* ---- turns; workers->lock is held ---- */

static int start_worker(struct workers *workers)
{
    struct worker *worker = memory_alloc_zeroed(1, sizeof(*worker));
    worker->workers = workers;
    int error = pthread_create(&worker->thread, NULL, worker_thread, worker);
    if (error) {
        free(worker);
        return -error;
    }
    workers->list[workers->count++] = worker;
    return 0;
}

/* Sees to it that somebody takes the turns that are free. */
static void offer_turn(struct workers *workers)
{
    if (workers->readers >= workers->readers_wanted || workers->ending)
        return;
    if (workers->waiting)
        pthread_cond_signal(&workers->turn);
    else if (workers->count < workers->max)
        start_worker(workers); /* where it can't be, whoever is done takes the turn */
}

static void drop_turn(struct worker *worker)
{
    if (worker->has_turn) {
        worker->has_turn = false;
        worker->workers->readers--;
    }
}

/* ---- a worker ---- */

static bool wait_for_turn(struct worker *worker)
{
    struct workers *workers = worker->workers;
    pthread_mutex_lock(&workers->lock);
    workers->waiting++;
    while (!worker->has_turn && !workers->ending) {
        if (workers->readers < workers->readers_wanted) {
            workers->readers++;
            worker->has_turn = true;
        } else {
            pthread_cond_wait(&workers->turn, &workers->lock);
        }
    }
    workers->waiting--;
    bool goes_on = !workers->ending;
    pthread_mutex_unlock(&workers->lock);
    return goes_on;
}

static bool is_ready(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

/* Now and then: are there more requests waiting than the readers can take? Then one more reads. With several,
 * one that finds nothing waiting leaves. Returns false where this one does. */
static bool adapt_readers(struct worker *worker)
{
    struct workers *workers = worker->workers;
    if (++worker->served % REQUESTS_PER_LOOK != 0 || workers->readers_max == 1)
        return true;
    bool crowded = is_ready(fuse_session_fd(workers->fs->session)), stays = true;
    worker->crowded_looks = crowded ? worker->crowded_looks + 1 : 0;
    pthread_mutex_lock(&workers->lock);
    bool surplus = workers->readers > workers->readers_wanted;
    if (surplus || (!crowded && workers->readers_wanted > 1)) {
        workers->readers_wanted -= !surplus;
        drop_turn(worker);
        stays = false;
    } else if (worker->crowded_looks >= LOOKS_BEFORE_GROWTH &&
               workers->readers_wanted < workers->readers_max) {
        workers->readers_wanted++;
        worker->crowded_looks = 0;
        offer_turn(workers);
    }
    pthread_mutex_unlock(&workers->lock);
    return stays;
}

/* What a request is worth in short ones, by the bytes it moves. */
static uint64_t weight(const struct fuse_in_header *header)
{
    uint32_t bytes = header->len;
    if (header->opcode == FUSE_READ)
        bytes = ((const struct fuse_read_in *)(header + 1))->size;
    return 1 + bytes / LONG_REQUEST_BYTES;
}

static bool is_long(const struct fuse_in_header *header)
{
    switch (header->opcode) {
    case FUSE_READ:
        return ((const struct fuse_read_in *)(header + 1))->size >= LONG_REQUEST_BYTES;
    case FUSE_WRITE:
        return header->len >= LONG_REQUEST_BYTES;
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
        return true;
    default:
        return false;
    }
}

/* A request below at/: it, and what was left to us meanwhile, or it is left to who is there already. */
static void serve_past(struct workers *workers, struct fuse_buf *request)
{
    struct fuse_session *session = workers->fs->session;
    struct fuse_buf next;
    if (!parking_enter(&workers->parking, request))
        return;
    fuse_session_process_buf(session, request);
    while (parking_next(&workers->parking, &next)) {
        if (!fuse_session_exited(session))
            fuse_session_process_buf(session, &next);
        free(next.mem);
    }
}

/* The request that was read; true where the worker still has its turn afterwards. */
static bool serve(struct worker *worker)
{
    struct workers *workers = worker->workers;
    const struct fuse_in_header *header = worker->request.mem;
    bool is_short = !is_long(header);
    counters_count(workers->fs, header);
    if (is_short)
        atomic_store(&worker->serving, atomic_fetch_add(&workers->requests, 1) + 1);
    /* Published before it is looked whether the overseer sleeps, who looks the other way round. */
    atomic_fetch_add(&workers->work, weight(header));
    if (atomic_load(&workers->overseer_sleeps)) {
        pthread_mutex_lock(&workers->lock);
        atomic_store(&workers->overseer_sleeps, false);
        pthread_cond_signal(&workers->wake_overseer);
        pthread_mutex_unlock(&workers->lock);
    }
    if (!is_short) {
        pthread_mutex_lock(&workers->lock);
        drop_turn(worker);
        offer_turn(workers);
        pthread_mutex_unlock(&workers->lock);
    }
    if (parking_concerns(workers->fs, header))
        serve_past(workers, &worker->request);
    else
        fuse_session_process_buf(workers->fs->session, &worker->request);
    if (!is_short)
        return false;
    atomic_store(&worker->serving, 0);
    return worker->has_turn /* the overseer may have taken it */ && adapt_readers(worker);
}

static void session_ended(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->turn);
    pthread_cond_broadcast(&workers->wake_overseer);
    pthread_cond_broadcast(&workers->done);
    pthread_mutex_unlock(&workers->lock);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* In a storm: the next request, looked for without sleeping for a moment. -EAGAIN where there was none. */
static int look_for_request(struct worker *worker)
{
    if (worker->vain_looks >= VAIN_LOOKS && ++worker->vain_looks < SLEEPS_BETWEEN_TRIES)
        return -EAGAIN;
    struct fuse_session *session = worker->workers->fs->session;
    int64_t until_ns = now_ns() + LOOKING_NS;
    do {
        int result = fuse_session_receive_buf(session, &worker->request);
        if (result != -EAGAIN) {
            worker->vain_looks = 0;
            return result;
        }
    } while (now_ns() < until_ns);
    worker->vain_looks = worker->vain_looks >= VAIN_LOOKS ? VAIN_LOOKS : worker->vain_looks + 1;
    return -EAGAIN;
}

/* The next request: its size, 0 at the end of the session, or -errno. The descriptor does not block. */
static int receive(struct worker *worker)
{
    struct workers *workers = worker->workers;
    struct fuse_session *session = workers->fs->session;
    int result = atomic_load_explicit(&workers->latency.storm, memory_order_relaxed)
                     ? look_for_request(worker)
                     : fuse_session_receive_buf(session, &worker->request);
    if (result != -EAGAIN)
        return result;
    struct pollfd polled = {.fd = fuse_session_fd(session), .events = POLLIN};
    return poll(&polled, 1, -1) < 0 ? -errno : fuse_session_receive_buf(session, &worker->request);
}

static void *worker_thread(void *context)
{
    pthread_setname_np(pthread_self(), "worker");
    struct worker *worker = context;
    struct workers *workers = worker->workers;
    struct fuse_session *session = workers->fs->session;
    while (wait_for_turn(worker)) {
        for (bool has_turn = true; has_turn && !fuse_session_exited(session);) {
            int result = receive(worker);
            if (result > 0)
                has_turn = serve(worker);
            else if (result == 0 || (result != -EINTR && result != -EAGAIN))
                fuse_session_exit(session); /* unmounted, or /dev/fuse is of no more use */
        }
        if (fuse_session_exited(session))
            session_ended(workers);
    }
    return NULL;
}

/* ---- the overseer ---- */

/* Takes the turn from who has had one request in hand since the last tick. */
static void take_stuck_turns(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = workers->list[i];
        uint64_t serving = atomic_load(&worker->serving);
        if (serving && serving == worker->seen && worker->has_turn) {
            drop_turn(worker);
            offer_turn(workers);
        }
        worker->seen = serving;
    }
}

/* Closing a file that was written may take long where it lies elsewhere: the lock is given up meanwhile. True
 * where there is more to close later. */
static bool expire_handles(struct workers *workers)
{
    pthread_mutex_unlock(&workers->lock);
    bool more = handles_expire(&workers->fs->nodes);
    more |= past_expire(workers->fs);
    pthread_mutex_lock(&workers->lock);
    return more;
}

static void *overseer_thread(void *context)
{
    pthread_setname_np(pthread_self(), "overseer");
    struct workers *workers = context;
    uint64_t work = 0;
    unsigned quiet_ticks = 0, ticks = 0;
    pthread_mutex_lock(&workers->lock);
    while (!workers->ending) {
        uint64_t now = atomic_load(&workers->work);
        bool busy = now != work;
        latency_tick(&workers->latency, now - work);
        work = now;
        for (unsigned i = 0; i < workers->count && !busy; i++)
            busy = atomic_load(&workers->list[i]->serving) != 0;
        quiet_ticks = busy ? 0 : quiet_ticks + 1;
        if (quiet_ticks > TICKS_BEFORE_SLEEP && !expire_handles(workers)) {
            quiet_ticks = 0;
            workers->readers_wanted = 1;
            latency_calm(&workers->latency);
            atomic_store(&workers->overseer_sleeps, true);
            if (atomic_load(&workers->work) != work) /* a request came meanwhile */
                atomic_store(&workers->overseer_sleeps, false);
            while (atomic_load(&workers->overseer_sleeps) && !workers->ending)
                pthread_cond_wait(&workers->wake_overseer, &workers->lock);
        }
        take_stuck_turns(workers);
        pthread_mutex_unlock(&workers->lock);
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
        pthread_mutex_lock(&workers->lock);
        if (++ticks % TICKS_BETWEEN_EXPIRIES == 0)
            expire_handles(workers);
    }
    latency_calm(&workers->latency);
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* ---- the pool ---- */

void workers_stop(struct fs *fs)
{
    fuse_session_exit(fs->session);
    session_ended(fs->workers);
}

/* Who waits for a request is interrupted, again and again: a signal may come just before the wait begins. */
static void interrupt_until_ended(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        pthread_t thread = workers->list[i]->thread;
        struct timespec until;
        do {
            pthread_kill(thread, SIGUSR1);
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 20000000;
            until.tv_sec += until.tv_nsec / 1000000000;
            until.tv_nsec %= 1000000000;
        } while (pthread_timedjoin_np(thread, NULL, &until) != 0);
        free(workers->list[i]->request.mem);
        free(workers->list[i]);
    }
    workers->count = 0;
}

int workers_run(struct fs *fs, unsigned max_threads, bool low_latency)
{
    struct workers *workers = fs->workers;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    workers->max = max_threads < LIMIT_WORKERS ? max_threads : LIMIT_WORKERS;
    workers->readers_max = processors > 2 ? (unsigned)processors - 1 : 1;
    if (workers->readers_max > workers->max)
        workers->readers_max = workers->max;

    latency_init(&workers->latency, low_latency);
    int fd = fuse_session_fd(fs->session);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return -errno;

    pthread_mutex_lock(&workers->lock);
    int error = start_worker(workers);
    if (error == 0)
        error = -pthread_create(&workers->overseer, NULL, overseer_thread, workers);
    bool overseen = error == 0;
    if (!overseen)
        fuse_session_exit(fs->session);
    while (error == 0 && !workers->ending)
        pthread_cond_wait(&workers->done, &workers->lock);
    pthread_mutex_unlock(&workers->lock);
    if (overseen)
        pthread_join(workers->overseer, NULL);
    interrupt_until_ended(workers);
    return error;
}

void workers_create(struct fs *fs)
{
    struct workers *workers = memory_alloc_zeroed(1, sizeof(*workers));
    workers->fs = fs;
    workers->readers_wanted = 1;
    pthread_mutex_init(&workers->lock, NULL);
    parking_init(&workers->parking);
    pthread_cond_init(&workers->turn, NULL);
    pthread_cond_init(&workers->done, NULL);
    pthread_cond_init(&workers->wake_overseer, NULL);
    fs->workers = workers;
}

void workers_destroy(struct fs *fs)
{
    struct workers *workers = fs->workers;
    parking_finish(&workers->parking);
    pthread_mutex_destroy(&workers->lock);
    pthread_cond_destroy(&workers->turn);
    pthread_cond_destroy(&workers->done);
    pthread_cond_destroy(&workers->wake_overseer);
    free(workers);
    fs->workers = NULL;
}
