/*
 * Listings of derived directories: names alone, since an entry that the kernel may not keep is not worth a
 * lookup.
 */
#include "fs/view/view.h"
#include <errno.h>
#include <stdlib.h>

void view_listing_begin(struct view_listing *listing, fuse_req_t req, size_t size, bool plus)
{
    *listing = (struct view_listing){.req = req, .bytes = malloc(size), .size = size, .plus = plus};
}

bool view_listing_add(struct view_listing *listing, const char *name, uint64_t ino, mode_t type,
                      uint64_t offset)
{
    if (!listing->bytes)
        return false;
    char *target = listing->bytes + listing->used;
    size_t room = listing->size - listing->used, need;
    struct fuse_entry_param entry = {.attr = {.st_ino = ino, .st_mode = type}};
    if (listing->plus)
        need = fuse_add_direntry_plus(listing->req, target, room, name, &entry, (off_t)offset);
    else
        need = fuse_add_direntry(listing->req, target, room, name, &entry.attr, (off_t)offset);
    if (need > room)
        return false;
    listing->used += need;
    return true;
}

bool view_listing_add_dots(struct view_listing *listing, uint64_t ino, off_t offset)
{
    return (offset > 0 || view_listing_add(listing, ".", ino, S_IFDIR, 1)) &&
           (offset > 1 || view_listing_add(listing, "..", FUSE_ROOT_ID, S_IFDIR, 2));
}

void view_listing_end(struct view_listing *listing)
{
    if (listing->bytes)
        fuse_reply_buf(listing->req, listing->bytes, listing->used);
    else
        fuse_reply_err(listing->req, ENOMEM);
    free(listing->bytes);
    listing->bytes = NULL;
}
