/*
 * The table of habits: see habit.h.
 */
#include "fs/real/habit.h"
#include <stdatomic.h>
#include <string.h>

#define SLOTS 256
#define ALL_KINDS UINT16_MAX

/* Each the caller's id in the low half, and above it up to two kinds of files; the second may be ALL_KINDS.
 */
static _Atomic(uint64_t) slots[SLOTS];

static _Atomic(uint64_t) *slot_of(pid_t caller)
{
    return &slots[(uint32_t)caller % SLOTS];
}

static uint16_t first_kind(habit known)
{
    return (uint16_t)(known >> 32);
}

static uint16_t second_kind(habit known)
{
    return (uint16_t)(known >> 48);
}

/* A number from 1 to ALL_KINDS - 1 for the suffix of a name; names without have one too. */
static uint16_t kind_of(const char *name)
{
    const char *suffix = strrchr(name, '.');
    uint32_t hash = 1;
    for (; suffix && *suffix; suffix++)
        hash = hash * 31 + (unsigned char)*suffix;
    return (uint16_t)(1 + hash % (ALL_KINDS - 1));
}

habit habit_listing(pid_t caller)
{
    uint64_t known = atomic_load_explicit(slot_of(caller), memory_order_relaxed);
    if ((uint32_t)known == (uint32_t)caller)
        return known;
    known = (uint32_t)caller;
    atomic_store_explicit(slot_of(caller), known, memory_order_relaxed);
    return known;
}

bool habit_wants(habit known, const char *name)
{
    if (!first_kind(known))
        return false;
    uint16_t kind = second_kind(known) == ALL_KINDS ? ALL_KINDS : kind_of(name);
    return kind == first_kind(known) || kind == second_kind(known);
}

void habit_looked_up(pid_t caller, const char *name)
{
    uint64_t known = atomic_load_explicit(slot_of(caller), memory_order_relaxed);
    if ((uint32_t)known != (uint32_t)caller || habit_wants(known, name))
        return;
    if (!first_kind(known))
        known |= (uint64_t)kind_of(name) << 32;
    else if (!second_kind(known))
        known |= (uint64_t)kind_of(name) << 48;
    else
        known |= (uint64_t)ALL_KINDS << 48;
    atomic_store_explicit(slot_of(caller), known, memory_order_relaxed);
}
