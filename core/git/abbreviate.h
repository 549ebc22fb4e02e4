/*
 * Ids as git-log(1) and git-diff(1) print them for people: as many digits as tell one from all objects.
 */
#ifndef RUNSFS_GIT_ABBREVIATE_H
#define RUNSFS_GIT_ABBREVIATE_H

#include "core/git/repository.h"

/* The digits that are enough for most objects: core.abbrev, or by how many objects the packs hold. */
size_t abbreviation_digits(struct repository *repository);
/* At least so many digits of the id and NUL; it need not be an object's. */
void object_id_abbreviate(struct repository *repository, const struct object_id *id, size_t digits,
                          char text[OBJECT_ID_DIGITS + 1]);

#endif
