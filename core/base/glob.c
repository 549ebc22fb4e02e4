/*
 * Globs for one name. Only the last `*` met is ever gone back to: whatever an earlier one could take instead,
 * the last one can take too, so nothing grows beyond the product of the lengths.
 */
#include "core/base/glob.h"

#include <string.h>

/* The end of the set that begins at the '[' at start: behind its ']', or 0 where it has none. */
static size_t set_end(struct slice pattern, size_t start)
{
    size_t i = start + 1;

    if (i < pattern.length && (pattern.bytes[i] == '!' || pattern.bytes[i] == '^'))
        i++;
    for (size_t first = i; i < pattern.length; i++) {
        if (pattern.bytes[i] == ']' && i > first)
            return i + 1;
        if (pattern.bytes[i] == '\\')
            i++;
    }
    return 0;
}

/* One byte of a set, and how many bytes of the pattern it takes. */
static unsigned char set_byte(struct slice pattern, size_t *i)
{
    if (pattern.bytes[*i] == '\\')
        ++*i;
    return (unsigned char)pattern.bytes[(*i)++];
}

/* The next range of a set, whose ']' is at end - 1; a single byte is a range of one. */
static void set_range(struct slice pattern, size_t *i, size_t end, unsigned char *low, unsigned char *high)
{
    *low = *high = set_byte(pattern, i);
    if (*i + 2 < end && pattern.bytes[*i] == '-') {
        ++*i;
        *high = set_byte(pattern, i);
    }
}

static bool set_has(struct slice pattern, size_t start, size_t end, unsigned char byte)
{
    size_t i = start + 1;
    bool is_negated = pattern.bytes[i] == '!' || pattern.bytes[i] == '^';
    bool is_in = false;

    for (i += is_negated; i < end - 1;) {
        unsigned char low, high;

        set_range(pattern, &i, end, &low, &high);
        is_in = is_in || (low <= byte && byte <= high);
    }
    return is_in != is_negated;
}

static const char *set_fault(struct slice pattern, size_t start, size_t end, size_t *position)
{
    size_t i = start + 1;

    if (pattern.bytes[i] == '!' || pattern.bytes[i] == '^')
        i++;
    while (i < end - 1) {
        unsigned char low, high;

        *position = i;
        if (pattern.bytes[i] == '[' && strchr(":.=", pattern.bytes[i + 1]))
            return "classes like [:digit:] are not known; write [0-9]";
        set_range(pattern, &i, end, &low, &high);
        if (low > 0x7f || high > 0x7f)
            return "a set holds ASCII characters alone";
        if (low > high)
            return "a range from a higher to a lower character";
    }
    return NULL;
}

const char *glob_fault(struct slice pattern, size_t *position)
{
    for (size_t i = 0; i < pattern.length; i++) {
        *position = i;
        if (pattern.bytes[i] == '\\' && ++i == pattern.length)
            return "'\\' with nothing behind it";
        if (pattern.bytes[*position] != '[')
            continue;
        size_t end = set_end(pattern, i);
        if (!end)
            return "'[' without ']'; a bracket itself is '\\['";
        const char *fault = set_fault(pattern, i, end, position);
        if (fault)
            return fault;
        i = end - 1;
    }
    return NULL;
}

/* Matches what stands in the pattern at position i with one byte of a name: how many bytes of the pattern
 * that was, or 0 where it does not match. */
static size_t match_one(struct slice pattern, size_t i, unsigned char byte)
{
    size_t end;

    switch (pattern.bytes[i]) {
    case '?':
        return 1;
    case '[':
        end = set_end(pattern, i);
        return end && set_has(pattern, i, end, byte) ? end - i : 0;
    case '\\':
        return i + 1 < pattern.length && (unsigned char)pattern.bytes[i + 1] == byte ? 2 : 0;
    default:
        return (unsigned char)pattern.bytes[i] == byte ? 1 : 0;
    }
}

bool glob_match(struct slice pattern, struct slice name)
{
    size_t in_pattern = 0, in_name = 0;
    size_t behind_star = 0, star_end = 0; /* of the last '*': what follows it, and where what it took ends */
    bool has_star = false;

    while (in_name < name.length) {
        size_t used = 0;

        if (in_pattern < pattern.length && pattern.bytes[in_pattern] == '*') {
            behind_star = ++in_pattern;
            star_end = in_name;
            has_star = true;
            continue;
        }
        if (in_pattern < pattern.length)
            used = match_one(pattern, in_pattern, (unsigned char)name.bytes[in_name]);
        if (used) {
            in_pattern += used;
            in_name++;
        } else if (has_star) {
            in_pattern = behind_star;
            in_name = ++star_end;
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.length && pattern.bytes[in_pattern] == '*')
        in_pattern++;
    return in_pattern == pattern.length;
}

bool glob_is_plain(struct slice pattern)
{
    for (size_t i = 0; i < pattern.length; i++) {
        if (pattern.bytes[i] == '\\')
            i++;
        else if (memchr("*?[", pattern.bytes[i], 3))
            return false;
    }
    return true;
}

void glob_unescape(struct buffer *name, struct slice pattern)
{
    for (size_t i = 0; i < pattern.length; i++) {
        if (pattern.bytes[i] == '\\' && i + 1 < pattern.length)
            i++;
        buffer_append_byte(name, pattern.bytes[i]);
    }
}

void glob_escape(struct buffer *pattern, struct slice name)
{
    for (size_t i = 0; i < name.length; i++) {
        if (memchr("*?[\\", name.bytes[i], 4))
            buffer_append_byte(pattern, '\\');
        buffer_append_byte(pattern, name.bytes[i]);
    }
}
