/*
 * Git's objects as the past shows them: revisions, trees, runs and manifests, on repositories that `git
 * fast-import` makes.
 */
#include "core/git/past.h"
#include "core/git/revision.h"
#include "core/git/walk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    struct repository *repository;
    struct deriver *deriver;
};

static void run_command(const struct fixture *fixture, const char *command)
{
    char line[1024];
    snprintf(line, sizeof(line), "cd %s && { %s; }", fixture->directory, command);
    assert_int_equal(system(line), 0);
}

/* A repository in which git fast-import has read the stream. */
static struct fixture import(const char *stream)
{
    struct fixture fixture = {.directory = "/tmp/runsfs-git-XXXXXX"};
    char line[256];
    assert_non_null(mkdtemp(fixture.directory));
    run_command(&fixture, "git init -q -b main . && mkdir -p runs");
    snprintf(line, sizeof(line), "git -C %s fast-import --quiet", fixture.directory);
    FILE *pipe = popen(line, "we");
    assert_non_null(pipe);
    fputs(stream, pipe);
    assert_int_equal(pclose(pipe), 0);
    return fixture;
}

static void open_it(struct fixture *fixture, const char *source)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", fixture->directory, source);
    assert_int_equal(repository_open(path, &fixture->repository), 0);
    fixture->deriver = deriver_create(fixture->repository);
}

static void finish(struct fixture *fixture)
{
    deriver_free(fixture->deriver);
    repository_close(fixture->repository);
    char line[128];
    snprintf(line, sizeof(line), "rm -rf %s", fixture->directory);
    assert_int_equal(system(line), 0);
}

#define WHO "committer A <a@b> "
#define FILE_OF(path, content) "M 100644 inline " path "\ndata <<END\n" content "\nEND\n"

/* Four commits, an hour from each other, the first on 2025-10-15T08:00Z; a merge is the last. */
static const char history[] =
    "commit refs/heads/main\nmark :1\n" WHO "1760515200 +0000\ndata 3\none\n" FILE_OF(
        "runs/chatdev/r1/metrics.json", "{\"verification_status\": \"pending\", \"total_tokens_in\": 1}")
        FILE_OF("runs/chatdev/r2/metadata.json", "{}")
            FILE_OF("README", "x") "commit refs/heads/main\nmark :2\n" WHO
                                   "1760518800 +0000\ndata 3\ntwo\nfrom :1\n" FILE_OF(
                                       "runs/chatdev/r1/metrics.json",
                                       "{\"verification_status\": \"verified\", \"total_tokens_in\": "
                                       "7}") "commit refs/heads/side/one\nmark :3\n" WHO
                                             "1760522400 +0000\ndata 4\nside\nfrom :1\n"
                                             "M 100755 inline runs/baes/r3/metrics.json\ndata 2\n{}\n"
                                             "D runs/chatdev/r2\n"
                                             "commit refs/heads/main\nmark :4\n" WHO
                                             "1760526000 +0000\ndata 5\nmerge\nfrom :2\nmerge :3\n"
                                             "M 100755 inline runs/baes/r3/metrics.json\ndata 2\n{}\n"
                                             "D runs/chatdev/r2\n"
                                             "tag v1\nfrom :2\ntagger A <a@b> 1760518900 +0000\ndata "
                                             "3\ntag\n"
                                             "reset refs/tags/light\nfrom :1\n"
                                             "reset refs/heads/2025-01-01\nfrom :3\n";

static struct commit commit_at(const struct fixture *fixture, const char *text)
{
    struct object_id id;
    struct commit commit;
    bool is_fixed;
    assert_int_equal(revision_resolve(fixture->repository, text, &id, &is_fixed), 0);
    assert_int_equal(commit_read(fixture->repository, &id, &commit), 0);
    return commit;
}

static int resolve(const struct fixture *fixture, const char *text)
{
    struct object_id id;
    bool is_fixed;
    return revision_resolve(fixture->repository, text, &id, &is_fixed);
}

static void assert_same_commit(const struct fixture *fixture, const char *a, const char *b)
{
    struct commit first = commit_at(fixture, a), second = commit_at(fixture, b);
    assert_memory_equal(&first.id, &second.id, sizeof(first.id));
}

