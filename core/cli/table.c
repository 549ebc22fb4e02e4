/*
 * Laying out a table: see table.h.
 */
#include "core/cli/table.h"
#include "core/base/memory.h"
#include "core/cli/display.h"
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

#define GAP_WIDTH 2

struct cell {
    size_t start, length; /* in text */
    unsigned width;
    const char *color;
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    struct buffer text;
    struct cell *cells; /* row by row, the titles first */
    size_t cell_count, cell_capacity;
};

struct table *table_create(const struct table_column *columns, size_t column_count)
{
    struct table *table = memory_alloc_zeroed(1, sizeof(*table));
    table->columns = columns;
    table->column_count = column_count;
    for (size_t i = 0; i < column_count; i++)
        table_add(table, slice_of(columns[i].title), NULL);
    return table;
}

void table_destroy(struct table *table)
{
    buffer_free(&table->text);
    free(table->cells);
    free(table);
}

void table_add(struct table *table, struct slice text, const char *color)
{
    if (table->cell_count == table->cell_capacity) {
        table->cell_capacity = table->cell_capacity * 2 + 64;
        table->cells = memory_resize(table->cells, table->cell_capacity * sizeof(*table->cells));
    }
    struct cell *cell = &table->cells[table->cell_count++];
    cell->start = table->text.length;
    display_append(&table->text, text);
    cell->length = table->text.length - cell->start;
    cell->color = color;
    cell->width = display_width((struct slice){table->text.bytes + cell->start, cell->length});
}

/* The column that is widest of those that may be cut further; column_count where none may. */
static size_t widest(const struct table *table, const unsigned *widths)
{
    size_t found = table->column_count;
    for (size_t i = 0; i < table->column_count; i++) {
        unsigned narrowest_width = table->columns[i].narrowest_width;
        if (narrowest_width > 0 && widths[i] > narrowest_width &&
            (found == table->column_count || widths[i] > widths[found]))
            found = i;
    }
    return found;
}

static void fit(const struct table *table, unsigned *widths, unsigned limit)
{
    unsigned total = GAP_WIDTH * (unsigned)(table->column_count - 1);
    for (size_t i = 0; i < table->column_count; i++)
        total += widths[i];
    while (total > limit) {
        size_t column = widest(table, widths);
        if (column == table->column_count)
            return;
        widths[column]--;
        total--;
    }
}

static void append_spaces(struct buffer *out, unsigned count)
{
    while (count-- > 0)
        buffer_append_byte(out, ' ');
}

/* The cell's text, cut to width; returns the width it takes. */
static unsigned append_text(struct buffer *out, struct slice text, unsigned text_width, unsigned width)
{
    if (text_width <= width) {
        buffer_append_slice(out, text);
        return text_width;
    }
    const char *ellipsis = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? "\xe2\x80\xa6" : "~";
    text.length = display_cut(text, width - 1);
    buffer_append_slice(out, text);
    buffer_append_text(out, ellipsis);
    return display_width(text) + 1;
}

static void append_cell(const struct table *table, const struct cell *cell, const struct table_column *column,
                        unsigned width, bool is_last, bool with_color, struct buffer *out)
{
    struct slice text = {table->text.bytes + cell->start, cell->length};
    const char *color = with_color ? cell->color : NULL;
    if (column->is_right && cell->width < width)
        append_spaces(out, width - cell->width);
    if (color)
        buffer_append_format(out, "\x1b[%sm", color);
    unsigned taken = append_text(out, text, cell->width, width);
    if (color)
        buffer_append_text(out, "\x1b[0m");
    if (is_last)
        return;
    if (!column->is_right)
        append_spaces(out, width - taken);
    append_spaces(out, GAP_WIDTH);
}

void table_print(const struct table *table, unsigned width, bool with_color, struct buffer *out)
{
    size_t column_count = table->column_count;
    unsigned *widths = memory_alloc_zeroed(column_count, sizeof(*widths));
    for (size_t i = 0; i < table->cell_count; i++)
        if (table->cells[i].width > widths[i % column_count])
            widths[i % column_count] = table->cells[i].width;
    if (width > 0)
        fit(table, widths, width);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % column_count;
        bool is_last = column == column_count - 1;
        append_cell(table, &table->cells[i], &table->columns[column], widths[column], is_last, with_color,
                    out);
        if (is_last)
            buffer_append_byte(out, '\n');
    }
    free(widths);
}
