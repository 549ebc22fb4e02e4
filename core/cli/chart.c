/*
 * What gnuplot is told: see chart.h. The counts hold from one commit to the next, so the areas have steps. In
 * a terminal an area is filled with a letter of its status, which needs no colour to be told from the others.
 */
#include "core/cli/chart.h"
#include "core/base/memory.h"
#include "core/cli/chart_axis.h"
#include "core/cli/display.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Areas at most; where there are more statuses, the last holds all that are left. */
#define AREAS_AT_MOST 10
/* Columns of a status in the legend. */
#define LEGEND_WIDTH 24
#define PICTURE_WIDTH 960
#define PICTURE_HEIGHT 480
/* Pixels of a mark's label, and of the legend's letters, with the room between them. */
#define MARK_PIXELS 110
/* The last counts hold until today; so much of the whole time is shown of that, as a part of it. */
#define AFTER_LAST 25
#define TEXT_COLOR "#333333"

/* Okabe and Ito's colours, which people with any colour vision tell apart (their yellow darkened, it is too
 * pale on white), and what else is well apart from them. The known statuses have theirs in every picture. */
static const struct {
    const char *status, *color;
} known_colors[] = {{"verified", "#009e73"}, {"pending", "#e69f00"}, {"failed", "#d55e00"}};
static const char *const colors[AREAS_AT_MOST] = {"#0072b2", "#cc79a7", "#56b4e9", "#7f5539", "#8172b3",
                                                  "#b0a300", "#4d4d4d", "#00d5d5", "#a6761d", "#999999"};

struct area {
    size_t first, count; /* of the table's statuses */
    const char *color;
    char letter;
    struct buffer title;
};

struct drawing {
    const struct chart *chart;
    const struct count_row **rows; /* of the main line, in order */
    size_t row_count;
    struct area areas[AREAS_AT_MOST];
    size_t area_count;
    int64_t first_s, last_s; /* what the axis of time shows */
    uint64_t most;           /* runs at one time */
    unsigned legend_width;   /* columns */
};

/* ---- what is drawn ---- */

static uint64_t count_area(const struct drawing *drawing, const struct count_row *row, size_t number)
{
    const struct area *area = &drawing->areas[number];
    uint64_t count = 0;
    for (size_t i = 0; i < area->count; i++)
        count += count_of(drawing->chart->table, row, area->first + i);
    return count;
}

/* Of a row: runs in the areas below that one. */
static uint64_t count_below(const struct drawing *drawing, const struct count_row *row, size_t number)
{
    uint64_t count = 0;
    for (size_t i = 0; i < number; i++)
        count += count_area(drawing, row, i);
    return count;
}

static void set_title(struct area *area, struct slice status)
{
    struct buffer text = {0};
    display_append(&text, status);
    struct slice shown = buffer_slice(&text);
    if (display_width(shown) > LEGEND_WIDTH) {
        shown.length = display_cut(shown, LEGEND_WIDTH - 1);
        buffer_append_slice(&area->title, shown);
        buffer_append_byte(&area->title, '~');
    } else {
        buffer_append_slice(&area->title, shown.length ? shown : SLICE_LITERAL("(empty)"));
    }
    buffer_free(&text);
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

static bool is_used(const struct drawing *drawing, char letter)
{
    bool is = false;
    for (size_t i = 0; i < drawing->area_count && !is; i++)
        is = drawing->areas[i].letter == letter;
    return is;
}

/* The first letter of the title that no other area has. */
static char letter_of(const struct drawing *drawing, const struct area *area)
{
    for (const char *at = area->title.bytes; *at; at++)
        if (is_letter(*at) && !is_used(drawing, *at))
            return *at;
    char letter = '0';
    while (is_used(drawing, letter))
        letter++;
    return letter;
}

/* taken: how many of the other colours are. */
static const char *color_of(struct slice status, size_t *taken)
{
    for (size_t i = 0; i < sizeof(known_colors) / sizeof(*known_colors); i++)
        if (slice_equal(status, slice_of(known_colors[i].status)))
            return known_colors[i].color;
    return colors[(*taken)++];
}

static void set_areas(struct drawing *drawing)
{
    const struct count_table *table = drawing->chart->table;
    size_t taken = 0;
    bool has_rest = table->status_count > AREAS_AT_MOST;
    size_t count = has_rest ? AREAS_AT_MOST : table->status_count;
    for (size_t i = 0; i < count; i++) {
        struct area *area = &drawing->areas[i];
        *area = (struct area){.first = i, .count = 1, .color = color_of(table->statuses[i], &taken)};
        if (has_rest && i + 1 == count) {
            area->count = table->status_count - i;
            buffer_append_format(&area->title, "%zu others", area->count);
        } else {
            set_title(area, table->statuses[i]);
        }
        area->letter = letter_of(drawing, area);
        drawing->area_count++;
        unsigned width = display_width(buffer_slice(&area->title));
        if (width > drawing->legend_width)
            drawing->legend_width = width;
    }
}

static void set_times(struct drawing *drawing)
{
    const struct count_table *table = drawing->chart->table;
    for (size_t i = 0; i < drawing->row_count; i++) {
        int64_t time_s = drawing->rows[i]->time_s;
        if (i == 0 || time_s < drawing->first_s)
            drawing->first_s = time_s;
        if (i == 0 || time_s > drawing->last_s)
            drawing->last_s = time_s;
        uint64_t runs = 0;
        for (size_t status = 0; status < table->status_count; status++)
            runs += count_of(table, drawing->rows[i], status);
        if (runs > drawing->most)
            drawing->most = runs;
    }
    int64_t span_s = drawing->last_s - drawing->first_s;
    drawing->last_s += span_s / AFTER_LAST > 0 ? span_s / AFTER_LAST : 1;
}

static void begin_drawing(struct drawing *drawing, const struct chart *chart)
{
    *drawing = (struct drawing){.chart = chart};
    drawing->rows = memory_alloc(chart->table->row_count * sizeof(struct count_row *));
    for (size_t i = 0; i < chart->table->row_count; i++)
        if (chart->table->rows[i].is_mainline)
            drawing->rows[drawing->row_count++] = &chart->table->rows[i];
    set_areas(drawing);
    set_times(drawing);
}

static void end_drawing(struct drawing *drawing)
{
    for (size_t i = 0; i < drawing->area_count; i++)
        buffer_free(&drawing->areas[i].title);
    free(drawing->rows);
}

/* ---- in gnuplot's words ---- */

/* As a string of letters, digits and bytes in octal: gnuplot looks for orders in any quotes, and finds a
 * quote in single ones where it is none. */
static void append_quoted(struct buffer *out, struct slice text)
{
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.length; i++)
        if (is_letter(text.bytes[i]))
            buffer_append_byte(out, text.bytes[i]);
        else
            buffer_append_format(out, "\\%03o", (unsigned char)text.bytes[i]);
    buffer_append_byte(out, '"');
}

