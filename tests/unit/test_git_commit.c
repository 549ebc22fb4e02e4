/*
 * The pieces of a commit that can be seen alone: locks that a kill can't leave for good, and the message. The
 * whole is tested from outside, beside real Git.
 */
#include "core/base/memory.h"
#include "core/git/commit.h"
#include "core/git/placing.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char directory[64], target[96], lock[96];
};

static void make_file(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void assert_content(const char *path, const char *wanted)
{
    char content[64] = "";
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, content, sizeof(content) - 1) >= 0);
    close(fd);
    assert_string_equal(content, wanted);
}

static int setup(void **state)
{
    struct place *place = memory_alloc_zeroed(1, sizeof(*place));
    strcpy(place->directory, "/tmp/runsfs-placing-XXXXXX");
    if (!mkdtemp(place->directory))
        return -1;
    strcat(place->directory, "/");
    snprintf(place->target, sizeof(place->target), "%sindex", place->directory);
    snprintf(place->lock, sizeof(place->lock), "%sindex.lock", place->directory);
    make_file(place->target, "old");
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    unlink(place->target);
    unlink(place->lock);
    int result = rmdir(place->directory); /* nothing else is left in it */
    free(place);
    return result;
}

static void begin(const struct place *place, struct placing *placing)
{
    char *own = placing_name(place->directory);
    make_file(own, "new");
    assert_int_equal(placing_begin(placing, own, place->target), 0);
}

static void test_takes_the_place(void **state)
{
    struct place *place = *state;
    struct placing placing;
    begin(place, &placing);
    assert_content(place->target, "old");
    assert_int_equal(placing_lock(&placing), 0);
    assert_content(place->lock, "new");
    assert_int_equal(placing_finish(&placing), 0);
    assert_content(place->target, "new");
    assert_int_equal(access(place->lock, F_OK), 0);
    placing_end(&placing);
    assert_int_equal(access(place->lock, F_OK), -1);
    assert_content(place->target, "new");
    placing_end(&placing);
}

static void test_somebody_has_the_lock(void **state)
{
    struct place *place = *state;
    struct placing placing;
    const char *targets[] = {place->target};
    make_file(place->lock, "");
    begin(place, &placing);
    assert_int_equal(placing_lock(&placing), -EAGAIN);
    placing_end(&placing);
    placing_clean(place->directory, targets, 1);
    assert_int_equal(access(place->lock, F_OK), 0); /* Git's is never taken away */
    assert_content(place->target, "old");
}

static void test_who_is_alive_keeps_his(void **state)
{
    struct place *place = *state;
    struct placing placing;
    const char *targets[] = {place->target};
    begin(place, &placing);
    assert_int_equal(placing_lock(&placing), 0);
    placing_clean(place->directory, targets, 1);
    assert_content(place->lock, "new");
    assert_int_equal(placing_finish(&placing), 0);
    placing_clean(place->directory, targets, 1);
    assert_content(place->lock, "new");
    placing_end(&placing);
}

/* Killed with the lock, before it took the place or after. */
static void test_who_was_killed(void **state)
{
    struct place *place = *state;
    const char *targets[] = {place->target};
    for (int finishes = 0; finishes <= 1; finishes++) {
        struct placing placing;
        char *own = placing_name(place->directory), *copy = strdup(own);
        make_file(own, "new");
        pid_t child = fork();
        if (child == 0) {
            if (placing_begin(&placing, own, place->target) != 0 || placing_lock(&placing) != 0 ||
                (finishes && placing_finish(&placing) != 0))
                _exit(1);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(access(place->lock, F_OK), 0);
        placing_clean(place->directory, targets, 1);
        assert_int_equal(access(place->lock, F_OK), -1);
        assert_content(place->target, finishes ? "new" : "old");
        unlink(copy); /* it goes when it is older */
        free(copy);
        free(own);
    }
}

static void test_messages(void **state)
{
    (void)state;
    struct buffer text = {0};
    const struct run_fields fields = {
        .status = SLICE_LITERAL("verified"), .tokens_in = 287761, .tokens_out = 91329};
    const struct run_fields odd = {.status = SLICE_LITERAL("a\nb")};
    commit_message_append(&text, "chatdev/0a1b", &fields);
    assert_string_equal(text.bytes, "chatdev/0a1b: verified, 287761 tokens in, 91329 out");
    buffer_clear(&text);
    commit_message_append(&text, "x/a\nb", &odd);
    assert_string_equal(text.bytes, "x/a%0Ab: a?b, 0 tokens in, 0 out");
    buffer_free(&text);
}

static void test_batches(void **state)
{
    (void)state;
    assert_int_equal(commit_batch(370000, 1000), 1);
    assert_int_equal(commit_batch(37000000, 14), 1);
    assert_int_equal(commit_batch(37000000, 15), 2);
    assert_int_equal(commit_batch(37000000, 100000), 7143);
    assert_int_equal(commit_batch(COMMIT_BURST_BYTES * 2, 10), 10);
    assert_int_equal(commit_batch(0, 10), 1);
    assert_int_equal(commit_batch(370000, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_takes_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_somebody_has_the_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_alive_keeps_his, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_was_killed, setup, teardown),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
