"""What views are for, beside what one would take without them: a farm of symbolic links, jq, a script of Python."""
import dataclasses
import json
import os
import shutil
import sys

import bench_changes
import bench_loads
import bench_process

FARM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench_farm.py")
VERIFIED = os.path.join("by-status", "verified")


@dataclasses.dataclass
class Query:
    """One question, asked of each: a directory to list, and on the manifest a filter for jq and a condition in Python; the same for
    `runs find`, where there is one. The limits are ratios, to jq and to Python."""

    path: str
    jq: str
    python: str
    of_jq: float | None = None
    find: str | None = None
    of_python: float | None = None


DEAR = "framework=chatdev,status=verified,min_tokens=100000"
QUERIES = (
    Query(VERIFIED, '.verification_status == "verified"', 'run["verification_status"] == "verified"'),
    Query(os.path.join("where", DEAR),
          '.framework == "chatdev" and .verification_status == "verified" and .total_tokens_in + .total_tokens_out >= 100000',
          'run["framework"] == "chatdev" and run["verification_status"] == "verified" and '
          'run["total_tokens_in"] + run["total_tokens_out"] >= 100000', of_jq=0.1, find=DEAR, of_python=0.25),
)


def views(bench):
    find_in_view(bench)
    slim = bench.slim_source(bench.options.runs_scale)
    section = f"Views and queries of {bench.options.runs_scale:,} slim runs: ratios to runsfs"
    queries(bench, section, slim)
    update(bench, section, slim)


def manifest_of(source):
    return os.path.join(source, "runs_manifest.json")


def build_farm(bench, manifest):
    """Returns the directory of links."""
    farm = os.path.join(bench.scratch, "farm")
    shutil.rmtree(farm, ignore_errors=True)
    bench_process.timed((sys.executable, FARM, manifest, farm))
    return farm


def find_in_view(bench):
    """The same runs each time; natively they are named one by one, as a view's own directory is no run."""
    source = bench.full_source()
    figure = bench.report.figure("Views: ratios to native", f"find {VERIFIED}, again", reference="native", limit=1.5)
    names = os.path.join(bench.scratch, "verified")
    with open(manifest_of(source), encoding="utf-8") as file:
        runs = [run["path"] for run in json.load(file)["runs"] if run["verification_status"] == "verified"]
    with open(names, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("".join(f"{run}\0" for run in runs))
    farm = build_farm(bench, manifest_of(source))

    with bench.runsfs.shows(source) as place:
        loads = {"native": ("find", "-files0-from", names), "runsfs": ("find", VERIFIED), "links, find -L": ("find", "-L", VERIFIED)}
        where = {"native": source, "runsfs": place.top, "links, find -L": farm}
        for number in range(bench_loads.WARM_UPS + bench.repeat):
            lines = {}
            for system, command in loads.items():
                # A link to where the experiment once stood is shown as it is.
                took_s, lines[system] = bench_process.timed(command, cwd=where[system])
                if number >= bench_loads.WARM_UPS:
                    figure.add(system, took_s)
            if not lines["native"] == lines["runsfs"] - 1 == lines["links, find -L"] - 1:
                raise bench_process.Failed(f"find sees not the same everywhere: {lines}")
    bench.say(figure.line())


def queries(bench, section, source):
    """The answer is names, one a line, and must be as long everywhere."""
    manifest, farm = manifest_of(source), build_farm(bench, manifest_of(source))
    with bench.runsfs.shows(source) as place:
        for query in QUERIES:
            name = f"ls -U {query.path}"
            figure = bench.report.figure(section, name, reference="jq" if query.of_jq else None, limit=query.of_jq)
            python = f'import json\nfor run in json.load(open({manifest!r}))["runs"]:\n if {query.python}:\n  print(run["run_id"])'
            commands = {"runsfs": ("ls", "-U", place.path(query.path)), "links": ("ls", "-U", os.path.join(farm, query.path)),
                        "jq": ("jq", "-r", f".runs[] | select({query.jq}).run_id", manifest), "python": (sys.executable, "-c", python)}
            # Links answer what they were made for alone.
            if not os.path.isdir(commands["links"][-1]):
                del commands["links"]
            if not shutil.which("jq"):
                del commands["jq"]
            compare(bench, figure, commands)
            if query.find:
                figure = bench.report.figure(section, f"runs find {query.find}, mounted", reference="python", limit=query.of_python)
                runs = os.path.join(bench.options.build, "runs")
                compare(bench, figure, {"runsfs": (runs, "-C", source, "find", "--paths", query.find), "python": commands["python"]})


def compare(bench, figure, commands):
    for number in range(1 + bench.repeat):
        lines = {}
        for system, command in commands.items():
            took_s, lines[system] = bench_process.timed(command)
            if number:
                figure.add(system, took_s)
        if len(set(lines.values())) > 1:
            raise bench_process.Failed(f"{figure.name}: the answers differ: {lines}")
    bench.say(figure.line())


def update(bench, section, source):
    """The farm's script needs a manifest that is true already: what brings that about is not counted."""
    figure = bench.report.figure(section, "one run's change of status shows (links: their script runs)")
    copy = os.path.join(bench.scratch, "runs_manifest.json")
    with open(manifest_of(source), encoding="utf-8") as file:
        manifest = json.load(file)
    run = manifest["runs"][0]

    def farm_after(status):
        run["verification_status"] = status
        with open(copy, "w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=2)
        return bench_process.timed((sys.executable, FARM, copy, farm))[0]

    farm = os.path.join(bench.scratch, "farm")
    shutil.rmtree(farm)
    farm_after("failed")
    with bench.runsfs.shows(source) as place:
        changer = bench_changes.Changer(place)
        for number in range(bench.repeat):
            figure.add("runsfs", changer.seconds_until_seen())
            figure.add("links", farm_after(bench_changes.STATUSES[number % 2]))
    bench.say(figure.line())
