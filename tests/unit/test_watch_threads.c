/*
 * core/watch among threads: directories come and go while they change, who waits is let go, who has nothing
 * to do sleeps.
 */
#include "tests/unit/watch_fixture.h"
#include <time.h>

enum { THREADS = 4, DIRECTORIES = 5, ROUNDS = 400 };

struct churn {
    struct fixture *fixture;
    atomic_uint latest[THREADS]; /* the round of which each worker's entry was told */
    atomic_uint misplaced;
};

struct worker {
    struct churn *churn;
    unsigned index;
    unsigned missed;
};

static void note(const struct change *change, void *context)
{
    struct churn *churn = context;
    unsigned directory_index, worker_index, round;
    struct buffer path = {0};
    if (change->kind != CHANGE_ENTRY)
        return;
    directory_path(churn->fixture->source, change->directory, &path);
    if (sscanf(change->name, "%u-%u-%u", &directory_index, &worker_index, &round) != 3 ||
        directory_index != (unsigned)(path.bytes[0] - '0'))
        atomic_fetch_add(&churn->misplaced, 1);
    else if (atomic_load(&churn->latest[worker_index]) < round)
        atomic_store(&churn->latest[worker_index], round);
    buffer_free(&path);
}

/* Comes to a directory that others are letting go, watches it, makes an entry: after a drain that was told.
 */
static void *work(void *argument)
{
    struct worker *worker = argument;
    struct fixture *fixture = worker->churn->fixture;
    unsigned seed = worker->index;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        unsigned index = (unsigned)rand_r(&seed) % DIRECTORIES;
        char name[48];
        struct attributes attributes;
        struct descriptor descriptor;
        snprintf(name, sizeof(name), "%u", index);
        if (source_stat_at(fixture->fd, name, &attributes) < 0)
            continue;
        struct directory *directory =
            source_directory_at(fixture->source, fixture->root, name, &attributes.identity);
        if (source_borrow(fixture->source, directory, &descriptor) == 0) {
            watch_add(fixture->watch, directory, descriptor.fd);
            snprintf(name, sizeof(name), "%u-%u-%u", index, worker->index, round);
            mkdirat(descriptor.fd, name, 0755);
            if (round % 4 != 0) { /* else it is let go with its event still queued */
                watch_drain(fixture->watch);
                worker->missed += atomic_load(&worker->churn->latest[worker->index]) != round;
            }
            unlinkat(descriptor.fd, name, AT_REMOVEDIR);
            source_release(fixture->source, &descriptor);
        }
        directory_unref(fixture->source, directory);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct churn churn = {.fixture = fixture};
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", i);
        assert_return_code(mkdirat(fixture->fd, name, 0755), errno);
    }
    assert_int_equal(watch_start(fixture->watch, note, &churn), 0);
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.churn = &churn, .index = i};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].missed, 0);
    watch_drain(fixture->watch);
    assert_int_equal(churn.misplaced, 0);
    assert_int_equal(watch_count(fixture->watch), 0);
    assert_int_equal(fixture->root->references, 1);
}

static void slow(const struct change *change, void *context)
{
    (void)change;
    atomic_fetch_add((atomic_uint *)context, 1);
    usleep(2000);
}

static void *drain(void *watch)
{
    watch_drain(watch);
    return NULL;
}

/* Who waits when the watch closes is let go. */
static void test_close_while_draining(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    atomic_uint told = 0;
    for (int i = 0; i < 100; i++) {
        char path[16];
        snprintf(path, sizeof(path), "a/%d", i);
        touch(fixture, path);
    }
    assert_int_equal(watch_start(fixture->watch, slow, &told), 0);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, drain, fixture->watch);
    while (atomic_load(&told) < 20)
        usleep(1000);
    watch_close(fixture->watch);
    fixture->watch = NULL;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    directory_unref(fixture->source, a);
}

/* The thread sleeps while nothing happens: it takes no processor time. */
static void test_idle(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    start(fixture);
    touch(fixture, "a/x");
    watch_drain(fixture->watch);
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(200 * 1000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t used_ns = (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec - before.tv_nsec;
    assert_in_range(used_ns, 0, 20 * 1000 * 1000);
    directory_unref(fixture->source, a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_threads),
        BOTH(test_close_while_draining),
        /* Not fanotify: its mark wakes for whatever anybody does on the filesystem. */
        {"test_idle (inotify)", test_idle, set_up_inotify, tear_down, NULL},
    };
    return cmocka_run_group_tests_name("watch_threads", tests, NULL, NULL);
}
