/*
 * core/watch: what is changed is told, in order, to the right directory, and drained when it is asked for.
 */
#include "tests/unit/watch_fixture.h"
#include <sched.h>
#include <string.h>
#include <sys/wait.h>

static void test_in_order(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    struct directory *b = make_watched(fixture, "b");
    assert_return_code(mkdirat(fixture->fd, "unwatched", 0755), errno);
    assert_int_equal(watch_count(fixture->watch), 2);
    start(fixture);

    int fd = openat(fixture->fd, "a/file", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = a, .name = "file"});
    assert_int_equal(write(fd, "x", 1), 1);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = a, .name = "file"});
    close(fd);
    EXPECT(fixture, {.kind = CHANGE_CLOSED, .directory = a, .name = "file"});
    touch(fixture, "unwatched/file");
    touch(fixture, "in-the-root");
    expect(fixture, NULL, 0);

    assert_return_code(renameat(fixture->fd, "a/file", fixture->fd, "b/moved"), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = a, .name = "file", .moved_away = true},
           {.kind = CHANGE_ENTRY, .directory = b, .name = "moved"});
    assert_return_code(fchmodat(fixture->fd, "b/moved", 0600, 0), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = b, .name = "moved"});
    assert_return_code(mkdirat(fixture->fd, "b/directory", 0755), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = b, .name = "directory"});
    assert_return_code(symlinkat("target", fixture->fd, "b/link"), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = b, .name = "link"});
    assert_return_code(unlinkat(fixture->fd, "b/directory", AT_REMOVEDIR), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = b, .name = "directory"});
    assert_return_code(fchmodat(fixture->fd, "b", 0700, 0), errno);
    EXPECT(fixture, {.kind = CHANGE_SELF, .directory = b});

    /* Without waiting in between: the order of the names stays. */
    touch(fixture, "a/1");
    touch(fixture, "b/2");
    assert_return_code(unlinkat(fixture->fd, "b/moved", 0), errno);
    watch_drain(fixture->watch);
    const char *names[] = {"1", "2", "moved"};
    size_t at = 0;
    for (size_t i = 0; i < fixture->told_count; i++) {
        while (at < 3 && strcmp(fixture->told[i].name, names[at]) != 0)
            at++;
        assert_in_range(at, 0, 2);
    }
    assert_int_equal(at, 2);

    directory_unref(fixture->source, a);
    directory_unref(fixture->source, b);
    assert_int_equal(watch_count(fixture->watch), 0);
}

static void test_made_by_another(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    start(fixture);
    pid_t child = fork();
    if (child == 0)
        _exit(mkdirat(fixture->fd, "a/theirs", 0755) < 0);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    watch_drain(fixture->watch);
    assert_int_equal(fixture->told_count, 1);
    assert_string_equal(fixture->told[0].name, "theirs");
    assert_false(fixture->told[0].own);
    directory_unref(fixture->source, a);
}

static void test_added_twice(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    struct directory *again = watched(fixture, "a");
    assert_ptr_equal(a, again);
    atomic_store(&a->watch_state, WATCH_FAILED); /* as after a failure: it is tried again */
    directory_unref(fixture->source, watched(fixture, "a"));
    assert_int_equal(watch_count(fixture->watch), 1);
    start(fixture);
    assert_return_code(mkdirat(fixture->fd, "a/x", 0755), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = a, .name = "x"});
    directory_unref(fixture->source, a);
    assert_int_equal(watch_count(fixture->watch), 1);
    directory_unref(fixture->source, again);
    assert_int_equal(watch_count(fixture->watch), 0);
}

static void test_many_directories(void **state)
{
    struct fixture *fixture = fixture_of(state);
    enum { MANY = 700 };
    struct directory *made[MANY];
    char path[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "d%d", i);
        made[i] = make_watched(fixture, path);
    }
    start(fixture);
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "d%d/e%d", i, i);
        assert_return_code(mkdirat(fixture->fd, path, 0755), errno);
    }
    watch_drain(fixture->watch);
    assert_int_equal(fixture->told_count, MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "e%d", i);
        assert_ptr_equal(fixture->told[i].directory, made[i]);
        assert_string_equal(fixture->told[i].name, path);
    }
    for (int i = 0; i < MANY; i++)
        directory_unref(fixture->source, made[i]);
    assert_int_equal(watch_count(fixture->watch), 0);
}

