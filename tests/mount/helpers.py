"""What many tests do: make runs, change them, look at a mount, compare trees."""

import contextlib
import hashlib
import json
import mmap
import os
import pathlib
import shutil
import stat
import threading
import time
import types

import oracle

REST_SECONDS = 5
# Runs that tests change in place keep one size, so that a status of any length is one write.
PADDED_BYTES = 2048
CHANGES = ("in_place", "rename", "truncate_append", "mmap")


def poll(condition, seconds=REST_SECONDS, interval=0.01):
    """Waits until condition() is true and returns its value; its last value when time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(interval)
    return value


def metrics(status="verified", tokens=(1000, 100), layout="aggregate", start="2025-10-15T08:50:59Z", end="2025-10-15T09:25:22Z"):
    """The content of a metrics.json, in one of the two layouts that occur."""
    if layout == "aggregate":
        return {
            "start_timestamp": start,
            "end_timestamp": end,
            "aggregate_metrics": {"TOK_IN": tokens[0], "TOK_OUT": tokens[1]},
            "usage_api_reconciliation": {"verification_status": status, "attempts": []},
            "verification_status": "superseded",
        }
    return {
        "start_time": start,
        "end_time": end,
        "total_tokens_in": tokens[0],
        "total_tokens_out": tokens[1],
        "verification_status": status,
    }


def padded(content):
    return json.dumps(content).encode().ljust(PADDED_BYTES)


def write_run(runs, framework, run_id, status="verified", tokens=(1000, 100), layout="aggregate", **times):
    """Makes a run below runs (a source, or MNT/runs) and returns its directory."""
    directory = os.path.join(runs, framework, run_id)
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "metrics.json"), "wb") as file:
        file.write(padded(metrics(status, tokens, layout, **times)))
    return directory


def write_two_runs(source):
    """chatdev/run-1, verified, with some files deep in it, and ghspec/run-2, failed."""
    run = write_run(source, "chatdev", "run-1")
    os.makedirs(os.path.join(run, "workspace", "src"))
    for name in ("a", "b", "c"):
        with open(os.path.join(run, "workspace", "src", name), "w", encoding="ascii") as file:
            file.write(name * 5000)
    write_run(source, "ghspec", "run-2", "failed")


def names_of_run_1(mounted):
    """All that lead to the first of the two."""
    tops = (mounted.runs / "chatdev", mounted.path / "by-status" / "verified", mounted.path / "by-framework" / "chatdev")
    return [top / "run-1" for top in tops]


def change_status(directory, status, how, **values):
    """Gives a run another status in one of the ways in which programs rewrite a file. Done when it returns."""
    path = os.path.join(directory, "metrics.json")
    content = padded(metrics(status, **values))
    if how == "in_place":
        with open(path, "r+b", buffering=0) as file:
            file.write(content)
    elif how == "rename":
        with open(path + ".tmp", "wb") as file:
            file.write(content)
        os.replace(path + ".tmp", path)
    elif how == "truncate_append":
        os.truncate(path, 0)
        with open(path, "ab", buffering=0) as file:
            file.write(content)
    elif how == "mmap":
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), PADDED_BYTES) as mapped:
            mapped[:] = content
            mapped.flush()
    else:
        raise ValueError(how)


def remove_quietly(path):
    shutil.rmtree(path, ignore_errors=True)


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def manifest_through(mounted):
    name = os.path.basename(oracle.manifest_path(mounted.source))
    return json.loads(read_bytes(mounted.runs / name))


def manifest_on_disk(mounted):
    return json.loads(read_bytes(oracle.manifest_path(mounted.source)))


def find_differences(mounted, last_good=None, at_rest=True):
    """None where manifest and views are what the files say, else what differs, in words."""
    source = mounted.source
    name = os.path.basename(oracle.manifest_path(source))
    try:
        through = read_bytes(mounted.runs / name)
        manifest = json.loads(through)
        stated = oracle.without_additions(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"the manifest through the mount: {error!r}"
    wanted = oracle.expected_manifest(source, last_good, standing=manifest)
    for key in oracle.TOP_MEMBERS:
        if stated.get(key) != wanted[key]:
            return f"{key} through the mount:\n{stated.get(key)}\nby the files:\n{wanted[key]}"
    listed = oracle.listed_views(mounted.path)
    views = oracle.with_inodes(source, oracle.expected_views(source, last_good))
    for view, values in views.items():
        if listed[view] != values:
            return f"{view} lists\n{listed[view]}\nby the files:\n{values}"
    if at_rest:
        if stated == manifest and oracle.manifest_bytes(wanted) != through:
            return "the values through the mount agree, the bytes do not"
        try:
            stands = read_bytes(os.path.join(source, name))
        except OSError as error:
            return f"the manifest on disk: {error!r}"
        if stands != through:
            return f"the manifest on disk is not (yet) that of the mount:\n{stands[:4000]!r}\n{through[:4000]!r}"
    return None


def assert_agree_now(mounted, last_good=None):
    """Manifest and views through the mount say what the files say, without any waiting."""
    differences = find_differences(mounted, last_good, at_rest=False)
    assert differences is None, differences


def assert_agree(mounted, last_good=None, seconds=REST_SECONDS):
    """The same once all came to rest, and the manifest on disk besides, to the byte."""
    state = {}

    def agrees():
        try:
            state["differences"] = find_differences(mounted, last_good)
        except FileNotFoundError as error:  # the oracle met a run that was leaving
            state["differences"] = repr(error)
        return state["differences"] is None

    poll(agrees, seconds, interval=0.05)
    assert state["differences"] is None, state["differences"]
    assert_no_leftovers(mounted.source)


def leftovers(source):
    """Temporary files of the manifest."""
    return [name for name in os.listdir(source) if name.startswith(".") and name.endswith(".runsfs")]


def assert_no_leftovers(source):
    assert poll(lambda: not leftovers(source)), f"temporary files left: {leftovers(source)}"


def describe(path, info):
    """What two names of one file must agree on."""
    common = (stat.filemode(info.st_mode), info.st_uid, info.st_gid, info.st_ino, info.st_mtime_ns)
    if stat.S_ISDIR(info.st_mode):
        return common
    if stat.S_ISLNK(info.st_mode):
        return (*common, os.readlink(path))
    content = hashlib.sha1(read_bytes(path)).hexdigest() if stat.S_ISREG(info.st_mode) else None
    return (*common, info.st_nlink, info.st_size, info.st_rdev, content)


def tree(top, skip=oracle.MANIFEST_NAMES):
    """{path: what it is} of everything below a directory, less the manifest, which has bytes of its own."""
    found = {}
    pending = [""]
    while pending:
        relative = pending.pop()
        for name in os.listdir(os.path.join(top, relative)):
            if not relative and (name in skip or name.endswith(".runsfs")):
                continue
            path = os.path.join(relative, name)
            full = os.path.join(top, path)
            info = os.lstat(full)
            found[path] = describe(full, info)
            if stat.S_ISDIR(info.st_mode):
                pending.append(path)
    return found


def tree_differences(one, other):
    a, b = tree(one), tree(other)
    return {path: (a.get(path), b.get(path)) for path in a.keys() | b.keys() if a.get(path) != b.get(path)}


def assert_same_tree(one, other, seconds=REST_SECONDS):
    """Both trees are the same, names, attributes, inode numbers and contents, once all came to rest."""
    state = {}

    def same():
        try:
            state["differences"] = tree_differences(one, other)
        except OSError as error:
            state["differences"] = {"": repr(error)}
        return not state["differences"]

    poll(same, seconds, interval=0.05)
    assert not state["differences"], dict(list(state["differences"].items())[:10])


def assert_views_pass_through(mounted, seconds=REST_SECONDS):
    """Below every view each run is what it is in the source."""
    for view, values in oracle.expected_views(mounted.source).items():
        for value, names in values.items():
            for name, path in names.items():
                assert_same_tree(mounted.source / path, mounted.path / view / value / name, seconds)


def assert_agree_everywhere(mounted, seconds=REST_SECONDS, entries_seconds=REST_SECONDS):
    """Manifest, views and every entry below them are what the disk has, once all came to rest."""
    assert_agree(mounted, seconds=seconds)
    assert_same_tree(mounted.source, mounted.runs, entries_seconds)
    assert_views_pass_through(mounted, entries_seconds)


def is_in_view(mounted, status, run_id):
    try:
        return run_id in os.listdir(mounted.path / "by-status" / oracle.escaped(status))
    except FileNotFoundError:
        return False


def two_places(mounted, run_id, by_view=False):
    """A verified run of chatdev: `.here` and `.there` are two places of it (of a plain directory the same one), `.source` is
    it beside the mount."""
    runs = view = mounted.runs / "chatdev" / run_id
    if hasattr(mounted, "path"):
        view = mounted.path / "by-status" / "verified" / run_id
    here, there = (view, runs) if by_view else (runs, view)
    return types.SimpleNamespace(here=here, there=there, source=mounted.source / "chatdev" / run_id, mounted=mounted)


def make_beside(run, name="directory/file", size=5000):
    """Makes a file of a run beside the mount, so that nothing of it is cached, and returns its content."""
    content = os.urandom(size)
    path = pathlib.Path(run.source / name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return content


def make_file(directory, name, size):
    """Makes a file of so many bytes, and the directories on the way to it."""
    path = pathlib.Path(directory) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def replace(path, content):
    path.with_name("new").write_bytes(content)
    os.replace(path.with_name("new"), path)


@contextlib.contextmanager
def descriptors():
    """A function that opens a path; all that it opened is closed in the end."""
    with contextlib.ExitStack() as stack:

        def start(path, flags=os.O_RDWR, mode=0o644):
            fd = os.open(path, flags, mode)
            stack.callback(os.close, fd)
            return fd

        yield start


def error_of(function, *arguments):
    """The number of the error that a call must give."""
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    raise AssertionError("no error")


def together(*loops, seconds):
    """Runs each again and again in a thread of its own until time is up. None may fail; how often each ran."""
    end, failures, rounds = time.monotonic() + seconds, [], [0] * len(loops)

    def work(index):
        try:
            while not failures and time.monotonic() < end:
                loops[index]()
                rounds[index] += 1
        except BaseException as failure:  # told below, by the thread that pytest listens to
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(loops))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    assert all(rounds), rounds
    return rounds
