"""The command behind scripts/bench: its options, the groups in their order, the end.

Exit status 0 where every limit that was measured holds, 1 where one does not, 2 where something failed.
"""
import argparse
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile

import bench_loads
import bench_past
import bench_process
import bench_report
import bench_scale
import bench_systems
import bench_views

GROUPS = {
    "tree": (bench_loads.tree, "find, grep -r and tar over whole runs"),
    "data": (bench_loads.data, "large files, sequentially and at random"),
    "create": (bench_loads.create, "many small files made and deleted"),
    "views": (bench_views.views, "find in a view; queries and updates, against links, jq and Python"),
    "scale": (bench_scale.scale, "mounting, listing, changing, writing the manifest, memory, with very many runs"),
    "growth": (bench_scale.growth, "the same in short, with more and more runs; only where asked for"),
    "past": (bench_past.past, "at/ and runs log over a long history, against Git's own commands"),
    "idle": (bench_scale.idle, "what a mount does that nobody uses, and what a second find asks of it"),
}


@dataclasses.dataclass
class Sizes:
    full_runs: int = 300
    large_bytes: int = 2 << 30
    small_files: int = 10_000
    changes: int = 1000
    writing_s: float = 60
    idle_s: float = 30
    history_runs: int = 2000
    history_commits: int = 10_000
    finds: int = 100


QUICK = Sizes(full_runs=20, large_bytes=256 << 20, small_files=1000, changes=200, writing_s=8, idle_s=8,
              history_runs=100, history_commits=400, finds=20)


class Bench:
    """What the groups share: the systems, the sources (made when first asked for), the report."""

    MAKE_EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "make-example")

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.repeat, self.sizes = options.repeat, QUICK if options.quick else Sizes()
        self.systems = bench_systems.systems(options.build, scratch)
        self.native, self.runsfs = self.systems[:2]
        self.report = bench_report.Report([])
        self.sources = {"full": options.source} if options.source else {}
        self.made_in_source = None

    def close(self):
        """Nothing is left, whatever was interrupted. Never removes anything through a mount: below one stands a source."""
        for system in self.systems[1:]:
            system.unmount()
        subprocess.run(("umount", "-l", bench_scale.filesystem_path(self)), stderr=subprocess.DEVNULL, check=False)
        left = [self.scratch, *filter(None, [self.made_in_source])]
        subprocess.run(("rm", "-rf", "--one-file-system", "--", *left), check=False)

    @staticmethod
    def say(text):
        print(text, flush=True)

    def example(self, name, *arguments):
        if name not in self.sources:
            path = os.path.join(self.scratch, f"source-{name}")
            self.say(f"make-example {' '.join(arguments)}")
            bench_process.timed((self.MAKE_EXAMPLE, *arguments, path))
            self.sources[name] = path
        return self.sources[name]

    def full_source(self):
        return self.example("full", "--runs", str(self.sizes.full_runs), "--full")

    def slim_source(self, runs):
        return self.example(f"{runs}-slim", "--runs", str(runs))


def remarks(bench):
    """What the figures depend on."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory_kb = next(int(line.split()[1]) for line in file if line.startswith("MemTotal"))
    filesystem = bench_process.output_of("findmnt", "-no", "FSTYPE", "-T", bench.sources.get("full", bench.scratch))
    kernel = os.uname()
    yield (f"{kernel.sysname} {kernel.release} {kernel.machine}, {os.cpu_count()} processors ({models[0] if models else 'unknown'}), "
           f"{memory_kb / (1 << 20):.0f} GiB of memory, {filesystem}")
    versions = (("runsfs", bench.runsfs.program, "-V"), ("bindfs", "bindfs", "-V"), ("mergerfs", "mergerfs", "-V"),
                ("fio", "fio", "--version"), ("jq", "jq", "--version"))
    yield "; ".join(bench_process.output_of(*command) or f"no {name}" for name, *command in versions)
    yield from filter(None, (system.described for system in bench.systems))
    if "full" in bench.sources:
        entries = sum(len(directories) + len(files) for _, directories, files in os.walk(bench.sources["full"]))
        yield f"The source has {entries:,} files and directories; its page cache is warm"
    yield f"Medians of {bench.repeat}, the systems taking turns; figures in parentheses are ratios"


def measure(options):
    with contextlib.ExitStack() as exits:
        bench = Bench(options, tempfile.mkdtemp(prefix="runsfs-bench."))
        exits.callback(bench.close)
        for name in options.only:
            GROUPS[name][0](bench)
        bench.report.remarks = list(remarks(bench))
    print(f"\n{bench.report.markdown()}", end="")
    bench.report.write(options.output)
    over = bench.report.over()
    for figure in over:
        print(f"bench: over its limit: {figure.line()}", file=sys.stderr)
    return 1 if over else 0


def groups(text):
    names = text.split(",")
    if unknown := [name for name in names if name not in GROUPS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]}: the groups are {', '.join(GROUPS)}")
    return names


def count(text):
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def counts(text):
    return [count(part) for part in text.split(",")]


def read_options():
    parser = argparse.ArgumentParser(prog="bench", formatter_class=argparse.RawDescriptionHelpFormatter, description=
                                     "Times every load natively, on runsfs, and on what else there is to take, alternating in one run.",
                                     epilog="groups:\n" + "\n".join(f"  {name:8} {GROUPS[name][1]}" for name in GROUPS))
    parser.add_argument("--build", metavar="DIRECTORY", required=True, help="an existing build (otherwise build-release is made)")
    parser.add_argument("--source", metavar="DIRECTORY", type=os.path.realpath,
                        help="whole runs that exist already; made and removed in it is the directory bench-scratch alone (an example of 300 runs)")
    parser.add_argument("--repeat", metavar="N", type=count, help="how often each load is timed on each system (5)")
    parser.add_argument("--only", metavar="GROUP,...", type=groups, help="these groups (all but growth)")
    parser.add_argument("--runs-scale", metavar="N", type=count, help="how many runs the groups views and scale have (100000)")
    parser.add_argument("--growth", metavar="N,...", type=counts, help="the group growth as well, with so many runs each (1000,10000,100000)")
    parser.add_argument("--output", metavar="DIRECTORY", help="where to write bench.md and bench.csv (the build directory)")
    parser.add_argument("--quick", action="store_true", help="everything small, in about two minutes: does it work?")
    options = parser.parse_args()
    options.only = options.only or [name for name in GROUPS if name != "growth"]
    if options.growth and "growth" not in options.only:
        options.only.append("growth")
    options.growth = options.growth or [1000, 10_000, 100_000]
    options.repeat = options.repeat or (2 if options.quick else 5)
    options.runs_scale = options.runs_scale or (2000 if options.quick else 100_000)
    options.build = os.path.realpath(options.build)
    options.output = options.output or options.build
    return options


def end(number, _):
    """Once: what follows is the way out, with all that is mounted taken off."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    options = read_options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        return measure(options)
    except (bench_process.Failed, OSError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
