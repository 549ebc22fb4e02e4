"""A mount of very many runs, and one that nobody uses: the groups scale, growth and idle."""
import contextlib
import json
import os
import shutil
import time

import bench_changes
import bench_process
import bench_report

# Binary units, as the kernel reports memory.
MIB = 1 << 20
FIXED_BYTES, BYTES_PER_RUN, BYTES_PER_FILE = 16 * MIB, 1024, 200
MOST_SHARE_WRITING = 0.1
MOST_WAKES_PER_S = 1
VISIBLE_MOST_MS = 1
# Until the manifest is written and every thread waits.
SETTLE_SECONDS = 5
READ_METRICS = "find . -mindepth 3 -maxdepth 3 -name metrics.json -print0 | xargs -0 cat | wc -c"
READ_ALL = "find . -mindepth 3 -maxdepth 3 -type f -print0 | xargs -0 cat >/dev/null"
AT_REST = "A mount at rest"
VIEW = os.path.join("by-status", "verified")


class Sweep:
    """Everything that is measured the same way at every number of runs, as samples by name."""

    NAMES = {"reading metrics.json natively": "s", "mounting, cold": "s", "mounting, with a valid index cache": "s",
             "ls -U natively": "s", f"ls -U {VIEW}, first": "s", f"ls -U {VIEW}, again": "s", "a change of status visible": "ms",
             "resident memory, mounted": "MiB"}

    def __init__(self, bench, runs):
        self.bench, self.source = bench, bench.slim_source(runs)
        self.samples = {name: [] for name in self.NAMES}
        self.cache = os.path.join(bench.scratch, "cache")
        self.entries = os.path.join(bench.scratch, "entries")

    def add(self, name, *samples):
        self.samples[name].extend(samples)

    def run(self):
        bench_process.timed(("sh", "-c", READ_ALL), cwd=self.source)
        with contextlib.ExitStack() as exits:
            exits.callback(shutil.rmtree, self.cache, ignore_errors=True)
            exits.callback(shutil.rmtree, self.entries, ignore_errors=True)
            # The first brings the manifest of the example in order, should there be anything in it to correct.
            with self.mounted() as place:
                self.native_entries(os.listdir(place.path(VIEW)))
            for _ in range(self.bench.repeat):
                self.once()
            with self.mounted() as place:
                changer = bench_changes.Changer(place)
                self.add("a change of status visible",
                         *(1e3 * changer.seconds_until_seen() for _ in range(self.bench.sizes.changes)))
        return self

    def mounted(self):
        return self.bench.runsfs.shows(self.source, {"XDG_CACHE_HOME": self.cache})

    def native_entries(self, names):
        """A directory of the source's filesystem that has what the view has: as many directories, of the same names."""
        os.mkdir(self.entries)
        for name in names:
            os.mkdir(os.path.join(self.entries, name))

    def once(self):
        self.add("reading metrics.json natively", bench_process.timed(("sh", "-c", READ_METRICS), cwd=self.source)[0])
        shutil.rmtree(self.cache, ignore_errors=True)
        os.mkdir(self.cache)
        with self.mounted() as place:
            self.add("mounting, cold", place.mounted_after_s)
            self.add("resident memory, mounted", bench_process.resident_bytes(place.pid) / MIB)
            self.list("ls -U natively", self.entries)
            self.list(f"ls -U {VIEW}, first", place.path(VIEW))
            bench_process.timed(("ls", "-U", place.path(VIEW)))
            self.list(f"ls -U {VIEW}, again", place.path(VIEW))
        with self.mounted() as place:
            self.add("mounting, with a valid index cache", place.mounted_after_s)

    def list(self, name, directory):
        self.add(name, bench_process.timed(("ls", "-U", directory))[0])


def scale(bench):
    runs = bench.options.runs_scale
    section = f"At {runs:,} slim runs"
    samples = Sweep(bench, runs).run().samples

    def row(name, of=None, **description):
        figure = bench.report.figure(section, name, **description)
        figure.add("runsfs", *samples[of or name])
        if figure.reference:
            figure.add(figure.reference, *samples[figure.reference])
        bench.say(figure.line())

    row("mounting, cold", reference="reading metrics.json natively", limit=1.5)
    row("mounting, with a valid index cache", limit=1)
    row(f"ls -U {VIEW}, first", reference="ls -U natively", limit=3)
    row(f"ls -U {VIEW}, again", reference="ls -U natively", limit=3)
    row("a change of status visible, median", "a change of status visible", unit="ms", limit=VISIBLE_MOST_MS)
    row("a change of status visible, 99th percentile", "a change of status visible", unit="ms",
        statistic=bench_report.percentile_99)
    row("resident memory, mounted", unit="MiB", limit=(FIXED_BYTES + BYTES_PER_RUN * runs) / MIB)
    memory_after_find(bench, section, runs)
    writing(bench, section, runs)


