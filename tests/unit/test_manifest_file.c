/*
 * The manifest's file: whole replacement, what it keeps of the old file, and that nothing is left behind.
 */
#include "tests/unit/manifest_fixture.h"
#include "core/manifest/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <signal.h>
#include <unistd.h>

#define NAME "runs_manifest.json"

struct fixture {
    char path[32];
    int fd;
    struct index *index;
    struct snapshot *snapshot;
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_alloc_zeroed(1, sizeof(*fixture));
    strcpy(fixture->path, "manifest-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    fixture->fd = open(fixture->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fixture->index = index_create();
    put(fixture->index, "f", "a", NULL, "ok");
    fixture->snapshot = snapshot_take(fixture->index);
    *state = fixture;
    return 0;
}

/* Counts the entries of the directory; with remove, removes them. */
static unsigned entries(const struct fixture *fixture, bool remove_them)
{
    unsigned count = 0;
    DIR *directory = opendir(fixture->path);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (remove_them && unlinkat(fixture->fd, entry->d_name, 0) != 0)
            unlinkat(fixture->fd, entry->d_name, AT_REMOVEDIR);
    }
    closedir(directory);
    return count;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    entries(fixture, true);
    rmdir(fixture->path);
    close(fixture->fd);
    snapshot_unref(fixture->snapshot);
    index_destroy(fixture->index);
    free(fixture);
    return 0;
}

static void make_file(const struct fixture *fixture, const char *name, const char *content, mode_t mode)
{
    int fd = openat(fixture->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void expect_content(const struct fixture *fixture, const char *name, const char *content)
{
    struct buffer read_back = {0};
    assert_int_equal(file_read_bounded(fixture->fd, name, 1 << 20, &read_back, NULL), 0);
    if (content)
        assert_string_equal(buffer_slice(&read_back).bytes, content);
    else
        assert_true(snapshot_equals_bytes(fixture->snapshot, buffer_slice(&read_back)));
    buffer_free(&read_back);
}

static int replace(const struct fixture *fixture, const struct file_stamp *expected, struct file_stamp *stamp)
{
    return manifest_file_replace(fixture->fd, NAME, fixture->snapshot, expected, stamp);
}

static void the_name_is_the_one_that_is_there(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(manifest_file_name(fixture->fd), NAME);
    make_file(fixture, "manifest.json", "{}", 0644);
    assert_string_equal(manifest_file_name(fixture->fd), "manifest.json");
    make_file(fixture, NAME, "{}", 0644);
    assert_string_equal(manifest_file_name(fixture->fd), NAME);
}

static void a_first_one_is_made(void **state)
{
    struct fixture *fixture = *state;
    struct file_stamp stamp, none = {0}, there;
    struct buffer content = {0};
    struct stat info;
    mode_t mask = umask(027);
    assert_int_equal(replace(fixture, &none, &stamp), 0);
    umask(mask);
    expect_content(fixture, NAME, NULL);
    assert_int_equal(file_read_bounded(fixture->fd, NAME, 1 << 20, &content, &there), 0);
    buffer_free(&content);
    assert_true(file_stamp_equal(&stamp, &there));
    assert_int_equal(fstatat(fixture->fd, NAME, &info, 0), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(entries(fixture, false), 1);
    /* Once more over itself; another file than the one expected is left alone. */
    assert_int_equal(replace(fixture, &stamp, &there), 0);
    assert_int_equal(replace(fixture, &stamp, &there), -EAGAIN);
    assert_int_equal(replace(fixture, &none, &there), -EAGAIN);
    assert_int_equal(unlinkat(fixture->fd, NAME, 0), 0);
    assert_int_equal(replace(fixture, &stamp, &there), -EAGAIN);
    assert_int_equal(entries(fixture, false), 0);
}

static void mode_owner_and_attributes_stay(void **state)
{
    struct fixture *fixture = *state;
    struct file_stamp stamp;
    struct stat info;
    char path[64], value[8] = {0};
    bool is_root = geteuid() == 0;
    snprintf(path, sizeof(path), "%s/%s", fixture->path, NAME);
    make_file(fixture, NAME, "{}", 0664);
    if (is_root)
        assert_int_equal(chown(path, 1234, 2345), 0);
    bool has_attributes = setxattr(path, "user.note", "kept", 4, 0) == 0;
    assert_int_equal(replace(fixture, NULL, &stamp), 0);
    expect_content(fixture, NAME, NULL);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0664);
    if (is_root) {
        assert_int_equal(info.st_uid, 1234);
        assert_int_equal(info.st_gid, 2345);
    }
    if (has_attributes) {
        assert_int_equal(getxattr(path, "user.note", value, sizeof(value)), 4);
        assert_string_equal(value, "kept");
    }
}

static void only_a_regular_file_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct file_stamp stamp;
    assert_int_equal(mkdirat(fixture->fd, NAME, 0755), 0);
    assert_int_equal(replace(fixture, NULL, &stamp), -EISDIR);
    assert_int_equal(unlinkat(fixture->fd, NAME, AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("elsewhere", fixture->fd, NAME), 0);
    assert_int_equal(replace(fixture, NULL, &stamp), -EINVAL);
    assert_int_equal(manifest_file_keep_broken(fixture->fd, NAME), -EINVAL);
    assert_int_equal(unlinkat(fixture->fd, NAME, 0), 0);
    assert_int_equal(mkfifoat(fixture->fd, NAME, 0600), 0);
    assert_int_equal(replace(fixture, NULL, &stamp), -EINVAL);
    assert_int_equal(entries(fixture, false), 1);
}

/* A write that fails in its middle leaves the old file and nothing else. */
static void a_failed_write_leaves_the_old_file(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit limit, small;
    struct file_stamp stamp;
    make_file(fixture, NAME, "old", 0644);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 100;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int error = replace(fixture, NULL, &stamp);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, before);
    assert_int_equal(error, -EFBIG);
    expect_content(fixture, NAME, "old");
    assert_int_equal(entries(fixture, false), 1);
}

static void a_broken_one_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct file_stamp stamp;
    assert_int_equal(manifest_file_keep_broken(fixture->fd, NAME), -ENOENT);
    make_file(fixture, NAME ".broken", "older", 0644);
    make_file(fixture, NAME, "{", 0644);
    assert_int_equal(manifest_file_keep_broken(fixture->fd, NAME), 0);
    assert_int_equal(manifest_file_keep_broken(fixture->fd, NAME), 0);
    assert_int_equal(replace(fixture, NULL, &stamp), 0);
    expect_content(fixture, NAME ".broken", "{");
    expect_content(fixture, NAME, NULL);
    assert_int_equal(entries(fixture, false), 2);
}

