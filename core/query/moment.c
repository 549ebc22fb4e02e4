/*
 * Parsing times: see moment.h. By hand, since strptime knows no fractions, reads by the locale, and needs a
 * NUL at the end.
 */
#include "core/query/moment.h"
#include <errno.h>

/* Takes `count` digits off the front of text. */
static bool take_digits(struct slice *text, unsigned count, int *number)
{
    if (text->length < count)
        return false;
    *number = 0;
    for (unsigned i = 0; i < count; i++) {
        char digit = text->bytes[i];
        if (digit < '0' || digit > '9')
            return false;
        *number = *number * 10 + (digit - '0');
    }
    text->bytes += count;
    text->length -= count;
    return true;
}

/* Takes one of these characters off the front of text; NUL where none is there. */
static char take_one(struct slice *text, const char *characters)
{
    for (; text->length > 0 && *characters; characters++) {
        if (text->bytes[0] == *characters) {
            text->bytes++;
            text->length--;
            return *characters;
        }
    }
    return '\0';
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first of January of a year, by counting leap days. */
static int64_t days_to_year(int year)
{
    int64_t before = (int64_t)year - 1;
    int64_t days_since_year_1 = before * 365 + before / 4 - before / 100 + before / 400;
    return days_since_year_1 - 719162;
}

static bool take_date(struct slice *text, int64_t *days)
{
    int year, month, day;
    if (!take_digits(text, 4, &year) || !take_one(text, "-") || !take_digits(text, 2, &month) ||
        !take_one(text, "-") || !take_digits(text, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *days = days_to_year(year) + day - 1;
    for (int earlier = 1; earlier < month; earlier++)
        *days += days_of_month(year, earlier);
    return true;
}

/* Digits beyond the sixth are read and dropped. */
static bool take_fraction(struct slice *text, int64_t *microseconds)
{
    int digit;
    int64_t weight = 100000;
    if (!take_digits(text, 1, &digit))
        return false;
    do {
        *microseconds += digit * weight;
        weight /= 10;
    } while (take_digits(text, 1, &digit));
    return true;
}

static bool take_clock(struct slice *text, int64_t *microseconds)
{
    int hour, minute, second = 0;
    if (!take_digits(text, 2, &hour) || !take_one(text, ":") || !take_digits(text, 2, &minute))
        return false;
    bool has_seconds = take_one(text, ":");
    if (has_seconds && !take_digits(text, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
        return false;
    *microseconds = ((int64_t)hour * 3600 + minute * 60 + second) * 1000000;
    return !has_seconds || !take_one(text, ".,") || take_fraction(text, microseconds);
}

/* What is to be taken off to have UTC. */
static bool take_zone(struct slice *text, int64_t *microseconds)
{
    int hours, minutes = 0;
    *microseconds = 0;
    if (text->length == 0 || take_one(text, "Zz"))
        return true;
    char sign = take_one(text, "+-");
    if (!sign || !take_digits(text, 2, &hours))
        return false;
    bool has_colon = take_one(text, ":");
    if ((has_colon || text->length > 0) && !take_digits(text, 2, &minutes))
        return false;
    if (hours > 23 || minutes > 59)
        return false;
    *microseconds = ((int64_t)hours * 60 + minutes) * 60000000 * (sign == '-' ? -1 : 1);
    return true;
}

int moment_parse(struct slice text, int64_t *microseconds)
{
    int64_t days, clock = 0, zone = 0;
    if (!text.bytes || !take_date(&text, &days))
        return -EINVAL;
    if (text.length > 0 &&
        (!take_one(&text, "Tt ") || !take_clock(&text, &clock) || !take_zone(&text, &zone)))
        return -EINVAL;
    if (text.length > 0)
        return -EINVAL;
    *microseconds = days * 86400000000 + clock - zone;
    return 0;
}

int64_t moment_seconds(int64_t microseconds)
{
    int64_t seconds = microseconds / 1000000;
    return seconds - (microseconds % 1000000 < 0);
}
