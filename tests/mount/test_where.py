"""Queries as paths: where/, nested and joined, and below the values of views; live, and refused with a reason."""

import ctypes
import errno
import json
import os
import shutil
import subprocess

import pytest

from helpers import assert_agree, change_status, poll, write_run


@pytest.fixture
def mounted(mount, source):
    for number in range(12):
        write_run(source, ("chatdev", "ghspec", "baes")[number % 3], f"run-{number:02d}", ("verified", "failed")[number % 2],
                  tokens=(1000 * number, number), start=f"2025-10-{10 + number}T08:00:00Z", end=f"2025-10-{10 + number}T09:00:0{number % 10}Z")
    (source / "chatdev" / "run-00" / "workspace").mkdir()
    (source / "chatdev" / "run-00" / "workspace" / "code.py").write_text("print()\n")
    result = mount(source)
    assert_agree(result)
    return result


def names(mounted, path):
    return sorted(os.listdir(mounted.path / path))


def runs(*numbers):
    return [f"run-{number:02d}" for number in numbers]


def test_where_lists_every_run_and_is_listed(mounted):
    assert "where" in os.listdir(mounted.path)
    assert names(mounted, "where") == runs(*range(12))


@pytest.mark.parametrize("path, numbers", [
    ("where/framework=chatdev", (0, 3, 6, 9)),
    ("where/framework=chatdev,status=verified", (0, 6)),
    ("where/framework=chatdev/status=verified", (0, 6)),
    ("where/framework=chatdev+baes/status=failed,min_tokens=5000", (5, 9, 11)),
    ("where/not_framework=ghspec,max_tokens=3003", (0, 2, 3)),
    ("by-status/verified/min_tokens=8000", (8, 10)),
    ("by-status/verified/min_tokens=4000/framework=ghspec", (4, 10)),
    ("by-framework/baes/since=2025-10-16", (8, 11)),
    ("by-framework/baes/until=2025-10-15T12:00", (2, 5)),
    ("where/run_id~run-1*", (10, 11)),
    ("where/ends_run_id=5", (5,)),
    ("where/duration=3601", (1, 11)),
    ("where/min_tokens=1000000", ()),
    ("where/sort=-tokens,limit=3", (9, 10, 11)),
    ("where/limit=2/sort=tokens/status=failed", (1, 3)),
    ("by-status/failed/limit=1,sort=-tokens", (11,)),
])
def test_paths(mounted, path, numbers):
    assert names(mounted, path) == runs(*numbers)
    for run in runs(*numbers):
        found = os.lstat(mounted.path / path / run / "metrics.json")
        framework = json.loads((mounted.runs / "runs_manifest.json").read_text())
        place = next(entry["path"] for entry in framework["runs"] if entry["run_id"] == run)
        assert found.st_ino == os.lstat(mounted.source / place / "metrics.json").st_ino
    absent = set(runs(*range(12))) - set(runs(*numbers))
    assert not any(os.path.exists(mounted.path / path / run) for run in absent)


def test_order_of_a_listing(mounted):
    listed = subprocess.run(["ls", "-U", mounted.path / "where" / "sort=-tokens,limit=4"], capture_output=True, check=True, text=True)
    assert listed.stdout.split() == runs(11, 10, 9, 8)
    found = subprocess.run(f"find {mounted.path}/where/status=verified,sort=-tokens,limit=3 -name metrics.json | xargs jq .aggregate_metrics.TOK_IN",
                           shell=True, capture_output=True, check=True, text=True)
    assert found.stdout.split() == ["10000", "8000", "6000"]


def test_a_run_in_a_query_is_that_run(mounted):
    way = mounted.path / "where" / "status=verified" / "run-00"
    assert way.is_dir() and not way.is_symlink()
    assert os.stat(way).st_ino == os.stat(mounted.source / "chatdev" / "run-00").st_ino
    (way / "workspace" / "new.py").write_text("new\n")
    assert (mounted.source / "chatdev" / "run-00" / "workspace" / "new.py").read_text() == "new\n"
    assert (mounted.runs / "chatdev" / "run-00" / "workspace" / "new.py").read_text() == "new\n"


