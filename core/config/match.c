/*
 * What a configuration says of names and paths: is this file tracked, this run excluded, this directory a
 * run's. Asked for every directory that a scan meets.
 */
#include "core/config/config_internal.h"

#include "core/base/glob.h"

#include <stdlib.h>
#include <string.h>

bool config_is_tracked(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->tracked_count; i++) {
        const char *pattern = config->tracked[i];

        if (name[0] == '.' && strchr("*?[", pattern[0]))
            continue;
        if (glob_match(slice_of(pattern), slice_of(name)))
            return true;
    }
    return false;
}

/* Takes the first component off a path; false at its end. */
static bool take_component(const char **path, struct slice *component)
{
    if (!**path)
        return false;
    const char *end = strchrnul(*path, '/');
    *component = (struct slice){*path, (size_t)(end - *path)};
    *path = *end ? end + 1 : end;
    return true;
}

/* Does the pattern match the path, or a directory above it? */
static bool covers(const char *pattern, const char *path)
{
    struct slice of_pattern, of_path;

    while (take_component(&pattern, &of_pattern))
        if (!take_component(&path, &of_path) || !glob_match(of_pattern, of_path))
            return false;
    return true;
}

static int compare_path(const void *key, const void *element)
{
    return slice_compare(*(const struct slice *)key, slice_of(*(char *const *)element));
}

bool config_is_excluded(const struct config *config, const char *path)
{
    const char *end = path;

    while (config->exclude_plain_count && *end) {
        end = strchrnul(end + 1, '/');
        struct slice above = {path, (size_t)(end - path)};
        if (bsearch(&above, config->exclude, config->exclude_plain_count, sizeof(*config->exclude),
                    compare_path))
            return true;
    }
    for (size_t i = config->exclude_plain_count; i < config->exclude_count; i++)
        if (covers(config->exclude[i], path))
            return true;
    return false;
}

/* How many components the path has, where the layout's first ones match them; more than the layout has where
 * they do not. */
static size_t matched_depth(const struct config_layout *layout, const char *path)
{
    struct slice component;
    size_t depth = 0;

    while (take_component(&path, &component)) {
        if (depth == layout->depth || !glob_match(slice_of(layout->components[depth]), component))
            return layout->depth + 1;
        depth++;
    }
    return depth;
}

bool config_is_run_path(const struct config *config, const char *path)
{
    for (size_t i = 0; i < config->layout_count; i++)
        if (matched_depth(&config->layouts[i], path) == config->layouts[i].depth)
            return true;
    return false;
}

bool config_leads_to_runs(const struct config *config, const char *path)
{
    for (size_t i = 0; i < config->layout_count; i++)
        if (matched_depth(&config->layouts[i], path) < config->layouts[i].depth)
            return true;
    return false;
}

size_t config_greatest_depth(const struct config *config)
{
    size_t greatest = 0;

    for (size_t i = 0; i < config->layout_count; i++)
        if (config->layouts[i].depth > greatest)
            greatest = config->layouts[i].depth;
    return greatest;
}
