"""System calls that Python's os module does not have."""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE = 1, 2, 16
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def renameat2(old, new, flags):
    return checked(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), ctypes.c_uint(flags)))


def fallocate(fd, mode, offset, length):
    return checked(libc.fallocate(fd, mode, ctypes.c_longlong(offset), ctypes.c_longlong(length)))


def utimensat(path, accessed, modified):
    """accessed and modified are (seconds, nanoseconds), the latter also UTIME_NOW or UTIME_OMIT."""
    times = (Timespec * 2)(Timespec(*accessed), Timespec(*modified))
    return checked(libc.utimensat(AT_FDCWD, os.fsencode(path), times, AT_SYMLINK_NOFOLLOW))
