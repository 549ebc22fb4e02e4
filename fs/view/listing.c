/*
 * Listings of derived directories. Those of the present have names alone, since an entry that the kernel may
 * not keep is not worth a lookup; those of the past bring the entries along.
 */
#include "fs/view/view.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void view_listing_begin(struct view_listing *listing, fuse_req_t req, size_t size, bool plus)
{
    *listing = (struct view_listing){.req = req, .bytes = malloc(size), .size = size, .plus = plus};
}

static bool add(struct view_listing *listing, const char *name, const struct fuse_entry_param *entry,
                uint64_t offset)
{
    if (!listing->bytes)
        return false;
    char *target = listing->bytes + listing->used;
    size_t room = listing->size - listing->used, need;
    if (listing->plus)
        need = fuse_add_direntry_plus(listing->req, target, room, name, entry, (off_t)offset);
    else
        need = fuse_add_direntry(listing->req, target, room, name, &entry->attr, (off_t)offset);
    if (need > room)
        return false;
    listing->used += need;
    return true;
}

bool view_listing_add(struct view_listing *listing, const char *name, uint64_t ino, mode_t type,
                      uint64_t offset)
{
    return add(listing, name, &(struct fuse_entry_param){.attr = {.st_ino = ino, .st_mode = type}}, offset);
}

bool view_listing_add_entry(struct fs *fs, struct view_listing *listing, const char *name,
                            const struct fuse_entry_param *entry, uint64_t offset)
{
    bool fits = add(listing, name, entry, offset);
    if (entry->ino && (!fits || !listing->plus))
        nodes_forget(&fs->nodes, node_of_number(&fs->nodes, entry->ino), 1);
    return fits;
}

bool view_listing_add_dots(struct view_listing *listing, uint64_t ino, off_t offset)
{
    return (offset > 0 || view_listing_add(listing, ".", ino, S_IFDIR, 1)) &&
           (offset > 1 || view_listing_add(listing, "..", FUSE_ROOT_ID, S_IFDIR, 2));
}

void view_listing_undo(struct fs *fs, const char *bytes, size_t used)
{
    for (size_t at = 0; at < used;) {
        /* struct fuse_direntplus: a fuse_entry_out of 128 bytes that begins with the node's number, then a
         * fuse_dirent */
        uint64_t number;
        uint32_t name_length;
        memcpy(&number, bytes + at, sizeof(number));
        memcpy(&name_length, bytes + at + 128 + 16, sizeof(name_length));
        if (number)
            nodes_forget(&fs->nodes, node_of_number(&fs->nodes, number), 1);
        at += (128 + 24 + name_length + 7) & ~(size_t)7;
    }
}

void view_listing_end(struct fs *fs, struct view_listing *listing)
{
    if (!listing->bytes)
        fuse_reply_err(listing->req, ENOMEM);
    else if (fuse_reply_buf(listing->req, listing->bytes, listing->used) == -ENOENT && listing->plus)
        view_listing_undo(fs, listing->bytes, listing->used);
    free(listing->bytes);
    listing->bytes = NULL;
}
