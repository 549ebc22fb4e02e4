"""Whatever stands where a run's file should be: a defined entry, and nothing else suffers.

Each case is met twice: it is there before the mount (defaults), and it takes the place of a good file (the last good entry).
"""

import json
import os
import shutil
import socket
import stat
import threading
import time

import pytest

import oracle
from helpers import assert_agree, assert_agree_now, assert_same_tree, change_status, is_in_view, metrics, poll, write_run
from syscalls import RENAME_EXCHANGE, renameat2

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
GOOD = json.dumps(metrics("fine")).encode()


def content(data):
    return lambda path: path.write_bytes(data)


def huge(path):
    path.touch()
    os.truncate(path, 1 << 30)


def huge_text(path):
    """Valid JSON but for its size."""
    with open(path, "wb") as file:
        file.write(GOOD[:-1] + b', "padding": "')
        for _ in range(65):
            file.write(b"x" * (1 << 20))
        file.write(b'"}')


def bound_socket(path):
    # Bound by its short name: the path of a test may be longer than an address of a socket.
    with socket.socket(socket.AF_UNIX) as server:
        fd = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{fd}/{path.name}")
        os.close(fd)


def closed(path):
    path.write_bytes(GOOD)
    path.chmod(0)


def directory(path):
    path.mkdir()
    (path / "metrics.json").write_bytes(GOOD)


