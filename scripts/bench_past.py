"""The past: at/ beside Git's own commands over the same objects, and `runs log` beside git log."""
import os
import shutil
import subprocess

import bench_loads
import bench_process
from bench_scale import BYTES_PER_FILE, BYTES_PER_RUN, FIXED_BYTES, MIB

VERIFIED = os.path.join("by-status", "verified")
SOURCE = "runs"


class History:
    """An example's repository, and some of its revisions, none of which is given out twice."""

    def __init__(self, bench):
        self.top = bench.example("history", "--history", "--runs", str(bench.sizes.history_runs), "--commits", str(bench.sizes.history_commits))
        self.source = os.path.join(self.top, SOURCE)
        ids = self.output("rev-list", "--first-parent", "HEAD").split()
        # Of the later half, where most runs are, and not next to each other: neighbours are the same but for one run.
        later = ids[:len(ids) // 2]
        self.ids = later[1::max(1, len(later) // (4 * (bench.repeat + 1)))]
        self.depth = len(ids)

    def git(self, *arguments):
        return ("git", "--no-pager", "-C", self.top, *arguments)

    def output(self, *arguments):
        return subprocess.run(self.git(*arguments), check=True, stdout=subprocess.PIPE, text=True).stdout

    def next_id(self):
        if not self.ids:
            raise bench_process.Failed("the example has too few commits")
        return self.ids.pop()

    def check_out(self, revision, directory):
        """The source of a revision as plain files."""
        os.makedirs(directory)
        command = f'git -C "$1" archive "$2:{SOURCE}" | tar -x -C "$3"'
        bench_process.timed(("bash", "-o", "pipefail", "-c", command, "bash", self.top, revision, directory))
        return directory


def past(bench):
    history = History(bench)
    section = f"The past: {bench.sizes.history_commits:,} commits over {bench.sizes.history_runs:,} runs"
    bench_process.timed(history.git("log", "--oneline", "--name-only"))  # Git's files are in the page cache from now on
    first_looks(bench, section, history)
    again(bench, section, history)
    side_by_side(bench, section, history)
    log(bench, section, history)


def first_looks(bench, section, history):
    """Each revision is looked at once: in a mount that was just made, and in one that has looked at others."""
    names = {"find at/ID/runs, first look of a new mount": (SOURCE, "git ls-tree -r", 2),
             "find at/ID/runs, first look into another revision": (SOURCE, "git ls-tree -r", 2),
             f"ls -U at/ID/{VERIFIED}, first look of a new mount": (VERIFIED, "git cat-file --batch", None),
             f"ls -U at/ID/{VERIFIED}, first look into another revision": (VERIFIED, "git cat-file --batch", None)}
    figures = {name: bench.report.figure(section, name, reference=reference, limit=limit) for name, (_, reference, limit) in names.items()}
    for _ in range(bench.repeat):
        for view in (SOURCE, VERIFIED):
            with bench.runsfs.shows(history.source) as place:
                for figure in (figure for name, figure in figures.items() if names[name][0] == view):
                    look(figure, history, place, view)
    for figure in figures.values():
        bench.say(figure.line())


def look(figure, history, place, view):
    revision = history.next_id()
    if view == SOURCE:
        took_s, files = bench_process.timed(history.git("ls-tree", "-r", f"{revision}:{SOURCE}"))
        command = ("find", place.path("at", revision, SOURCE))
    else:
        # What cannot be done without: reading what the runs say of themselves.
        script = f'git -C "$1" ls-tree -r --format="%(objectname)" "$2:{SOURCE}" | git -C "$1" cat-file --batch >/dev/null'
        took_s, files = bench_process.timed(("bash", "-o", "pipefail", "-c", script, "bash", history.top, revision))
        command = ("ls", "-U", place.path("at", revision, view))
    figure.add(figure.reference, took_s)
    took_s, entries = bench_process.timed(command)
    if entries <= (files if view == SOURCE else 0):
        raise bench_process.Failed(f"{figure.name}: {entries} entries, Git has {files} files")
    figure.add("runsfs", took_s)


def again(bench, section, history):
    revision, directory = history.next_id(), os.path.join(bench.scratch, "checkout")
    history.check_out(revision, directory)
    # By names alone, and with a look at each file; any is newer than that, the directories of the checkout included.
    for name, tests in (("find at/ID/runs, again", ()), ("find at/ID/runs -newermt, again", ("-newermt", "2001-01-01"))):
        figure = bench.report.figure(section, name, reference="native", limit=1.5)
        with bench.runsfs.shows(history.source) as place:
            for number in range(bench_loads.WARM_UPS + bench.repeat):
                lines = {}
                for system, top in (("native", directory), ("runsfs", place.path("at", revision, SOURCE))):
                    took_s, lines[system] = bench_process.timed(("find", ".", *tests), cwd=top)
                    if number >= bench_loads.WARM_UPS:
                        figure.add(system, took_s)
                if lines["native"] != lines["runsfs"]:
                    raise bench_process.Failed(f"find sees not the same: {lines}")
        bench.say(figure.line())
    shutil.rmtree(directory)


def side_by_side(bench, section, history):
    """Whole revisions, views and all, at the same time; and what the daemon has needed at most until then, before and after."""
    count = min(bench.sizes.finds, history.depth)

    def all_at_once(*command):
        return bench_process.timed(("bash", "-o", "pipefail", "-c", 'seq 0 "$1" | xargs -P "$2" -I{} "${@:3}"', "bash", str(count - 1), str(count), *command))

    time = bench.report.figure(section, f"{count} times find at/HEAD~N, side by side", reference=f"{count} times git ls-tree -r")
    time.add(time.reference, all_at_once(*history.git("ls-tree", "-r", "--name-only", "HEAD~{}"))[0])
    with bench.runsfs.shows(history.source) as place:
        before = peak_bytes(place.pid)
        took_s, entries = all_at_once("find", place.path("at", "HEAD~{}"), "-printf", "\\n")
        after = peak_bytes(place.pid)
    time.add("runsfs", took_s)
    bench.say(time.line())
    runs = bench.sizes.history_runs
    for name, value, limit in ((f"before {count} finds", before, None), (f"after {count} finds over {entries:,} files and directories", after,
                               FIXED_BYTES + BYTES_PER_RUN * runs + BYTES_PER_FILE * entries)):
        figure = bench.report.figure(section, f"peak of resident memory, {name}", unit="MiB", limit=limit and limit / MIB)
        figure.add("runsfs", value / MIB)
        bench.say(figure.line())


def peak_bytes(pid):
    return bench_process.labelled(f"/proc/{pid}/status")["VmHWM"] * 1024


def log(bench, section, history):
    """The whole history, once for each two samples of the others: Git takes its time. Without figures until there is such a command."""
    figure = bench.report.figure(section, "runs log", reference="git log -p -- runs", limit=1)
    runs = os.path.join(bench.options.build, "runs")
    commands = subprocess.run((runs, "--help"), check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    has_log = any(line.startswith(" ") and line.split()[:1] == ["log"] for line in commands)
    for _ in range((bench.repeat + 1) // 2):
        figure.add(figure.reference, bench_process.timed(history.git("log", "-p", "--", SOURCE))[0])
        if has_log:
            figure.add("runsfs", bench_process.timed((runs, "-C", history.source, "log"))[0])
    bench.say(figure.line())
