/*
 * Which source is meant. A mount is asked for first: what a command does there is to go through the mount,
 * from wherever in its views it is called. Then the nearest directory upward that has a manifest or a
 * configuration.
 *
 * A directory that merely looks like a source does not count: a framework of runs that have metrics.json in
 * their sprints looks like one as well, and a manifest written into it would be in the way.
 */
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/mounts.h"
#include "core/json/reader.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct own_mount {
    uint64_t id;
    char *runs, *source; /* owned by the caller; NULL while not found */
};

static bool take_own_mount(const struct runsfs_mount *mount, void *context)
{
    struct own_mount *own = context;
    if (mount->id != own->id)
        return false;
    if (asprintf(&own->runs, "%s/runs", mount->path) < 0)
        own->runs = NULL;
    own->source = memory_copy_text(mount->source, strlen(mount->source));
    return true;
}

/* The mount of runsfs that path stands in; nothing is found where it stands in none. */
static struct own_mount find_own_mount(const char *path)
{
    CLEANUP_FD int fd = open(path, O_PATH | O_CLOEXEC);
    struct own_mount own = {.id = fd < 0 ? 0 : mount_id_of(fd)};
    if (own.id)
        mounts_each(take_own_mount, &own);
    return own;
}

/* The runs in the mount of runsfs that path stands in; NULL where it stands in none. */
static char *runs_of_mount(const char *path)
{
    struct own_mount own = find_own_mount(path);
    free(own.source);
    return own.runs;
}

/* Is the text a JSON object with an array `runs`? One that is cut off behind that counts too. */
static bool is_manifest(struct slice text)
{
    struct json_reader reader;
    bool found = false;
    json_reader_init(&reader, text);
    enum json_token token = json_next(&reader);
    if (token == JSON_OBJECT_BEGIN) {
        while (!found && (token = json_next(&reader)) == JSON_MEMBER) {
            bool is_runs = json_member_is(&reader, "runs");
            token = json_next(&reader);
            found = is_runs && token == JSON_ARRAY_BEGIN;
            if (!found && json_skip_value(&reader, token, NULL) != 0)
                break;
        }
    }
    json_reader_finish(&reader);
    return found;
}

/* `runs_manifest.json` and `runsfs.json`, which may give the manifest any name, say it by their own names;
 * `manifest.json` is one that others use too. */
static bool is_marked_as_source(const char *path)
{
    CLEANUP_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (faccessat(fd, "runs_manifest.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
        faccessat(fd, CONFIG_FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    struct buffer content = {0};
    bool found = file_read_bounded(fd, "manifest.json", LIMIT_MANIFEST_BYTES, &content, NULL) == 0 &&
                 is_manifest(buffer_slice(&content));
    buffer_free(&content);
    return found;
}

/* The nearest directory upward from path (absolute, resolved) that is a source; NULL where none is. */
static char *nearest_source(const char *path)
{
    char *place = memory_copy_text(path, strlen(path));
    while (!is_marked_as_source(place)) {
        char *slash = strrchr(place, '/');
        if (slash == place && slash[1] == '\0') {
            free(place);
            return NULL;
        }
        slash[slash == place ? 1 : 0] = '\0';
    }
    return place;
}

/* The source, where it is there to be looked at; else NULL, and an error was printed. */
static char *unless_gone(char *source)
{
    CLEANUP_FD int fd = source ? open(source, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (!source || fd >= 0)
        return source;
    if (errno == ENOTCONN)
        cli_error("%s: nobody serves this mount any more; mount it again, or take it away by fusermount3 -u",
                  source);
    else
        cli_error("%s: %s; give the directory that holds the runs", source, strerrordesc_np(errno));
    free(source);
    return NULL;
}

char *find_source(const char *directory)
{
    char *path = realpath(directory ? directory : ".", NULL);
    if (!path) {
        cli_error("%s: %s; give the directory that holds the runs",
                  directory ? directory : "the current directory", strerrordesc_np(errno));
        return NULL;
    }
    char *source = runs_of_mount(path);
    struct stat info;
    if (!source && stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
        cli_error("%s: is no directory; give the one that holds the runs", path);
        free(path);
        return NULL;
    }
    if (!source)
        source = nearest_source(path);
    if (!source && directory)
        return path; /* a source that has no manifest yet */
    if (!source)
        cli_error(
            "no manifest or runsfs.json in %s nor above it; give the directory that holds the runs by -C",
            path);
    free(path);
    return unless_gone(source);
}

char *source_behind_mount(const char *path)
{
    struct own_mount own = find_own_mount(path);
    free(own.runs);
    return own.source;
}

char *find_source_on_disk(const char *directory)
{
    char *source = find_source(directory);
    char *behind = source ? source_behind_mount(source) : NULL;
    if (!behind)
        return source;
    free(source);
    return behind;
}