static void test_names_of_commits(void **state)
{
    struct fixture fixture = import(history);
    char digits[OBJECT_ID_DIGITS + 1];
    bool is_fixed;
    (void)state;
    open_it(&fixture, "runs");
    assert_string_equal(repository_prefix(fixture.repository), "runs");
    assert_same_commit(&fixture, "HEAD", "main");
    assert_same_commit(&fixture, "@~1", "v1");
    assert_same_commit(&fixture, "v1^{}", "HEAD^1");
    assert_same_commit(&fixture, "HEAD~2", "light");
    assert_same_commit(&fixture, "HEAD~2", "main^2^");
    assert_same_commit(&fixture, "side/one", "HEAD^2");
    struct commit head = commit_at(&fixture, "HEAD");
    object_id_format(&head.id, digits);
    assert_same_commit(&fixture, digits, "HEAD");
    assert_int_equal(revision_resolve(fixture.repository, digits, &head.id, &is_fixed), 0);
    assert_true(is_fixed);
    digits[9] = '\0';
    assert_same_commit(&fixture, digits, "HEAD");
    assert_int_equal(revision_resolve(fixture.repository, digits, &head.id, &is_fixed), 0);
    assert_false(is_fixed);
    finish(&fixture);
}

/* With a regular expression each, which must cost nothing that stays. */
static void test_names_by_search(void **state)
{
    struct fixture fixture = import(history);
    (void)state;
    run_command(&fixture,
                "git config branch.main.remote origin && git config branch.main.merge refs/heads/trunk && "
                "git config remote.origin.url . && "
                "git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*' && "
                "git update-ref refs/remotes/origin/trunk light && "
                "git config branch.side/one.remote . && git config branch.side/one.merge refs/heads/main");
    open_it(&fixture, "runs");
    assert_same_commit(&fixture, ":/^tw", "v1");
    assert_same_commit(&fixture, "HEAD^{/one|two}", "v1");
    assert_same_commit(&fixture, "HEAD^{/!-merge}", "side/one");
    assert_same_commit(&fixture, "HEAD^{/two}~1", "light");
    assert_same_commit(&fixture, "HEAD^{/two}^{/one}", "light");
    assert_int_equal(resolve(&fixture, "HEAD^{/nobody said this}"), -ENOENT);
    assert_int_equal(resolve(&fixture, ":/("), -ENOENT);
    assert_int_equal(resolve(&fixture, "HEAD^{/two"), -ENOENT);
    assert_same_commit(&fixture, "main@{upstream}", "light");
    assert_same_commit(&fixture, "@{u}", "light");
    assert_same_commit(&fixture, "side/one@{U}~1", "v1");
    assert_int_equal(resolve(&fixture, "v1@{u}"), -ENOENT);
    assert_int_equal(resolve(&fixture, "@{-1}"), -ENOENT);
    run_command(&fixture, "git checkout -q -f side/one && git checkout -q -f v1");
    assert_same_commit(&fixture, "@{-1}", "side/one");
    assert_same_commit(&fixture, "@{-2}~1", "v1");
    finish(&fixture);
}

static void test_dates(void **state)
{
    struct fixture fixture = import(history);
    (void)state;
    open_it(&fixture, "runs");
    assert_same_commit(&fixture, "2025-10-15", "HEAD");
    assert_same_commit(&fixture, "2030-01-01", "HEAD");
    assert_same_commit(&fixture, "2025-10-15T09:00", "HEAD~1");
    assert_same_commit(&fixture, "2025-10-15T10:59:59Z", "HEAD^2");
    assert_same_commit(&fixture, "2025-10-15T10:00+02:00", "HEAD~2");
    assert_int_equal(resolve(&fixture, "2025-10-14"), -ENOENT);
    assert_same_commit(&fixture, "2025-01-01", "side/one"); /* a name comes first */
    finish(&fixture);
}

static void test_names_of_nothing(void **state)
{
    static const char *const texts[] = {"nope",
                                        "HEAD~9",
                                        "a..b",
                                        "^HEAD",
                                        "HEAD:",
                                        "HEAD^{tree}",
                                        "@{",
                                        "",
                                        "HEAD:runs/chatdev",
                                        "0000000000000000000000000000000000000000"};
    struct fixture fixture = import(history);
    (void)state;
    open_it(&fixture, "runs");
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        assert_int_equal(resolve(&fixture, texts[i]), -ENOENT);
    finish(&fixture);
}

static void test_a_moving_name(void **state)
{
    struct fixture fixture = import(history);
    (void)state;
    open_it(&fixture, "runs");
    struct commit before = commit_at(&fixture, "HEAD~1");
    run_command(&fixture, "git update-ref refs/heads/main light");
    assert_same_commit(&fixture, "HEAD", "light");
    assert_int_equal(resolve(&fixture, "HEAD~1"), -ENOENT);
    run_command(&fixture, "git update-ref refs/heads/main v1^{} && git pack-refs --all && git gc -q");
    struct commit after = commit_at(&fixture, "HEAD");
    assert_memory_equal(&before.id, &after.id, sizeof(before.id));
    finish(&fixture);
}

