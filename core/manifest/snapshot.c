/*
 * Snapshots: a header, the leaves' texts and a trailer, with the offset at which each begins. Taking one
 * copies no entry; reading one takes no lock.
 */
#include "core/manifest/snapshot.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/manifest/index_internal.h"
#include "core/manifest/render.h"
#include <stdlib.h>
#include <string.h>

struct segment {
    struct chunk *chunk;
    struct slice bytes; /* of the chunk */
    uint64_t start;
};

struct snapshot {
    atomic_uint references;
    uint64_t generation;
    struct timespec changed_at;
    uint64_t size_bytes;
    uint64_t last_updated_from,
        last_updated_to; /* where its value stands, quotes included: in the first segment */
    size_t segment_count;
    struct segment segments[];
};

/* Takes over the reference to chunk; its first skip bytes are left out. */
static void add_segment(struct snapshot *snapshot, struct chunk *chunk, size_t skip)
{
    struct slice bytes = {chunk->bytes + skip, chunk->length - skip};
    snapshot->segments[snapshot->segment_count++] = (struct segment){chunk, bytes, snapshot->size_bytes};
    snapshot->size_bytes += bytes.length;
}

static void add_header(struct snapshot *snapshot, struct index *index)
{
    struct buffer now = {0};
    struct slice last_updated = index->last_updated;
    if (!last_updated.bytes && !index->is_undated) {
        render_time(&now, index->changed_at);
        last_updated = buffer_slice(&now);
    }
    size_t from, to;
    buffer_clear(&index->scratch);
    render_header(&index->scratch, last_updated, index_count(index), &index->frameworks, &from, &to);
    buffer_free(&now);
    snapshot->last_updated_from = from;
    snapshot->last_updated_to = to;
    add_segment(snapshot, chunk_create(buffer_slice(&index->scratch)), 0);
}

static struct snapshot *render(struct index *index)
{
    const struct order *order = &index->order;
    order_render(&index->order);
    struct snapshot *snapshot =
        memory_alloc(sizeof(*snapshot) + (order->leaf_count + 2) * sizeof(struct segment));
    *snapshot = (struct snapshot){.generation = index->generation, .changed_at = index->changed_at};
    atomic_init(&snapshot->references, 1);
    add_header(snapshot, index);
    /* The first entry of all has no "," before it. */
    for (size_t i = 0; i < order->leaf_count; i++)
        add_segment(snapshot, chunk_ref(order->leaves[i]->text), i == 0 ? 1 : 0);
    buffer_clear(&index->scratch);
    render_trailer(&index->scratch, index_count(index), index->extras);
    add_segment(snapshot, chunk_create(buffer_slice(&index->scratch)), 0);
    return snapshot;
}

struct snapshot *snapshot_take(struct index *index)
{
    if (!index->current || index->current->generation != index->generation) {
        snapshot_unref(index->current);
        index->current = render(index);
    }
    return snapshot_ref(index->current);
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < snapshot->segment_count; i++)
        chunk_unref(snapshot->segments[i].chunk);
    free(snapshot);
}

uint64_t snapshot_size(const struct snapshot *snapshot)
{
    return snapshot->size_bytes;
}

uint64_t snapshot_generation(const struct snapshot *snapshot)
{
    return snapshot->generation;
}

struct timespec snapshot_changed_at(const struct snapshot *snapshot)
{
    return snapshot->changed_at;
}

struct slice snapshot_last_updated(const struct snapshot *snapshot)
{
    return (struct slice){snapshot->segments[0].bytes.bytes + snapshot->last_updated_from,
                          (size_t)(snapshot->last_updated_to - snapshot->last_updated_from)};
}

/* The segment in which the byte at offset stands. */
static size_t segment_at(const struct snapshot *snapshot, uint64_t offset)
{
    size_t low = 1, high = snapshot->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snapshot->segments[middle].start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* The bytes from offset to the end of their segment; empty at the end of all. */
static struct slice bytes_at(const struct snapshot *snapshot, uint64_t offset)
{
    if (offset >= snapshot->size_bytes)
        return (struct slice){"", 0};
    const struct segment *segment = &snapshot->segments[segment_at(snapshot, offset)];
    size_t skip = (size_t)(offset - segment->start);
    return (struct slice){segment->bytes.bytes + skip, segment->bytes.length - skip};
}

size_t snapshot_read(const struct snapshot *snapshot, void *target, size_t size_bytes, uint64_t offset)
{
    size_t done = 0;
    while (done < size_bytes) {
        struct slice bytes = bytes_at(snapshot, offset + done);
        if (bytes.length == 0)
            break;
        size_t length = bytes.length < size_bytes - done ? bytes.length : size_bytes - done;
        memcpy((char *)target + done, bytes.bytes, length);
        done += length;
    }
    return done;
}

int snapshot_write(const struct snapshot *snapshot, int fd)
{
    int error = 0;
    for (size_t i = 0; i < snapshot->segment_count && error == 0; i++)
        error = file_write_all(fd, snapshot->segments[i].bytes);
    return error;
}

/* Are the bytes of a from offset_a on those of b from offset_b on? As many are left of the one as of the
 * other. */
static bool same_rest(const struct snapshot *a, uint64_t offset_a, const struct snapshot *b,
                      uint64_t offset_b)
{
    while (offset_a < a->size_bytes) {
        struct slice part_a = bytes_at(a, offset_a), part_b = bytes_at(b, offset_b);
        size_t length = part_a.length < part_b.length ? part_a.length : part_b.length;
        if (part_a.bytes != part_b.bytes && memcmp(part_a.bytes, part_b.bytes, length) != 0)
            return false;
        offset_a += length;
        offset_b += length;
    }
    return true;
}

bool snapshot_same_content(const struct snapshot *a, const struct snapshot *b)
{
    if (a == b)
        return true;
    return a->last_updated_from == b->last_updated_from &&
           a->size_bytes - a->last_updated_to == b->size_bytes - b->last_updated_to &&
           memcmp(a->segments[0].bytes.bytes, b->segments[0].bytes.bytes, a->last_updated_from) == 0 &&
           same_rest(a, a->last_updated_to, b, b->last_updated_to);
}

bool snapshot_equals_bytes(const struct snapshot *snapshot, struct slice bytes)
{
    if (snapshot->size_bytes != bytes.length)
        return false;
    for (size_t i = 0; i < snapshot->segment_count; i++) {
        const struct segment *segment = &snapshot->segments[i];
        if (memcmp(bytes.bytes + segment->start, segment->bytes.bytes, segment->bytes.length) != 0)
            return false;
    }
    return true;
}
