"""The systems that are compared: the source itself, runsfs, and two that anybody can install; how each is mounted and ends."""
import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import time

import bench_process
from bench_process import Failed

# All that each takes of what makes it fast, the best first; the first that the installed version accepts is used.
BINDFS_OPTIONS = (("--multithreaded", "-o", "attr_timeout=3600,entry_timeout=3600,negative_timeout=3600,kernel_cache"),
                  ("--multithreaded", "-o", "attr_timeout=3600,entry_timeout=3600"), ("--multithreaded",))
MERGERFS_CACHES = "cache.files=auto-full,cache.readdir=true,cache.attr=3600,cache.entry=3600,cache.negative_entry=3600"
MERGERFS_OPTIONS = (("-o", f"{MERGERFS_CACHES},func.readdir=cor"), ("-o", MERGERFS_CACHES), ())

UNMOUNT_SECONDS = 10
END_SECONDS = 120


def mounts_at(path):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        places = (re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4]) for line in file)
        return sum(place == path for place in places)


@dataclasses.dataclass
class Place:
    """Where a system shows the source: as `runs`, a name, in the directory `top`. pid is the daemon's, and it took so long to mount."""

    top: str
    runs: str
    pid: int | None = None
    mounted_after_s: float = 0

    def path(self, *names):
        return os.path.join(self.top, *names)


class Native:
    name = "native"
    described = None

    @contextlib.contextmanager
    def shows(self, source, _environment=None):
        yield Place(*os.path.split(source))


class Daemon:
    """A FUSE daemon, mounted once at a time."""

    def __init__(self, name, program, choices, mountpoint):
        self.name, self.program, self.choices = name, program, list(choices)
        self.mountpoint = mountpoint
        self.was_used = False
        # runsfs shows the source as runs/; for the others the mountpoint has that name.
        self.top = mountpoint if name == "runsfs" else os.path.dirname(mountpoint)
        os.makedirs(mountpoint)

    @property
    def described(self):
        """How it was mounted; nothing where it never was."""
        return self.was_used and f"{self.name}: `{' '.join([self.name, *self.choices[0], 'SOURCE', 'MOUNTPOINT'])}`"

    @contextlib.contextmanager
    def shows(self, source, environment=None):
        try:
            took_s = self.mount(source, environment)
            yield Place(self.top, "runs", bench_process.process_with(self.mountpoint), took_s)
        finally:
            self.unmount()

    def mount(self, source, environment=None):
        """Returns the seconds until the daemon said, by going into the background, that it is mounted."""
        while True:
            try:
                took_s, _ = bench_process.timed([self.program, *self.choices[0], source, self.mountpoint], environment=environment)
                break
            except Failed:
                if len(self.choices) == 1:
                    raise
                del self.choices[0]
        if not mounts_at(self.mountpoint):
            raise Failed(f"{self.name} mounts nothing")
        self.was_used = True
        return took_s

    def unmount(self):
        """Nothing is mounted and no daemon runs when it returns. Harmless where that is so already."""
        pid = bench_process.process_with(self.mountpoint)
        deadline = time.monotonic() + UNMOUNT_SECONDS
        while mounts_at(self.mountpoint):
            lazily = ["-l"] if time.monotonic() > deadline else []
            if subprocess.run(["umount", *lazily, self.mountpoint], stderr=subprocess.DEVNULL, check=False).returncode:
                time.sleep(0.05)
        deadline = time.monotonic() + END_SECONDS
        while pid and bench_process.is_running(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def systems(build, directory):
    """All that are there to be compared, the source itself first; mountpoints are made in a directory."""
    found = [Native(), Daemon("runsfs", os.path.join(build, "runsfs"), [()], os.path.join(directory, "runsfs"))]
    for name, choices in (("bindfs", BINDFS_OPTIONS), ("mergerfs", MERGERFS_OPTIONS)):
        if program := shutil.which(name):
            found.append(Daemon(name, program, choices, os.path.join(directory, name, "runs")))
    return found
