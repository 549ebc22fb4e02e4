/*
 * Taking on an owner's identity: see owner.h.
 */
#include "fs/owner.h"
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

void owner_set(struct owner *owner, uid_t uid, gid_t gid)
{
    struct passwd entry, *found = NULL;
    char text[4096];
    int count = OWNER_GROUPS;
    *owner = (struct owner){.uid = uid, .gid = gid};
    if (getpwuid_r(uid, &entry, text, sizeof(text), &found) == 0 && found) {
        owner->gid = found->pw_gid;
        snprintf(owner->home, sizeof(owner->home), "%s", found->pw_dir);
        if (getgrouplist(found->pw_name, found->pw_gid, owner->groups, &count) >= 0)
            owner->group_count = (size_t)count;
    }
}

void owner_assume(const struct owner *owner)
{
    if (owner->uid == 0)
        return;
    syscall(SYS_setgroups, owner->group_count, owner->groups);
    setfsgid(owner->gid);
    setfsuid(owner->uid); /* last: it takes the capabilities away */
}

void owner_restore(const struct owner *owner)
{
    if (owner->uid == 0)
        return;
    setfsuid(0);
    setfsgid(0);
    syscall(SYS_setgroups, 0, NULL);
}
