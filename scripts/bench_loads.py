"""What goes over whole trees and through large files, on every system in turn: the groups tree, data and create."""
import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import subprocess
import time

import bench_process
from bench_process import Failed

TREE = "Whole trees: ratios to native"
DATA = "File data: ratios to native"
CREATE = "Many small files: ratios to native"
# The second look still brings what the first could not keep.
WARM_UPS = 2
BLOCK_BYTES = 4096


# --- alternating -------------------------------------------------------------------------------------------------------


def each(bench, systems, measure):
    """Measures each of the systems; returns those that could be. What others offer may fail, ours and the native may not."""
    done = []
    for system in systems:
        try:
            measure(system)
            done.append(system)
        except (Failed, OSError) as error:
            if system.name in ("native", "runsfs"):
                raise
            bench.say(f"{system.name} goes without: {error}")
    return done


def alternate(bench, systems, measure):
    """As often as asked for: one system after the other, so that whatever drifts hits all alike."""
    for _ in range(bench.repeat):
        systems = each(bench, systems, measure)


@contextlib.contextmanager
def scratch_in(bench, source):
    """A directory in the source, the only place of it where anything is made; goes with all that is in it."""
    path = os.path.join(source, "bench-scratch")
    if os.path.lexists(path):
        raise Failed(f"{path} is there already, perhaps from a run that was killed: remove it")
    bench.made_in_source = path
    os.mkdir(path)
    try:
        yield path
    finally:
        shutil.rmtree(path)
        bench.made_in_source = None


# --- tree --------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Load:
    """A command over the runs: command makes its arguments of the directory's name. What it prints must have as many lines everywhere."""

    name: str
    limit: float
    command: object
    first: bool = False
    accept: tuple = (0,)
    lines: int | None = None

    @property
    def title(self):
        return f"{self.name}, {'the first after mounting' if self.first else 'again'}"

    def run(self, place):
        took_s, lines = bench_process.timed(self.command(place.runs), cwd=place.top, accept=self.accept)
        self.lines = lines if self.lines is None else self.lines
        if lines != self.lines:
            raise Failed(f"{self.name} prints {lines} lines in {place.top}, {self.lines} natively")
        return took_s


def grep(runs):
    return "grep", "-r", "--include=*.py", "sqlalchemy", runs


LOADS = (
    Load("find runs", 4, lambda runs: ("find", runs), first=True),
    Load("grep -r --include=*.py sqlalchemy runs", 4, grep, first=True, accept=(0, 1)),
    Load("find runs -type f -size +1M -newermt 2020-01-01", 1.2,
         lambda runs: ("find", runs, "-type", "f", "-size", "+1M", "-newermt", "2020-01-01")),
    Load("grep -r --include=*.py sqlalchemy runs", 1.3, grep, accept=(0, 1)),
    Load("tar cf - runs | cat", 1.5, lambda runs: ("sh", "-c", 'tar cf - "$1" | cat >/dev/null', "sh", runs)),
)


def tree(bench):
    source = bench.full_source()
    for load in LOADS:
        figure = bench.report.figure(TREE, load.title, reference="native", limit=load.limit)
        if load.first:
            first_looks(bench, source, load, figure)
        else:
            later_looks(bench, source, load, figure)
        bench.say(figure.line())


def first_looks(bench, source, load, figure):
    """Nothing in the kernel's caches of the new mount, all in those of the source's filesystem."""
    def measure(system):
        with system.shows(source) as place:
            figure.add(system.name, load.run(place))

    with bench.native.shows(source) as place:
        load.run(place)
    alternate(bench, bench.systems, measure)


def later_looks(bench, source, load, figure):
    """On mounts that stay: all at once, which is harmless as nothing changes in the source."""
    with contextlib.ExitStack() as mounts:
        places = {}

        def prepare(system):
            place = mounts.enter_context(system.shows(source))
            for _ in range(WARM_UPS):
                load.run(place)
            places[system.name] = place

        prepared = each(bench, bench.systems, prepare)
        alternate(bench, prepared, lambda system: figure.add(system.name, load.run(places[system.name])))


# --- data --------------------------------------------------------------------------------------------------------------


def data(bench):
    source = bench.full_source()
    with scratch_in(bench, source) as scratch:
        large = os.path.join(scratch, "large")
        write_random(large, bench.sizes.large_bytes)
        sequential_reads(bench, source)
        sequential_writes(bench, source, scratch)
        if shutil.which("fio"):
            random_reads(bench, source)


