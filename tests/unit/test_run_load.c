/*
 * core/run: reading a run's files from a real directory, whatever stands there.
 */
#include "tests/unit/run_fixture.h"
#include "core/base/limits.h"
#include "core/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

/* A directory of its own for each test. */
struct place {
    char path[64];
    int fd;
};

static int place_make(void **state)
{
    struct place *place = memory_alloc_zeroed(1, sizeof(*place));

    strcpy(place->path, "/tmp/runsfs-test-XXXXXX");
    if (!mkdtemp(place->path))
        return -1;
    place->fd = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return place->fd < 0 ? -1 : 0;
}

static int place_remove(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"metrics.json", "metadata.json", "other.json"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (unlinkat(place->fd, names[i], 0) < 0 && errno == EISDIR)
            unlinkat(place->fd, names[i], AT_REMOVEDIR);
    }
    close(place->fd);
    int result = rmdir(place->path);
    free(place);
    return result;
}

static void put(const struct place *place, const char *name, const char *content)
{
    CLEANUP_FD int fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
}

static const struct file_stamp no_stamp;

static void test_a_directory_without_the_files_is_no_run(void **state)
{
    struct place *place = *state;
    struct run_state run;

    put(place, "other.json", "{}");
    assert_int_equal(run_load(built_in_plan(), place->fd, &run), 0);
    assert_false(run.is_run);
    assert_false(run.is_whole);
    assert_true(file_stamp_equal(&run.stamps[METRICS], &no_stamp));
    assert_true(file_stamp_equal(&run.stamps[METADATA], &no_stamp));
    run_state_free(&run);
}

static void test_a_whole_run(void **state)
{
    struct place *place = *state;
    struct run_state run;
    struct file_stamp stamps[BUILT_IN_FILES];
    struct stat info;
    static const struct derivation expected = {
        .start_time = "1", .end_time = "2", .status = "s", .tokens_in = 3};

    put(place, "metrics.json", "{\"start_time\":\"1\",\"verification_status\":\"s\",\"total_tokens_in\":3}");
    put(place, "metadata.json", "{\"start_time\":\"x\",\"end_time\":\"2\"}");
    assert_int_equal(run_load(built_in_plan(), place->fd, &run), 0);
    assert_true(run.is_run);
    assert_true(run.is_whole);
    assert_fields(&run.fields, &expected);
    assert_int_equal(run_load_stamps(built_in_plan(), place->fd, stamps), 0);
    for (size_t i = 0; i < BUILT_IN_FILES; i++) {
        assert_true(file_stamp_equal(&run.stamps[i], &stamps[i]));
        assert_int_equal(fstatat(place->fd, built_in_plan()->files[i].name, &info, 0), 0);
        assert_true(stamps[i].ino == info.st_ino && stamps[i].size_bytes == (uint64_t)info.st_size);
        assert_true(stamps[i].mtime_ns == info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec);
        assert_true(stamps[i].ctime_ns == info.st_ctim.tv_sec * 1000000000 + info.st_ctim.tv_nsec);
    }
    run_state_free(&run);
}

static void test_either_file_makes_a_run(void **state)
{
    struct place *place = *state;
    struct run_state run;

    put(place, "metadata.json", "{\"end_time\":\"2\"}");
    assert_int_equal(run_load(built_in_plan(), place->fd, &run), 0);
    assert_true(run.is_run && run.is_whole);
    assert_true(slice_equal(run.fields.end_time, SLICE_LITERAL("2")));
    assert_true(file_stamp_equal(&run.stamps[METRICS], &no_stamp));
    run_state_free(&run);
}

/* Loads a run whose metrics.json is odd and whose metadata.json is sound. */
static void assert_odd(const struct place *place, const char *reason)
{
    struct run_state run;
    struct file_stamp stamps[BUILT_IN_FILES];
    struct buffer content = {0};

    put(place, "metadata.json", "{\"start_time\":\"1\"}");
    assert_int_equal(run_load(built_in_plan(), place->fd, &run), 0);
    assert_true(run.is_run);
    assert_false(run.is_whole);
    assert_string_equal(run.faults[METRICS].reason, reason);
    assert_int_equal(run.faults[METRICS].line, 0);
    assert_null(run.faults[METADATA].reason);
    assert_true(slice_equal(run.fields.start_time, SLICE_LITERAL("1")));
    assert_int_equal(run_load_stamps(built_in_plan(), place->fd, stamps), 0);
    assert_true(file_stamp_equal(&stamps[METRICS], &run.stamps[METRICS]));
    assert_false(file_stamp_equal(&stamps[METRICS], &no_stamp));
    assert_true(file_read_bounded(place->fd, "metrics.json", 1000, &content, NULL) < 0);
    assert_null(content.bytes);
    run_state_free(&run);
}

