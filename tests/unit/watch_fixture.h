/*
 * What the tests of core/watch share: a watch on a source, and what it told. Each test of a backend runs for
 * inotify and, where it is permitted, for fanotify.
 */
#ifndef RUNSFS_TESTS_WATCH_FIXTURE_H
#define RUNSFS_TESTS_WATCH_FIXTURE_H

#include "tests/unit/a_source.h"
#include "core/base/memory.h"
#include "core/source/source.h"
#include "core/watch/watch.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOLD_LIMIT = 40000, NAME_BYTES = 24 };

struct told {
    enum change_kind kind;
    struct directory *directory;
    char name[NAME_BYTES];
    bool own;
    bool moved_away;
};

struct fixture {
    int fd; /* of the source */
    struct source *source;
    struct directory *root;
    struct watch *watch; /* NULL where the backend cannot be had here */
    pthread_mutex_t lock;
    size_t told_count;
    struct told told[TOLD_LIMIT];
};

static inline void record(const struct change *change, void *context)
{
    struct fixture *fixture = context;
    pthread_mutex_lock(&fixture->lock);
    if (fixture->told_count < TOLD_LIMIT) {
        struct told *told = &fixture->told[fixture->told_count++];
        *told = (struct told){.kind = change->kind,
                              .directory = change->directory,
                              .own = change->own,
                              .moved_away = change->moved_away};
        if (change->name)
            snprintf(told->name, sizeof(told->name), "%s", change->name);
    }
    pthread_mutex_unlock(&fixture->lock);
}

static inline int set_up(void **state, enum watch_backend backend)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (make_source(NULL) != 0 || source_open(source_path, 16, &fixture->source) < 0)
        return -1;
    pthread_mutex_init(&fixture->lock, NULL);
    fixture->fd = open(source_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture->root = source_root(fixture->source);
    if (watch_open(fixture->source, backend, &fixture->watch) < 0 && backend != WATCH_FANOTIFY)
        return -1;
    *state = fixture;
    return 0;
}

static inline int set_up_inotify(void **state)
{
    return set_up(state, WATCH_INOTIFY);
}

static inline int set_up_fanotify(void **state)
{
    return set_up(state, WATCH_FANOTIFY);
}

static inline int set_up_poll(void **state)
{
    return set_up(state, WATCH_POLL);
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    watch_close(fixture->watch);
    source_close(fixture->source);
    close(fixture->fd);
    free(fixture);
    return remove_source(NULL);
}

static inline struct fixture *fixture_of(void **state)
{
    struct fixture *fixture = *state;
    if (!fixture->watch)
        skip();
    return fixture;
}

static inline bool is_fanotify(const struct fixture *fixture)
{
    return watch_backend_in_use(fixture->watch) == WATCH_FANOTIFY;
}

static inline void start(struct fixture *fixture)
{
    assert_int_equal(watch_start(fixture->watch, record, fixture), 0);
}

/* Met and watched; a new reference. */
static inline struct directory *watched(struct fixture *fixture, const char *name)
{
    struct attributes attributes;
    struct descriptor descriptor;
    assert_int_equal(source_stat_at(fixture->fd, name, &attributes), 0);
    struct directory *directory =
        source_directory_at(fixture->source, fixture->root, name, &attributes.identity);
    assert_int_equal(source_borrow(fixture->source, directory, &descriptor), 0);
    watch_add(fixture->watch, directory, descriptor.fd);
    source_release(fixture->source, &descriptor);
    assert_int_equal(directory->watch_state, WATCH_ACTIVE);
    return directory;
}

static inline struct directory *make_watched(struct fixture *fixture, const char *name)
{
    assert_return_code(mkdirat(fixture->fd, name, 0755), errno);
    return watched(fixture, name);
}

static inline void touch(struct fixture *fixture, const char *path)
{
    int fd = openat(fixture->fd, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_return_code(fd, errno);
    close(fd);
}

/* Waits for what was done so far, and forgets it. */
static inline void forget(struct fixture *fixture)
{
    watch_drain(fixture->watch);
    pthread_mutex_lock(&fixture->lock);
    fixture->told_count = 0;
    pthread_mutex_unlock(&fixture->lock);
}

/* The next step told exactly this. */
static inline void expect(struct fixture *fixture, const struct told *expected, size_t count)
{
    watch_drain(fixture->watch);
    pthread_mutex_lock(&fixture->lock);
    assert_int_equal(fixture->told_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fixture->told[i].kind, expected[i].kind);
        assert_ptr_equal(fixture->told[i].directory, expected[i].directory);
        assert_string_equal(fixture->told[i].name, expected[i].name);
        assert_int_equal(fixture->told[i].moved_away, expected[i].moved_away);
        assert_int_equal(fixture->told[i].own, is_fanotify(fixture));
    }
    fixture->told_count = 0;
    pthread_mutex_unlock(&fixture->lock);
}

#define EXPECT(fixture, ...)                                                  \
    do {                                                                      \
        const struct told expected_[] = {__VA_ARGS__};                        \
        expect(fixture, expected_, sizeof(expected_) / sizeof(expected_[0])); \
    } while (0)

#define BOTH(test)                                                  \
    {#test " (inotify)", test, set_up_inotify, tear_down, NULL},    \
    {                                                               \
#test " (fanotify)", test, set_up_fanotify, tear_down, NULL \
    }

#endif
