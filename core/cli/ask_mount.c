/*
 * Which mount may be asked, and reading what it says: see ask_mount.h. Whatever is not as it should be (a
 * daemon of another version, a part of the source that no watch tells of, a broken answer) means that none is
 * asked: a scan takes longer, and is never wrong.
 */
#include "core/cli/ask_mount.h"
#include "core/base/memory.h"
#include "core/cli/mounts.h"
#include "core/json/reader.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What every run matches, as the name of a file must not be empty. */
#define EVERY_RUN "limit=999999999999999999"

struct question {
    char name[LIMIT_NAME_BYTES + 1]; /* of the file that is the answer */
    struct stat source;
    uint64_t mount_id; /* of the mount that the source's path stands in */
    struct answer *answer;
};

/* The query as a name: what joins its predicates may be either of two characters. False for a long one. */
static bool set_name(struct question *question, struct slice query)
{
    if (query.length == 0)
        query = SLICE_LITERAL(EVERY_RUN);
    if (query.length > LIMIT_NAME_BYTES)
        return false;
    for (size_t i = 0; i < query.length; i++)
        question->name[i] = query.bytes[i] == '/' ? ',' : query.bytes[i];
    question->name[query.length] = '\0';
    return true;
}

/* All of a file in the control directory. Every look at it by name is another file, so it is opened first. */
static bool read_file(int control_fd, const char *name, struct buffer *content)
{
    CLEANUP_FD int fd = openat(control_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) ||
        (uint64_t)info.st_size > LIMIT_MANIFEST_BYTES ||
        buffer_reserve(content, (size_t)info.st_size + 1) != 0)
        return false;
    /* What can't be read to its end is cut off, which no JSON is. */
    ssize_t count = 0;
    while (content->length < (size_t)info.st_size) {
        count = read(fd, content->bytes + content->length, (size_t)info.st_size - content->length);
        if (count <= 0 && !(count < 0 && errno == EINTR))
            break;
        content->length += count > 0 ? (size_t)count : 0;
    }
    return content->length == (size_t)info.st_size;
}

/* ---- may it be relied on? ---- */

static bool is_same_file(const char *path, const struct stat *wanted)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_dev == wanted->st_dev && info.st_ino == wanted->st_ino;
}

/* Are all changes made beside the mount told to it as they happen? */
static bool is_watching(struct json_reader *reader)
{
    bool has_kind = false, all_watched = false;
    if (json_next(reader) != JSON_OBJECT_BEGIN)
        return false;
    while (json_next(reader) == JSON_MEMBER) {
        bool is_kind = json_member_is(reader, "kind"), is_polled = json_member_is(reader, "polled");
        enum json_token token = json_next(reader);
        if (is_kind)
            has_kind = token == JSON_STRING && !slice_equal(reader->text, SLICE_LITERAL("poll"));
        struct slice raw;
        if (json_skip_value(reader, token, &raw) != 0)
            return false;
        if (is_polled)
            all_watched = slice_equal(raw, SLICE_LITERAL("0"));
    }
    return has_kind && all_watched;
}

/* By its status.json: is it a daemon of this version, of this source, and does it see every change? */
static bool is_reliable(const struct question *question, struct slice status, bool is_around)
{
    struct json_reader reader;
    struct buffer path = {0};
    bool is_version = false, is_source = is_around, is_watched = false;
    json_reader_init(&reader, status);
    enum json_token token = json_next(&reader);
    while (token == JSON_OBJECT_BEGIN && json_next(&reader) == JSON_MEMBER) {
        if (json_member_is(&reader, "version"))
            is_version =
                json_next(&reader) == JSON_STRING && slice_equal(reader.text, SLICE_LITERAL(RUNSFS_VERSION));
        else if (json_member_is(&reader, "source"))
            is_source = json_next(&reader) == JSON_STRING &&
                        (is_around || (utf8_take_file_name(reader.text, &path) &&
                                       is_same_file(path.bytes, &question->source)));
        else if (json_member_is(&reader, "watch"))
            is_watched = is_watching(&reader);
        else if (json_skip_next(&reader, NULL) != 0)
            break;
    }
    json_reader_finish(&reader);
    buffer_free(&path);
    return is_version && is_source && is_watched;
}

/* ---- asking ---- */

static bool ask(struct question *question, int mount_fd, bool is_around)
{
    struct buffer content = {0};
    CLEANUP_FD int control_fd = openat(mount_fd, ".runsfs", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    CLEANUP_FD int find_fd =
        control_fd < 0 ? -1 : openat(control_fd, "find", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    bool good = find_fd >= 0 && read_file(control_fd, "status.json", &content) &&
                is_reliable(question, buffer_slice(&content), is_around);
    buffer_clear(&content);
    good = good && read_file(find_fd, question->name, &content) &&
           answer_read(buffer_slice(&content), question->answer) == 0;
    buffer_free(&content);
    return good;
}

/* Another user's daemon may say what it likes, unless the user went into its mount himself. */
static bool ask_this(const struct runsfs_mount *mount, void *context)
{
    struct question *question = context;
    bool is_around = mount->id == question->mount_id;
    if (!is_around &&
        ((mount->owner != 0 && mount->owner != geteuid()) || !is_same_file(mount->source, &question->source)))
        return false;
    CLEANUP_FD int mount_fd = open(mount->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return mount_fd >= 0 && mount_id_of(mount_fd) == mount->id && ask(question, mount_fd, is_around);
}

bool ask_mount(const char *source_path, struct slice query, struct answer *answer)
{
    struct question question = {.answer = answer};
    CLEANUP_FD int source_fd = open(source_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (source_fd < 0 || fstat(source_fd, &question.source) != 0 || !set_name(&question, query))
        return false;
    question.mount_id = mount_id_of(source_fd);
    return mounts_each(ask_this, &question);
}
