/*
 * core/base: slices, buffers, UTF-8 and the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define assert_slice(actual, literal) assert_true(slice_equal(actual, SLICE_LITERAL(literal)))

static void test_absent_and_empty_differ(void **state)
{
    (void)state;
    assert_true(slice_equal(SLICE_ABSENT, SLICE_ABSENT));
    assert_false(slice_equal(SLICE_ABSENT, SLICE_LITERAL("")));
    assert_true(slice_equal(SLICE_LITERAL(""), SLICE_LITERAL("")));
    assert_null(slice_of(NULL).bytes);
    assert_null(slice_copy(SLICE_ABSENT).bytes);
    struct slice empty = slice_copy(SLICE_LITERAL(""));
    assert_non_null(empty.bytes);
    slice_free(&empty);
    assert_null(empty.bytes);
}

static void test_order_is_that_of_bytes(void **state)
{
    static const struct slice ascending[] = {
        {"", 0},   {"\0", 1}, {"\0\0", 2},         {"a", 1},    {"a\0", 2},
        {"aa", 2}, {"b", 1},  {"\xed\xb2\x80", 3}, {"\xff", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ascending) / sizeof(*ascending); i++) {
        for (size_t j = 0; j < sizeof(ascending) / sizeof(*ascending); j++) {
            int order = slice_compare(ascending[i], ascending[j]);

            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    assert_int_equal(slice_compare(SLICE_ABSENT, SLICE_LITERAL("")), 0);
    assert_true(slice_compare(SLICE_ABSENT, SLICE_LITERAL("a")) < 0);
}

static void test_copies_keep_nul_and_end_in_one(void **state)
{
    struct slice copy = slice_copy(SLICE_LITERAL("a\0b"));

    (void)state;
    assert_slice(copy, "a\0b");
    assert_int_equal(copy.bytes[3], '\0');
    slice_free(&copy);
}

static void test_buffer_grows_and_stays_terminated(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    assert_slice(buffer_slice(&buffer), "");
    buffer_append(&buffer, NULL, 0);
    assert_string_equal(buffer.bytes, "");
    for (int i = 0; i < 10000; i++) {
        buffer_append_byte(&buffer, (char)('a' + i % 26));
        assert_true(buffer.capacity > buffer.length);
        assert_int_equal(buffer.bytes[buffer.length], '\0');
    }
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buffer.bytes[i], 'a' + i % 26);
    buffer_clear(&buffer);
    assert_string_equal(buffer.bytes, "");
    buffer_append_text(&buffer, "x");
    buffer_append_slice(&buffer, SLICE_LITERAL("\0y"));
    assert_slice(buffer_slice(&buffer), "x\0y");
    buffer_free(&buffer);
    assert_null(buffer.bytes);
    buffer_clear(&buffer);
}

static void test_buffer_formats_at_every_fill(void **state)
{
    (void)state;
    for (size_t filled = 0; filled < 80; filled++) {
        struct buffer buffer = {0};

        for (size_t i = 0; i < filled; i++)
            buffer_append_byte(&buffer, '-');
        buffer_append_format(&buffer, "%s:%d", "0123456789012345678901234567890123456789", 7);
        buffer_append_format(&buffer, "%s", "");
        assert_int_equal(buffer.length, filled + 42);
        assert_string_equal(buffer.bytes + filled, "0123456789012345678901234567890123456789:7");
        buffer_free(&buffer);
    }
}

static void test_buffer_refuses_the_impossible(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
    assert_null(buffer.bytes);
    buffer_append_text(&buffer, "kept");
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - 2), -ENOMEM);
    assert_string_equal(buffer.bytes, "kept");
    assert_int_equal(buffer_reserve(&buffer, 1000), 0);
    assert_true(buffer.capacity > 1004);
    assert_string_equal(buffer.bytes, "kept");
    buffer_free(&buffer);
}

static void test_utf8_decodes_what_it_encodes(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point <= 0x10ffff; code_point++) {
        bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
        struct buffer buffer = {0};
        uint32_t decoded = 0;

        utf8_append(&buffer, code_point);
        size_t length = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
        assert_int_equal(buffer.length, length);
        assert_int_equal(utf8_decode(buffer_slice(&buffer), true, &decoded), length);
        assert_int_equal(decoded, code_point);
        assert_int_equal(utf8_decode(buffer_slice(&buffer), false, &decoded), is_surrogate ? 0 : length);
        for (size_t cut = 0; cut < length; cut++)
            assert_int_equal(utf8_decode((struct slice){buffer.bytes, cut}, true, &decoded), 0);
        buffer_free(&buffer);
    }
}

static void test_utf8_refuses_what_is_none(void **state)
{
    static const char *const refused[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2\x20",
        "\xc2\xc2",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xe2\x82\x20",
        "\xe2\x20\x82",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xf0\x9f\x98\x20",
    };
    uint32_t code_point;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        assert_int_equal(utf8_decode(slice_of(refused[i]), true, &code_point), 0);
    assert_int_equal(utf8_decode(SLICE_LITERAL(""), true, &code_point), 0);
}

/* The results are those of os.fsencode's inverse: os.fsdecode(name).encode("utf-8", "surrogatepass"). */
static void test_file_names_as_python_has_them(void **state)
{
    static const struct {
        const char *name, *decoded;
    } cases[] = {
        {"plain", "plain"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"a\xff", "a\xed\xb3\xbf"},
        {"\x80", "\xed\xb2\x80"},
        {"\xe2\x82"
         "A",
         "\xed\xb3\xa2\xed\xb2\x82"
         "A"},
        {"\xed\xa0\x80", "\xed\xb3\xad\xed\xb2\xa0\xed\xb2\x80"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buffer buffer = {0};

        utf8_append_file_name(&buffer, slice_of(cases[i].name));
        assert_string_equal(buffer.bytes, cases[i].decoded);
        buffer_free(&buffer);
    }
}

static void test_hash_is_fnv1a(void **state)
{
    (void)state;
    assert_true(text_hash(SLICE_LITERAL("")) == 0xcbf29ce484222325u);
    assert_true(text_hash(SLICE_LITERAL("a")) == 0xaf63dc4c8601ec8cu);
    assert_true(text_hash(SLICE_LITERAL("foobar")) == 0x85944171f73967e8u);
    assert_true(text_hash(SLICE_ABSENT) == text_hash(SLICE_LITERAL("")));
}

static void test_memory_of_no_size_is_still_memory(void **state)
{
    (void)state;
    CLEANUP_FREE void *none = memory_alloc(0);
    CLEANUP_FREE void *zeroed = memory_alloc_zeroed(0, 8);
    CLEANUP_FREE char *text = memory_copy_text(NULL, 0);
    none = memory_resize(none, 0);
    assert_non_null(none);
    assert_non_null(zeroed);
    assert_string_equal(text, "");
}

/* What log calls wrote to stderr, which is caught in a pipe meanwhile. */
static void catch_stderr_begin(int *saved_fd, int *read_fd)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    *saved_fd = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    *read_fd = ends[0];
}

