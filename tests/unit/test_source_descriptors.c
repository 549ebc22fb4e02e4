/*
 * core/source: the descriptors of directories are bounded, found however deep they stand, and what is stale
 * says so.
 */
#include "tests/unit/source_fixture.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void test_borrow_stale(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "a");
    make_directory(fixture, "other");
    struct directory *a = meet(fixture, "a");
    move(fixture, "a", "elsewhere");
    assert_int_equal(borrow_result(fixture, a), -ESTALE); /* absent */
    make_directory(fixture, "a");
    assert_int_equal(borrow_result(fixture, a), -ESTALE); /* another */
    assert_return_code(unlinkat(fixture->fd, "a", AT_REMOVEDIR), errno);
    assert_return_code(symlinkat("elsewhere", fixture->fd, "a"), errno);
    assert_int_equal(borrow_result(fixture, a), -ESTALE); /* a link, even to itself */
    assert_return_code(unlinkat(fixture->fd, "a", 0), errno);
    close(openat(fixture->fd, "a", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    assert_int_equal(borrow_result(fixture, a), -ESTALE); /* a file */
    assert_return_code(unlinkat(fixture->fd, "a", 0), errno);
    move(fixture, "elsewhere", "a");
    assert_int_equal(borrow_result(fixture, a), 0);
    move(fixture, "a", "other/a");
    assert_int_equal(borrow_result(fixture, a), 0); /* the cached descriptor went along */
    source_forget_descriptor(fixture->source, a);
    source_forget_descriptor(fixture->source, a);
    assert_int_equal(borrow_result(fixture, a), -ESTALE);
    directory_unref(fixture->source, a);
    assert_int_equal(borrow_result(fixture, fixture->root), 0);
}

/* A chain of directories whose path is longer than PATH_MAX; the last with a reference, which holds the
 * others. */
static struct directory *make_deep(struct fixture *fixture, unsigned levels, size_t name_bytes)
{
    char name[NAME_MAX + 1] = {0};
    struct directory *at = directory_ref(fixture->root);
    int fd = dup(fixture->fd);
    for (unsigned i = 0; i < levels; i++) {
        memset(name, 'a' + (int)(i % 26), name_bytes - i % 2);
        name[name_bytes - i % 2] = '\0';
        assert_return_code(mkdirat(fd, name, 0755), errno);
        int next_fd = openat(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct attributes attributes;
        assert_int_equal(source_stat_at(next_fd, "", &attributes), 0);
        struct directory *next = source_directory_at(fixture->source, at, name, &attributes.identity);
        directory_unref(fixture->source, at);
        close(fd);
        fd = next_fd;
        at = next;
    }
    close(fd);
    return at;
}

static void test_borrow_deep(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        unsigned levels;
        size_t name_bytes;
    } shapes[] = {{50, 255}, {16, 255}, {17, 255}, {2100, 2}, {1500, 7}, {33, 127}};
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct directory *deepest = make_deep(fixture, shapes[i].levels, shapes[i].name_bytes);
        unsigned before = open_descriptors();
        assert_int_equal(borrow_result(fixture, deepest), 0);
        assert_int_equal(open_descriptors(), before + 1);
        source_forget_descriptor(fixture->source, deepest);
        assert_int_equal(borrow_result(fixture, deepest->parent), 0); /* from here on the nearest ancestor */
        assert_int_equal(borrow_result(fixture, deepest), 0);
        assert_int_equal(open_descriptors(), before + 2);
        struct directory *top = deepest;
        while (top->depth > 1)
            top = top->parent;
        source_forget_descriptor(fixture->source, deepest);
        source_forget_descriptor(fixture->source, deepest->parent);
        move(fixture, top->name, "moved");
        assert_int_equal(borrow_result(fixture, deepest), -ESTALE);
        assert_int_equal(open_descriptors(), before);
        move(fixture, "moved", top->name);
        assert_int_equal(borrow_result(fixture, deepest), 0);
        directory_unref(fixture->source, deepest);
        assert_int_equal(open_descriptors(), before); /* the directory took its descriptor with it */
        shell("rm -rf -- *");
    }
}