@pytest.mark.parametrize("top", ["runs", "source"])
@pytest.mark.parametrize("path", ["where/status=verified", "by-framework/chatdev/status=verified", "where/status=verified,limit=100",
                                  "where/framework=chatdev/status=verified"])
def test_answers_are_live(mounted, top, path):
    assert os.path.isdir(mounted.path / path / "run-00") and "run-00" in names(mounted, path)
    change_status(getattr(mounted, top) / "chatdev" / "run-00", "failed", "rename")
    gone = lambda: not os.path.exists(mounted.path / path / "run-00") and "run-00" not in names(mounted, path)
    assert gone() if top == "runs" else poll(gone)
    change_status(getattr(mounted, top) / "chatdev" / "run-00", "verified", "in_place")
    back = lambda: os.path.isdir(mounted.path / path / "run-00") and "run-00" in names(mounted, path)
    assert back() if top == "runs" else poll(back)


@pytest.mark.parametrize("path, error", [
    ("where/nothing=1", errno.ENOENT), ("where/min_tokens=many", errno.EINVAL), ("where/limit=-1", errno.EINVAL),
    ("where/framework", errno.ENOENT), ("where/status=verified/nothing=1", errno.ENOENT), ("by-status/verified/limit=x", errno.EINVAL),
    ("where/status=%zz", errno.EINVAL), ("by-status/none/limit=1", errno.ENOENT),
])
def test_errors_and_their_reasons(mounted, path, error):
    with pytest.raises(OSError) as caught:
        os.listdir(mounted.path / path)
    assert caught.value.errno == error
    if "=" in os.path.basename(path) and "none" not in path:
        assert path in (mounted.path / ".runsfs" / "errors").read_text()
        assert path in mounted.log()


def test_a_query_directory_is_derived(mounted):
    way = mounted.path / "where" / "status=verified"
    for change in (lambda: (way / "x").mkdir(), lambda: (way / "x").touch(), lambda: os.rename(way / "run-00", way / "other"),
                   lambda: os.rmdir(way), lambda: os.symlink("x", way / "y"), lambda: os.mkdir(mounted.path / "where" / "x")):
        with pytest.raises(PermissionError):
            change()
    assert names(mounted, "where") == runs(*range(12))


def test_removing_a_run_through_a_query(mounted):
    subprocess.run(["rm", "-r", mounted.path / "where" / "status=verified,framework=chatdev" / "run-00"], check=True)
    assert not (mounted.source / "chatdev" / "run-00").exists()
    assert_agree(mounted)
    subprocess.run(["rm", "-r", mounted.path / "where" / "sort=-tokens,limit=1" / "run-11"], check=True)
    assert not (mounted.source / "baes" / "run-11").exists()
    assert names(mounted, "where/sort=-tokens,limit=1") == runs(10)
    assert_agree(mounted)


def test_two_runs_of_one_name(mounted):
    write_run(mounted.runs, "ghspec", "run-00", "verified", tokens=(1, 1))
    assert names(mounted, "where/max_tokens=2") == ["run-00.chatdev", "run-00.ghspec", ]
    assert names(mounted, "where/max_tokens=2,framework=ghspec") == ["run-00"]
    assert names(mounted, "where/sort=tokens,limit=1") == ["run-00"]
    assert os.stat(mounted.path / "where/max_tokens=2/run-00.ghspec").st_ino == os.stat(mounted.source / "ghspec" / "run-00").st_ino
    assert not os.path.exists(mounted.path / "where/max_tokens=2/run-00")


def test_a_run_whose_name_looks_like_a_query(mounted):
    write_run(mounted.runs, "ghspec", "status=failed", "verified")
    assert (mounted.path / "where" / "status=failed" / "metrics.json").exists()
    assert names(mounted, "where/status=verified,framework=ghspec,contains_run_id=%3D") == ["status=failed"]


def test_values_are_escaped_as_in_views(mounted):
    change_status(mounted.runs / "chatdev" / "run-00", "odd/one, two+three", "rename")
    assert names(mounted, "where/status=odd%2Fone%2C two%2Bthree") == runs(0)
    assert names(mounted, "by-status") == ["failed", "odd%2Fone, two+three", "verified"]


