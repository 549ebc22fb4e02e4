/*
 * The two ways out: answers to stdout, errors to stderr; and what stdout is.
 */
#include "core/cli/cli.h"
#include "core/cli/display.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void cli_error(const char *format, ...)
{
    char *message;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    struct buffer line = {0};
    buffer_append_text(&line, "runs: ");
    if (length >= 0) {
        display_append(&line, slice_of(message));
        free(message);
    }
    buffer_append_byte(&line, '\n');
    fwrite(line.bytes, 1, line.length, stderr);
    buffer_free(&line);
}

enum cli_status cli_print(const struct buffer *out)
{
    struct slice rest = buffer_slice(out);
    while (rest.length > 0) {
        ssize_t written = write(STDOUT_FILENO, rest.bytes, rest.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            cli_error("the output can't be written (%s); give it a place that takes it",
                      strerrordesc_np(errno));
            return CLI_ERROR;
        }
        rest.bytes += written;
        rest.length -= (size_t)written;
    }
    return CLI_OK;
}

static struct winsize terminal_size(void)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO))
        return size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return (struct winsize){.ws_col = size.ws_col ? size.ws_col : 80, .ws_row = 24};
    return size;
}

unsigned cli_terminal_width(void)
{
    return terminal_size().ws_col;
}

unsigned cli_terminal_height(void)
{
    return terminal_size().ws_row;
}

bool cli_wants_color(void)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(terminal && strcmp(terminal, "dumb") == 0);
}