struct names {
    char text[512];
};

static int add_name(const char *name, void *context)
{
    struct names *names = context;
    strcat(names->text, strlen(name) == OBJECT_ID_DIGITS ? "id" : name);
    strcat(names->text, " ");
    return 0;
}

static void test_names_to_choose_from(void **state)
{
    struct fixture fixture = import(history);
    struct names names = {""};
    (void)state;
    run_command(&fixture, "git tag main light");
    open_it(&fixture, "runs");
    assert_int_equal(revision_each_name(fixture.repository, 8, add_name, &names), 0);
    assert_string_equal(names.text, "HEAD 2025-01-01 main side/one light v1 id id id id ");
    names.text[0] = '\0';
    assert_int_equal(revision_each_name(fixture.repository, 2, add_name, &names), 0);
    assert_string_equal(names.text, "HEAD 2025-01-01 main side/one light v1 id id ");
    finish(&fixture);
}

/* ---- runs ---- */

struct changes {
    char text[512];
};

static int add_change(const char *path, const struct object_id *old_run_tree,
                      const struct object_id *new_run_tree, void *context)
{
    struct changes *changes = context;
    size_t length = strlen(changes->text);
    snprintf(changes->text + length, sizeof(changes->text) - length, "%s%s%s ", path, old_run_tree ? "-" : "",
             new_run_tree ? "+" : "");
    return 0;
}

static void assert_changes(const struct fixture *fixture, const char *from, const char *to,
                           const char *expected)
{
    struct changes changes = {""};
    const struct rules *rules;
    struct commit before = commit_at(fixture, from), after = commit_at(fixture, to);
    assert_int_equal(deriver_rules(fixture->deriver, &after.tree, &rules), 0);
    assert_int_equal(
        deriver_each_change(fixture->deriver, rules, &before.tree, &after.tree, add_change, &changes), 0);
    assert_string_equal(changes.text, expected);
}

static void test_changes_between_trees(void **state)
{
    struct fixture fixture = import(history);
    (void)state;
    open_it(&fixture, "runs");
    assert_changes(&fixture, "light", "v1", "chatdev/r1-+ ");
    assert_changes(&fixture, "light", "side/one", "baes/r3+ chatdev/r2- ");
    assert_changes(&fixture, "v1", "main", "baes/r3+ chatdev/r2- ");
    assert_changes(&fixture, "main", "main", "");
    finish(&fixture);
}

static struct buffer manifest_at(const struct fixture *fixture, const char *text)
{
    struct commit commit = commit_at(fixture, text);
    struct past *past;
    struct snapshot *manifest;
    struct buffer bytes = {0};
    assert_int_equal(past_create(fixture->deriver, &commit.tree, NULL, &past), 0);
    assert_int_equal(past_manifest(past, &manifest), 0);
    assert_int_equal(buffer_reserve(&bytes, snapshot_size(manifest)), 0);
    bytes.length = snapshot_read(manifest, bytes.bytes, snapshot_size(manifest), 0);
    bytes.bytes[bytes.length] = '\0';
    past_free(past);
    return bytes;
}

static void assert_manifest_has(const struct fixture *fixture, const char *text, const char *part)
{
    struct buffer bytes = manifest_at(fixture, text);
    if (!strstr(bytes.bytes, part))
        fail_msg("%s: %s is not in %s", text, part, bytes.bytes);
    buffer_free(&bytes);
}

static void test_the_manifest_of_a_tree(void **state)
{
    struct fixture fixture = import(history);
    (void)state;
    open_it(&fixture, "runs");
    assert_manifest_has(&fixture, "light", "\"last_updated\": null");
    assert_manifest_has(&fixture, "light", "\"total_runs\": 2");
    assert_manifest_has(&fixture, "light",
                        "\"verification_status\": \"pending\",\n      \"total_tokens_in\": 1,");
    assert_manifest_has(&fixture, "v1",
                        "\"verification_status\": \"verified\",\n      \"total_tokens_in\": 7,");
    assert_manifest_has(&fixture, "main", "\"baes\": 1,\n    \"chatdev\": 1");
    finish(&fixture);
}

/* What it adds is taken from the recorded manifest: its date, members, the last good values of a broken run.
 */