static void test_eviction(void **state)
{
    struct fixture *fixture = *state;
    enum { MADE = 12 };
    struct directory *made[MADE];
    struct descriptor lent[MADE];
    for (int i = 0; i < MADE; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%d", i);
        make_directory(fixture, name);
        made[i] = meet(fixture, name);
    }
    unsigned before = open_descriptors();
    for (int i = 0; i < MADE; i++) {
        assert_int_equal(borrow_result(fixture, made[i]), 0);
        assert_in_range(open_descriptors(), before + 1, before + CACHE_LIMIT);
    }
    /* The most recently used are kept: the first of them is used again, so the second one goes. */
    assert_non_null(made[MADE - 4]->descriptor);
    assert_int_equal(borrow_result(fixture, made[MADE - 4]), 0);
    assert_int_equal(borrow_result(fixture, made[0]), 0);
    assert_non_null(made[MADE - 4]->descriptor);
    assert_null(made[MADE - 3]->descriptor);

    /* All lent at once: each good, and the surplus closed as it comes back. */
    for (int i = 0; i < MADE; i++)
        assert_int_equal(source_borrow(fixture->source, made[i], &lent[i]), 0);
    assert_int_equal(open_descriptors(), before + MADE);
    source_forget_descriptor(fixture->source, made[0]);
    assert_true(fcntl(lent[0].fd, F_GETFD) >= 0);
    struct descriptor again;
    assert_int_equal(source_borrow(fixture->source, made[0], &again), 0);
    source_release(fixture->source, &again);
    for (int i = 0; i < MADE; i++)
        source_release(fixture->source, &lent[i]);
    assert_in_range(open_descriptors(), before, before + CACHE_LIMIT);
    for (int i = 0; i < MADE; i++)
        directory_unref(fixture->source, made[i]);
    assert_int_equal(open_descriptors(), before);
}

static void test_no_cache(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "a");
    struct source *source;
    struct attributes attributes;
    assert_int_equal(source_open(source_path, 0, &source), 0);
    assert_int_equal(source_stat_at(fixture->fd, "a", &attributes), 0);
    struct directory *a = source_directory_at(source, source_root(source), "a", &attributes.identity);
    unsigned before = open_descriptors();
    struct descriptor descriptor;
    assert_int_equal(source_borrow(source, a, &descriptor), 0);
    assert_int_equal(open_descriptors(), before + 1);
    source_release(source, &descriptor);
    assert_int_equal(open_descriptors(), before);
    source_close(source); /* with a directory that is still referenced */
}

static void test_out_of_descriptors(void **state)
{
    struct fixture *fixture = *state;
    struct directory *made[CACHE_LIMIT + 1];
    for (int i = 0; i <= CACHE_LIMIT; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%d", i);
        make_directory(fixture, name);
        made[i] = meet(fixture, name);
    }
    /* Two in the cache, then no number left under the limit. */
    assert_int_equal(borrow_result(fixture, made[0]), 0);
    assert_int_equal(borrow_result(fixture, made[1]), 0);
    int next_free = dup(fixture->fd);
    close(next_free);
    struct rlimit limit, before;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = (struct rlimit){.rlim_cur = (rlim_t)next_free, .rlim_max = before.rlim_max};
    struct descriptor lent[3];
    int results[3];
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 3; i++)
        results[i] = source_borrow(fixture->source, made[2 + i], &lent[i]);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], 0);
    assert_int_equal(results[2], -EMFILE); /* both are lent: there is nothing to close */
    source_release(fixture->source, &lent[0]);
    source_release(fixture->source, &lent[1]);
    for (int i = 0; i <= CACHE_LIMIT; i++)
        directory_unref(fixture->source, made[i]);
}