static void append_axes(struct buffer *out, const struct drawing *drawing, unsigned marks_at_most)
{
    buffer_append_format(out, "set xrange [%" PRId64 ":%" PRId64 "]\nset yrange [0:%" PRIu64 "]\nset xtics (",
                         drawing->first_s, drawing->last_s, drawing->most ? drawing->most : 1);
    chart_append_marks(out, drawing->first_s, drawing->last_s, marks_at_most);
    /* Labels may have two lines, and what is below them has its place below both. */
    buffer_append_text(out, ")\nset xlabel 'time (UTC)' offset 0,-1\nset ylabel 'runs'\n");
    /* gnuplot would halve a run where there are few. */
    if (drawing->most <= 5)
        buffer_append_text(out, "set ytics 1\n");
}

/* ---- pictures ---- */

/* One row as points: time, then of each area where it begins and ends. */
static void append_point(struct buffer *out, const struct drawing *drawing, int64_t time_s,
                         const struct count_row *row)
{
    uint64_t sum = 0;
    buffer_append_format(out, "%" PRId64, time_s);
    for (size_t i = 0; i < drawing->area_count; i++) {
        buffer_append_format(out, " %" PRIu64, sum);
        sum += count_area(drawing, row, i);
        buffer_append_format(out, " %" PRIu64, sum);
    }
    buffer_append_byte(out, '\n');
}

static void append_points(struct buffer *out, const struct drawing *drawing)
{
    buffer_append_text(out, "$counts << END\n");
    for (size_t i = 0; i < drawing->row_count; i++) {
        bool is_last = i + 1 == drawing->row_count;
        append_point(out, drawing, drawing->rows[i]->time_s, drawing->rows[i]);
        append_point(out, drawing, is_last ? drawing->last_s : drawing->rows[i + 1]->time_s,
                     drawing->rows[i]);
    }
    buffer_append_text(out, "END\n");
}

static void append_terminal(struct buffer *out, enum chart_form form)
{
    if (form == CHART_SVG)
        buffer_append_format(out,
                             "set terminal svg size %d,%d dynamic enhanced font 'sans-serif,14' "
                             "background '#ffffff' noenhanced\n",
                             PICTURE_WIDTH, PICTURE_HEIGHT);
    else
        buffer_append_format(
            out,
            "if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) {\n"
            "set terminal pngcairo size %d,%d font 'sans-serif,11' background '#ffffff' noenhanced\n"
            "} else {\n"
            "set terminal png size %d,%d background '#ffffff' noenhanced\n"
            "}\n",
            PICTURE_WIDTH, PICTURE_HEIGHT, PICTURE_WIDTH, PICTURE_HEIGHT);
}

