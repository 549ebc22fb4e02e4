"""Commands on the stopwatch, and what /proc tells of a daemon: its processor time, memory and wakes, thread by thread."""
import contextlib
import os
import signal
import subprocess
import time

CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A load or a mount that did not do what it should: its message says which and why."""


def timed(command, cwd=None, environment=None, accept=(0,)):
    """Runs a command; returns the seconds it took and how many lines it wrote.

    Its output goes to memory: grep, for one, stops at the first match where it sees /dev/null. Whatever ends the wait early ends
    the command, with all that it started.
    """
    with open(os.memfd_create("output"), "w+b", buffering=0) as output, open(os.memfd_create("errors"), "w+b") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=environment and {**os.environ, **environment}, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=errors, start_new_session=True)
        try:
            status = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        took_s = time.perf_counter() - began
        if status not in accept:
            errors.seek(0)
            said = errors.read(1000).decode(errors="replace").strip()
            raise Failed(f"{' '.join(map(str, command[:6]))} ended with {status}{': ' + said if said else ''}")
        output.seek(0)
        return took_s, sum(block.count(b"\n") for block in iter(lambda: output.read(1 << 20), b""))


def output_of(*command):
    """What a command prints, in one line; nothing where there is no such command."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError:
        return ""
    return " ".join(done.stdout.decode(errors="replace").split())


def process_with(argument):
    """The process that has this among its arguments; None where there is none."""
    wanted = os.fsencode(argument)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    return int(entry)
    return None


def is_running(pid):
    """Zombies don't count: a daemon's belong to whatever adopts orphans here, which may take its time."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def labelled(path):
    """The `name: number` lines of a file in /proc."""
    with open(path, encoding="utf-8", errors="replace") as file:
        pairs = (line.split()[:2] for line in file)
        return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def resident_bytes(pid):
    return labelled(f"/proc/{pid}/status")["VmRSS"] * 1024


def threads(pid):
    return [f"/proc/{pid}/task/{thread}" for thread in os.listdir(f"/proc/{pid}/task")]


def wakes(pid):
    """How often the threads have given up the processor to wait, which is how often something has woken them."""
    return sum(labelled(f"{thread}/status")["voluntary_ctxt_switches"] for thread in threads(pid))


class Work:
    """What the threads of a daemon do from now on: processor time and bytes for the disk."""

    def __init__(self, pid):
        self.pid, self.began, self.before = pid, time.monotonic(), self.totals(pid)

    @staticmethod
    def totals(pid):
        totals = {}
        for thread in threads(pid):
            with open(f"{thread}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            totals[thread] = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S, labelled(f"{thread}/io")["write_bytes"]
        return totals

    def shares(self):
        """Of one core, until now: of the thread that wrote most to the disk, and of all together."""
        took_s = time.monotonic() - self.began
        done = []
        for thread, (cpu_s, written) in self.totals(self.pid).items():
            cpu_before_s, written_before = self.before.get(thread, (0, 0))
            done.append((written - written_before, cpu_s - cpu_before_s))
        return max(done)[1] / took_s, sum(cpu_s for _, cpu_s in done) / took_s
