/*
 * core/run: the table of spec section 2 on texts, and reading a run's files from a real directory, whatever
 * stands there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/run/load.h"

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

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* --- fields
 * ---------------------------------------------------------------------------------------------------- */

struct derivation {
    const char *metrics, *metadata; /* NULL for a file that is not there */
    const char *start_time, *end_time, *status;
    uint64_t tokens_in, tokens_out;
};

static const struct derivation derivations[] = {
    /* Each field from each of its places, and the defaults. */
    {NULL, NULL, NULL, NULL, "pending", 0, 0},
    {"{}", "{}", NULL, NULL, "pending", 0, 0},
    {"{\"start_timestamp\":\"a\",\"end_timestamp\":\"b\"}", NULL, "a", "b", "pending", 0, 0},
    {"{\"start_time\":\"a\",\"end_time\":\"b\"}", NULL, "a", "b", "pending", 0, 0},
    {NULL, "{\"start_time\":\"a\",\"end_time\":\"b\"}", "a", "b", "pending", 0, 0},
    {"{\"usage_api_reconciliation\":{\"verification_status\":\"s\"}}", NULL, NULL, NULL, "s", 0, 0},
    {"{\"verification_status\":\"s\"}", NULL, NULL, NULL, "s", 0, 0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1,\"TOK_OUT\":2}}", NULL, NULL, NULL, "pending", 1, 2},
    {"{\"total_tokens_in\":1,\"total_tokens_out\":2}", NULL, NULL, NULL, "pending", 1, 2},
    /* What metadata says counts for the two times only. */
    {NULL,
     "{\"start_timestamp\":\"x\",\"end_timestamp\":\"x\",\"verification_status\":\"x\",\"total_tokens_in\":1,"
     "\"aggregate_metrics\":{\"TOK_OUT\":1}}",
     NULL, NULL, "pending", 0, 0},
    /* The first place wins, wherever it stands in the text. */
    {"{\"start_time\":\"2\",\"start_timestamp\":\"1\",\"end_timestamp\":\"1\",\"end_time\":\"2\"}",
     "{\"start_time\":\"3\",\"end_time\":\"3\"}", "1", "1", "pending", 0, 0},
    {"{\"start_time\":\"2\"}", "{\"start_time\":\"3\",\"end_time\":\"3\"}", "2", "3", "pending", 0, 0},
    {"{\"verification_status\":\"2\",\"usage_api_reconciliation\":{\"verification_status\":\"1\"}}", NULL,
     NULL, NULL, "1", 0, 0},
    {"{\"total_tokens_in\":2,\"total_tokens_out\":2,\"aggregate_metrics\":{\"TOK_IN\":1}}", NULL, NULL, NULL,
     "pending", 1, 2},
    /* An empty text is there; a zero is there. */
    {"{\"start_timestamp\":\"\",\"start_time\":\"2\",\"verification_status\":\"\"}", NULL, "", NULL, "", 0,
     0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":0},\"total_tokens_in\":5}", NULL, NULL, NULL, "pending", 0, 0},
    /* Another type counts as absent. */
    {"{\"start_timestamp\":null,\"start_time\":5,\"end_timestamp\":{\"end_time\":\"x\"},\"end_time\":[\"x\"]"
     "}",
     "{\"start_time\":\"3\",\"end_time\":\"3\"}", "3", "3", "pending", 0, 0},
    {"{\"usage_api_reconciliation\":\"s\",\"verification_status\":\"2\"}", NULL, NULL, NULL, "2", 0, 0},
    {"{\"usage_api_reconciliation\":[{\"verification_status\":\"1\"}],\"verification_status\":true}", NULL,
     NULL, NULL, "pending", 0, 0},
    {"{\"usage_api_reconciliation\":{\"verification_status\":null},\"verification_status\":\"2\"}", NULL,
     NULL, NULL, "2", 0, 0},
    {"{\"usage_api_reconciliation\":{\"x\":{\"verification_status\":\"1\"}}}", NULL, NULL, NULL, "pending", 0,
     0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1.0,\"TOK_OUT\":1e3},\"total_tokens_in\":7,\"total_tokens_out\":"
     "\"8\"}",
     NULL, NULL, NULL, "pending", 7, 0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":true,\"TOK_OUT\":NaN},\"total_tokens_in\":-1,\"total_tokens_out\":-"
     "0}",
     NULL, NULL, NULL, "pending", 0, 0},
    {"{\"total_tokens_in\":9007199254740992,\"total_tokens_out\":9007199254740993}", NULL, NULL, NULL,
     "pending", 9007199254740992, 0},
    {"{\"aggregate_metrics\":[1],\"total_tokens_in\":7}", NULL, NULL, NULL, "pending", 7, 0},
    {"{\"TOK_IN\":1,\"aggregate_metrics\":{\"total_tokens_in\":1}}", NULL, NULL, NULL, "pending", 0, 0},
    /* The last of duplicates counts, also where it makes a value absent. */
    {"{\"start_time\":\"1\",\"start_time\":\"2\",\"end_time\":\"1\",\"end_time\":null}", NULL, "2", NULL,
     "pending", 0, 0},
    {"{\"total_tokens_in\":1,\"total_tokens_in\":2,\"total_tokens_out\":1,\"total_tokens_out\":2.0}", NULL,
     NULL, NULL, "pending", 2, 0},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1,\"TOK_IN\":3,\"TOK_OUT\":1,\"TOK_OUT\":\"x\"},\"total_tokens_"
     "out\":9}",
     NULL, NULL, NULL, "pending", 3, 9},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1},\"aggregate_metrics\":{\"TOK_OUT\":2}}", NULL, NULL, NULL,
     "pending", 0, 2},
    {"{\"aggregate_metrics\":{\"TOK_IN\":1},\"total_tokens_in\":5,\"aggregate_metrics\":null}", NULL, NULL,
     NULL, "pending", 5, 0},
    {"{\"usage_api_reconciliation\":{\"verification_status\":\"1\"},\"usage_api_reconciliation\":{}}", NULL,
     NULL, NULL, "pending", 0, 0},
    {"{\"usage_api_reconciliation\":1,\"usage_api_reconciliation\":{\"verification_status\":\"1\"}}", NULL,
     NULL, NULL, "1", 0, 0},
    /* Names and texts are compared and kept decoded. */
    {"{\"st\\u0061rt_time\":\"1\",\"start_time\\u0000\":\"2\"}", NULL, "1", NULL, "pending", 0, 0},
    {"{\"start_time\":\"\\ud800\",\"end_time\":\"\\ud83d\\ude00\\n\"}", NULL, "\xed\xa0\x80",
     "\xf0\x9f\x98\x80\n", "pending", 0, 0},
    {"\xef\xbb\xbf{\"start_time\":\"1\"}", "\xef\xbb\xbf {\"end_time\":\"2\"}\n", "1", "2", "pending", 0, 0},
};

