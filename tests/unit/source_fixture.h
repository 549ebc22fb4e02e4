/*
 * What the tests of core/source share: a source that is open, directories made and met in it.
 */
#ifndef RUNSFS_TESTS_SOURCE_FIXTURE_H
#define RUNSFS_TESTS_SOURCE_FIXTURE_H

#include "tests/unit/a_source.h"
#include "core/base/memory.h"
#include "core/source/source.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_LIMIT = 4 };

struct fixture {
    int fd; /* of the source */
    struct source *source;
    struct directory *root;
};

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (make_source(NULL) != 0 || source_open(source_path, CACHE_LIMIT, &fixture->source) < 0)
        return -1;
    fixture->fd = open(source_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fixture->root = source_root(fixture->source);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    source_close(fixture->source);
    close(fixture->fd);
    free(fixture);
    return remove_source(NULL);
}

static inline void make_directory(struct fixture *fixture, const char *path)
{
    assert_return_code(mkdirat(fixture->fd, path, 0755), errno);
}

static inline void move(struct fixture *fixture, const char *from, const char *to)
{
    assert_return_code(renameat(fixture->fd, from, fixture->fd, to), errno);
}

/* The directory that is really at path now, said to be name in parent. */
static inline struct directory *meet_at(struct fixture *fixture, const char *path, struct directory *parent,
                                        const char *name)
{
    struct attributes attributes;
    assert_int_equal(source_stat_at(fixture->fd, path, &attributes), 0);
    return source_directory_at(fixture->source, parent, name, &attributes.identity);
}

static inline struct directory *meet(struct fixture *fixture, const char *name)
{
    return meet_at(fixture, name, fixture->root, name);
}

static inline void assert_path(struct fixture *fixture, struct directory *directory, const char *expected)
{
    struct buffer path = {0};
    directory_path(fixture->source, directory, &path);
    assert_string_equal(path.bytes ? path.bytes : "", expected);
    buffer_free(&path);
}

static inline int borrow_result(struct fixture *fixture, struct directory *directory)
{
    struct descriptor descriptor;
    int result = source_borrow(fixture->source, directory, &descriptor);
    if (result == 0) {
        struct attributes attributes;
        assert_int_equal(source_stat_at(descriptor.fd, "", &attributes), 0);
        assert_true(identity_equal(&attributes.identity, &directory->identity));
        source_release(fixture->source, &descriptor);
    }
    assert_int_equal(descriptor.fd, -1);
    return result;
}

static inline unsigned open_descriptors(void)
{
    DIR *listing = opendir("/proc/self/fd");
    unsigned found = 0;
    while (readdir(listing))
        found++;
    closedir(listing);
    return found;
}

#endif
