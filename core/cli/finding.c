/*
 * The list of findings and its two forms: see finding.h.
 */
#include "core/cli/finding.h"
#include "core/base/memory.h"
#include "core/cli/display.h"
#include "core/json/writer.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const kind_names[FINDING_KIND_COUNT] = {
    [FINDING_MANIFEST] = "manifest",           [FINDING_DIFFERENCE] = "difference",
    [FINDING_UNREADABLE] = "unreadable",       [FINDING_ABORTED] = "aborted",
    [FINDING_CONFIGURATION] = "configuration", [FINDING_GIT] = "git",
};

void finding_list_free(struct finding_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        slice_free(&list->findings[i].path);
        free(list->findings[i].detail);
    }
    free(list->findings);
    *list = (struct finding_list){0};
}

void finding_add(struct finding_list *list, enum finding_kind kind, struct slice path, const char *detail,
                 ...)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->findings = memory_resize(list->findings, list->capacity * sizeof(*list->findings));
    }
    struct finding *finding = &list->findings[list->count++];
    finding->kind = kind;
    finding->path = slice_copy(path);
    va_list arguments;
    va_start(arguments, detail);
    if (vasprintf(&finding->detail, detail, arguments) < 0)
        finding->detail = memory_copy_text("", 0);
    va_end(arguments);
}

static int by_path(const void *a, const void *b)
{
    return slice_compare(((const struct finding *)a)->path, ((const struct finding *)b)->path);
}

void finding_sort(struct finding_list *list, size_t first)
{
    if (list->count > first)
        qsort(list->findings + first, list->count - first, sizeof(*list->findings), by_path);
}

size_t finding_count_mendable(const struct finding_list *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->findings[i].kind == FINDING_MANIFEST || list->findings[i].kind == FINDING_DIFFERENCE;
    return count;
}

void finding_append_lines(struct buffer *out, const struct finding_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        display_append(out, list->findings[i].path);
        buffer_append_text(out, ": ");
        buffer_append_text(out, list->findings[i].detail);
        buffer_append_byte(out, '\n');
    }
}

/* cJSON takes text for UTF-8, which a path need not be: it is given the literal. */
static cJSON *path_literal(struct slice path)
{
    struct buffer text = {0}, literal = {0};
    utf8_append_file_name(&text, path);
    json_append_string(&literal, buffer_slice(&text));
    cJSON *item = cJSON_CreateRaw(literal.bytes);
    buffer_free(&text);
    buffer_free(&literal);
    return item;
}

static cJSON *finding_object(const struct finding *finding)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *path = path_literal(finding->path);
    if (!cJSON_AddStringToObject(object, "kind", kind_names[finding->kind]) ||
        !cJSON_AddItemToObject(object, "path", path)) {
        cJSON_Delete(path);
        cJSON_Delete(object);
        return NULL;
    }
    if (!cJSON_AddStringToObject(object, "detail", finding->detail)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

int finding_append_json(struct buffer *out, const struct finding_list *list)
{
    cJSON *array = cJSON_CreateArray();
    bool complete = array != NULL;
    for (size_t i = 0; complete && i < list->count; i++)
        complete = cJSON_AddItemToArray(array, finding_object(&list->findings[i]));
    char *text = complete ? cJSON_Print(array) : NULL;
    if (text) {
        buffer_append_text(out, text);
        buffer_append_byte(out, '\n');
    }
    cJSON_free(text);
    cJSON_Delete(array);
    return text ? 0 : -ENOMEM;
}
