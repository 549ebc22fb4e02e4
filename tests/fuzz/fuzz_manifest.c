/*
 * Whatever stands in the manifest's file: it is adopted without a fault, and what the index renders then is,
 * byte for byte, what it adopts as its own.
 */
#include "core/base/memory.h"
#include "core/manifest/existing.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void put(struct index *index, const char *framework, const char *name, bool is_whole)
{
    struct run_state state = {
        .is_run = true, .is_whole = is_whole, .fields.status = SLICE_LITERAL("pending")};
    bool changed;
    index_put(index, slice_of(framework), slice_of(name), &state, &changed);
}

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_round(struct index *index)
{
    struct snapshot *snapshot = snapshot_take(index);
    size_t size_bytes = snapshot_size(snapshot);
    char *text = memory_alloc(size_bytes);
    require(snapshot_read(snapshot, text, size_bytes, 0) == size_bytes);
    uint64_t generation = index_generation(index);
    require(existing_adopt(index, (struct slice){text, size_bytes}, true, NULL, NULL) == EXISTING_SAME);
    require(index_generation(index) == generation);
    struct snapshot *again = snapshot_take(index);
    require(again == snapshot);
    snapshot_unref(again);
    snapshot_unref(snapshot);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct index *index = index_create();
    struct run_fault fault;
    put(index, "f", "a", true);
    put(index, "f", "b", false);
    put(index, "g", "a", false);
    put(index, "\xc3\xa9", "\x80", false);
    existing_adopt(index, (struct slice){(const char *)data, size_bytes}, true, NULL, &fault);
    check_round(index);
    existing_adopt(index, (struct slice){(const char *)data, size_bytes}, false, NULL, &fault);
    check_round(index);
    index_destroy(index);
    return 0;
}
