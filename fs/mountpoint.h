/*
 * The mount point before the mount: is it fit, and is there a stale mount of a killed daemon to be replaced?
 */
#ifndef RUNSFS_FS_MOUNTPOINT_H
#define RUNSFS_FS_MOUNTPOINT_H

/* Replaces a stale mount at *mount_point, makes the path absolute (*mount_point is the caller's, replaced by
 * a new one) and checks source (absolute) and it: directories, neither in the other's way, source no mount of
 * runsfs. Prints one line of error. 0 or -errno. */
int mountpoint_prepare(const char *source, char **mount_point);

#endif