def write_random(path, byte_count):
    """Content of which nothing on the way can make less."""
    with open(path, "wb") as file:
        for _ in range(byte_count >> 20):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())


def read_whole(path):
    return bench_process.timed(("dd", f"if={path}", "of=/dev/null", "bs=1M", "status=none"))[0]


def size_of(byte_count):
    return f"{byte_count / (1 << 30):g} GiB" if byte_count >= 1 << 30 else f"{byte_count >> 20} MiB"


def sequential_reads(bench, source):
    size = size_of(bench.sizes.large_bytes)
    first = bench.report.figure(DATA, f"sequential read of {size}, first", reference="native", limit=1.3)
    again = bench.report.figure(DATA, f"sequential read of {size}, again", reference="native", limit=2)

    def measure(system):
        with system.shows(source) as place:
            path = place.path(place.runs, "bench-scratch", "large")
            first.add(system.name, read_whole(path))
            read_whole(path)
            again.add(system.name, read_whole(path))

    read_whole(os.path.join(source, "bench-scratch", "large"))
    alternate(bench, bench.systems, measure)
    bench.say(first.line())
    bench.say(again.line())


def sequential_writes(bench, source, scratch):
    figure = bench.report.figure(DATA, f"sequential write of {size_of(bench.sizes.large_bytes)} with fsync", reference="native", limit=1.5)

    def measure(system):
        with system.shows(source) as place:
            path = place.path(place.runs, "bench-scratch", "written")
            # What was removed before is given back to the disk now, and not at the next one's expense.
            bench_process.timed(("sync", "-f", scratch))
            took_s, _ = bench_process.timed(("dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={bench.sizes.large_bytes >> 20}",
                                             "conv=fsync", "status=none"))
            figure.add(system.name, took_s)
            os.unlink(path)

    alternate(bench, bench.systems, measure)
    bench.say(figure.line())


def random_reads(bench, source):
    """The time that fio itself gives, of the slowest of its jobs: without its start."""
    size_bytes, jobs = bench.sizes.large_bytes // 2, 4
    figure = bench.report.figure(DATA, f"random 4 kB reads of a warm file of {size_of(size_bytes)}, {jobs} jobs", reference="native", limit=1.5)
    result = os.path.join(bench.scratch, "fio.json")

    def measure(system):
        with system.shows(source) as place:
            path = place.path(place.runs, "bench-scratch", "large")
            for _ in range(WARM_UPS):
                read_whole(path)
            # It would drop the file's pages by itself, and lay out a file where it finds none.
            bench_process.timed(("fio", "--name=random", "--rw=randread", "--bs=4k", f"--numjobs={jobs}", f"--filename={path}",
                                 f"--size={size_bytes}", "--ioengine=psync", "--invalidate=0", "--readonly", "--allow_file_create=0",
                                 "--output-format=json", f"--output={result}"), cwd=bench.scratch)
            with open(result, encoding="utf-8") as file:
                figure.add(system.name, max(job["read"]["runtime"] for job in json.load(file)["jobs"]) / 1e3)

    alternate(bench, bench.systems, measure)
    bench.say(figure.line())


# --- create ------------------------------------------------------------------------------------------------------------


def create(bench):
    source, count = bench.full_source(), bench.sizes.small_files
    peers = tuple(system.name for system in bench.systems[2:])
    made = bench.report.figure(CREATE, f"create, write 4 kB and close {count:,} files", reference="native", best_of=peers)
    removed = bench.report.figure(CREATE, f"delete {count:,} files", reference="native", best_of=peers)
    content = os.urandom(BLOCK_BYTES)

    def measure(system):
        with scratch_in(bench, source) as scratch, system.shows(source) as place:
            bench_process.timed(("sync", "-f", scratch))
            # Elsewhere each time: ext4 searches long for inodes where many were freed in the last minutes, which would make the later
            # ones slow. The flag, where it is known, makes it put the directory anywhere.
            subprocess.run(("chattr", "+T", scratch), stderr=subprocess.DEVNULL, check=False)
            directory = place.path(place.runs, "bench-scratch", secrets.token_hex(8))
            os.mkdir(directory)
            paths = [os.path.join(directory, f"{number:06}") for number in range(count)]
            began = time.perf_counter()
            for path in paths:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                os.write(descriptor, content)
                os.close(descriptor)
            middle = time.perf_counter()
            for path in paths:
                os.unlink(path)
            made.add(system.name, middle - began)
            removed.add(system.name, time.perf_counter() - middle)

    alternate(bench, bench.systems, measure)
    bench.say(made.line())
    bench.say(removed.line())
