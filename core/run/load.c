/*
 * Reading the tracked JSON files of a run. What stands there is looked at first, and opened only where it is
 * a regular file: without waiting, and never through a link. What was opened is looked at again before
 * anything is read, for something else may have been put in its place. (To open by O_PATH and then by /proc
 * would leave no such moment, and cost a scan a third of its time.) Never mapped: a file that shrinks would
 * be a SIGBUS.
 */
#include "core/run/load.h"

#include "core/base/limits.h"
#include "core/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The coarsest clock of a filesystem: FAT's. */
#define LONGEST_TICK_NS 2000000000ll

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct file_stamp stamp_of(const struct stat *info)
{
    return (struct file_stamp){
        .ino = info->st_ino,
        .size_bytes = (uint64_t)info->st_size,
        .mtime_ns = nanoseconds(info->st_mtim),
        .ctime_ns = nanoseconds(info->st_ctim),
    };
}

/* A file as it was found: its type and its stamp, both from before it was read. */
struct finding {
    mode_t type; /* S_IFMT bits; 0 where nothing stands there */
    struct file_stamp stamp;
    bool has_links;
};

static void found(struct finding *finding, const struct stat *info)
{
    *finding = (struct finding){
        .type = info->st_mode & S_IFMT,
        .stamp = stamp_of(info),
        .has_links = S_ISREG(info->st_mode) && info->st_nlink > 1,
    };
}

static int refuse(const struct finding *finding, uint64_t limit_bytes)
{
    if (!S_ISREG(finding->type))
        return -EINVAL;
    return finding->stamp.size_bytes > limit_bytes ? -EFBIG : 0;
}

/* Looks at name and, where it is a regular file of at most limit_bytes, opens it for reading: the descriptor,
 * or a negative errno. finding is set whenever something stands there, and is of what was opened. */
