/*
 * A table of text in aligned columns, fitted to a width by cutting its widest cells. Pure.
 */
#ifndef RUNSFS_CLI_TABLE_H
#define RUNSFS_CLI_TABLE_H

#include "core/base/text.h"

struct table_column {
    const char *title;
    bool is_right;            /* aligned to the right, as numbers are */
    unsigned narrowest_width; /* to which it may be cut; 0 for never */
};

struct table;

/* columns must outlive the table. */
struct table *table_create(const struct table_column *columns, size_t column_count);
void table_destroy(struct table *table);
/* The next cell, row by row. text is copied, and made harmless to a terminal. color is the parameters of an
 * SGR escape ("32" is green), static; NULL for none. */
void table_add(struct table *table, struct slice text, const char *color);
/* Appends the titles and the rows. width is what a line may take, 0 for any. */
void table_print(const struct table *table, unsigned width, bool with_color, struct buffer *out);

#endif