static void assert_fields(const struct run_fields *fields, const struct derivation *expected)
{
    struct run_fields wanted = {slice_of(expected->start_time), slice_of(expected->end_time),
                                slice_of(expected->status), expected->tokens_in, expected->tokens_out};

    if (!run_fields_equal(fields, &wanted))
        fail_msg("metrics %s, metadata %s: start %s end %s status %s tokens %llu %llu",
                 expected->metrics ? expected->metrics : "absent", expected->metadata ? expected->metadata : "absent",
                 fields->start_time.bytes, fields->end_time.bytes, fields->status.bytes,
                 (unsigned long long)fields->tokens_in, (unsigned long long)fields->tokens_out);
}

static void test_fields_from_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(derivations); i++) {
        struct run_fields fields;
        struct run_fault faults[2];

        int result = run_fields_derive(slice_of(derivations[i].metrics), slice_of(derivations[i].metadata),
                                       &fields, &faults[0], &faults[1]);
        assert_int_equal(result, 0);
        assert_null(faults[0].reason);
        assert_null(faults[1].reason);
        assert_fields(&fields, &derivations[i]);
        run_fields_free(&fields);
    }
}

static void test_texts_keep_nul(void **state)
{
    struct run_fields fields;
    struct run_fault faults[2];

    (void)state;
    run_fields_derive(SLICE_LITERAL("{\"verification_status\":\"a\\u0000b\"}"), SLICE_ABSENT, &fields,
                      &faults[0], &faults[1]);
    assert_true(slice_equal(fields.status, SLICE_LITERAL("a\0b")));
    run_fields_free(&fields);
}

static void test_a_faulty_file_counts_as_empty(void **state)
{
    static const struct {
        const char *content;
        const char *fault;
    } cases[] = {
        {"", "empty"},
        {" ", "line 1, column 2: empty"},
        {"[]", "line 1, column 1: not an object"},
        {"\n \"start_time\"", "line 2, column 2: not an object"},
        {"null", "line 1, column 1: not an object"},
        {"{\"start_time\":\"lost\"", "line 1, column 21: ends too early"},
        {"{\"start_time\":\"lost\"}\n{}", "line 2, column 1: something follows the value"},
        {"{\"start_time\":\"lost\",\n\"end_time\":\"x\n\"}",
         "line 2, column 14: a control character in a string"},
        {"{\"x\":{\"start_time\":[}}", "line 1, column 21: a value is missing"},
        {"{\"usage_api_reconciliation\":{\"verification_status\":\"x\"", "line 1, column 55: ends too early"},
    };
    static const struct derivation of_the_other = {.start_time = "1", .end_time = "2", .status = "pending"};
    struct slice sound = SLICE_LITERAL("{\"start_time\":\"1\",\"end_time\":\"2\"}");

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice faulty = slice_of(cases[i].content);
        struct run_fields fields;
        struct run_fault faults[2];
        char text[200];

        assert_int_equal(run_fields_derive(faulty, sound, &fields, &faults[0], &faults[1]), -EBADMSG);
        assert_fields(&fields, &of_the_other);
        run_fault_describe(&faults[0], text, sizeof(text));
        assert_string_equal(text, cases[i].fault);
        assert_null(faults[1].reason);
        run_fields_free(&fields);

        assert_int_equal(run_fields_derive(sound, faulty, &fields, &faults[0], &faults[1]), -EBADMSG);
        assert_fields(&fields, &of_the_other);
        assert_null(faults[0].reason);
        assert_non_null(faults[1].reason);
        run_fields_free(&fields);
    }
}

