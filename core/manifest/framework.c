/*
 * The list of frameworks and its order. They are few: entering one in the list moves pointers, finding one is
 * a hash.
 */
#include "core/manifest/framework.h"
#include "core/base/memory.h"
#include "core/json/writer.h"
#include <stdlib.h>
#include <string.h>

static struct framework *intern(struct framework_list *list, struct slice text)
{
    struct framework *framework;
    HASH_FIND(hh, list->by_text, text.bytes, text.length, framework);
    if (framework)
        return framework;
    framework = memory_alloc_zeroed(1, sizeof(*framework));
    framework->text = slice_copy(text);
    struct buffer json = {0};
    json_append_string(&json, text);
    framework->json = slice_copy(buffer_slice(&json));
    buffer_free(&json);
    HASH_ADD_KEYPTR(hh, list->by_text, framework->text.bytes, framework->text.length, framework);
    return framework;
}

static void forget(struct framework_list *list, struct framework *framework)
{
    HASH_DEL(list->by_text, framework);
    slice_free(&framework->name);
    slice_free(&framework->text);
    slice_free(&framework->json);
    free(framework);
}

static void place_forget(struct framework_list *list, struct place *place)
{
    HASH_DEL(list->places, place);
    slice_free(&place->path);
    slice_free(&place->json);
    free(place);
}

void framework_list_finish(struct framework_list *list)
{
    struct framework *framework, *next;
    HASH_ITER(hh, list->by_text, framework, next)
    {
        forget(list, framework);
    }
    struct place *place, *next_place;
    HASH_ITER(hh, list->places, place, next_place)
    {
        place_forget(list, place);
    }
    slice_free(&list->source_name);
    free(list->listed);
}

static void reserve(struct framework_list *list, size_t count)
{
    if (count <= list->listed_capacity)
        return;
    list->listed_capacity = count + count / 2 + 8;
    list->listed = memory_resize(list->listed, list->listed_capacity * sizeof(struct framework *));
}

/* Where a framework that is not in the file stands or would stand in the list. */
static size_t new_position(const struct framework_list *list, struct slice text)
{
    size_t low = list->file_count, high = list->listed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_compare(list->listed[middle]->text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The framework of that name, with one run more. */
static struct framework *framework_enter(struct framework_list *list, struct slice name)
{
    struct buffer text = {0};
    utf8_append_file_name(&text, name);
    struct framework *framework = intern(list, buffer_slice(&text));
    buffer_free(&text);
    if (!framework->name.bytes)
        framework->name = slice_copy(name);
    if (framework->run_count++ == 0 && !framework->in_file) {
        reserve(list, list->listed_count + 1);
        size_t position = new_position(list, framework->text);
        memmove(&list->listed[position + 1], &list->listed[position],
                (list->listed_count - position) * sizeof(struct framework *));
        list->listed[position] = framework;
        list->listed_count++;
    }
    return framework;
}

static void framework_leave(struct framework_list *list, struct framework *framework)
{
    if (--framework->run_count > 0 || framework->in_file)
        return;
    size_t position = new_position(list, framework->text);
    list->listed_count--;
    memmove(&list->listed[position], &list->listed[position + 1],
            (list->listed_count - position) * sizeof(struct framework *));
    forget(list, framework);
}

static struct slice framework_name(const struct framework_list *list, struct slice path)
{
    const char *slash = path.length ? memrchr(path.bytes, '/', path.length) : NULL;
    if (path.length == 0)
        return list->source_name.bytes ? list->source_name : SLICE_LITERAL("");
    return slash ? (struct slice){slash + 1, path.length - (size_t)(slash + 1 - path.bytes)} : path;
}

struct place *place_enter(struct framework_list *list, struct slice path)
{
    struct place *place;
    HASH_FIND(hh, list->places, path.bytes, path.length, place);
    struct framework *framework = framework_enter(list, framework_name(list, path));
    if (!place) {
        struct buffer text = {0}, json = {0};
        place = memory_alloc_zeroed(1, sizeof(*place));
        place->path = slice_copy(path);
        place->hash = text_hash(path);
        utf8_append_file_name(&text, path);
        json_append_string(&json, buffer_slice(&text));
        place->json = slice_copy(buffer_slice(&json));
        buffer_free(&text);
        buffer_free(&json);
        place->framework = framework;
        framework->place_count++;
        HASH_ADD_KEYPTR(hh, list->places, place->path.bytes, place->path.length, place);
    }
    place->run_count++;
    return place;
}

void place_leave(struct framework_list *list, struct place *place)
{
    struct framework *framework = place->framework;
    if (--place->run_count == 0) {
        framework->place_count--;
        place_forget(list, place);
    }
    framework_leave(list, framework);
}

static int compare_texts(const void *a, const void *b)
{
    return slice_compare((*(struct framework *const *)a)->text, (*(struct framework *const *)b)->text);
}

/* Puts the frameworks that have runs and are not in the file behind those that are, in byte order. */
static void append_new(struct framework_list *list)
{
    struct framework *framework, *next;
    HASH_ITER(hh, list->by_text, framework, next)
    {
        if (framework->in_file)
            continue;
        if (framework->run_count == 0) {
            forget(list, framework);
            continue;
        }
        reserve(list, list->listed_count + 1);
        list->listed[list->listed_count++] = framework;
    }
    if (list->listed_count > list->file_count)
        qsort(&list->listed[list->file_count], list->listed_count - list->file_count,
              sizeof(struct framework *), compare_texts);
}

/* Does the list differ from `before`? (A framework that is gone may have been freed: pointers alone are
 * compared.) */
static bool differs(const struct framework_list *list, struct framework *const *before, size_t before_count)
{
    return list->listed_count != before_count ||
           (before_count > 0 && memcmp(list->listed, before, before_count * sizeof(*before)) != 0);
}

bool framework_adopt(struct framework_list *list, const struct slice *texts, size_t count)
{
    struct framework **before = list->listed;
    size_t before_count = list->listed_count;
    for (size_t i = 0; i < list->file_count; i++)
        before[i]->in_file = false;
    list->listed = NULL;
    list->listed_count = list->listed_capacity = 0;
    reserve(list, count);
    for (size_t i = 0; i < count; i++) {
        list->listed[i] = intern(list, texts[i]);
        list->listed[i]->in_file = true;
    }
    list->file_count = list->listed_count = count;
    append_new(list);
    bool changed = differs(list, before, before_count);
    free(before);
    return changed;
}

void framework_written(struct framework_list *list)
{
    for (size_t i = list->file_count; i < list->listed_count; i++)
        list->listed[i]->in_file = true;
    list->file_count = list->listed_count;
}
