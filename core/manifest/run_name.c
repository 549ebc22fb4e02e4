/*
 * The name under which a run stands in a set of runs (a value of a view, what matches a query), and the run
 * that a name means. Three forms, each tried only
 * where the one before is not its own: `<name>`, `<name>.<framework>`, and `<name>.<framework>~<hash>`, which
 * is also the form of what would pass 255 bytes. All by hash: a set may have 100,000 runs.
 */
#include "core/manifest/facet.h"
#include "core/manifest/index_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_SUFFIX_BYTES 17 /* '~' and 16 hexadecimal digits */
#define JOINED_BYTES (2 * LIMIT_NAME_BYTES + 1)

/* No directory on disk has a longer name, but a tree made by hand in Git may. */
static size_t bounded(size_t length)
{
    return length < LIMIT_NAME_BYTES ? length : LIMIT_NAME_BYTES;
}

/* `<name>.<framework>`; returns its length, which may pass that of a name. */
static size_t join_names(const struct run *run, char joined[JOINED_BYTES])
{
    size_t name_length = bounded(run->name.length), framework_length = bounded(run_framework(run).length);
    memcpy(joined, run->name.bytes, name_length);
    joined[name_length] = '.';
    memcpy(joined + name_length + 1, run_framework(run).bytes, framework_length);
    return name_length + 1 + framework_length;
}

/* The third form. A cut does not part the bytes of a UTF-8 sequence. */
static void hashed_name(const struct run *run, char name[LIMIT_NAME_BYTES + 1])
{
    char joined[JOINED_BYTES];
    size_t length = join_names(run, joined);
    if (length > LIMIT_NAME_BYTES - HASH_SUFFIX_BYTES) {
        length = LIMIT_NAME_BYTES - HASH_SUFFIX_BYTES;
        for (int i = 0; i < 3 && ((unsigned char)joined[length] & 0xc0) == 0x80; i++)
            length--;
    }
    memcpy(name, joined, length);
    snprintf(name + length, HASH_SUFFIX_BYTES + 1, "~%016" PRIx64,
             lookup_path_hash(run_place(run), run->name));
}

static bool holds(const struct run_set *set, const struct run *run)
{
    return set->holds(run, set->context);
}

/* A run of the set, other than `except`, whose `<name>.<framework>` is text: tried at every '.' that could
 * be the joint. *more is set where there is another one. */
static struct run *find_joined(const struct index *index, const struct run_set *set, struct slice text,
                               const struct run *except, bool *more)
{
    struct run *found = NULL;
    *more = false;
    for (size_t i = 1; i + 1 < text.length; i++) {
        if (text.bytes[i] != '.')
            continue;
        struct slice name = {text.bytes, i}, framework = {text.bytes + i + 1, text.length - i - 1};
        for (struct run *run = NULL; (run = lookup_named(&index->lookup, name, run));) {
            if (run == except || !slice_equal(run_framework(run), framework) || !holds(set, run))
                continue;
            *more = found != NULL;
            if (found)
                return found;
            found = run;
        }
    }
    return found;
}

/* The run of the set whose third form is (or would be) text. */
static struct run *find_hashed(const struct index *index, const struct run_set *set, struct slice text)
{
    if (text.length <= HASH_SUFFIX_BYTES || text.bytes[text.length - HASH_SUFFIX_BYTES] != '~')
        return NULL;
    char digits[HASH_SUFFIX_BYTES];
    memcpy(digits, text.bytes + text.length - HASH_SUFFIX_BYTES + 1, HASH_SUFFIX_BYTES - 1);
    digits[HASH_SUFFIX_BYTES - 1] = '\0';
    struct run *run = lookup_chain(&index->lookup, strtoull(digits, NULL, 16));
    for (; run; run = run->path_next) {
        char name[LIMIT_NAME_BYTES + 1];
        if (!holds(set, run))
            continue;
        hashed_name(run, name);
        if (slice_equal(slice_of(name), text))
            return run;
    }
    return NULL;
}

/* A run of the set that has this name of its own, other than `except`; NULL for none. */
static struct run *find_own(const struct index *index, const struct run_set *set, struct slice name,
                            const struct run *except)
{
    struct run *run = NULL;
    while ((run = lookup_named(&index->lookup, name, run)))
        if (run != except && holds(set, run))
            return run;
    return NULL;
}

/* Is the run's own name its own in the set? Not where another run has it, or has it as one of its other
 * forms. */
static bool own_name_is_free(const struct index *index, const struct run_set *set, const struct run *run)
{
    bool more;
    return !find_own(index, set, run->name, run) && !find_joined(index, set, run->name, run, &more) &&
           !find_hashed(index, set, run->name);
}

void run_set_name(struct index *index, const struct run_set *set, const struct run *run,
                  char name[LIMIT_NAME_BYTES + 1])
{
    if (run->name.length <= LIMIT_NAME_BYTES && own_name_is_free(index, set, run)) {
        memcpy(name, run->name.bytes, run->name.length);
        name[run->name.length] = '\0';
        return;
    }
    char joined[JOINED_BYTES];
    size_t length = join_names(run, joined);
    bool more;
    if (length > LIMIT_NAME_BYTES || find_joined(index, set, (struct slice){joined, length}, run, &more)) {
        hashed_name(run, name);
    } else {
        memcpy(name, joined, length);
        name[length] = '\0';
    }
}

static bool is_shown_as(struct index *index, const struct run_set *set, const struct run *run,
                        const char *name)
{
    char shown[LIMIT_NAME_BYTES + 1];
    run_set_name(index, set, run, shown);
    return strcmp(shown, name) == 0;
}

struct run *run_set_find(struct index *index, const struct run_set *set, const char *name)
{
    struct slice text = slice_of(name);
    struct run *run = find_own(index, set, text, NULL);
    if (run && is_shown_as(index, set, run, name))
        return run;
    bool more;
    run = find_joined(index, set, text, NULL, &more);
    if (run && !more && is_shown_as(index, set, run, name))
        return run;
    run = find_hashed(index, set, text);
    return run && is_shown_as(index, set, run, name) ? run : NULL;
}

/* ---- the values of views ---- */

static bool is_in_value(const struct run *run, const void *value)
{
    return facet_value_holds(value, run);
}

void facet_run_name(struct index *index, unsigned facet, const struct run *run,
                    char name[LIMIT_NAME_BYTES + 1])
{
    const struct facet_value *value = facet_membership(run, index->views.facets[facet]->slot)->value;
    /* No two runs in one directory have one name. */
    if (facet == FACET_FRAMEWORK && run->place->framework->place_count == 1 &&
        run->name.length <= LIMIT_NAME_BYTES) {
        memcpy(name, run->name.bytes, run->name.length);
        name[run->name.length] = '\0';
        return;
    }
    run_set_name(index, &(struct run_set){is_in_value, value}, run, name);
}

struct run *facet_value_find(struct index *index, const struct facet_value *value, const char *name)
{
    return run_set_find(index, &(struct run_set){is_in_value, value}, name);
}
