"""A manifest or a source in a bad state: missing, broken, foreign, read-only, something else altogether."""

import errno
import json
import os
import subprocess

import pytest

import mounting
import oracle
from helpers import (assert_agree, assert_agree_now, change_status, find_differences, is_in_view, manifest_on_disk, manifest_through, poll,
                     read_bytes, write_run)


@pytest.fixture
def runs(source):
    write_run(source, "chatdev", "run-1", "verified")
    write_run(source, "ghspec", "run-2", "failed")
    return source


BROKEN = {
    "empty": b"",
    "cut short": b'{"version": "1.0", "runs": [{"run_id": "run-1", "fra',
    "binary": bytes(range(256)),
    "array": b"[]",
    "null": b"null",
    "other version": b'{"version": "2.0", "runs": {"a": 1}, "note": "kept"}',
    "without runs": b'{"version": "1.0", "frameworks": {"ghspec": 7}}',
    "runs is an object": b'{"version": "1.0", "runs": {}, "frameworks": []}',
    "entries are not objects": b'{"version": "1.0", "runs": [1, null, "a", [], {}, {"path": 5}, {"run_id": "run-1"}], "frameworks": {"x": "y"}}',
    "entries twice": b'{"version": "1.0", "runs": [{"path": "chatdev/run-1", "a": 1}, {"path": "chatdev/run-1", "a": 2}]}',
    "deep": b'{"version": ' + b"[" * 100_000,
    "newline at the end": b'{"version": "1.0"}\n',
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("later", [False, True], ids=["at-start", "later"])
def test_a_manifest_that_is_none_is_replaced(mount, runs, name, later):
    path = runs / "runs_manifest.json"
    if not later:
        path.write_bytes(BROKEN[name])
    mounted = mount(runs)
    assert later or find_differences(mounted, at_rest=False) is None
    assert_agree(mounted)
    if later:
        path.write_bytes(BROKEN[name])
        assert poll(lambda: read_bytes(path) != BROKEN[name])
        assert_agree(mounted)
    change_status(mounted.runs / "chatdev" / "run-1", "changed", "in_place")
    assert_agree_now(mounted)
    assert_agree(mounted)
    assert not mounted.log() or all(line.startswith("runsfs: ") for line in mounted.log().splitlines())


def test_lost_content_comes_back(mount, runs):
    """An empty file in the manifest's place: all of it is derived anew, but for what was only there."""
    mounted = mount(runs)
    assert_agree(mounted)
    mounted.unmount()
    old = manifest_on_disk(mounted)
    (runs / "runs_manifest.json").write_bytes(b"")
    mounted.start()
    assert_agree(mounted)
    new = manifest_on_disk(mounted)
    assert {**new, "last_updated": None} == {**old, "last_updated": None}


def test_a_read_only_file_is_replaced_and_stays_read_only(mount, runs):
    path = runs / "runs_manifest.json"
    path.write_text("{}")
    path.chmod(0o444)
    mounted = mount(runs)
    assert_agree(mounted)
    assert os.stat(path).st_mode & 0o7777 == 0o444


def test_a_directory_in_its_place(mount, runs):
    (runs / "runs_manifest.json").mkdir()
    (runs / "runs_manifest.json" / "file").write_text("kept")
    mounted = mount(runs)
    assert is_in_view(mounted, "verified", "run-1")
    change_status(mounted.runs / "chatdev" / "run-1", "changed", "in_place")
    assert is_in_view(mounted, "changed", "run-1")
    assert poll(lambda: "runs_manifest.json" in mounted.log())
    assert (runs / "runs_manifest.json" / "file").read_text() == "kept"
    # Once it is out of the way, the manifest is made.
    os.rename(runs / "runs_manifest.json", runs / "set-aside")
    assert_agree(mounted)


@pytest.mark.parametrize("target", ["target.json", "missing.json", "runs_manifest.json"])
def test_a_link_in_its_place(mount, runs, target):
    """Defined as: what the link points to is never written through it from here; the mount and its views work."""
    (runs / "target.json").write_text('{"version": "1.0"}')
    os.symlink(target, runs / "runs_manifest.json")
    mounted = mount(runs)
    assert is_in_view(mounted, "verified", "run-1")
    change_status(mounted.runs / "chatdev" / "run-1", "changed", "in_place")
    assert is_in_view(mounted, "changed", "run-1")
    mounted.unmount()
    assert (runs / "target.json").read_text() == '{"version": "1.0"}'
    assert not (runs / "missing.json").exists()


def test_both_names(mount, runs):
    (runs / "manifest.json").write_text('{"other": "file"}')
    (runs / "runs_manifest.json").write_text('{"version": "1.0"}')
    mounted = mount(runs)
    assert_agree(mounted)
    assert (runs / "manifest.json").read_text() == '{"other": "file"}'


WRONG = b'{"version": "1.0", "runs": []}'


@pytest.fixture
def read_only(runs):
    """The source on a filesystem that is mounted read-only, its manifest wrong."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    (runs / "runs_manifest.json").write_bytes(WRONG)
    subprocess.run(["mount", "--bind", runs, runs], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", runs], check=True)
    yield runs
    subprocess.run(["umount", "-l", runs], check=True)


@pytest.fixture
def mount_after_read_only(read_only, mount):
    """Ends its mounts before the source goes."""
    return lambda: mount(read_only)


def test_a_read_only_source(mount_after_read_only, read_only):
    mounted = mount_after_read_only()
    manifest = manifest_through(mounted)
    assert manifest["runs"] == oracle.expected_runs(read_only)
    assert is_in_view(mounted, "verified", "run-1")
    for operation in (lambda: (mounted.runs / "new").mkdir(), lambda: open(mounted.runs / "chatdev" / "run-1" / "metrics.json", "w", encoding="ascii")):
        with pytest.raises(OSError) as caught:
            operation()
        assert caught.value.errno == errno.EROFS
    mounted.unmount()
    assert read_bytes(read_only / "runs_manifest.json") == WRONG
    assert len(mounted.log().splitlines()) <= 3


def test_a_read_only_mount(mount, runs):
    (runs / "runs_manifest.json").write_bytes(oracle.manifest_bytes(oracle.expected_manifest(runs, standing={})))
    mounted = mount(runs, "ro")
    assert_agree_now(mounted)
    for path in (mounted.runs / "new", mounted.path / "by-status" / "verified" / "run-1" / "new"):
        with pytest.raises(OSError) as caught:
            path.mkdir()
        assert caught.value.errno == errno.EROFS
    change_status(runs / "chatdev" / "run-1", "changed", "in_place")
    assert poll(lambda: is_in_view(mounted, "changed", "run-1"))


def test_a_full_disk_leaves_the_old_manifest(mount, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        write_run(disk, "chatdev", "run-1", "verified")
        mounted = mount(disk)
        assert_agree(mounted)
        before = read_bytes(disk / "runs_manifest.json")
        with pytest.raises(OSError), open(disk / "filler", "wb", buffering=0) as file:
            while True:
                if file.write(bytes(4096)) < 4096:
                    raise OSError(errno.ENOSPC, "full")
        change_status(disk / "chatdev" / "run-1", "changed", "in_place")
        assert poll(lambda: is_in_view(mounted, "changed", "run-1"))
        assert poll(lambda: "No space left" in mounted.log() or json.loads(read_bytes(disk / "runs_manifest.json"))["runs"][0]["verification_status"] == "changed")
        assert json.loads(read_bytes(disk / "runs_manifest.json"))["total_runs"] == 1 and len(before) > 0
        os.unlink(disk / "filler")
        assert_agree(mounted, seconds=10)
        mounted.unmount()
    finally:
        if mounting.is_mounted(tmp_path / "mount0"):
            mounting.detach(tmp_path / "mount0")
        subprocess.run(["umount", "-l", disk], check=True)
