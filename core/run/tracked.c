/*
 * The built-in tracking patterns: see tracked.h.
 */
#include "core/run/tracked.h"
#include <fnmatch.h>
#include <stddef.h>

const char *const tracked_patterns[] = {"metrics.json", "metadata.json", "commit.txt", "*.md", NULL};

bool tracked_name(const char *name)
{
    for (const char *const *pattern = tracked_patterns; *pattern; pattern++)
        if (fnmatch(*pattern, name, FNM_PERIOD) == 0)
            return true;
    return false;
}
