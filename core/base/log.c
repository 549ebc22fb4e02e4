/*
 * The log. A line is put together on the stack and handed over in one call, so that lines of several threads
 * don't mix and logging works when memory is out; what could forge a line or steer a terminal is spelled as
 * \xXX.
 */
#include "core/base/log.h"

#include "core/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* A message longer than this is cut: room for a path of PATH_MAX and what is said of it. */
#define MESSAGE_BYTES 5120
#define LINE_PREFIX "runsfs: "
/* In the worst case each byte becomes four; a line longer than this is cut as well. */
#define LINE_BYTES 8192

static atomic_bool is_system_log;
static _Atomic(enum log_level) highest_level = LOG_LEVEL_INFO;

void log_configure(bool to_system, enum log_level level)
{
    if (to_system)
        openlog("runsfs", LOG_PID, LOG_DAEMON);
    atomic_store(&is_system_log, to_system);
    atomic_store(&highest_level, level);
}

int log_level_from_name(const char *name, enum log_level *level)
{
    static const char *const names[] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* C0, DEL and C1 control characters: a terminal obeys any of them. */
static bool is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
}

/* Writes message to line, made harmless and cut at limit bytes; returns the length. */
static size_t sanitize(struct slice message, char *line, size_t limit)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;

    while (message.length) {
        uint32_t code_point;
        size_t size = utf8_decode(message, false, &code_point);

        if (size && !is_control(code_point)) {
            if (length + size > limit)
                break;
            memcpy(line + length, message.bytes, size);
            length += size;
        } else {
            unsigned char byte = (unsigned char)message.bytes[0];

            if (length + 4 > limit)
                break;
            memcpy(line + length, "\\x", 2);
            line[length + 2] = digits[byte >> 4];
            line[length + 3] = digits[byte & 15];
            length += 4;
            size = 1;
        }
        message.bytes += size;
        message.length -= size;
    }
    return length;
}

static void write_line(enum log_level level, const char *format, va_list arguments)
{
    static const int priorities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };
    char message[MESSAGE_BYTES];
    char line[LINE_BYTES] = LINE_PREFIX;
    size_t prefix_length = sizeof(LINE_PREFIX) - 1;
    int saved_errno = errno;

    if (level > atomic_load_explicit(&highest_level, memory_order_relaxed))
        return;
    if (vsnprintf(message, sizeof(message), format, arguments) < 0)
        snprintf(message, sizeof(message), "a message could not be formatted: %s", format);
    size_t length =
        prefix_length + sanitize(slice_of(message), line + prefix_length, sizeof(line) - prefix_length - 1);
    if (atomic_load_explicit(&is_system_log, memory_order_relaxed)) {
        syslog(priorities[level], "%.*s", (int)(length - prefix_length), line + prefix_length);
    } else {
        line[length++] = '\n';
        /* Where stderr is closed or full there is nobody left to tell. */
        ssize_t written = write(STDERR_FILENO, line, length);
        (void)written;
    }
    errno = saved_errno;
}

#define DEFINE_LOG(name, level)               \
    void name(const char *format, ...)        \
    {                                         \
        va_list arguments;                    \
                                              \
        va_start(arguments, format);          \
        write_line(level, format, arguments); \
        va_end(arguments);                    \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
