/*
 * The list as a sorted array with holes: entering appends, leaving makes a hole, and when holes are the
 * greater part the array is compacted, so that each costs the same whatever the length.
 */
#include "core/manifest/sequence.h"
#include "core/base/memory.h"
#include <stdlib.h>

#define SMALLEST_CAPACITY 8

void sequence_finish(struct sequence *sequence)
{
    free(sequence->entries);
    *sequence = (struct sequence){0};
}

static void resize(struct sequence *sequence, size_t capacity)
{
    sequence->entries = memory_resize(sequence->entries, capacity * sizeof(*sequence->entries));
    sequence->capacity = capacity;
}

/* The first entry with a number above `after`. */
static size_t position_after(const struct sequence *sequence, uint64_t after)
{
    size_t low = 0, high = sequence->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sequence->entries[middle].number <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void compact(struct sequence *sequence)
{
    size_t kept = 0;
    for (size_t i = 0; i < sequence->count; i++) {
        if (sequence->entries[i].item)
            sequence->entries[kept++] = sequence->entries[i];
    }
    sequence->count = kept;
    if (sequence->capacity > SMALLEST_CAPACITY && kept < sequence->capacity / 4)
        resize(sequence, sequence->capacity / 2);
}

void sequence_add(struct sequence *sequence, uint64_t number, void *item)
{
    if (sequence->count == sequence->capacity)
        resize(sequence,
               sequence->capacity ? sequence->capacity + sequence->capacity / 2 : SMALLEST_CAPACITY);
    sequence->entries[sequence->count++] = (struct sequence_entry){number, item};
    sequence->live_count++;
}

void sequence_remove(struct sequence *sequence, uint64_t number)
{
    sequence->entries[position_after(sequence, number - 1)].item = NULL;
    sequence->live_count--;
    if (sequence->live_count < sequence->count / 2)
        compact(sequence);
}

void *sequence_next(const struct sequence *sequence, uint64_t after, uint64_t *number)
{
    for (size_t i = position_after(sequence, after); i < sequence->count; i++) {
        if (sequence->entries[i].item) {
            *number = sequence->entries[i].number;
            return sequence->entries[i].item;
        }
    }
    return NULL;
}