/* The topmost area stands first in the legend, as in the picture. */
static void append_picture(struct buffer *out, const struct drawing *drawing)
{
    append_terminal(out, drawing->chart->form);
    append_points(out, drawing);
    append_axes(out, drawing, (PICTURE_WIDTH - 140 - 9 * drawing->legend_width) / MARK_PIXELS);
    buffer_append_text(out, "set bmargin 5.5\nset border 3 lc rgb '" TEXT_COLOR "'\n"
                            "set tics nomirror out textcolor rgb '" TEXT_COLOR "'\n"
                            "set grid ytics front lc rgb '#ffffff' lw 0.5 lt 1\n"
                            "set xlabel textcolor rgb '" TEXT_COLOR "'\n"
                            "set ylabel textcolor rgb '" TEXT_COLOR "'\n"
                            "set key outside right top vertical Left reverse samplen 1.5 spacing 1.3 "
                            "noenhanced textcolor rgb '" TEXT_COLOR "'\n"
                            "set style fill solid 1.0 noborder\n"
                            "plot ");
    for (size_t i = drawing->area_count; i > 0; i--) {
        buffer_append_format(out, "$counts using 1:%zu:%zu with filledcurves lc rgb '%s' title ", 2 * i,
                             2 * i + 1, drawing->areas[i - 1].color);
        append_quoted(out, buffer_slice(&drawing->areas[i - 1].title));
        buffer_append_text(out, i > 1 ? ", " : "\n");
    }
    if (drawing->area_count == 0) /* no run ever */
        buffer_append_text(out, "0 notitle lc rgb '#ffffff'\n");
}

/* ---- text ---- */

enum { LEFT_COLUMNS = 9, TOP_ROWS = 1, BOTTOM_ROWS = 5, LETTER_COLUMNS = 7, FEWEST_INNER = 10 };

/* The row that holds at a moment: the last one that is not after it. */
static const struct count_row *row_at(const struct drawing *drawing, int64_t time_s, size_t *from)
{
    while (*from + 1 < drawing->row_count && drawing->rows[*from + 1]->time_s <= time_s)
        ++*from;
    return drawing->rows[*from];
}

/* A point for each character that the area fills, of `columns` by `rows`; the axis itself is row 0. */
static void append_cells(struct buffer *out, const struct drawing *drawing, size_t number, unsigned columns,
                         unsigned rows)
{
    size_t from = 0;
    double height = (double)(drawing->most ? drawing->most : 1);
    double width_s = (double)(drawing->last_s - drawing->first_s);
    /* A point that is not seen keeps an area in the legend for which there is no room. */
    buffer_append_format(out, "$area%zu << END\n%" PRId64 " 0\n", number, drawing->first_s - 1);
    for (unsigned column = 1; column < columns; column++) {
        double time_s = (double)drawing->first_s + width_s * column / columns;
        const struct count_row *row = row_at(drawing, (int64_t)time_s, &from);
        uint64_t below = count_below(drawing, row, number), above = below + count_area(drawing, row, number);
        for (unsigned line = 1; line <= rows; line++) {
            double middle = height * (line - 0.5) / rows;
            if (middle > (double)below && middle <= (double)above)
                buffer_append_format(out, "%.3f %.6f\n", time_s, height * line / rows);
        }
    }
    buffer_append_text(out, "END\n");
}

static unsigned inner(unsigned size, unsigned taken)
{
    return size > taken + FEWEST_INNER ? size - taken : FEWEST_INNER;
}

static void append_text_chart(struct buffer *out, const struct drawing *drawing)
{
    const struct chart *chart = drawing->chart;
    unsigned right = drawing->legend_width + LETTER_COLUMNS;
    unsigned columns = inner(chart->columns, LEFT_COLUMNS + right),
             rows = inner(chart->rows, TOP_ROWS + BOTTOM_ROWS);
    buffer_append_format(out, "set terminal dumb size %u,%u noenhanced %s\n", columns + LEFT_COLUMNS + right,
                         rows + TOP_ROWS + BOTTOM_ROWS, chart->has_color ? "ansi256" : "mono");
    for (size_t i = 0; i < drawing->area_count; i++)
        append_cells(out, drawing, i, columns, rows);
    append_axes(out, drawing, columns / 13 > 2 ? columns / 13 : 2);
    buffer_append_format(out,
                         "set lmargin %d\nset rmargin %u\nset tmargin %d\nset bmargin %d\n"
                         "set border 3\nset tics nomirror scale 0\n"
                         "set key outside right top vertical Left reverse samplen 1 noenhanced\nplot ",
                         LEFT_COLUMNS, right, TOP_ROWS, BOTTOM_ROWS);
    for (size_t i = drawing->area_count; i > 0; i--) {
        const struct area *area = &drawing->areas[i - 1];
        buffer_append_format(out, "$area%zu using 1:2 with points pt '%c' lc rgb '%s' title ", i - 1,
                             area->letter, area->color);
        append_quoted(out, buffer_slice(&area->title));
        buffer_append_text(out, i > 1 ? ", " : "\n");
    }
    if (drawing->area_count == 0)
        buffer_append_text(out, "NaN notitle\n");
}

void chart_append_script(const struct chart *chart, struct buffer *script)
{
    struct drawing drawing;
    begin_drawing(&drawing, chart);
    buffer_append_text(script, "set encoding utf8\n");
    if (chart->form == CHART_TEXT)
        append_text_chart(script, &drawing);
    else
        append_picture(script, &drawing);
    end_drawing(&drawing);
}
