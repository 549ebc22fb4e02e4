/*
 * The index cache without a keeper: what is written is found again, and whatever is wrong with a file it is
 * refused, never believed.
 */
#include "tests/unit/a_source.h"
#include "core/base/memory.h"
#include "core/cache/format.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_COUNT 3

static const struct cache_kind kind = {.fingerprint = 1, .file_count = 2, .own_count = 3};

struct fixture {
    int source_fd;
    struct cache_place *place;
};

/* What the configuration's own fields say. */
static struct run_own own = {3, {SLICE_CONSTANT("gpt"), {NULL, 0}, SLICE_CONSTANT("")}};

static const struct {
    struct slice framework, name;
    struct cached_run run;
} examples[RUN_COUNT] = {
    {SLICE_CONSTANT("chatdev"),
     SLICE_CONSTANT("run-1"),
     {.stamps = {{1, 2, 3, 4}, {5, 6, 7, 8}},
      .fields = {SLICE_CONSTANT("2025-10-15T08:50:59Z"), SLICE_CONSTANT("2025-10-15T09:25:22Z"),
                 SLICE_CONSTANT("verified"), 287761, 91329, &own}}},
    {SLICE_CONSTANT("a"),
     SLICE_CONSTANT("\x80\n"),
     {.stamps = {{0}, {UINT64_MAX, 1, -1, INT64_MIN}},
      .fields = {.status = SLICE_CONSTANT(""), .own = &own}}},
    {SLICE_CONSTANT("chatdev"),
     SLICE_CONSTANT("run-2"),
     {.stamps = {{9, 9, 9, 9}, {0}},
      .fields = {.start_time = SLICE_CONSTANT(""),
                 .status = SLICE_CONSTANT("pending"),
                 .tokens_out = 1,
                 .own = &own}}},
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_alloc_zeroed(1, sizeof(*fixture));
    if (make_source(NULL) != 0)
        return -1;
    fixture->source_fd = open(source_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = fixture;
    return cache_place_open(cache_path, fixture->source_fd, source_path, &fixture->place);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cache_place_close(fixture->place);
    close(fixture->source_fd);
    free(fixture);
    return remove_source(NULL);
}

static void write_examples(const struct cache_place *place)
{
    struct cache_writer *writer;
    assert_int_equal(cache_write_begin(place, &kind, &writer), 0);
    for (int i = 0; i < RUN_COUNT; i++) {
        cache_write_run(writer, examples[i].framework, examples[i].name, &examples[i].run);
        assert_int_equal(i == 1 ? cache_write_out(writer) : 0, 0);
    }
    assert_int_equal(cache_write_end(writer), 0);
}

static void assert_examples(const struct cache *cache)
{
    assert_int_equal(cache_count(cache), RUN_COUNT);
    for (int i = 0; i < RUN_COUNT; i++) {
        struct cached_run run;
        assert_true(cache_find(cache, examples[i].framework, examples[i].name, &run));
        assert_true(run_fields_equal(&run.fields, &examples[i].run.fields));
        assert_memory_equal(run.stamps, examples[i].run.stamps, kind.file_count * sizeof(*run.stamps));
        free(run.fields.own);
        assert_false(cache_find(cache, examples[i].name, examples[i].framework, &run));
    }
}

/* How many entries the directory of caches has. */
static int count_files(void)
{
    char command[160];
    snprintf(command, sizeof(command), "exit $(ls -A %s | wc -l)", cache_path);
    int status = system(command);
    return WEXITSTATUS(status);
}

static struct buffer content_of(const struct fixture *fixture)
{
    struct buffer content = {0};
    assert_int_equal(
        file_read_bounded(fixture->place->directory_fd, fixture->place->name, 1 << 20, &content, NULL), 0);
    return content;
}

static int parse_copy(const struct fixture *fixture, struct slice bytes, struct cache **cache)
{
    char *copy = memory_copy_text(bytes.bytes, bytes.length);
    return cache_parse(copy, bytes.length, &fixture->place->source, &kind, cache);
}

static void test_round_trip(void **state)
{
    struct fixture *fixture = *state;
    struct cache *cache = NULL;
    assert_int_equal(cache_load(fixture->place, &kind, &cache), -ENOENT);
    for (int i = 0; i < 2; i++) {
        write_examples(fixture->place);
        assert_int_equal(cache_load(fixture->place, &kind, &cache), 0);
        assert_examples(cache);
        cache_free(cache);
    }
    assert_int_equal(count_files(), 1);
}

static void test_an_empty_one(void **state)
{
    struct fixture *fixture = *state;
    struct cache_writer *writer;
    struct cache *cache;
    struct cached_run run;
    assert_int_equal(cache_write_begin(fixture->place, &kind, &writer), 0);
    assert_int_equal(cache_write_end(writer), 0);
    assert_int_equal(cache_load(fixture->place, &kind, &cache), 0);
    assert_int_equal(cache_count(cache), 0);
    assert_false(cache_find(cache, SLICE_LITERAL("a"), SLICE_LITERAL("b"), &run));
    cache_free(cache);
}

static void test_many(void **state)
{
    struct fixture *fixture = *state;
    struct cache_writer *writer;
    struct cache *cache;
    char name[32];
    assert_int_equal(cache_write_begin(fixture->place, &kind, &writer), 0);
    for (uint64_t i = 0; i < 10000; i++) {
        struct cached_run run = {.fields = {.status = SLICE_LITERAL("s"), .tokens_in = i}};
        snprintf(name, sizeof(name), "run-%llu", (unsigned long long)i);
        cache_write_run(writer, SLICE_LITERAL("framework"), slice_of(name), &run);
    }
    assert_int_equal(cache_write_end(writer), 0);
    assert_int_equal(cache_load(fixture->place, &kind, &cache), 0);
    for (uint64_t i = 0; i < 10000; i++) {
        struct cached_run run;
        snprintf(name, sizeof(name), "run-%llu", (unsigned long long)i);
        assert_true(cache_find(cache, SLICE_LITERAL("framework"), slice_of(name), &run));
        assert_int_equal(run.fields.tokens_in, i);
        free(run.fields.own);
    }
    cache_free(cache);
}

static void test_truncated_anywhere(void **state)
{
    struct fixture *fixture = *state;
    struct cache *cache;
    write_examples(fixture->place);
    struct buffer content = content_of(fixture);
    for (size_t length = 0; length < content.length; length++)
        assert_int_equal(parse_copy(fixture, (struct slice){content.bytes, length}, &cache), -EBADMSG);
    assert_int_equal(parse_copy(fixture, buffer_slice(&content), &cache), 0);
    cache_free(cache);
    buffer_append(&content, "\0\0\0\0\0\0\0", 8);
    assert_int_equal(parse_copy(fixture, buffer_slice(&content), &cache), -EBADMSG);
    buffer_free(&content);
}

static void test_a_bit_flipped_anywhere(void **state)
{
    struct fixture *fixture = *state;
    struct cache *cache;
    write_examples(fixture->place);
    struct buffer content = content_of(fixture);
    for (size_t bit = 0; bit < content.length * 8; bit++) {
        content.bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(parse_copy(fixture, buffer_slice(&content), &cache), -EBADMSG);
        content.bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    buffer_free(&content);
}

/* As another version, another machine or another source would have written it, with a checksum that is right.
 */
static void test_foreign(void **state)
{
    struct fixture *fixture = *state;
    struct cache *cache;
    write_examples(fixture->place);
    struct buffer content = content_of(fixture);
    for (int change = 0; change < 8; change++) {
        struct cache_header header;
        memcpy(&header, content.bytes, sizeof(header));
        switch (change) {
        case 0:
            header.magic[0] = 'R';
            break;
        case 1:
            header.byte_order = 0x0807060504030201;
            break;
        case 2:
            header.version++;
            break;
        case 3:
            header.derivation++;
            break;
        case 4:
            header.record_size_bytes -= 8;
            break;
        case 5:
            header.source.ino++;
            break;
        case 6:
            header.run_count--;
            break;
        case 7:
            header.run_count++;
            break;
        }
        cache_header_seal(&header,
                          cache_checksum(0, content.bytes + sizeof(header), content.length - sizeof(header)));
        struct buffer changed = {0};
        buffer_append(&changed, (const char *)&header, sizeof(header));
        buffer_append(&changed, content.bytes + sizeof(header), content.length - sizeof(header));
        assert_int_equal(parse_copy(fixture, buffer_slice(&changed), &cache), -EBADMSG);
        buffer_free(&changed);
    }
    buffer_free(&content);
}

static void test_each_source_has_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct cache_place *other;
    int fd = open(scratch_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char elsewhere[96];
    snprintf(elsewhere, sizeof(elsewhere), "%s/cache", source_path);
    assert_int_equal(cache_place_open(elsewhere, fd, scratch_path, &other), -EXDEV);
    close(fd);
    fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(cache_place_open(cache_path, fd, "/", &other), -EXDEV);
    close(fd);
    fd = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(cache_place_open(cache_path, fd, "/usr", &other), 0);
    assert_string_not_equal(other->name, fixture->place->name);
    cache_place_close(other);
    close(fd);
}

static void test_never_in_the_source(void **state)
{
    struct fixture *fixture = *state;
    struct cache_place *place;
    char path[160];
    static const char *const below[] = {"", "/cache", "/a/b/c"};
    for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
        snprintf(path, sizeof(path), "%s%s", source_path, below[i]);
        assert_int_equal(cache_place_open(path, fixture->source_fd, source_path, &place), -EXDEV);
    }
    snprintf(path, sizeof(path), "%s/link", scratch_path);
    assert_int_equal(symlink("source", path), 0);
    assert_int_equal(cache_place_open(path, fixture->source_fd, source_path, &place), -EXDEV);
    snprintf(path, sizeof(path), "exit $(ls -A %s | wc -l)", source_path);
    assert_int_equal(system(path), 0);
}

static void test_where_others_may_write(void **state)
{
    struct fixture *fixture = *state;
    struct cache_place *place;
    struct cache *cache;
    struct cache_writer *writer;
    assert_int_equal(chmod(cache_path, 0770), 0);
    assert_int_equal(cache_place_open(cache_path, fixture->source_fd, source_path, &place), -EPERM);
    assert_int_equal(chmod(cache_path, 0700), 0);
    write_examples(fixture->place);
    assert_int_equal(fchmodat(fixture->place->directory_fd, fixture->place->name, 0602, 0), 0);
    assert_int_equal(cache_load(fixture->place, &kind, &cache), -EPERM);
    assert_int_equal(unlinkat(fixture->place->directory_fd, fixture->place->name, 0), 0);
    assert_int_equal(symlinkat("/dev/zero", fixture->place->directory_fd, fixture->place->name), 0);
    assert_int_equal(cache_load(fixture->place, &kind, &cache), -ELOOP);
    write_examples(fixture->place); /* takes the link's place */
    assert_int_equal(cache_load(fixture->place, &kind, &cache), 0);
    cache_free(cache);
    if (geteuid() != 0)
        return;
    assert_int_equal(fchownat(fixture->place->directory_fd, fixture->place->name, 1, 1, 0), 0);
    assert_int_equal(cache_load(fixture->place, &kind, &cache), -EPERM);
    assert_int_equal(chown(cache_path, 1, 1), 0);
    assert_int_equal(cache_place_open(cache_path, fixture->source_fd, source_path, &place), -EPERM);
    assert_int_equal(cache_write_begin(fixture->place, &kind, &writer), 0); /* what is open stays good */
    assert_int_equal(cache_write_end(writer), 0);
}

static void test_two_writers(void **state)
{
    struct fixture *fixture = *state;
    struct cache_writer *first, *second;
    assert_int_equal(cache_write_begin(fixture->place, &kind, &first), 0);
    assert_int_equal(cache_write_begin(fixture->place, &kind, &second), -EAGAIN);
    assert_int_equal(cache_write_end(first), 0);
    write_examples(fixture->place);
    assert_int_equal(count_files(), 1);
}

/* What a killed process left is written over. */
static void test_a_temporary_that_was_left(void **state)
{
    struct fixture *fixture = *state;
    struct cache *cache;
    char name[64];
    snprintf(name, sizeof(name), "%s.new", fixture->place->name);
    int fd = openat(fixture->place->directory_fd, name, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, 100000), 0);
    close(fd);
    write_examples(fixture->place);
    assert_int_equal(count_files(), 1);
    assert_int_equal(cache_load(fixture->place, &kind, &cache), 0);
    assert_examples(cache);
    cache_free(cache);
}

static void test_no_room(void **state)
{
    struct fixture *fixture = *state;
    struct cache_writer *writer;
    struct cache *cache;
    struct rlimit limit, lowered;
    write_examples(fixture->place);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    lowered = (struct rlimit){200, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &lowered), 0);
    int begun = cache_write_begin(fixture->place, &kind, &writer);
    for (int i = 0; begun == 0 && i < RUN_COUNT; i++)
        cache_write_run(writer, examples[i].framework, examples[i].name, &examples[i].run);
    int ended = begun == 0 ? cache_write_end(writer) : 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(begun, 0);
    assert_int_equal(ended, -EFBIG);
    assert_int_equal(count_files(), 1);
    assert_int_equal(cache_load(fixture->place, &kind, &cache), 0);
    assert_examples(cache);
    cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_empty_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_truncated_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_bit_flipped_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_source_has_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_never_in_the_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_where_others_may_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_writers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_temporary_that_was_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
