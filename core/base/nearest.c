/*
 * The nearest known name: by the least number of letters to insert, remove or change (Levenshtein's
 * distance), two neighbours that changed places counting as one change.
 */
#include "core/base/nearest.h"

#define LONGEST_BYTES 64

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The distance of two names of at most LONGEST_BYTES, row by row of the table; the two rows before are kept.
 */
static size_t distance(struct slice a, struct slice b)
{
    size_t rows[3][LONGEST_BYTES + 1];

    for (size_t j = 0; j <= b.length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
        const size_t *above_that = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            bool differs = a.bytes[i - 1] != b.bytes[j - 1];

            row[j] = least(above[j - 1] + differs, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && differs && a.bytes[i - 1] == b.bytes[j - 2] &&
                a.bytes[i - 2] == b.bytes[j - 1])
                row[j] = least(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[a.length % 3][b.length];
}

void nearest_offer(struct nearest *nearest, struct slice known)
{
    if (nearest->name.length > LONGEST_BYTES || known.length > LONGEST_BYTES)
        return;
    size_t offered = distance(nearest->name, known);
    size_t allowed = (least(nearest->name.length, known.length) + 2) / 3;
    if (offered > allowed || (nearest->best.bytes && offered >= nearest->distance))
        return;
    nearest->best = known;
    nearest->distance = offered;
}