static void test_the_recorded_manifest(void **state)
{
    static const char stream[] = "commit refs/heads/main\n" WHO "1760515200 +0000\ndata 3\none\n" FILE_OF(
        "runs/a/r1/metrics.json", "{\"verification_status\": ") FILE_OF("runs/a/r2/metrics.json", "{}")
        FILE_OF("runs/runs_manifest.json",
                "{\"version\": \"1.0\", \"last_updated\": \"yesterday\", \"mine\": 1, \"total_runs\": 9, "
                "\"frameworks\": {\"z\": 0}, \"runs\": [{\"run_id\": \"r1\", \"framework\": \"a\", \"path\": "
                "\"a/r1\", \"verification_status\": \"verified\"}]}");
    struct fixture fixture = import(stream);
    (void)state;
    open_it(&fixture, "runs");
    assert_manifest_has(&fixture, "HEAD", "\"last_updated\": \"yesterday\",\n  \"total_runs\": 2,");
    assert_manifest_has(&fixture, "HEAD", "\"z\": 0,\n    \"a\": 2");
    assert_manifest_has(&fixture, "HEAD", "\"mine\": 1");
    assert_manifest_has(&fixture, "HEAD", "\"verification_status\": \"verified\"");
    finish(&fixture);
}

static void test_the_configuration_of_a_tree(void **state)
{
    static const char stream[] = "commit refs/heads/main\n" WHO "1760515200 +0000\ndata 3\none\n" FILE_OF(
        "a/r1/metrics.json", "{}") FILE_OF("a/b/r2/metrics.json", "{}")
        FILE_OF("runsfs.json",
                "{\"layout\": \"*/*/*\", \"manifest\": \"index.json\"}") "commit refs/heads/main\n" WHO
                                                                         "1760515300 +0000\ndata "
                                                                         "3\ntwo\n" FILE_OF(
                                                                             "runsfs.json",
                                                                             "{\"layout\": broken");
    struct fixture fixture = import(stream);
    const struct rules *rules;
    (void)state;
    open_it(&fixture, "");
    assert_string_equal(repository_prefix(fixture.repository), "");
    assert_manifest_has(&fixture, "HEAD~1", "\"path\": \"a/b/r2\"");
    assert_manifest_has(&fixture, "HEAD~1", "\"total_runs\": 1");
    assert_manifest_has(&fixture, "HEAD", "\"path\": \"a/r1\"");
    struct commit commit = commit_at(&fixture, "HEAD~1");
    assert_int_equal(deriver_rules(fixture.deriver, &commit.tree, &rules), 0);
    assert_string_equal(past_manifest_name(fixture.repository, rules, &commit.tree), "index.json");
    finish(&fixture);
}

/* ---- objects ---- */

static void test_entries_of_a_tree(void **state)
{
    static const char stream[] =
        "commit refs/heads/main\n" WHO "1760515200 +0000\ndata 3\none\n" FILE_OF("a.b", "1")
            FILE_OF("a/x", "2") FILE_OF("a-b", "3") FILE_OF("a0", "4")
                FILE_OF("ab/c", "5") "M 120000 inline link\ndata 3\na.b\n"
                                     "M 160000 0123456789012345678901234567890123456789 module\n";
    static const char *const names[] = {"a.b", "a", "a-b", "a0", "ab", "link", "module"};
    struct fixture fixture = import(stream);
    struct tree *tree;
    struct tree_entry entry;
    (void)state;
    open_it(&fixture, "");
    struct commit commit = commit_at(&fixture, "HEAD");
    assert_int_equal(tree_read(fixture.repository, &commit.tree, &tree), 0);
    assert_int_equal(tree->count, sizeof(names) / sizeof(*names));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const struct tree_entry *found = tree_find(tree, names[i]);
        assert_non_null(found);
        assert_string_equal(found->name, names[i]);
        assert_int_equal(tree_entry_of(fixture.repository, &commit.tree, names[i], &entry), 0);
        assert_memory_equal(&entry.id, &found->id, sizeof(entry.id));
        assert_int_equal(entry.mode, found->mode);
    }
    assert_null(tree_find(tree, "A"));
    assert_null(tree_find(tree, "b"));
    assert_true(S_ISLNK(tree_find(tree, "link")->mode));
    assert_true(S_ISDIR(tree_find(tree, "module")->mode));
    assert_true(object_id_is_none(&tree_find(tree, "module")->id));
    free(tree);
    finish(&fixture);
}

static void put_entry(FILE *file, const char *head, const struct object_id *id)
{
    fwrite(head, 1, strlen(head) + 1, file);
    fwrite(id->bytes, 1, sizeof(id->bytes), file);
}

