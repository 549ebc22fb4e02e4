/*
 * A picture of how many runs stood in each status over time, drawn by gnuplot: stacked areas, a legend beside
 * them, time in UTC below.
 */
#ifndef RUNSFS_CLI_CHART_H
#define RUNSFS_CLI_CHART_H

#include "core/cli/cli.h"
#include "core/git/counts.h"

enum chart_form { CHART_TEXT, CHART_SVG, CHART_PNG };

struct chart {
    enum chart_form form;
    unsigned columns, rows; /* of CHART_TEXT: characters */
    bool has_color;
    const struct count_table *table; /* with a row at least */
};

/* Appends what gnuplot is to be told on its standard input so that it writes the picture to its standard
 * output. Nothing of a status but letters, digits and octal numbers gets into it. */
void chart_append_script(const struct chart *chart, struct buffer *script);
/* Has gnuplot draw. CLI_OK and the picture appended to picture, or CLI_ERROR after an error was printed. */
enum cli_status chart_draw(const struct chart *chart, struct buffer *picture);

#endif
