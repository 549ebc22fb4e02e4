/*
 * Values as people read them: see display.h. Run ids, statuses and times come from file names and files that
 * anybody may have written, so nothing of them reaches a terminal but through here.
 */
#include "core/cli/display.h"
#include "core/query/moment.h"
#include <inttypes.h>
#include <time.h>
#include <wchar.h>

/* C0, DEL and C1: a terminal obeys any of them. */
static bool is_control(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
}

void display_append(struct buffer *out, struct slice text)
{
    while (text.length > 0) {
        uint32_t code_point;
        size_t size = utf8_decode(text, false, &code_point);
        if (size > 0 && !is_control(code_point)) {
            buffer_append(out, text.bytes, size);
        } else {
            size = 1;
            buffer_append_format(out, "\\x%02x", (unsigned char)text.bytes[0]);
        }
        text.bytes += size;
        text.length -= size;
    }
}

/* The columns of the character at the start of text, and its size in bytes. */
static unsigned character_width(struct slice text, size_t *size)
{
    uint32_t code_point;
    *size = utf8_decode(text, false, &code_point);
    if (*size == 0)
        *size = 1;
    int width = *size > 1 ? wcwidth((wchar_t)code_point) : 1;
    return width < 0 ? 1 : (unsigned)width; /* unknown to this locale */
}

unsigned display_width(struct slice text)
{
    unsigned width = 0;
    for (size_t i = 0, size; i < text.length; i += size)
        width += character_width((struct slice){text.bytes + i, text.length - i}, &size);
    return width;
}

size_t display_cut(struct slice text, unsigned width)
{
    size_t length = 0, size;
    while (length < text.length) {
        unsigned next = character_width((struct slice){text.bytes + length, text.length - length}, &size);
        if (next > width)
            break;
        width -= next;
        length += size;
    }
    return length;
}

/* Appends count in three digits; returns its unit, "" for one. */
static const char *append_rounded(struct buffer *out, uint64_t count)
{
    static const char *const units[] = {"k", "M", "G", "T", "P", "E"};
    if (count < 1000) {
        buffer_append_format(out, "%" PRIu64, count);
        return "";
    }
    double value = (double)count / 1000;
    size_t unit = 0;
    while (value >= 999.5) { /* what would round to four digits */
        value /= 1000;
        unit++;
    }
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    buffer_append_format(out, "%.*f", decimals, value);
    return units[unit];
}

void display_append_count(struct buffer *out, uint64_t count)
{
    const char *unit = append_rounded(out, count);
    buffer_append_text(out, unit);
}

void display_append_size(struct buffer *out, uint64_t bytes)
{
    const char *unit = append_rounded(out, bytes);
    buffer_append_format(out, " %sB", unit);
}

void display_append_time(struct buffer *out, struct slice text)
{
    int64_t microseconds;
    if (moment_parse(text, &microseconds) != 0) {
        display_append(out, text);
        return;
    }
    time_t seconds = (time_t)moment_seconds(microseconds);
    struct tm utc;
    char line[64];
    gmtime_r(&seconds, &utc);
    strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S", &utc);
    buffer_append_text(out, line);
}

void display_append_duration(struct buffer *out, int64_t seconds)
{
    if (seconds < 0) {
        buffer_append_byte(out, '-');
        seconds = -seconds;
    }
    int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
    if (days > 0)
        buffer_append_format(out, "%" PRId64 "d %02" PRId64 "h", days, hours % 24);
    else if (hours > 0)
        buffer_append_format(out, "%" PRId64 "h %02" PRId64 "m", hours, minutes % 60);
    else if (minutes > 0)
        buffer_append_format(out, "%" PRId64 "m %02" PRId64 "s", minutes, seconds % 60);
    else
        buffer_append_format(out, "%" PRId64 "s", seconds);
}