static void catch_stderr_end(int saved_fd, int read_fd, char *text, size_t size_bytes)
{
    dup2(saved_fd, STDERR_FILENO);
    close(saved_fd);
    ssize_t length = read(read_fd, text, size_bytes - 1);
    text[length > 0 ? length : 0] = '\0';
    close(read_fd);
}

static void test_log_lines_are_whole_and_harmless(void **state)
{
    char text[16384];
    int saved_fd, read_fd;

    (void)state;
    catch_stderr_begin(&saved_fd, &read_fd);
    log_configure(false, LOG_LEVEL_INFO);
    errno = EBUSY;
    log_error("run %s", "a\nb\x1b[31m\xff\xc2\x9b\x7f \xc3\xa9");
    log_debug("not at this level");
    log_info("%d", 42);
    int kept_errno = errno;
    catch_stderr_end(saved_fd, read_fd, text, sizeof(text));
    assert_string_equal(text, "runsfs: run a\\x0ab\\x1b[31m\\xff\\xc2\\x9b\\x7f \xc3\xa9\nrunsfs: 42\n");
    assert_int_equal(kept_errno, EBUSY);
}

static void test_log_cuts_what_is_too_long(void **state)
{
    char text[16384];
    char message[10000];
    int saved_fd, read_fd;

    (void)state;
    memset(message, '\n', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    catch_stderr_begin(&saved_fd, &read_fd);
    log_warning("%s", message);
    catch_stderr_end(saved_fd, read_fd, text, sizeof(text));
    size_t length = strlen(text);
    assert_in_range(length, 8000, 8192);
    assert_ptr_equal(strchr(text, '\n'), text + length - 1);
}

static void test_log_levels_by_name(void **state)
{
    enum log_level level = LOG_LEVEL_ERROR;

    (void)state;
    assert_int_equal(log_level_from_name("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_from_name("warning", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_int_equal(log_level_from_name("loud", &level), -EINVAL);
    assert_int_equal(log_level_from_name("", &level), -EINVAL);
    assert_int_equal(level, LOG_LEVEL_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_and_empty_differ),
        cmocka_unit_test(test_order_is_that_of_bytes),
        cmocka_unit_test(test_copies_keep_nul_and_end_in_one),
        cmocka_unit_test(test_buffer_grows_and_stays_terminated),
        cmocka_unit_test(test_buffer_formats_at_every_fill),
        cmocka_unit_test(test_buffer_refuses_the_impossible),
        cmocka_unit_test(test_utf8_decodes_what_it_encodes),
        cmocka_unit_test(test_utf8_refuses_what_is_none),
        cmocka_unit_test(test_file_names_as_python_has_them),
        cmocka_unit_test(test_hash_is_fnv1a),
        cmocka_unit_test(test_memory_of_no_size_is_still_memory),
        cmocka_unit_test(test_log_lines_are_whole_and_harmless),
        cmocka_unit_test(test_log_cuts_what_is_too_long),
        cmocka_unit_test(test_log_levels_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