/* In a process and a mount namespace of its own, so that the mount goes with it. 77: not permitted. */
static int cross_mount(const char *path)
{
    char point[128], below_point[160];
    snprintf(point, sizeof(point), "%s/mounted", path);
    snprintf(below_point, sizeof(below_point), "%s/below", point);
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", point, "tmpfs", 0, NULL) < 0)
        return 77;
    struct source *source;
    struct attributes mounted_attributes, below_attributes;
    if (mkdir(below_point, 0755) < 0 || source_open(path, CACHE_LIMIT, &source) < 0 ||
        source_stat_at(AT_FDCWD, point, &mounted_attributes) < 0 ||
        source_stat_at(AT_FDCWD, below_point, &below_attributes) < 0)
        return 1;
    struct directory *root = source_root(source);
    struct directory *mounted = source_directory_at(source, root, "mounted", &mounted_attributes.identity);
    struct directory *below = source_directory_at(source, mounted, "below", &below_attributes.identity);
    struct descriptor descriptor;
    int result = source_borrow(source, below, &descriptor);
    return result == 0 && below->identity.dev != root->identity.dev ? 0 : 2;
}

static void test_mount_inside(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "mounted");
    pid_t child = fork();
    if (child == 0)
        _exit(cross_mount(source_path));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

enum { THREADS = 4, TREES = 3, ROUNDS = 1500 };

struct worker {
    struct fixture *fixture;
    unsigned seed;
    unsigned borrowed;
    unsigned wrong;
};

/* Meets directories of a few trees, of which one is moved all the while, and borrows them. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    struct fixture *fixture = worker->fixture;
    for (int round = 0; round < ROUNDS; round++) {
        char name[8], path[32];
        unsigned tree = (unsigned)rand_r(&worker->seed) % TREES;
        unsigned leaf = (unsigned)rand_r(&worker->seed) % 3;
        struct attributes tree_attributes, leaf_attributes;
        snprintf(name, sizeof(name), "t%u%s", tree, rand_r(&worker->seed) % 2 ? "" : "m");
        snprintf(path, sizeof(path), "%s/l%u", name, leaf);
        if (source_stat_at(fixture->fd, name, &tree_attributes) < 0 ||
            source_stat_at(fixture->fd, path, &leaf_attributes) < 0)
            continue;
        struct directory *top =
            source_directory_at(fixture->source, fixture->root, name, &tree_attributes.identity);
        struct directory *below =
            source_directory_at(fixture->source, top, strchr(path, '/') + 1, &leaf_attributes.identity);
        directory_unref(fixture->source, top);
        struct descriptor descriptor;
        int result = source_borrow(fixture->source, below, &descriptor);
        if (result == 0) {
            struct attributes found;
            worker->borrowed++;
            if (source_stat_at(descriptor.fd, "", &found) < 0 ||
                !identity_equal(&found.identity, &below->identity))
                worker->wrong++;
            if (rand_r(&worker->seed) % 8 == 0)
                source_forget_descriptor(fixture->source, below);
            source_release(fixture->source, &descriptor);
        } else if (result != -ESTALE) {
            worker->wrong++;
        }
        struct buffer shown = {0};
        directory_path(fixture->source, below, &shown);
        buffer_free(&shown);
        directory_unref(fixture->source, below);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned tree = 0; tree < TREES; tree++) {
        char path[16];
        snprintf(path, sizeof(path), "t%u", tree);
        make_directory(fixture, path);
        for (unsigned leaf = 0; leaf < 3; leaf++) {
            snprintf(path, sizeof(path), "t%u/l%u", tree, leaf);
            make_directory(fixture, path);
        }
    }
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.fixture = fixture, .seed = i + 1};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (int i = 0; i < 300; i++) {
        move(fixture, "t0", "t0m");
        usleep(100);
        move(fixture, "t0m", "t0");
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
        assert_true(workers[i].borrowed > 0);
    }
    assert_int_equal(fixture->root->references, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_borrow_stale, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_borrow_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_eviction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_out_of_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mount_inside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("source_descriptors", tests, NULL, NULL);
}