def test_many_runs_are_listed_once_while_others_change(mount, source):
    for number in range(3000):
        directory = source / "big" / f"run-{number:04d}"
        directory.mkdir(parents=True)
        (directory / "metrics.json").write_text('{"verification_status": "verified"}')
    mounted = mount(source)
    with os.scandir(mounted.path / "where" / "status=verified,sort=-run_id") as entries:
        first = [next(entries).name for _ in range(10)]
        write_run(mounted.runs, "big", "zzz")
        shutil.rmtree(mounted.runs / "big" / "run-0000")
        rest = [entry.name for entry in entries]
    listed = first + rest
    assert listed == sorted(listed, reverse=True)
    assert len(set(listed)) == len(listed) and set(runs_between(1, 3000)) <= set(listed)


def runs_between(first, end):
    return [f"run-{number:04d}" for number in range(first, end)]


def test_find_in_the_control_directory(mounted):
    content = json.loads((mounted.path / ".runsfs" / "find" / "status=failed,sort=-tokens,limit=2").read_text())
    assert [entry["run_id"] for entry in content] == runs(11, 9)
    manifest = json.loads((mounted.runs / "runs_manifest.json").read_text())
    assert all(entry in manifest["runs"] for entry in content)
    assert json.loads((mounted.path / ".runsfs" / "find" / "status=none").read_text()) == []
    with pytest.raises(FileNotFoundError):
        (mounted.path / ".runsfs" / "find" / "nothing=1").read_text()
    assert "nothing" in (mounted.path / ".runsfs" / "errors").read_text()
    assert os.listdir(mounted.path / ".runsfs" / "find") == []


def test_refresh(mount, source):
    write_run(source, "chatdev", "run-1")
    mounted = mount(source, "watch=poll", "poll_ms=600000")
    assert os.listdir(mounted.path / "where") == ["run-1"]
    write_run(source, "chatdev", "run-2")
    (mounted.path / ".runsfs" / "refresh").write_text("now\n")
    assert names(mounted, "where") == ["run-1", "run-2"]
    assert_agree(mounted)


def test_unreadable_files_are_in_errors(mounted):
    (mounted.runs / "chatdev" / "run-00" / "metrics.json").write_text("{")
    errors = (mounted.path / ".runsfs" / "errors").read_text()
    assert "chatdev/run-00/metrics.json: " in errors


def test_counts_of_views_in_status(mounted):
    status = json.loads((mounted.path / ".runsfs" / "status.json").read_text())
    assert status["views"] == {"by-status": {"verified": 6, "failed": 6}, "by-framework": {"chatdev": 4, "ghspec": 4, "baes": 4}}
    assert status["source"] == os.fspath(mounted.source) and status["manifest"]["name"] == "runs_manifest.json"
    write_run(mounted.runs, "chatdev", "run-99", "odd")
    assert poll(lambda: json.loads((mounted.path / ".runsfs" / "status.json").read_text())["manifest"]["last_write"])


def removed_step_by_step(directory, view, run, look):
    """As `rm -r` does it, from a directory that stays open; look() between any two steps."""
    inside = os.open(directory / view / run, os.O_RDONLY)
    try:
        for name in ("metrics.json", "metadata.json"):
            os.unlink(name, dir_fd=inside)
            look()
    finally:
        os.close(inside)
    os.rmdir(directory / view / run)


@pytest.mark.parametrize("view", ["where/status=failed", "where/sort=-tokens,limit=1", "by-status/failed", "by-status/failed/min_tokens=1"])
def test_a_removal_goes_on_while_others_look(mounted, view):
    """Without its metrics.json it is a run all the same, of another status, and found there and nowhere else; then it is none."""
    (mounted.runs / "baes" / "run-11" / "metadata.json").write_text("{}")
    removed_step_by_step(mounted.path, view, "run-11", lambda: os.path.exists(mounted.path / view / "run-11"))
    assert not (mounted.source / "baes" / "run-11").exists()
    assert_agree(mounted)