/* --- a run on disk
 * --------------------------------------------------------------------------------------------- */

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
    assert_int_equal(run_load(place->fd, &run), 0);
    assert_false(run.is_run);
    assert_false(run.is_whole);
    assert_true(file_stamp_equal(&run.stamps[RUN_FILE_METRICS], &no_stamp));
    assert_true(file_stamp_equal(&run.stamps[RUN_FILE_METADATA], &no_stamp));
    run_state_free(&run);
}

static void test_a_whole_run(void **state)
{
    struct place *place = *state;
    struct run_state run;
    struct file_stamp stamps[RUN_FILE_COUNT];
    struct stat info;
    static const struct derivation expected = {
        .start_time = "1", .end_time = "2", .status = "s", .tokens_in = 3};

    put(place, "metrics.json", "{\"start_time\":\"1\",\"verification_status\":\"s\",\"total_tokens_in\":3}");
    put(place, "metadata.json", "{\"start_time\":\"x\",\"end_time\":\"2\"}");
    assert_int_equal(run_load(place->fd, &run), 0);
    assert_true(run.is_run);
    assert_true(run.is_whole);
    assert_fields(&run.fields, &expected);
    assert_int_equal(run_load_stamps(place->fd, stamps), 0);
    for (size_t i = 0; i < RUN_FILE_COUNT; i++) {
        assert_true(file_stamp_equal(&run.stamps[i], &stamps[i]));
        assert_int_equal(fstatat(place->fd, run_file_names[i], &info, 0), 0);
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
    assert_int_equal(run_load(place->fd, &run), 0);
    assert_true(run.is_run && run.is_whole);
    assert_true(slice_equal(run.fields.end_time, SLICE_LITERAL("2")));
    assert_true(file_stamp_equal(&run.stamps[RUN_FILE_METRICS], &no_stamp));
    run_state_free(&run);
}

/* Loads a run whose metrics.json is odd and whose metadata.json is sound. */
static void assert_odd(const struct place *place, const char *reason)
{
    struct run_state run;
    struct file_stamp stamps[RUN_FILE_COUNT];
    struct buffer content = {0};

    put(place, "metadata.json", "{\"start_time\":\"1\"}");
    assert_int_equal(run_load(place->fd, &run), 0);
    assert_true(run.is_run);
    assert_false(run.is_whole);
    assert_string_equal(run.faults[RUN_FILE_METRICS].reason, reason);
    assert_int_equal(run.faults[RUN_FILE_METRICS].line, 0);
    assert_null(run.faults[RUN_FILE_METADATA].reason);
    assert_true(slice_equal(run.fields.start_time, SLICE_LITERAL("1")));
    assert_int_equal(run_load_stamps(place->fd, stamps), 0);
    assert_true(file_stamp_equal(&stamps[RUN_FILE_METRICS], &run.stamps[RUN_FILE_METRICS]));
    assert_false(file_stamp_equal(&stamps[RUN_FILE_METRICS], &no_stamp));
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
    assert_int_equal(run_load(place->fd, &run), 0);
    assert_true(run.is_run);
    assert_false(run.is_whole);
    assert_null(run.fields.start_time.bytes);
    run_fault_describe(&run.faults[RUN_FILE_METRICS], text, sizeof(text));
    assert_string_equal(text, "line 2, column 1: ends too early");
    run_state_free(&run);
}

static void test_a_directory_that_is_none(void **state)
{
    struct place *place = *state;
    struct run_state run;
    struct file_stamp stamps[RUN_FILE_COUNT];

    put(place, "other.json", "{}");
    CLEANUP_FD int fd = openat(place->fd, "other.json", O_PATH | O_CLOEXEC);
    assert_int_equal(run_load(fd, &run), -ENOTDIR);
    assert_false(run.is_run);
    assert_int_equal(run_load_stamps(fd, stamps), -ENOTDIR);
    assert_int_equal(run_load(-1, &run), -EBADF);
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
    int result = run_load(place->fd, &run);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, -EMFILE);
    assert_false(run.is_run);
    assert_int_equal(run_load(place->fd, &run), 0);
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

        assert_int_equal(run_load(writer.place->fd, &run), 0);
        assert_true(run.is_whole);
        assert_int_equal(run.stamps[RUN_FILE_METRICS].size_bytes, run.fields.tokens_in == 1 ? 22 : 28);
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
        cmocka_unit_test(test_fields_from_every_place),
        cmocka_unit_test(test_texts_keep_nul),
        cmocka_unit_test(test_a_faulty_file_counts_as_empty),
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
