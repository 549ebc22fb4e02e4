/*
 * The names in at/: see names.h. A listing comes in pieces, and asking Git for all references takes long
 * where there are thousands: it is asked once for each listing.
 */
#include "fs/past/names.h"
#include "core/base/escape.h"
#include "core/base/limits.h"
#include "core/base/memory.h"
#include "core/git/revision.h"
#include <stdlib.h>
#include <string.h>

/* Ids among them: of the last commits that changed something of the source. */
#define LISTED_COMMITS 32

/* A name that is too long for a directory was cut, and is not found by what is left of it. */
static bool is_whole_escape(const char *escaped, const char *name)
{
    struct buffer text = {0};
    bool is_whole =
        escape_decode(slice_of(escaped), &text) == 0 && slice_equal(buffer_slice(&text), slice_of(name));
    buffer_free(&text);
    return is_whole;
}

static int add_name(const char *name, void *context)
{
    struct past_names *names = context;
    char escaped[LIMIT_NAME_BYTES + 1];
    escape_value(slice_of(name), escaped);
    if (!is_whole_escape(escaped, name))
        return 0;
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 64;
        names->at = memory_resize(names->at, names->capacity * sizeof(*names->at));
    }
    names->at[names->count++] = names->text.length;
    buffer_append(&names->text, escaped, strlen(escaped) + 1);
    return 0;
}

int past_names_create(struct repository *repository, struct past_names **names)
{
    *names = memory_alloc_zeroed(1, sizeof(**names));
    return revision_each_name(repository, LISTED_COMMITS, add_name, *names);
}

void past_names_free(struct past_names *names)
{
    buffer_free(&names->text);
    free(names->at);
    free(names);
}

size_t past_names_bytes(const struct past_names *names)
{
    return sizeof(*names) + names->text.capacity + names->capacity * sizeof(*names->at);
}
