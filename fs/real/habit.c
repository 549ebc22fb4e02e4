/*
 * The table of habits: see habit.h.
 */
#include "fs/real/habit.h"
#include <stdatomic.h>
#include <stdint.h>

#define SLOTS 256

/* Each the caller's id, doubled, plus one where he wants attributes. */
static _Atomic(uint32_t) slots[SLOTS];

static _Atomic(uint32_t) *slot_of(pid_t caller)
{
    return &slots[(uint32_t)caller % SLOTS];
}

bool habit_listing(pid_t caller)
{
    uint32_t names_alone = (uint32_t)caller << 1;
    uint32_t known = atomic_load_explicit(slot_of(caller), memory_order_relaxed);
    if (known == (names_alone | 1))
        return true;
    if (known != names_alone)
        atomic_store_explicit(slot_of(caller), names_alone, memory_order_relaxed);
    return false;
}

void habit_looked_up(pid_t caller)
{
    uint32_t names_alone = (uint32_t)caller << 1;
    if (atomic_load_explicit(slot_of(caller), memory_order_relaxed) == names_alone)
        atomic_store_explicit(slot_of(caller), names_alone | 1, memory_order_relaxed);
}
