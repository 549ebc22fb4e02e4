/*
 * core/source: attributes, and directories that keep their identity through moves.
 */
#include "tests/unit/source_fixture.h"
#include <stdio.h>

static void test_open_errors(void **state)
{
    (void)state;
    struct source *source;
    assert_int_equal(source_open("/nonexistent/directory", 1, &source), -ENOENT);
    assert_int_equal(source_open("/proc/version", 1, &source), -ENOTDIR);
    source_close(NULL);
}

static void test_attributes(void **state)
{
    struct fixture *fixture = *state;
    struct attributes attributes;
    struct stat expected;
    assert_return_code(symlinkat("/proc", fixture->fd, "link"), errno);
    assert_return_code(fstatat(fixture->fd, "link", &expected, AT_SYMLINK_NOFOLLOW), errno);
    assert_int_equal(source_stat_at(fixture->fd, "link", &attributes), 0);
    assert_true(S_ISLNK(attributes.stat.st_mode));
    assert_int_equal(attributes.stat.st_dev, expected.st_dev);
    assert_int_equal(attributes.stat.st_ino, expected.st_ino);
    assert_int_equal(attributes.stat.st_nlink, expected.st_nlink);
    assert_int_equal(attributes.stat.st_size, expected.st_size);
    assert_int_equal(attributes.stat.st_blocks, expected.st_blocks);
    assert_int_equal(attributes.stat.st_blksize, expected.st_blksize);
    assert_memory_equal(&attributes.stat.st_mtim, &expected.st_mtim, sizeof(expected.st_mtim));
    assert_memory_equal(&attributes.stat.st_ctim, &expected.st_ctim, sizeof(expected.st_ctim));
    assert_int_equal(attributes.identity.dev, expected.st_dev);
    assert_int_equal(attributes.identity.ino, expected.st_ino);

    assert_int_equal(source_stat_at(source_root_fd(fixture->source), "", &attributes), 0);
    assert_true(identity_equal(&attributes.identity, &fixture->root->identity));
    assert_int_equal(source_stat_at(fixture->fd, "absent", &attributes), -ENOENT);

    assert_return_code(stat("/dev/null", &expected), errno);
    assert_int_equal(source_stat_at(AT_FDCWD, "/dev/null", &attributes), 0);
    assert_int_equal(attributes.stat.st_rdev, expected.st_rdev);
}

static void test_found_again_until_the_last_reference(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "a");
    make_directory(fixture, "a/b");
    struct directory *a = meet(fixture, "a");
    struct directory *b = meet_at(fixture, "a/b", a, "b");
    struct identity a_identity = a->identity, b_identity = b->identity;
    assert_ptr_equal(meet(fixture, "a"), a);
    directory_unref(fixture->source, a);
    directory_unref(fixture->source, a);

    struct directory *known = source_directory_known(fixture->source, &a_identity);
    assert_ptr_equal(known, a); /* its child holds it */
    directory_unref(fixture->source, known);
    assert_path(fixture, b, "a/b");
    assert_int_equal(b->depth, 2);
    assert_true(directory_is_at(fixture->source, b, a, "b"));
    assert_false(directory_is_at(fixture->source, b, a, "c"));
    assert_false(directory_is_at(fixture->source, b, fixture->root, "b"));

    directory_unref(fixture->source, b);
    assert_null(source_directory_known(fixture->source, &a_identity));
    assert_null(source_directory_known(fixture->source, &b_identity));
    assert_path(fixture, fixture->root, "");
    directory_unref(fixture->source, NULL);
}

static void test_many(void **state)
{
    struct fixture *fixture = *state;
    enum { MANY = 5000 };
    struct directory **directories = calloc(MANY, sizeof(*directories));
    for (unsigned i = 0; i < MANY; i++) {
        struct identity identity = {.dev = i % 3, .ino = 1 + i / 3, .birth_ns = i % 2};
        char name[16];
        snprintf(name, sizeof(name), "d%u", i);
        directories[i] =
            source_directory_at(fixture->source, i ? directories[i / 2] : fixture->root, name, &identity);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct identity identity = {.dev = i % 3, .ino = 1 + i / 3, .birth_ns = i % 2};
        struct directory *known = source_directory_known(fixture->source, &identity);
        assert_ptr_equal(known, directories[i]);
        assert_int_equal(known->depth, directory_depth(fixture->source, known));
        directory_unref(fixture->source, known);
    }
    for (unsigned i = 0; i < MANY; i += 2)
        directory_unref(fixture->source, directories[i]);
    for (unsigned i = 1; i < MANY; i += 2)
        directory_unref(fixture->source, directories[i]);
    for (unsigned i = 0; i < MANY; i++) {
        struct identity identity = {.dev = i % 3, .ino = 1 + i / 3, .birth_ns = i % 2};
        assert_null(source_directory_known(fixture->source, &identity));
    }
    free(directories);
}

static void test_move(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "a");
    make_directory(fixture, "a/b");
    make_directory(fixture, "c");
    struct directory *a = meet(fixture, "a");
    struct directory *b = meet_at(fixture, "a/b", a, "b");
    struct directory *c = meet(fixture, "c");
    move(fixture, "a", "c/d");
    assert_int_equal(borrow_result(fixture, b), -ESTALE);
    assert_ptr_equal(meet_at(fixture, "c/d", c, "d"), a);
    assert_path(fixture, b, "c/d/b");
    assert_int_equal(a->depth, 2);
    assert_int_equal(directory_depth(fixture->source, b), 3);
    assert_int_equal(borrow_result(fixture, b), 0);

    struct buffer name = {0};
    struct directory *parent = directory_place(fixture->source, a, &name);
    assert_ptr_equal(parent, c);
    assert_string_equal(name.bytes, "d");
    assert_null(directory_place(fixture->source, fixture->root, &name));
    buffer_free(&name);

    directory_unref(fixture->source, parent);
    directory_unref(fixture->source, a);
    directory_unref(fixture->source, a);
    directory_unref(fixture->source, b);
    directory_unref(fixture->source, c);
}

/* What was above is now below, and only the lower half was seen: the table stays a tree. */
static void test_move_inside_out(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "a");
    make_directory(fixture, "a/m");
    make_directory(fixture, "a/m/b");
    struct directory *a = meet(fixture, "a");
    struct directory *m = meet_at(fixture, "a/m", a, "m");
    struct directory *b = meet_at(fixture, "a/m/b", m, "b");
    move(fixture, "a/m/b", "top");
    move(fixture, "a", "top/a");
    directory_unref(fixture->source, meet_at(fixture, "top/a", b, "a"));
    assert_path(fixture, a, "b/a");
    assert_int_equal(borrow_result(fixture, a), -ESTALE);
    directory_unref(fixture->source, meet(fixture, "top"));
    assert_path(fixture, m, "top/a/m");
    assert_int_equal(borrow_result(fixture, a), 0);
    assert_int_equal(borrow_result(fixture, m), 0);

    /* As bind mounts show it: a directory within itself, the root within the tree. */
    directory_unref(fixture->source, meet_at(fixture, "top", b, "self"));
    assert_path(fixture, b, "top");
    directory_unref(fixture->source, meet_at(fixture, ".", m, "root"));
    assert_path(fixture, fixture->root, "");
    directory_unref(fixture->source, a);
    directory_unref(fixture->source, m);
    directory_unref(fixture->source, b);
    assert_int_equal(fixture->root->references, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_errors),
        cmocka_unit_test_setup_teardown(test_attributes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_found_again_until_the_last_reference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_move, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_move_inside_out, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
