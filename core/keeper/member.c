/*
 * The tables of members: see member.h. Chains of about one, doubled as they fill; never shrunk but when they
 * are empty.
 */
#include "core/keeper/member.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 8

struct children {
    struct member **buckets;
    size_t bucket_count, count;
};

static struct member **chain(const struct children *children, const char *name)
{
    return &children->buckets[text_hash(slice_of(name)) & (children->bucket_count - 1)];
}

static void children_resize(struct children *children, size_t bucket_count)
{
    struct member **old = children->buckets;
    size_t old_count = children->bucket_count;
    children->buckets = memory_alloc_zeroed(bucket_count, sizeof(*children->buckets));
    children->bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++)
        for (struct member *member = old[i], *next; member; member = next) {
            next = member->sibling;
            struct member **head = chain(children, member->name);
            member->sibling = *head;
            *head = member;
        }
    free(old);
}

static void attach(struct member *parent, struct member *member)
{
    if (!parent->children) {
        parent->children = memory_alloc_zeroed(1, sizeof(*parent->children));
        children_resize(parent->children, FIRST_BUCKETS);
    }
    struct children *children = parent->children;
    if (++children->count > children->bucket_count)
        children_resize(children, children->bucket_count * 2);
    struct member **head = chain(children, member->name);
    member->sibling = *head;
    *head = member;
}

void member_detach(struct member *member)
{
    if (!member->parent)
        return;
    struct children *children = member->parent->children;
    struct member **link = chain(children, member->name);
    while (*link != member)
        link = &(*link)->sibling;
    *link = member->sibling;
    if (--children->count == 0) {
        free(children->buckets);
        free(children);
        member->parent->children = NULL;
    }
}

struct member *member_take_children(struct member *parent)
{
    struct children *children = parent->children;
    struct member *taken = NULL;
    for (size_t i = 0; children && i < children->bucket_count; i++)
        for (struct member *member = children->buckets[i], *next; member; member = next) {
            next = member->sibling;
            member->parent = NULL;
            member->sibling = taken;
            taken = member;
        }
    if (children)
        free(children->buckets);
    free(children);
    parent->children = NULL;
    return taken;
}

struct member *member_new(struct member *parent, const char *name, struct directory *directory,
                          enum member_role role)
{
    size_t length = strlen(name);
    struct member *member = memory_alloc_zeroed(1, sizeof(*member) + length + 1);
    memcpy(member->name, name, length);
    member->role = (uint8_t)role;
    member->directory = directory;
    member->parent = parent;
    if (parent)
        attach(parent, member);
    return member;
}

void member_append_path(const struct member *member, struct buffer *path)
{
    if (!member->parent)
        return;
    if (member->parent->parent) {
        member_append_path(member->parent, path);
        buffer_append_byte(path, '/');
    }
    buffer_append_text(path, member->name);
}

struct slice member_place(const struct member *member, struct buffer *scratch)
{
    const struct member *parent = member->parent;
    if (!parent->parent || !parent->parent->parent) /* "" or one name, as it mostly is */
        return slice_of(parent->name);
    buffer_clear(scratch);
    member_append_path(parent, scratch);
    return buffer_slice(scratch);
}

void member_free(struct member *member)
{
    free(member);
}

struct member *member_child(const struct member *parent, const char *name)
{
    struct member *member = parent->children ? *chain(parent->children, name) : NULL;
    while (member && strcmp(member->name, name) != 0)
        member = member->sibling;
    return member;
}

struct member *member_next_child(const struct member *parent, struct member_position *position)
{
    const struct children *children = parent->children;
    if (!children)
        return NULL;
    if (position->member)
        position->member = position->member->sibling;
    while (!position->member && position->bucket < children->bucket_count)
        position->member = children->buckets[position->bucket++];
    return position->member;
}