static void test_drain_tells_all_that_was_queued(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    watch_drain(fixture->watch); /* not started: nothing to wait for */
    char path[32];
    for (int i = 0; i < 4000; i++) {
        snprintf(path, sizeof(path), "a/%d", i);
        touch(fixture, path);
        if (i == 2000)
            start(fixture);
    }
    watch_drain(fixture->watch);
    bool created[4000] = {false};
    for (size_t i = 0; i < fixture->told_count; i++) {
        assert_int_not_equal(fixture->told[i].kind, CHANGE_OVERFLOW);
        created[atoi(fixture->told[i].name)] = true;
    }
    for (int i = 0; i < 4000; i++)
        assert_true(created[i]);
    directory_unref(fixture->source, a);
}

static void test_overflow(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    char from[32] = "a/0", to[32];
    assert_return_code(mkdirat(fixture->fd, from, 0755), errno);
    for (int i = 1; i < 17000; i++) { /* names of their own, that nothing merges */
        snprintf(to, sizeof(to), "a/%d", i);
        assert_return_code(renameat(fixture->fd, from, fixture->fd, to), errno);
        strcpy(from, to);
    }
    start(fixture);
    watch_drain(fixture->watch);
    assert_in_range(fixture->told_count, 1000, TOLD_LIMIT - 1);
    size_t overflows = 0;
    for (size_t i = 0; i < fixture->told_count; i++) {
        if (fixture->told[i].kind == CHANGE_OVERFLOW) {
            overflows++;
            assert_null(fixture->told[i].directory);
        }
    }
    assert_in_range(overflows, 1, fixture->told_count);
    forget(fixture);
    assert_return_code(mkdirat(fixture->fd, "a/after", 0755), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = a, .name = "after"});
    directory_unref(fixture->source, a);
}

/* What is queued for a directory that was let go reaches no other one. */
static void test_removed_while_queued(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    struct directory *b = make_watched(fixture, "b");
    struct directory *c = make_watched(fixture, "c");
    touch(fixture, "a/before");
    touch(fixture, "b/before");
    touch(fixture, "c/before");
    directory_unref(fixture->source, a);
    directory_unref(fixture->source, b);
    struct directory *b_again = watched(fixture, "b");
    struct directory *d = make_watched(fixture, "d");
    touch(fixture, "b/after");
    touch(fixture, "d/after");
    start(fixture);
    watch_drain(fixture->watch);
    unsigned after = 0;
    for (size_t i = 0; i < fixture->told_count; i++) {
        const struct told *told = &fixture->told[i];
        if (strcmp(told->name, "before") == 0) {
            /* fanotify knows directories, not watches: what b's own event says is still of b. */
            assert_true(told->directory == c || (is_fanotify(fixture) && told->directory == b_again));
        } else {
            assert_true(told->directory == b_again || told->directory == d);
            after++;
        }
    }
    assert_true(after >= 4);
    directory_unref(fixture->source, b_again);
    directory_unref(fixture->source, c);
    directory_unref(fixture->source, d);
}

static void test_directory_removed(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    start(fixture);
    source_forget_descriptor(fixture->source, a);
    assert_return_code(unlinkat(fixture->fd, "a", AT_REMOVEDIR), errno);
    watch_drain(fixture->watch);
    if (!is_fanotify(fixture)) { /* the kernel's watch is gone with it */
        assert_int_equal(fixture->told_count, 1);
        assert_int_equal(fixture->told[0].kind, CHANGE_SELF);
        assert_ptr_equal(fixture->told[0].directory, a);
        assert_int_equal(watch_count(fixture->watch), 0);
        assert_int_equal(a->watch_state, WATCH_NONE);
    }
    struct directory *another = make_watched(fixture, "a");
    assert_ptr_not_equal(another, a);
    forget(fixture);
    assert_return_code(mkdirat(fixture->fd, "a/x", 0755), errno);
    EXPECT(fixture, {.kind = CHANGE_ENTRY, .directory = another, .name = "x"});
    directory_unref(fixture->source, a);
    directory_unref(fixture->source, another);
    assert_int_equal(watch_count(fixture->watch), 0);
}

