/*
 * Faults of a configuration, collected while it is read: all of them at once save whoever edits it a round
 * for each. What is quoted in them comes from outside and goes to terminals and logs, so it is made
 * printable.
 */
#include "core/config/config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void faults_add(struct faults *faults, size_t position, const char *format, ...)
{
    va_list arguments;

    faults->is_any = true;
    if (faults->count == CONFIG_FAULTS_AT_MOST)
        return;
    struct config_fault *fault = &faults->found[faults->count++];
    json_position(faults->text, position, &fault->line, &fault->column);
    va_start(arguments, format);
    vsnprintf(fault->reason, sizeof(fault->reason), format, arguments);
    va_end(arguments);
}

static int compare_faults(const void *first, const void *second)
{
    const struct config_fault *a = first, *b = second;

    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return strcmp(a->reason, b->reason);
}

void faults_sort(struct faults *faults)
{
    if (faults->count)
        qsort(faults->found, faults->count, sizeof(*faults->found), compare_faults);
}

/* Appends `text` to what is in quoted, behind which `reserved` bytes stay free: control characters and what
 * is no UTF-8 as \xXX, "..." where it was cut. */
static size_t append_printable(struct quoted *quoted, size_t length, struct slice text, size_t reserved)
{
    while (text.length) {
        uint32_t code_point;
        size_t bytes = utf8_decode(text, false, &code_point);
        bool is_printable = bytes > 0 && code_point >= 0x20 && (code_point < 0x7f || code_point > 0x9f);
        size_t needed = is_printable ? bytes : 4;

        if (length + needed + 3 + reserved >= sizeof(quoted->text)) {
            memcpy(quoted->text + length, "...", 3);
            return length + 3;
        }
        if (is_printable) {
            memcpy(quoted->text + length, text.bytes, bytes);
        } else {
            bytes = 1;
            snprintf(quoted->text + length, 5, "\\x%02x", (unsigned char)text.bytes[0]);
        }
        length += needed;
        text = (struct slice){text.bytes + bytes, text.length - bytes};
    }
    return length;
}

struct quoted quoted(struct slice text)
{
    struct quoted quoted = {"\""};
    size_t length = append_printable(&quoted, 1, text, 1);

    memcpy(quoted.text + length, "\"", 2);
    return quoted;
}

struct quoted quoted_hint(struct slice nearest)
{
    struct quoted quoted = {""};

    if (!nearest.bytes)
        return quoted;
    size_t length = (size_t)snprintf(quoted.text, sizeof(quoted.text), "; did you mean \"");
    length = append_printable(&quoted, length, nearest, 2);
    memcpy(quoted.text + length, "\"?", 3);
    return quoted;
}

void config_fault_describe(const struct config_fault *fault, char *text, size_t size_bytes)
{
    if (fault->line)
        snprintf(text, size_bytes, CONFIG_FILE_NAME ":%u:%u: %s", fault->line, fault->column, fault->reason);
    else
        snprintf(text, size_bytes, CONFIG_FILE_NAME ": %s", fault->reason);
}
