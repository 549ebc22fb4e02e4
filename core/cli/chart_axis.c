/*
 * Choosing the marks of an axis of time: see chart_axis.h. gnuplot's own are a distance in seconds, which
 * neither months nor years are, and it does not know how wide their labels will be.
 */
#include "core/cli/chart_axis.h"
#include <inttypes.h>
#include <time.h>

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };

/* Round distances: of seconds, and from there on of months. */
static const int64_t distances_s[] = {
    1,
    2,
    5,
    10,
    15,
    30,
    MINUTE_S,
    2 * MINUTE_S,
    5 * MINUTE_S,
    10 * MINUTE_S,
    15 * MINUTE_S,
    30 * MINUTE_S,
    HOUR_S,
    2 * HOUR_S,
    3 * HOUR_S,
    6 * HOUR_S,
    12 * HOUR_S,
    DAY_S,
    2 * DAY_S,
    7 * DAY_S,
    14 * DAY_S,
};
static const int distances_months[] = {1,  2,   3,   6,   12,   24,   36,   48,
                                       60, 120, 240, 600, 1200, 2400, 6000, 12000};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static void append_mark(struct buffer *out, int64_t at_s, const char *format)
{
    struct tm utc;
    time_t seconds = (time_t)at_s;
    char label[64];
    if (!gmtime_r(&seconds, &utc) || !strftime(label, sizeof(label), format, &utc))
        return;
    if (out->length && out->bytes[out->length - 1] != '(')
        buffer_append_text(out, ", ");
    buffer_append_format(out, "\"%s\" %" PRId64, label, at_s);
}

/* The first multiple of the distance at or after a moment. Weeks begin with a Monday. */
static int64_t first_multiple(int64_t from_s, int64_t distance_s)
{
    int64_t origin_s = distance_s % (7 * DAY_S) == 0 ? 4 * DAY_S : 0; /* 1970-01-05 */
    int64_t past_s = (from_s - origin_s) % distance_s;
    if (past_s < 0)
        past_s += distance_s;
    return past_s ? from_s + distance_s - past_s : from_s;
}

static void append_by_seconds(struct buffer *out, int64_t first_s, int64_t last_s, int64_t distance_s)
{
    const char *format = distance_s >= DAY_S      ? "%Y-%m-%d"
                         : distance_s >= MINUTE_S ? "%H:%M\\n%Y-%m-%d"
                                                  : "%H:%M:%S\\n%Y-%m-%d";
    for (int64_t at_s = first_multiple(first_s, distance_s); at_s <= last_s; at_s += distance_s)
        append_mark(out, at_s, format);
}

/* Months since the year 0, rounded up. */
static int64_t month_at_or_after(int64_t at_s)
{
    struct tm utc = {0};
    time_t seconds = (time_t)at_s;
    gmtime_r(&seconds, &utc);
    bool is_beginning = utc.tm_mday == 1 && utc.tm_hour == 0 && utc.tm_min == 0 && utc.tm_sec == 0;
    return ((int64_t)utc.tm_year + 1900) * 12 + utc.tm_mon + !is_beginning;
}

static int64_t beginning_of_month(int64_t month)
{
    struct tm utc = {.tm_year = (int)(month / 12 - 1900), .tm_mon = (int)(month % 12), .tm_mday = 1};
    return timegm(&utc);
}

static void append_by_months(struct buffer *out, int64_t first_s, int64_t last_s, int distance)
{
    int64_t month = month_at_or_after(first_s);
    month += (distance - month % distance) % distance;
    for (; beginning_of_month(month) <= last_s; month += distance)
        append_mark(out, beginning_of_month(month), distance % 12 ? "%Y-%m" : "%Y");
}

static int64_t count_by_months(int64_t first_s, int64_t last_s, int distance)
{
    int64_t from = (month_at_or_after(first_s) + distance - 1) / distance;
    int64_t to = (month_at_or_after(last_s + 1) - 1) / distance;
    return to - from + 1;
}

void chart_append_marks(struct buffer *out, int64_t first_s, int64_t last_s, unsigned most)
{
    for (size_t i = 0; i < COUNT_OF(distances_s); i++) {
        int64_t begin_s = first_multiple(first_s, distances_s[i]);
        if ((last_s - begin_s) / distances_s[i] + 1 <= (int64_t)most) {
            append_by_seconds(out, first_s, last_s, distances_s[i]);
            return;
        }
    }
    for (size_t i = 0; i < COUNT_OF(distances_months); i++) {
        if (count_by_months(first_s, last_s, distances_months[i]) <= (int64_t)most) {
            append_by_months(out, first_s, last_s, distances_months[i]);
            return;
        }
    }
}
