/*
 * Drawing the bar: one line, begun again with a carriage return, written at once so that nothing comes
 * between.
 */
#include "core/base/progress.h"
#include "core/base/file.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SHOW_AFTER_MS 1000
#define DRAW_EVERY_MS 100
#define LONGEST_BAR 40
#define USUAL_WIDTH 80

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *what)
{
    const char *terminal = getenv("TERM");
    *progress = (struct progress){.what = what, .began_ms = now_ms()};
    progress->is_terminal = isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
}

static size_t terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL_WIDTH;
}

static void append_repeated(struct buffer *line, const char *piece, size_t count)
{
    while (count-- > 0)
        buffer_append_text(line, piece);
}

/* What is written is for the eyes alone: a terminal that went away is no error. */
static void write_line(const struct buffer *line)
{
    file_write_all(STDERR_FILENO, buffer_slice(line));
}

static void draw(struct progress *progress, size_t done, size_t total, int64_t elapsed_ms)
{
    struct buffer numbers = {0}, line = {0};
    double rate = (double)done * 1000 / (double)(elapsed_ms > 0 ? elapsed_ms : 1);
    buffer_append_format(&numbers, " %3u%% %zu/%zu %s, %.0f/s",
                         (unsigned)(total > 0 ? done * 100 / total : 100), done, total, progress->what, rate);
    size_t width = terminal_width() - 1; /* a full line would wrap in some terminals */
    size_t room = width > numbers.length + 2 ? width - numbers.length - 2 : 0;
    size_t bar = room < LONGEST_BAR ? room : LONGEST_BAR;
    size_t filled = total > 0 ? (size_t)((double)bar * (double)done / (double)total) : bar;
    buffer_append_text(&line, "\r");
    if (bar > 0) {
        buffer_append_byte(&line, '[');
        append_repeated(&line, "#", filled);
        append_repeated(&line, ".", bar - filled);
        buffer_append_byte(&line, ']');
    }
    if (numbers.length > width)
        numbers.length = width;
    buffer_append_slice(&line, buffer_slice(&numbers));
    buffer_append_text(&line, "\x1b[K");
    write_line(&line);
    buffer_free(&line);
    buffer_free(&numbers);
}

void progress_update(struct progress *progress, size_t done, size_t total)
{
    if (!progress->is_terminal)
        return;
    int64_t now = now_ms();
    if (now - progress->began_ms < SHOW_AFTER_MS || now - progress->drawn_ms < DRAW_EVERY_MS)
        return;
    progress->drawn_ms = now;
    progress->is_shown = true;
    draw(progress, done, total, now - progress->began_ms);
}

void progress_end(struct progress *progress)
{
    struct buffer line = {0};
    if (!progress->is_shown)
        return;
    buffer_append_text(&line, "\r\x1b[K");
    write_line(&line);
    buffer_free(&line);
    progress->is_shown = false;
}