BROKEN = {
    "empty": content(b""),
    "white space": content(b" \n\t"),
    "cut short": content(GOOD[: len(GOOD) // 2]),
    "cut in a string": content(b'{"verification_status": "verif'),
    "two values": content(GOOD + GOOD),
    "1 GB": huge,
    "65 MB": huge_text,
    "nested arrays": content(b"[" * 100_000),
    "nested objects": content(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "deep in a good one": content(GOOD[:-1] + b', "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "array": content(b"[" + GOOD + b"]"),
    "number": content(b"7"),
    "null": content(b"null"),
    "binary": content(bytes(range(256)) * 40),
    "zeros": content(bytes(10_000)),
    "Latin-1": content(json.dumps(metrics("verifi\u00e9"), ensure_ascii=False).encode("latin-1")),
    "UTF-16": content(GOOD.decode().encode("utf-16")),
    "control character": content(b'{"verification_status": "a\nb"}'),
    "trailing comma": content(b'{"verification_status": "a",}'),
    "single quotes": content(b"{'verification_status': 'a'}"),
    "5000 digits": content(b'{"total_tokens_in": ' + b"9" * 5000 + b"}"),
    "FIFO": os.mkfifo,
    "socket": bound_socket,
    "directory": directory,
    "link to /dev/zero": lambda path: os.symlink("/dev/zero", path),
    "link to itself": lambda path: os.symlink(path.name, path),
    "dangling link": lambda path: os.symlink("missing", path),
    "link to a good file": lambda path: (path.with_name("other.json").write_bytes(GOOD), os.symlink("other.json", path)),
    "unreadable": closed,
}
DEVICES = {
    "null device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3)),
    "zero device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),
    "block device": lambda path: os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250)),
}
ALL_BROKEN = [*BROKEN.items()] + [pytest.param(name, make, marks=needs_root) for name, make in DEVICES.items()]


def parsed(text):
    return content(b'{"start_time": "2025-10-15", "verification_status": "plain", "total_tokens_in": 11, "total_tokens_out": 12, ' + text + b"}")


# Valid JSON with values that are no values of their fields: these count as absent, one by one.
ODD = {
    "duplicate members": parsed(b'"total_tokens_in": 1, "verification_status": "first", "verification_status": "last", "total_tokens_in": 5'),
    "duplicate objects": parsed(b'"aggregate_metrics": {"TOK_IN": 3}, "aggregate_metrics": {"TOK_OUT": 4}'),
    "numbers as strings": parsed(b'"aggregate_metrics": {"TOK_IN": "3", "TOK_OUT": "4"}'),
    "negative": parsed(b'"aggregate_metrics": {"TOK_IN": -1, "TOK_OUT": -0}'),
    "1e400": parsed(b'"aggregate_metrics": {"TOK_IN": 1e400, "TOK_OUT": -1e400}'),
    "fractions": parsed(b'"aggregate_metrics": {"TOK_IN": 1.0, "TOK_OUT": 1e3}'),
    "2^53": parsed(b'"aggregate_metrics": {"TOK_IN": 9007199254740992, "TOK_OUT": 9007199254740993}'),
    "2^64": parsed(b'"aggregate_metrics": {"TOK_IN": 18446744073709551616, "TOK_OUT": 18446744073709551617}'),
    "4300 digits": parsed(b'"aggregate_metrics": {"TOK_IN": ' + b"9" * 4300 + b"}"),
    "NaN and infinities": parsed(b'"aggregate_metrics": {"TOK_IN": NaN, "TOK_OUT": -Infinity}, "x": Infinity'),
    "booleans": parsed(b'"aggregate_metrics": {"TOK_IN": true, "TOK_OUT": false}'),
    "nulls": parsed(b'"aggregate_metrics": null, "start_timestamp": null, "usage_api_reconciliation": null'),
    "arrays for objects": parsed(b'"aggregate_metrics": [1], "usage_api_reconciliation": ["verification_status"]'),
    "numbers for text": parsed(b'"start_timestamp": 5, "usage_api_reconciliation": {"verification_status": 5}'),
    "escaped names": parsed(b'"verification\\u005fstatus": "escaped"'),
    "lone surrogate": parsed(b'"verification_status": "\\ud800", "start_time": "\\udfff"'),
    "empty object": content(b"{}"),
    "BOM": content(b"\xef\xbb\xbf" + GOOD),
    "63 MB": lambda path: path.write_bytes(GOOD[:-1] + b', "padding": "' + b"x" * (63 << 20) + b'"}'),
}


@pytest.fixture
def good(source):
    """Two runs that must stay right whatever happens to a third."""
    write_run(source, "chatdev", "good-1", "verified")
    write_run(source, "ghspec", "good-2", "failed")
    return source


def rest_works(mounted):
    change_status(mounted.runs / "chatdev" / "good-1", "changed", "in_place")
    assert is_in_view(mounted, "changed", "good-1")
    change_status(mounted.source / "ghspec" / "good-2", "changed", "rename")
    assert poll(lambda: is_in_view(mounted, "changed", "good-2"))


@pytest.mark.parametrize(("name", "make"), ALL_BROKEN)
def test_broken_from_the_start_leaves_the_defaults(mount, good, name, make):
    for framework in ("chatdev", "ghspec"):
        (good / framework / "bad").mkdir()
    make(good / "chatdev" / "bad" / "metrics.json")
    make(good / "ghspec" / "bad" / "metadata.json")
    mounted = mount(good)
    assert_agree(mounted)
    rest_works(mounted)
    assert_agree(mounted)
    assert os.path.lexists(mounted.runs / "chatdev" / "bad" / "metrics.json")
    assert "bad" in mounted.log() or name == "unreadable" and os.geteuid() == 0
    # What can be mended is right as soon as it is.
    for directory, file in (("chatdev", "metrics.json"), ("ghspec", "metadata.json")):
        shutil.rmtree(good / directory / "bad")
        write_run(mounted.runs, directory, "bad", "mended")
    assert_agree_now(mounted)
    assert_agree(mounted)


@pytest.mark.parametrize("beside", [True, False], ids=["beside", "through"])
@pytest.mark.parametrize(("name", "make"), ALL_BROKEN)
def test_broken_later_keeps_the_last_good_entry(mount, good, name, make, beside):
    write_run(good, "chatdev", "bad", "once-good", (123, 456))
    mounted = mount(good)
    assert_agree(mounted)
    entry = oracle.entry(good, "chatdev", "bad")
    top = good if beside else mounted.runs
    # Made elsewhere and exchanged with the good one, so that there is no moment without a file.
    (top / "making").mkdir()
    make(top / "making" / "metrics.json")
    path = top / "chatdev" / "bad" / "metrics.json"
    if name == "link to a good file":
        os.rename(top / "making" / "other.json", path.with_name("other.json"))
    renameat2(top / "making" / "metrics.json", path, RENAME_EXCHANGE)
    shutil.rmtree(top / "making")
    readable = name == "unreadable" and os.geteuid() == 0
    last_good = {} if readable else {"chatdev/bad": entry}
    if not beside:
        assert_agree_now(mounted, last_good)
    assert_agree(mounted, last_good)
    rest_works(mounted)
    assert_agree(mounted, last_good)
    assert readable or poll(lambda: "chatdev/bad" in mounted.log())
    # A restart finds the entry in the manifest, and no more in the file than before.
    mounted.unmount()
    mounted.start()
    assert_agree(mounted, last_good)
    if name == "directory":
        shutil.rmtree(good / "chatdev" / "bad" / "metrics.json")
    replacement = good / "chatdev" / "bad" / "new"
    replacement.write_bytes(json.dumps(metrics("mended")).encode())
    os.rename(replacement, good / "chatdev" / "bad" / "metrics.json")
    assert_agree(mounted)


@pytest.mark.parametrize("name", ODD)
def test_odd_values_count_as_absent(mount, good, name):
    (good / "chatdev" / "odd").mkdir()
    ODD[name](good / "chatdev" / "odd" / "metrics.json")
    mounted = mount(good)
    assert_agree(mounted)
    ODD[name](mounted.runs / "ghspec" / "good-2" / "metrics.json")
    assert_agree_now(mounted)
    assert_agree(mounted)


def test_replaced_while_it_is_read(mount, good):
    """Files of very different sizes take turns: what is read is one of them, never a mixture or an end."""
    write_run(good, "chatdev", "busy", "short")
    mounted = mount(good)
    assert_agree(mounted)
    long = json.dumps({**metrics("long"), "padding": "x" * 3_000_000}).encode()
    stop = threading.Event()

    def replace(top):
        for number in range(10**9):
            if stop.is_set():
                return
            name = top / "chatdev" / "busy" / f"new-{top.name}"
            name.write_bytes(long if number % 2 else GOOD)
            os.replace(name, top / "chatdev" / "busy" / "metrics.json")

    threads = [threading.Thread(target=replace, args=(top,)) for top in (good, mounted.runs)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        entries = {run["path"]: run["verification_status"] for run in json.loads((mounted.runs / "runs_manifest.json").read_bytes())["runs"]}
        assert entries["chatdev/busy"] in ("short", "long", "fine")
        assert entries["chatdev/good-1"] == "verified"
    stop.set()
    for thread in threads:
        thread.join()
    assert_agree(mounted)


FRAMEWORKS = [b"new\nline", b"%", b"%2F", b".hidden", b"..x", b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80", b"f" * 255, b"\xff" * 200, b"\x7f",
              b" ", "ünï".encode(), b"-rf", b"~", b"by-status", b"runs"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_odd_frameworks_and_run_ids(mount, good, framework):
    name = os.fsdecode(framework)
    write_run(good, name, "run-1", "verified")
    write_run(good, "chatdev", name, "verified")
    mounted = mount(good)
    assert_agree(mounted)
    listed = os.path.join(mounted.path, "by-framework", oracle.escaped(framework))
    assert os.listdir(listed) == ["run-1"]
    assert_same_tree(good / name / "run-1", os.path.join(listed, "run-1"))
    change_status(os.path.join(listed, "run-1"), "changed", "rename")
    assert_agree_now(mounted)
    write_run(mounted.runs, name, name, "new")
    assert_agree_now(mounted)
    assert_agree(mounted)


def test_two_runs_with_one_name_of_255_bytes(mount, good):
    for framework in ("chatdev", "ghspec"):
        write_run(good, framework, "n" * 255, "long")
    mounted = mount(good)
    names = os.listdir(mounted.path / "by-status" / "long")
    assert len(set(names)) == 2 and all(len(name) <= 255 for name in names)
    numbers = {os.stat(mounted.path / "by-status" / "long" / name).st_ino for name in names}
    assert numbers == {os.stat(good / framework / ("n" * 255)).st_ino for framework in ("chatdev", "ghspec")}


def test_links_to_directories_are_no_runs(mount, good, tmp_path):
    outside = write_run(tmp_path / "elsewhere", "framework", "outside")
    os.symlink(outside, good / "chatdev" / "linked-run")
    os.symlink("good-1", good / "chatdev" / "linked-sibling")
    os.symlink(tmp_path / "elsewhere" / "framework", good / "linked-framework")
    os.symlink("chatdev", good / "linked-neighbour")
    mounted = mount(good)
    assert_agree(mounted)
    assert sorted(os.listdir(mounted.path / "by-framework")) == ["chatdev", "ghspec"]
    os.symlink(outside, mounted.runs / "ghspec" / "linked-later")
    assert_agree_now(mounted)
    # A run that is replaced by a link to one is none any more.
    os.rename(mounted.runs / "ghspec" / "good-2", mounted.runs / "ghspec" / "moved")
    os.symlink("moved", mounted.runs / "ghspec" / "good-2")
    assert_agree_now(mounted)
    assert_agree(mounted)


def test_frameworks_that_are_no_directories(mount, good):
    (good / "file").write_text("x")
    os.mkfifo(good / "fifo")
    (good / "chatdev" / "file").write_text("x")
    (good / "empty").mkdir()
    write_run(good / "chatdev" / "good-1", "nested", "run")
    mounted = mount(good)
    assert_agree(mounted)
    rest_works(mounted)
