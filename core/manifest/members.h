/*
 * The members of one JSON object, read without a tree: those whose names are known as raw text, all others
 * kept as what somebody added, to be laid out again. Internal to core/manifest.
 */
#ifndef RUNSFS_MANIFEST_MEMBERS_H
#define RUNSFS_MANIFEST_MEMBERS_H

#include "core/json/reader.h"

#define MEMBERS_KNOWN 8

struct known_member {
    enum json_token token; /* the first of the value's; JSON_END where there is no such member */
    struct slice raw;      /* in the reader's input */
};

struct added_member {
    struct slice name; /* WTF-8 */
    struct slice raw;  /* in the reader's input */
    size_t name_start; /* in members->names */
    size_t ordinal;
};

struct members {
    struct known_member
        known[MEMBERS_KNOWN]; /* by the place of their name in the table given to members_read */
    struct added_member *added;
    size_t added_count, added_capacity;
    struct buffer names;
};

/* Empty again, with the memory it has. */
void members_clear(struct members *members);
void members_free(struct members *members);
/* After JSON_OBJECT_BEGIN: reads to the object's end. Of duplicates the last counts, at the first one's
 * place. May be called for several objects in turn, as if they were one. 0 or -EBADMSG. */
int members_read(struct members *members, struct json_reader *reader, const struct slice *known_names,
                 size_t known_count);
/* Reads members given without their braces; absent is none. holder takes a copy that must live as long as
 * members. */
void members_read_bare(struct members *members, struct slice bare, struct buffer *holder);
/* Makes duplicates one; to be called once all is read, before added is looked at. */
void members_settle(struct members *members);
/* The added members laid out as at that depth, without braces; owned by the caller; absent where there are
 * none. */
struct slice members_lay_out(const struct members *members, unsigned depth);

#endif
