/*
 * The log: one line a message, to stderr or to the system log, filtered by level.
 * Safe from any thread. A line never holds a newline or a control character of the data it speaks of.
 */
#ifndef RUNSFS_BASE_LOG_H
#define RUNSFS_BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_NONE = -1,
    LOG_LEVEL_ERROR = 0,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* Where lines go and which: to stderr ("runsfs: ...") or, with to_system, to syslog (LOG_DAEMON). */
void log_configure(bool to_system, enum log_level level);
/* "error", "warning", "info" or "debug" to a level; -EINVAL for anything else. */
int log_level_from_name(const char *name, enum log_level *level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