static int open_regular(int directory_fd, const char *name, uint64_t limit_bytes, struct finding *finding)
{
    struct stat info;

    *finding = (struct finding){0};
    if (fstatat(directory_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    found(finding, &info);
    int result = refuse(finding, limit_bytes);
    if (result < 0)
        return result;
    int fd = openat(directory_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0) {
        result = -errno;
    } else {
        found(finding, &info);
        result = refuse(finding, limit_bytes);
    }
    if (result == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return result;
}

/* Reads to the end of the file, of which size_bytes are expected; it may have become longer or shorter. */
static int read_to_end(int fd, uint64_t size_bytes, uint64_t limit_bytes, struct buffer *content)
{
    size_t start = content->length;
    /* One byte more than expected, so that the end is met without growing. */
    size_t wanted = (size_t)size_bytes + 1;

    for (;;) {
        if (buffer_reserve(content, wanted) < 0)
            return -ENOMEM;
        ssize_t got = read(fd, content->bytes + content->length, content->capacity - content->length - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        content->length += (size_t)got;
        content->bytes[content->length] = '\0';
        if (content->length - start > limit_bytes)
            return -EFBIG;
        /* A regular file gives less than was asked for at its end alone. */
        if (got == 0 || content->length - start == size_bytes)
            return 0;
        /* More than expected was there: go on by the page. */
        wanted = content->length - start < size_bytes ? 1 : 4096;
    }
}

/* Is the file that was opened still as it was found? Replaced by another it is not: that moves its ctime. */
static bool is_unchanged(int fd, const struct finding *finding)
{
    struct stat info;

    if (fstat(fd, &info) < 0)
        return false;
    struct file_stamp stamp = stamp_of(&info);
    return file_stamp_equal(&finding->stamp, &stamp);
}

/* Appends what is in the regular file `name`. A file that was written or replaced meanwhile is read once
 * again; then what is there is taken, and the stamp, being older, tells whoever compares it. On an error
 * content is as before. */
static int read_stable(int directory_fd, const char *name, uint64_t limit_bytes, struct buffer *content,
                       struct finding *finding)
{
    size_t start = content->length;

    for (int attempt = 0;; attempt++) {
        CLEANUP_FD int fd = open_regular(directory_fd, name, limit_bytes, finding);
        int result = fd < 0 ? fd : read_to_end(fd, finding->stamp.size_bytes, limit_bytes, content);
        if (result == 0 && attempt == 0 && !is_unchanged(fd, finding))
            result = -EAGAIN;
        if (result == 0)
            return 0;
        content->length = start;
        if (content->bytes)
            content->bytes[start] = '\0';
        if (result != -EAGAIN || attempt > 0)
            return result;
    }
}

int file_read_bounded(int directory_fd, const char *name, uint64_t limit_bytes, struct buffer *content,
                      struct file_stamp *stamp)
{
    struct finding finding;
    int result = read_stable(directory_fd, name, limit_bytes, content, &finding);

    if (stamp)
        *stamp = finding.stamp;
    return result;
}

const char *run_file_fault(mode_t type, int error)
{
    switch (type) {
    case S_IFREG:
        break;
    case S_IFLNK:
        return "is a symbolic link, not a file";
    case S_IFDIR:
        return "is a directory, not a file";
    case S_IFIFO:
        return "is a FIFO, not a file";
    case S_IFSOCK:
        return "is a socket, not a file";
    default:
        return "is a device, not a file";
    }
    if (error == EFBIG)
        return "is larger than 64 MiB";
    const char *description = strerrordesc_np(error);
    return description ? description : "can't be read";
}

/* Does the error say something of the daemon's own state, and nothing of the file? */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* The directory in which the file stands: the run's own, or one in it. 0 and *fd, to be given back with
 * leave_directory; a negative errno where that is not there. */
static int enter_directory(int run_fd, const struct run_plan_file *file, int *fd)
{
    *fd = run_fd;
    if (!file->directory)
        return 0;
    *fd = openat(run_fd, file->directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd >= 0)
        return 0;
    return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
}

static void leave_directory(int run_fd, int fd)
{
    if (fd >= 0 && fd != run_fd)
        close(fd);
}

/* Reads one file of the run. 0 with content absent where it is not there or has a fault, which is then set; a
 * negative errno as run_load has it. */
static int load_file(const struct run_plan *plan, int run_fd, size_t file, struct buffer *buffer,
                     struct slice *content, struct run_state *state)
{
    struct finding finding = {0};
    int directory_fd, result = enter_directory(run_fd, &plan->files[file], &directory_fd);

    if (result == 0)
        result = read_stable(directory_fd, plan->files[file].base, LIMIT_RUN_FILE_BYTES, buffer, &finding);
    leave_directory(run_fd, directory_fd);
    *content = SLICE_ABSENT;
    state->stamps[file] = finding.stamp;
    state->has_links[file] = finding.has_links;
    if (finding.type == 0)
        return result == -ENOENT ? 0 : result;
    if (is_shortage(-result))
        return result;
    state->is_run = true;
    if (result < 0)
        state->faults[file].reason = run_file_fault(finding.type, -result);
    else
        *content = buffer_slice(buffer);
    return 0;
}

void run_state_derive(const struct run_plan *plan, struct run_state *state, const struct slice *contents)
{
    struct run_fault faults[RUN_FILES_AT_MOST];

    run_fields_derive(plan, contents, &state->fields, faults);
    state->is_whole = true;
    for (size_t i = 0; i < plan->file_count; i++) {
        if (!state->faults[i].reason)
            state->faults[i] = faults[i];
        if (state->faults[i].reason)
            state->is_whole = false;
    }
}

int64_t run_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now);
}

bool run_stamps_are_fresh(const struct file_stamp *stamps, size_t count, int64_t at_ns)
{
    for (size_t i = 0; i < count; i++)
        if (stamps[i].ctime_ns > at_ns - LONGEST_TICK_NS)
            return true;
    return false;
}

/* Reads every file. One in a directory that can't be entered has a fault where another one makes this a run;
 * where none does, nothing can be told. */
static int load_files(const struct run_plan *plan, int run_fd, struct buffer *buffers, struct slice *contents,
                      struct run_state *state)
{
    int locked = 0;

    for (size_t file = 0; file < plan->file_count; file++) {
        int result = load_file(plan, run_fd, file, &buffers[file], &contents[file], state);
        if (result == -EACCES && plan->files[file].directory) {
            state->faults[file].reason = run_file_fault(S_IFREG, EACCES);
            locked = result;
        } else if (result < 0) {
            return result;
        }
    }
    return state->is_run ? 0 : locked;
}

int run_load(const struct run_plan *plan, int run_fd, struct run_state *state)
{
    struct buffer buffers[RUN_FILES_AT_MOST];
    struct slice contents[RUN_FILES_AT_MOST];
    int64_t began_ns = run_clock_ns();

    memset(buffers, 0, plan->file_count * sizeof(*buffers));
    *state = (struct run_state){.file_count = plan->file_count};
    int result = load_files(plan, run_fd, buffers, contents, state);
    if (result < 0)
        *state = (struct run_state){.file_count = plan->file_count};
    else if (state->is_run)
        run_state_derive(plan, state, contents);
    state->is_fresh = run_stamps_are_fresh(state->stamps, plan->file_count, began_ns);
    for (size_t i = 0; i < plan->file_count; i++)
        buffer_free(&buffers[i]);
    return result;
}

static int load_stamp(const struct run_plan_file *file, int run_fd, struct file_stamp *stamp)
{
    struct stat info;
    int directory_fd, result = enter_directory(run_fd, file, &directory_fd);

    *stamp = (struct file_stamp){0};
    if (result == 0 && fstatat(directory_fd, file->base, &info, AT_SYMLINK_NOFOLLOW) == 0)
        *stamp = stamp_of(&info);
    else if (result == 0)
        result = -errno;
    leave_directory(run_fd, directory_fd);
    return result == -ENOENT ? 0 : result;
}

int run_load_stamps(const struct run_plan *plan, int run_fd, struct file_stamp *stamps)
{
    int result = 0;

    for (size_t i = 0; i < plan->file_count && result == 0; i++)
        result = load_stamp(&plan->files[i], run_fd, &stamps[i]);
    return result;
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->ino == b->ino && a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

void run_state_free(struct run_state *state)
{
    run_fields_free(&state->fields);
    *state = (struct run_state){0};
}

void run_fault_describe(const struct run_fault *fault, char *text, size_t size_bytes)
{
    if (!fault->reason)
        snprintf(text, size_bytes, "no fault");
    else if (fault->line)
        snprintf(text, size_bytes, "line %u, column %u: %s", fault->line, fault->column, fault->reason);
    else
        snprintf(text, size_bytes, "%s", fault->reason);
}
