/*
 * Running gnuplot: see chart.h. It gets its script from a file in memory and answers by a pipe; no shell
 * stands between, and no file of the user's but what it draws with is read.
 */
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/cli/chart.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Far more than a picture of any history takes. */
#define PICTURE_BYTES_AT_MOST (256u << 20)

extern char **environ;

/* Descriptors of ours and what gnuplot has of them. */
struct gnuplot {
    int script_fd, complaints_fd, picture_fd;
    pid_t process;
};

static int start(struct gnuplot *gnuplot)
{
    /* -d: nobody's .gnuplot is read. */
    char *const arguments[] = {(char *)"gnuplot", (char *)"-d", NULL};
    posix_spawn_file_actions_t actions;
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, gnuplot->script_fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, gnuplot->complaints_fd, STDERR_FILENO);
    int error = -posix_spawnp(&gnuplot->process, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fds[1]);
    if (error)
        close(pipe_fds[0]);
    else
        gnuplot->picture_fd = pipe_fds[0];
    return error;
}

static int read_picture(int fd, struct buffer *picture)
{
    char chunk[65536];
    ssize_t length;
    while ((length = read(fd, chunk, sizeof(chunk))) != 0) {
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return -errno;
        if (picture->length + (size_t)length > PICTURE_BYTES_AT_MOST)
            return -EFBIG;
        buffer_append(picture, chunk, (size_t)length);
    }
    return 0;
}

/* What it said last that is more than where the error is. */
static void read_complaint(int fd, char *text, size_t size)
{
    char all[4096];
    ssize_t length = pread(fd, all, sizeof(all) - 1, 0);
    text[0] = '\0';
    all[length > 0 ? length : 0] = '\0';
    for (char *save = NULL, *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        line += strspn(line, " \t^");
        if (*line && size > strlen(line))
            strcpy(text, line);
    }
}

/* Waits until it is done. True where it says that all went well. */
static bool finish(const struct gnuplot *gnuplot)
{
    int status;
    while (waitpid(gnuplot->process, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* 0; -EPROTO where gnuplot failed: then complaint says why; the errno of not getting so far. */
static int run_gnuplot(struct slice script, struct buffer *picture, char *complaint, size_t complaint_size)
{
    CLEANUP_FD int script_fd = memfd_create("script", MFD_CLOEXEC);
    CLEANUP_FD int complaints_fd = memfd_create("complaints", MFD_CLOEXEC);
    struct gnuplot gnuplot = {.script_fd = script_fd, .complaints_fd = complaints_fd};
    if (script_fd < 0 || complaints_fd < 0)
        return -errno;
    int error = file_write_all(script_fd, script);
    if (error == 0 && lseek(script_fd, 0, SEEK_SET) < 0)
        error = -errno;
    if (error == 0)
        error = start(&gnuplot);
    if (error)
        return error;
    error = read_picture(gnuplot.picture_fd, picture);
    close(gnuplot.picture_fd);
    bool is_well = finish(&gnuplot);
    read_complaint(complaints_fd, complaint, complaint_size);
    return error ? error : is_well && picture->length ? 0 : -EPROTO;
}

/* Takes off what steers a printer, and the blanks at the ends of lines. */
static void tidy_text(struct buffer *picture)
{
    size_t kept = 0;
    for (size_t i = 0; i < picture->length; i++) {
        if (picture->bytes[i] == '\f')
            continue;
        if (picture->bytes[i] == '\n')
            while (kept && picture->bytes[kept - 1] == ' ')
                kept--;
        picture->bytes[kept++] = picture->bytes[i];
    }
    picture->length = kept;
}

enum cli_status chart_draw(const struct chart *chart, struct buffer *picture)
{
    struct buffer script = {0};
    char complaint[400];
    chart_append_script(chart, &script);
    int error = run_gnuplot(buffer_slice(&script), picture, complaint, sizeof(complaint));
    buffer_free(&script);
    if (error == -ENOENT)
        cli_error("gnuplot is not there, which draws: install it, or have the numbers by --csv");
    else if (error == -EPROTO)
        cli_error("gnuplot failed (%s); the numbers are there by --csv", complaint);
    else if (error)
        cli_error("gnuplot can't be run (%s); the numbers are there by --csv", strerrordesc_np(-error));
    if (error)
        return CLI_ERROR;
    if (chart->form == CHART_TEXT)
        tidy_text(picture);
    return CLI_OK;
}