static void what_nobody_holds_is_cleared_away(void **state)
{
    struct fixture *fixture = *state;
    static const char held[] = "." NAME ".0123456789abcdef.runsfs";
    static const char *const others[] = {
        "." NAME ".0123456789abcdeg.runsfs",
        "." NAME ".0123456789abcdef.runsf",
        ".other.json.0123456789abcdef.runsfs",
        NAME ".0123456789abcdef.runsfs",
    };
    for (size_t i = 0; i < 4; i++)
        make_file(fixture, others[i], "", 0644);
    make_file(fixture, held, "", 0644);
    make_file(fixture, "." NAME ".ffffffffffffffff.runsfs", "", 0644);
    int fd = openat(fixture->fd, held, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    manifest_file_clean(fixture->fd, NAME);
    assert_int_equal(entries(fixture, false), 5);
    close(fd);
    manifest_file_clean(fixture->fd, NAME);
    assert_int_equal(entries(fixture, false), 4);
}

/* A process is killed again and again while it replaces the file: at every look a whole manifest is there. */
static void a_killed_writer_leaves_a_whole_file(void **state)
{
    struct fixture *fixture = *state;
    struct file_stamp stamp;
    assert_int_equal(replace(fixture, NULL, &stamp), 0);
    for (unsigned i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (;;)
                replace(fixture, NULL, &stamp);
        }
        usleep(500 + i * 300);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        expect_content(fixture, NAME, NULL);
    }
    manifest_file_clean(fixture->fd, NAME);
    assert_int_equal(entries(fixture, false), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_name_is_the_one_that_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_first_one_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mode_owner_and_attributes_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_regular_file_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_one_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_nobody_holds_is_cleared_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_writer_leaves_a_whole_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