def memory_after_find(bench, section, runs):
    with bench.runsfs.shows(bench.slim_source(runs)) as place:
        _, entries = bench_process.timed(("find", place.runs), cwd=place.top)
        figure = bench.report.figure(section, f"resident memory, after find over {entries:,} files", unit="MiB",
                                     limit=(FIXED_BYTES + BYTES_PER_RUN * runs + BYTES_PER_FILE * entries) / MIB)
        figure.add("runsfs", bench_process.resident_bytes(place.pid) / MIB)
    bench.say(figure.line())


def writing(bench, section, runs):
    """Changes without a pause, each looked at, which is what puts it into the index: the writer does nothing but write."""
    with bench.runsfs.shows(bench.slim_source(runs)) as place:
        changer = bench_changes.Changer(place)
        time.sleep(SETTLE_SECONDS)
        work, changes = bench_process.Work(place.pid), 0
        end = time.monotonic() + bench.sizes.writing_s
        while time.monotonic() < end:
            changer.seconds_until_seen()
            changes += 1
        writer, all_threads = work.shares()
    seconds = f"{bench.sizes.writing_s:g} s of constant changes ({changes / bench.sizes.writing_s:,.0f} a second)"
    for name, share, limit in (("writing the manifest", writer, MOST_SHARE_WRITING), ("the whole daemon", all_threads, None)):
        figure = bench.report.figure(section, f"share of one core, {name}, {seconds}", unit="%", limit=limit and 100 * limit)
        figure.add("runsfs", 100 * share)
        bench.say(figure.line())


def growth(bench):
    """A row a figure, a column a number of runs."""
    section = "Growth: slim runs"
    figures = {}
    for name, unit in Sweep.NAMES.items():
        figures[name] = [bench.report.figure(section, name, unit=unit)]
        if unit == "ms":  # samples enough for more than a median
            figures[name].append(bench.report.figure(section, f"{name}, 99th percentile", unit=unit, statistic=bench_report.percentile_99))
    for runs in bench.options.growth:
        samples = Sweep(bench, runs).run().samples
        for name, rows in figures.items():
            for figure in rows:
                figure.add(f"{runs:,}", *samples[name])
    for figure in (figure for rows in figures.values() for figure in rows):
        bench.say(figure.line())


# --- idle --------------------------------------------------------------------------------------------------------------


def requests(place):
    """The daemon's own counters: of all requests, and of those below the views; nothing where it does not tell."""
    try:
        with open(place.path(".runsfs", "status.json"), encoding="utf-8") as file:
            counted = json.load(file)["requests"]
        return {"in all": counted["total"], "below the views": counted["below_views"]}
    except (FileNotFoundError, KeyError):
        return {}


def filesystem_path(bench):
    return os.path.join(bench.scratch, "rest")


@contextlib.contextmanager
def filesystem_of_its_own(directory):
    """One that nobody else uses: a watch of a whole filesystem is woken by whatever happens anywhere on it."""
    os.mkdir(directory)
    bench_process.timed(("mount", "-t", "tmpfs", "runsfs-bench", directory))
    try:
        yield directory
    finally:
        bench_process.timed(("umount", directory))
        os.rmdir(directory)


def idle(bench):
    repeated_find(bench)
    wakes_at_rest(bench)


def repeated_find(bench):
    """What a find asks that is not the first. The second still has to ask for times of access, which the first has changed."""
    with bench.runsfs.shows(bench.full_source()) as place:
        bench_process.timed(("find", place.top))
        for which in ("second", "third"):
            before = requests(place)
            bench_process.timed(("find", place.top))
            after = requests(place)
            for kind in ("in all", "below the views"):
                figure = bench.report.figure(AT_REST, f"requests of a {which} find over the mount, {kind}", unit="")
                if kind in before:
                    figure.add("runsfs", after[kind] - before[kind])
                bench.say(figure.line())


def wakes_at_rest(bench):
    with filesystem_of_its_own(filesystem_path(bench)) as directory:
        source = os.path.join(directory, "source")
        bench_process.timed((bench.MAKE_EXAMPLE, "--runs", "40", "--full", source))
        with bench.runsfs.shows(source) as place:
            bench_process.timed(("find", place.top))
            time.sleep(SETTLE_SECONDS)
            woken = bench_process.wakes(place.pid)
            time.sleep(bench.sizes.idle_s)
            wakes_per_s = (bench_process.wakes(place.pid) - woken) / bench.sizes.idle_s
    figure = bench.report.figure(AT_REST, f"wakes of all threads a second, over {bench.sizes.idle_s:g} s", unit="", limit=MOST_WAKES_PER_S)
    figure.add("runsfs", wakes_per_s)
    bench.say(figure.line())