static void test_a_link_is_not_followed(void **state)
{
    struct place *place = *state;

    put(place, "other.json", "{\"start_time\":\"linked\"}");
    assert_int_equal(symlinkat("other.json", place->fd, "metrics.json"), 0);
    assert_odd(place, "is a symbolic link, not a file");
}

static void test_a_dangling_link_is_a_run_as_well(void **state)
{
    struct place *place = *state;

    assert_int_equal(symlinkat("nowhere", place->fd, "metrics.json"), 0);
    assert_odd(place, "is a symbolic link, not a file");
}

static void test_a_fifo_is_not_waited_for(void **state)
{
    struct place *place = *state;

    assert_int_equal(mkfifoat(place->fd, "metrics.json", 0644), 0);
    alarm(10);
    assert_odd(place, "is a FIFO, not a file");
    alarm(0);
}

static void test_a_directory_is_no_file(void **state)
{
    struct place *place = *state;

    assert_int_equal(mkdirat(place->fd, "metrics.json", 0755), 0);
    assert_odd(place, "is a directory, not a file");
}

static void test_a_socket_is_no_file(void **state)
{
    struct place *place = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/metrics.json", place->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_odd(place, "is a socket, not a file");
}

static void test_a_device_is_not_opened(void **state)
{
    struct place *place = *state;

    if (mknodat(place->fd, "metrics.json", S_IFCHR | 0666, makedev(1, 3)) < 0)
        skip(); /* needs privilege */
    assert_odd(place, "is a device, not a file");
}

static void test_a_file_too_large_is_not_read(void **state)
{
    struct place *place = *state;

    put(place, "metrics.json", "{}");
    CLEANUP_FD int fd = openat(place->fd, "metrics.json", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)LIMIT_RUN_FILE_BYTES + 1), 0);
    assert_odd(place, "is larger than 64 MiB");
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
    assert_odd(place, "is larger than 64 MiB");
}

static void test_a_file_without_permission(void **state)
{
    struct place *place = *state;

    if (geteuid() == 0)
        skip(); /* may read anything */
    put(place, "metrics.json", "{}");
    assert_int_equal(fchmodat(place->fd, "metrics.json", 0, 0), 0);
    assert_odd(place, "Permission denied");
}

static void test_a_half_written_file(void **state)
{
    struct place *place = *state;
    struct run_state run;
    char text[100];

    put(place, "metrics.json", "{\"start_time\": \"lost\",\n");
    assert_int_equal(run_load(built_in_plan(), place->fd, &run), 0);
    assert_true(run.is_run);
    assert_false(run.is_whole);
    assert_null(run.fields.start_time.bytes);
    run_fault_describe(&run.faults[METRICS], text, sizeof(text));
    assert_string_equal(text, "line 2, column 1: ends too early");
    run_state_free(&run);
}

static void test_a_directory_that_is_none(void **state)
{
    struct place *place = *state;
    struct run_state run;
    struct file_stamp stamps[BUILT_IN_FILES];

    put(place, "other.json", "{}");
    CLEANUP_FD int fd = openat(place->fd, "other.json", O_PATH | O_CLOEXEC);
    assert_int_equal(run_load(built_in_plan(), fd, &run), -ENOTDIR);
    assert_false(run.is_run);
    assert_int_equal(run_load_stamps(built_in_plan(), fd, stamps), -ENOTDIR);
    assert_int_equal(run_load(built_in_plan(), -1, &run), -EBADF);
}

/* Without a descriptor to look with, nothing is said of the run. */
static void test_shortage_is_no_fault(void **state)
{
    struct place *place = *state;
    struct run_state run;
    struct rlimit limit;

    put(place, "metrics.json", "{}");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int lowest_free = dup(place->fd);
    close(lowest_free);
    struct rlimit lowered = {(rlim_t)lowest_free, limit.rlim_max};

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lowered), 0);
    int result = run_load(built_in_plan(), place->fd, &run);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, -EMFILE);
    assert_false(run.is_run);
    assert_int_equal(run_load(built_in_plan(), place->fd, &run), 0);
    assert_true(run.is_whole);
    run_state_free(&run);
}