def test_a_status_stays_while_the_last_runs_of_it_are_removed(mounted):
    view, going = mounted.path / "by-status" / "rare", [f"going-{number}" for number in range(5)]
    for run in going:
        write_run(mounted.runs, "baes", run, "rare")
        (mounted.runs / "baes" / run / "metadata.json").write_text("{}")
    inside = [os.open(view / run, os.O_RDONLY) for run in going]
    os.unlink("metrics.json", dir_fd=inside[0])
    os.unlink("metadata.json", dir_fd=inside[0])
    for descriptor in inside[1:]:
        os.unlink("metrics.json", dir_fd=descriptor)
    assert names(mounted, "by-status/pending") == going[1:]
    os.rmdir(view / going[0])
    for run, descriptor in zip(going[1:], inside[1:]):
        os.unlink("metadata.json", dir_fd=descriptor)
        os.rmdir(view / run)
    for descriptor in inside:
        os.close(descriptor)
    assert not view.exists()
    assert_agree(mounted)


@pytest.mark.parametrize("top", ["runs", "source"])
def test_a_removal_that_ends_elsewhere_leaves_nothing(mounted, top):
    write_run(mounted.runs, "baes", "going", "rare")
    view = mounted.path / "by-status" / "rare"
    (view / "going" / "metrics.json").unlink()
    assert (view / "going").exists() and not os.listdir(view)
    os.rmdir(getattr(mounted, top) / "baes" / "going")
    gone = lambda: not (view / "going").exists() and not view.exists()
    assert gone() if top == "runs" else poll(gone)


def entries_of(descriptor):
    """What one getdents64 gives."""
    buffer = ctypes.create_string_buffer(1 << 16)
    length = ctypes.CDLL(None, use_errno=True).syscall(217, descriptor, buffer, len(buffer))
    assert length >= 0
    found, at = [], 0
    while at < length:
        size = int.from_bytes(buffer.raw[at + 16:at + 18], "little")
        found.append(buffer.raw[at + 19:at + size].split(b"\0")[0].decode())
        at += size
    return [name for name in found if name not in (".", "..")]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of a system call")
@pytest.mark.parametrize("path", ["where/status=verified", "where", "where/sort=-tokens,limit=5"])
def test_a_listing_ends_where_it_ended(mounted, path):
    """A reader asks once more at the end of a listing; what became of the runs meanwhile is no part of it."""
    descriptor = os.open(mounted.path / path, os.O_RDONLY)
    try:
        first = entries_of(descriptor)
        assert sorted(first) == names(mounted, path)
        write_run(mounted.runs, "chatdev", "earlier", "verified", tokens=(10**6, 0), start="2025-01-01T08:00:00Z")
        assert entries_of(descriptor) == []
    finally:
        os.close(descriptor)


def test_a_query_has_the_length_of_a_path_at_most(mounted):
    """However deep somebody walks into it: every level knows all predicates before it."""
    descriptor = os.open(mounted.path / "where", os.O_PATH)
    depth, predicate = 0, "status=" + "+".join(["failed"] * 30)
    try:
        while depth < 100:
            deeper = os.open(predicate, os.O_PATH, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
            depth += 1
    except OSError as error:
        assert error.errno == errno.ENAMETOOLONG
    os.close(descriptor)
    assert 10 < depth < 50


def test_a_refusal_is_one_line(mounted):
    lines = (mounted.path / ".runsfs" / "errors").read_text().splitlines()
    assert not os.path.exists(mounted.path / "where" / "nothing=1\n2025-01-01T00:00:00Z chatdev: \x1b[31mforged")
    added = (mounted.path / ".runsfs" / "errors").read_text().splitlines()
    assert len(added) == len(lines) + 1 and added[-1].isprintable() and "forged" in added[-1]
    (mounted.runs / "chatdev" / "odd\nname").mkdir()
    (mounted.runs / "chatdev" / "odd\nname" / "metrics.json").write_text("{")
    faults = (mounted.path / ".runsfs" / "errors").read_text().splitlines()
    assert len(faults) == len(added) + 1 and faults[0].startswith("chatdev/odd\\x0aname/metrics.json: ")
