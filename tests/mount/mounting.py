"""A runsfs that runs: started in the foreground, waited for, unmounted, and held to an exit status of 0.

Everything a test does to the daemon as a process is here. With RUNSFS_NATIVE=1 the source stands in for the mount, which
tells a wrong test from a wrong filesystem.
"""

import os
import pathlib
import re
import resource
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("RUNSFS_BUILD", "build")
RUNSFS = BUILD / "runsfs"
RUNS = BUILD / "runs"
NATIVE = os.environ.get("RUNSFS_NATIVE") == "1"
LONG = os.environ.get("RUNSFS_LONG") == "1"

START_SECONDS = 30
EXIT_SECONDS = 60
# A hung daemon blocks its callers beyond the reach of signals: it is killed, so that they get an error and the suite ends.
LIFE_SECONDS = 3600 if LONG else 300


def mounts_at(path):
    """The type of every mount at a path, the topmost last."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _, rest = line.partition(" - ")
            fields = fields.split()
            place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
            if place == str(path):
                found.append(rest.split()[0])
    return found


def is_mounted(path):
    return "fuse.runsfs" in mounts_at(path)


def answers(path):
    """Is there a daemon behind the mount? (Of all calls statfs alone is never answered from the kernel's caches.)"""
    try:
        os.statvfs(path)
    except OSError:
        return False
    return True


def fusermount(*arguments):
    return subprocess.run(["fusermount3", *arguments], capture_output=True, text=True, check=False)


def detach(path):
    """The last resort: nothing is left mounted at path."""
    for _ in range(5):
        if not mounts_at(path):
            return
        command = ["umount", "-l", path] if os.geteuid() == 0 else ["fusermount3", "-uz", path]
        subprocess.run(command, capture_output=True, check=False)


def command_line(source, path, *options, foreground=True):
    command = [RUNSFS]
    if foreground:
        command.append("-f")
    if options:
        command += ["-o", ",".join(options)]
    return [os.fspath(part) for part in (*command, source, path)]


class Mount:
    def __init__(self, source, path, *options, descriptors=None):
        self.source = pathlib.Path(source)
        self.path = pathlib.Path(os.path.realpath(path))
        self.runs = self.path / "runs"
        self.options = options
        self.descriptors = descriptors
        self.log_path = self.path.with_name(self.path.name + ".log")
        self.process = None
        self.was_killed = False
        self.watchdog = None
        self.start()

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        self.was_killed = False
        assert RUNSFS.exists(), f"{RUNSFS} is not there: build it, or set RUNSFS_BUILD"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command_line(self.source, self.path, *self.options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self.limit if self.descriptors else None,
            )
        self.watchdog = subprocess.Popen(
            ["sh", "-c", f"sleep {LIFE_SECONDS}; kill -KILL {self.pid}"], start_new_session=True
        )
        deadline = time.monotonic() + START_SECONDS
        while not (answers(self.path) and is_mounted(self.path)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                status = self.process.poll()
                self.stop_watchdog()
                raise AssertionError(f"runsfs did not mount (exit status {status}):\n{self.log()}")
            time.sleep(0.005)

    def limit(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """A crash: the mount stays behind, stale."""
        self.was_killed = True
        self.process.kill()
        self.process.wait()
        self.stop_watchdog()

    def wait(self):
        """Waits for the daemon to end by itself and returns its exit status."""
        try:
            return self.process.wait(EXIT_SECONDS)
        finally:
            self.stop_watchdog()

    def unmount(self):
        """Unmounts and requires a clean end: a sanitizer's report is an exit status too."""
        deadline = time.monotonic() + 5
        while (result := fusermount("-u", self.path)).returncode and time.monotonic() < deadline:
            time.sleep(0.05)
        assert result.returncode == 0, f"unmounting: {result.stderr}\n{self.log()}"
        status = self.wait()
        assert status == 0, f"runsfs ended with {status}:\n{self.log()}"

    def stop_watchdog(self):
        if self.watchdog.poll() is None:
            os.killpg(self.watchdog.pid, signal.SIGKILL)
        self.watchdog.wait()

    def finish(self):
        """At the end of a test: as unmount, where that was not done yet; never leaves anything behind."""
        try:
            if self.process.poll() is None:
                self.unmount()
            else:
                status = self.process.returncode
                assert status == 0 or self.was_killed, f"runsfs ended by itself with {status}:\n{self.log()}"
        finally:
            detach(self.path)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.stop_watchdog()


class Native:
    """The source itself in the place of a mount."""

    def __init__(self, source):
        self.source = self.runs = pathlib.Path(source)

    def finish(self):
        pass


def runs_command(*arguments, cwd=None):
    """Runs `runs` and returns what subprocess.run does, with text."""
    assert RUNS.exists(), f"{RUNS} is not there: build it, or set RUNSFS_BUILD"
    command = [os.fspath(part) for part in (RUNS, *arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL)