/* Somebody made a tree whose names would lead out of it. */
static void test_a_hostile_tree(void **state)
{
    struct fixture fixture = import(history);
    struct tree *tree;
    struct tree_entry readme;
    char digits[OBJECT_ID_DIGITS + 2] = "", path[128];
    struct object_id id;
    (void)state;
    open_it(&fixture, "");
    struct commit commit = commit_at(&fixture, "HEAD");
    assert_int_equal(tree_entry_of(fixture.repository, &commit.tree, "README", &readme), 0);
    snprintf(path, sizeof(path), "%s/tree", fixture.directory);
    FILE *file = fopen(path, "we");
    put_entry(file, "100644 ..", &readme.id);
    put_entry(file, "100644 .", &readme.id);
    put_entry(file, "100644 a/b", &readme.id);
    put_entry(file, "100644 good", &readme.id);
    fputs("40000 cut", file);
    fclose(file);
    run_command(&fixture, "git hash-object -t tree --literally -w tree > id");
    snprintf(path, sizeof(path), "%s/id", fixture.directory);
    file = fopen(path, "re");
    assert_non_null(fgets(digits, sizeof(digits), file));
    fclose(file);
    digits[OBJECT_ID_DIGITS] = '\0';
    assert_true(object_id_parse(digits, &id));
    assert_int_equal(tree_read(fixture.repository, &id, &tree), 0);
    assert_int_equal(tree->count, 1);
    assert_string_equal(tree->entries[0].name, "good");
    free(tree);
    finish(&fixture);
}

static void test_a_missing_object(void **state)
{
    struct fixture fixture = import(history);
    struct past *past;
    (void)state;
    run_command(&fixture, "id=$(git rev-parse light:runs/chatdev/r1/metrics.json); "
                          "rm .git/objects/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-)");
    open_it(&fixture, "runs");
    struct commit commit = commit_at(&fixture, "light");
    assert_int_equal(past_create(fixture.deriver, &commit.tree, NULL, &past), -EIO);
    assert_true(strlen(repository_error()) > 0);
    finish(&fixture);
}

static void test_where_a_shallow_clone_ends(void **state)
{
    struct fixture fixture = import(history);
    const struct walk_commit *commit;
    size_t count = 0;
    (void)state;
    run_command(&fixture, "git clone -q --depth 2 file://$PWD shallow");
    open_it(&fixture, "shallow/runs");
    struct commit head = commit_at(&fixture, "HEAD");
    struct walk *walk = walk_create(fixture.repository, &head.id);
    while (walk_next(walk, &commit) == 0) {
        assert_int_equal(commit->parent_count, count == 0 ? 2 : 0);
        count++;
    }
    assert_int_equal(count, 3);
    assert_int_equal(walk_next(walk, &commit), -ENOENT);
    walk_free(walk);
    assert_int_equal(resolve(&fixture, "2025-10-14"), -ENOENT);
    finish(&fixture);
}

static void test_no_repository(void **state)
{
    struct fixture fixture = import(history);
    char path[128];
    struct repository *repository;
    (void)state;
    run_command(&fixture, "rm -rf .git && mkdir -p bare && git init -q --bare bare/it.git");
    snprintf(path, sizeof(path), "%s/runs", fixture.directory);
    assert_int_equal(repository_open(path, &repository), -ENOENT);
    snprintf(path, sizeof(path), "%s/bare/it.git", fixture.directory);
    assert_int_equal(repository_open(path, &repository), -ENOENT);
    assert_non_null(strstr(repository_error(), "bare"));
    snprintf(path, sizeof(path), "%s/nowhere", fixture.directory);
    assert_int_equal(repository_open(path, &repository), -ENOENT);
    finish(&fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_commits),
        cmocka_unit_test(test_names_by_search),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_names_of_nothing),
        cmocka_unit_test(test_a_moving_name),
        cmocka_unit_test(test_names_to_choose_from),
        cmocka_unit_test(test_changes_between_trees),
        cmocka_unit_test(test_the_manifest_of_a_tree),
        cmocka_unit_test(test_the_recorded_manifest),
        cmocka_unit_test(test_the_configuration_of_a_tree),
        cmocka_unit_test(test_entries_of_a_tree),
        cmocka_unit_test(test_a_hostile_tree),
        cmocka_unit_test(test_a_missing_object),
        cmocka_unit_test(test_where_a_shallow_clone_ends),
        cmocka_unit_test(test_no_repository),
    };
    repositories_begin(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