static void test_reading_appends_up_to_the_limit(void **state)
{
    struct place *place = *state;
    struct buffer content = {0};
    struct file_stamp stamp;

    buffer_append_text(&content, "kept ");
    put(place, "other.json", "12345");
    assert_int_equal(file_read_bounded(place->fd, "other.json", 5, &content, &stamp), 0);
    assert_string_equal(content.bytes, "kept 12345");
    assert_int_equal(stamp.size_bytes, 5);
    assert_int_equal(file_read_bounded(place->fd, "other.json", 4, &content, &stamp), -EFBIG);
    assert_int_equal(stamp.size_bytes, 5);
    assert_int_equal(file_read_bounded(place->fd, "none.json", 4, &content, &stamp), -ENOENT);
    assert_true(file_stamp_equal(&stamp, &no_stamp));
    assert_string_equal(content.bytes, "kept 12345");
    buffer_free(&content);
}

/* A file that has more in it than its size says is bounded while it is read. */
static void test_more_than_the_size_says(void **state)
{
    struct buffer content = {0};

    (void)state;
    CLEANUP_FD int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        skip();
    assert_int_equal(file_read_bounded(fd, "limits", 100, &content, NULL), -EFBIG);
    assert_int_equal(content.length, 0);
    assert_int_equal(file_read_bounded(fd, "limits", 1 << 20, &content, NULL), 0);
    assert_true(content.length > 100);
    buffer_free(&content);
}

/* A writer beside the reader, as fast as it can, until told to stop. */
struct writer {
    const struct place *place;
    atomic_bool is_stopping;
};

static void *replace_by_rename(void *context)
{
    struct writer *writer = context;

    for (int i = 0; !atomic_load(&writer->is_stopping); i++) {
        put(writer->place, "other.json",
            i % 2 ? "{\"total_tokens_in\": 1}" : "{\"total_tokens_in\": 1000000}");
        renameat(writer->place->fd, "other.json", writer->place->fd, "metrics.json");
    }
    return NULL;
}

static void *grow_in_place(void *context)
{
    static const char block[4096] = {' '};
    struct writer *writer = context;

    while (!atomic_load(&writer->is_stopping)) {
        CLEANUP_FD int fd =
            openat(writer->place->fd, "metrics.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        for (int i = 0; i < 50 && !atomic_load(&writer->is_stopping); i++) {
            if (write(fd, block, sizeof(block)) < 0)
                return NULL;
        }
    }
    return NULL;
}

static void test_a_file_that_is_being_replaced_is_read_whole(void **state)
{
    struct writer writer = {.place = *state};
    pthread_t thread;

    put(writer.place, "metrics.json", "{\"total_tokens_in\": 1}");
    assert_int_equal(pthread_create(&thread, NULL, replace_by_rename, &writer), 0);
    for (int i = 0; i < 2000; i++) {
        struct run_state run;

        assert_int_equal(run_load(built_in_plan(), writer.place->fd, &run), 0);
        assert_true(run.is_whole);
        assert_int_equal(run.stamps[METRICS].size_bytes, run.fields.tokens_in == 1 ? 22 : 28);
        run_state_free(&run);
    }
    atomic_store(&writer.is_stopping, true);
    pthread_join(thread, NULL);
}

static void test_a_file_that_grows_stays_bounded(void **state)
{
    enum { LIMIT_BYTES = 100000 };
    struct writer writer = {.place = *state};
    pthread_t thread;

    put(writer.place, "metrics.json", "");
    assert_int_equal(pthread_create(&thread, NULL, grow_in_place, &writer), 0);
    for (int i = 0; i < 2000; i++) {
        struct buffer content = {0};

        int result = file_read_bounded(writer.place->fd, "metrics.json", LIMIT_BYTES, &content, NULL);
        assert_true(result == 0 || result == -EFBIG);
        assert_true(content.length <= (result ? 0 : LIMIT_BYTES));
        buffer_free(&content);
    }
    atomic_store(&writer.is_stopping, true);
    pthread_join(thread, NULL);
}

#define with_place(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_place(test_a_directory_without_the_files_is_no_run),
        with_place(test_a_whole_run),
        with_place(test_either_file_makes_a_run),
        with_place(test_a_link_is_not_followed),
        with_place(test_a_dangling_link_is_a_run_as_well),
        with_place(test_a_fifo_is_not_waited_for),
        with_place(test_a_directory_is_no_file),
        with_place(test_a_socket_is_no_file),
        with_place(test_a_device_is_not_opened),
        with_place(test_a_file_too_large_is_not_read),
        with_place(test_a_file_without_permission),
        with_place(test_a_half_written_file),
        with_place(test_a_directory_that_is_none),
        with_place(test_shortage_is_no_fault),
        with_place(test_reading_appends_up_to_the_limit),
        cmocka_unit_test(test_more_than_the_size_says),
        with_place(test_a_file_that_is_being_replaced_is_read_whole),
        with_place(test_a_file_that_grows_stays_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