static void test_closed_before_the_directories(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct directory *a = make_watched(fixture, "a");
    start(fixture);
    watch_close(fixture->watch);
    fixture->watch = NULL;
    assert_int_equal(a->watch_state, WATCH_NONE);
    directory_unref(fixture->source, a);
}

/* What is mounted inside the source is told by inotify, and not by the mark of fanotify. */
static void test_another_filesystem(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct attributes attributes;
    int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(source_stat_at(fd, "", &attributes), 0);
    struct directory *mounted =
        source_directory_at(fixture->source, fixture->root, "mounted", &attributes.identity);
    watch_add(fixture->watch, mounted, fd);
    close(fd);
    assert_int_equal(mounted->watch_state, is_fanotify(fixture) ? WATCH_FAILED : WATCH_ACTIVE);
    directory_unref(fixture->source, mounted);
    assert_int_equal(watch_count(fixture->watch), 0);
}

static void test_poll(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(watch_backend_in_use(fixture->watch), WATCH_POLL);
    watch_add(fixture->watch, fixture->root, source_root_fd(fixture->source));
    assert_int_equal(fixture->root->watch_state, WATCH_FAILED);
    watch_drain(fixture->watch);
    start(fixture);
    watch_drain(fixture->watch);
    assert_int_equal(watch_count(fixture->watch), 0);
}

static void test_automatic(void **state)
{
    (void)state;
    struct source *source;
    struct watch *watch;
    assert_int_equal(source_open("/tmp", 1, &source), 0);
    assert_int_equal(watch_open(source, WATCH_AUTO, &watch), 0);
    assert_int_not_equal(watch_backend_in_use(watch), WATCH_AUTO);
    assert_int_not_equal(watch_backend_in_use(watch), WATCH_POLL);
    assert_string_equal(watch_backend_name(WATCH_INOTIFY), "inotify");
    watch_close(watch);
    watch_close(NULL);
    source_close(source);
}

/* In a user namespace of its own, which may lower the limit for itself. 77: not permitted. */
static int run_out(struct fixture *fixture)
{
    if (unshare(CLONE_NEWUSER) < 0)
        return 77;
    int limit = open("/proc/sys/user/max_inotify_watches", O_WRONLY | O_CLOEXEC);
    if (limit < 0 || write(limit, "2", 1) != 1)
        return 77;
    struct watch *watch;
    if (watch_open(fixture->source, WATCH_INOTIFY, &watch) < 0)
        return 1;
    for (int i = 0; i < 4; i++) {
        char name[16];
        struct attributes attributes;
        snprintf(name, sizeof(name), "%d", i);
        int fd = openat(fixture->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || source_stat_at(fd, "", &attributes) < 0)
            return 2;
        struct directory *directory =
            source_directory_at(fixture->source, fixture->root, name, &attributes.identity);
        watch_add(watch, directory, fd);
        close(fd);
        if (directory->watch_state != (i < 2 ? WATCH_ACTIVE : WATCH_FAILED))
            return 3;
    }
    return watch_count(watch) == 2 ? 0 : 4;
}

static void test_out_of_watches(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        assert_return_code(mkdirat(fixture->fd, name, 0755), errno);
    }
    pid_t child = fork();
    if (child == 0)
        _exit(run_out(fixture));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_in_order),
        BOTH(test_made_by_another),
        BOTH(test_added_twice),
        BOTH(test_many_directories),
        BOTH(test_drain_tells_all_that_was_queued),
        BOTH(test_overflow),
        BOTH(test_removed_while_queued),
        BOTH(test_directory_removed),
        BOTH(test_closed_before_the_directories),
        BOTH(test_another_filesystem),
        cmocka_unit_test_setup_teardown(test_poll, set_up_poll, tear_down),
        cmocka_unit_test_setup_teardown(test_out_of_watches, set_up_poll, tear_down),
        cmocka_unit_test(test_automatic),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
