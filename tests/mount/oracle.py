"""What a source's manifest and views must be, derived plainly from its files by the rules of the specification.

A second opinion that shares no code with runsfs and none of its structures: it reads everything anew each time. What
the derivation can't know (the last good entry of a run whose file is broken) is passed in by the test that made it so.
"""

import json
import os
import re
import stat

RUN_FILES = ("metrics.json", "metadata.json")
MANIFEST_NAMES = ("runs_manifest.json", "manifest.json")
LARGEST_FILE_BYTES = 64 << 20
LARGEST_COUNT = 2**53
LONGEST_NAME_BYTES = 255
HASH_SUFFIX_BYTES = 17  # '~' and 16 hexadecimal digits
TOP_MEMBERS = ("version", "last_updated", "total_runs", "frameworks", "runs")


def read_object(path):
    """The object in a JSON file, or None where it is no regular file, too large, or holds anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > LARGEST_FILE_BYTES:
            return None
        with open(fd, "rb", closefd=False) as file:
            value = json.loads(file.read().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(fd)
    return value if isinstance(value, dict) else None


def text(*values):
    return next((value for value in values if isinstance(value, str)), None)


def count(*values):
    for value in values:
        if type(value) is int and 0 <= value <= LARGEST_COUNT:
            return value
    return 0


def member(value, name):
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def entry(source, framework, run_id):
    """The manifest's entry for a directory, or None where it is no run."""
    directory = os.path.join(source, framework, run_id)
    if not any(os.path.lexists(os.path.join(directory, name)) for name in RUN_FILES):
        return None
    metrics, metadata = (read_object(os.path.join(directory, name)) or {} for name in RUN_FILES)
    reconciled, totals = member(metrics, "usage_api_reconciliation"), member(metrics, "aggregate_metrics")
    status = text(reconciled.get("verification_status"), metrics.get("verification_status"))
    return {
        "run_id": run_id,
        "framework": framework,
        "path": f"{framework}/{run_id}",
        "start_time": text(metrics.get("start_timestamp"), metrics.get("start_time"), metadata.get("start_time")),
        "end_time": text(metrics.get("end_timestamp"), metrics.get("end_time"), metadata.get("end_time")),
        "verification_status": "pending" if status is None else status,
        "total_tokens_in": count(totals.get("TOK_IN"), metrics.get("total_tokens_in")),
        "total_tokens_out": count(totals.get("TOK_OUT"), metrics.get("total_tokens_out")),
    }


def directories(path):
    with os.scandir(path) as entries:
        return [item.name for item in entries if item.is_dir(follow_symlinks=False)]


def manifest_path(source):
    for name in MANIFEST_NAMES:
        if os.path.exists(os.path.join(source, name)):
            return os.path.join(source, name)
    return os.path.join(source, MANIFEST_NAMES[0])


def expected_runs(source, last_good=None):
    """All entries in the manifest's order. last_good maps paths to the entries that must stand there whatever the files say."""
    entries = []
    for framework in directories(source):
        for run_id in directories(os.path.join(source, framework)):
            found = entry(source, framework, run_id)
            if found:
                entries.append((last_good or {}).get(found["path"], found))
    return sorted(entries, key=lambda run: (run["start_time"] or "", run["run_id"], run["framework"]))


def expected_manifest(source, last_good=None, standing=None):
    """The manifest that should stand, given the one that stands (read from the source where it is not given)."""
    if standing is None:
        standing = read_object(manifest_path(source)) or {}
    runs = expected_runs(source, last_good)
    counts = dict.fromkeys(member(standing, "frameworks"), 0)
    counts.update(dict.fromkeys(sorted({run["framework"] for run in runs} - counts.keys()), 0))
    for run in runs:
        counts[run["framework"]] += 1
    values = ("1.0", standing.get("last_updated"), len(runs), counts, runs)
    return dict(zip(TOP_MEMBERS, values))


def manifest_bytes(manifest):
    return json.dumps(manifest, indent=2).encode("ascii")


def without_additions(manifest, additions=None):
    """A manifest less the members that somebody added; their (place, name, value) go to additions."""
    additions = [] if additions is None else additions
    known = {}
    for name, value in manifest.items():
        if name in TOP_MEMBERS:
            known[name] = value
        else:
            additions.append(("", name, value))
    entry_members = ("run_id", "framework", "path", "start_time", "end_time", "verification_status", "total_tokens_in", "total_tokens_out")
    known["runs"] = []
    for run in manifest["runs"]:
        additions += [(run["path"], name, value) for name, value in run.items() if name not in entry_members]
        known["runs"].append({name: value for name, value in run.items() if name in entry_members})
    return known


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def escaped(value):
    """The name that a value has in a view: a status out of JSON (text), or a framework (the bytes of its name)."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    if not raw:
        return "%"
    pieces = []
    decoded = raw.decode("utf-8", "surrogateescape")
    for position, character in enumerate(decoded):
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            pieces.append(f"%{code - 0xDC00:02X}")
        elif code < 0x20 or code == 0x7F or character in "/%" or (character == "." and position == 0):
            pieces.append(f"%{code:02X}")
        else:
            pieces.append(character)
    name = "".join(pieces)
    if len(name.encode()) <= LONGEST_NAME_BYTES:
        return name
    kept, length = [], 0
    for piece in pieces:
        length += len(piece.encode())
        if length > LONGEST_NAME_BYTES - HASH_SUFFIX_BYTES:
            break
        kept.append(piece)
    return "".join(kept) + f"~{fnv1a(raw):016x}"


def expected_views(source, last_good=None):
    """{view: {value's name: {run's name: path of its directory in the source}}}"""
    views = {"by-status": {}, "by-framework": {}}
    for run in expected_runs(source, last_good):
        # A framework is a file name: its own bytes; a status is text out of JSON.
        values = {"by-status": escaped(run["verification_status"]), "by-framework": escaped(os.fsencode(run["framework"]))}
        for view, value in values.items():
            views[view].setdefault(value, []).append(run)
    return {view: {value: named(runs) for value, runs in values.items()} for view, values in views.items()}


def named(runs):
    """Names of runs in one value: their own, and `<run-id>.<framework>` for all that share one."""
    names = {}
    ids = [run["run_id"] for run in runs]
    for run in runs:
        name = run["run_id"] if ids.count(run["run_id"]) == 1 else f"{run['run_id']}.{run['framework']}"
        names[name] = run["path"]
    return names


def listed_views(mountpoint):
    """The same of a mount, but with inode numbers in place of paths."""
    found = {}
    for view in ("by-status", "by-framework"):
        top = os.path.join(mountpoint, view)
        found[view] = {}
        for value in os.listdir(top):
            try:
                names = os.listdir(os.path.join(top, value))
                found[view][value] = {name: os.lstat(os.path.join(top, value, name)).st_ino for name in names}
            except FileNotFoundError:  # left between the listing and the look: the comparison will tell
                found[view][value] = {}
    return found


def with_inodes(source, views):
    return {
        view: {
            value: {name: os.lstat(os.path.join(source, path)).st_ino for name, path in names.items()}
            for value, names in values.items()
        }
        for view, values in views.items()
    }


TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
