"""Changes made in the source directly are seen through the mount, whatever was looked at before.

The outcome is asserted, not the time: a loaded machine may be slow, but must not be wrong.
"""

import os
import shutil
import signal
import subprocess

import pytest

from helpers import (assert_agree, assert_agree_everywhere, assert_same_tree, assert_views_pass_through, change_status, is_in_view,
                     names_of_run_1, poll, read_bytes, write_run, write_two_runs)

BACKENDS = ["watch=inotify", "watch=fanotify", "watch=poll"]


def options_of(backend):
    if backend == "watch=fanotify" and os.geteuid() != 0:
        pytest.skip("needs root")
    return (backend, "poll_ms=100") if backend == "watch=poll" else (backend,)


@pytest.fixture(params=BACKENDS)
def mounted(request, mount, source):
    write_two_runs(source)
    return mount(source, *options_of(request.param))


@pytest.fixture
def ways(mounted):
    """All names of one directory deep in a run, each looked at, so that there is something stale to be shown."""
    names = names_of_run_1(mounted)
    for name in names:
        for entry in os.listdir(name / "workspace" / "src"):
            assert read_bytes(name / "workspace" / "src" / entry)
        assert not (name / "workspace" / "src" / "new").exists()
    return [name / "workspace" / "src" for name in names]


@pytest.fixture
def origin(mounted):
    return mounted.source / "chatdev" / "run-1" / "workspace" / "src"


def all_see(ways, condition):
    for way in ways:
        assert poll(lambda: condition(way)), way


def test_contents(ways, origin):
    with open(origin / "a", "r+b") as file:
        file.write(b"edited")
    all_see(ways, lambda way: read_bytes(way / "a").startswith(b"edited"))
    (origin / "a").write_text("shorter")
    all_see(ways, lambda way: read_bytes(way / "a") == b"shorter")
    with open(origin / "a", "ab") as file:
        file.write(b" and longer")
    all_see(ways, lambda way: read_bytes(way / "a") == b"shorter and longer" and os.stat(way / "a").st_size == 18)
    (origin / "tmp").write_text("another file")
    os.replace(origin / "tmp", origin / "a")
    all_see(ways, lambda way: read_bytes(way / "a") == b"another file")


def test_contents_of_open_files(ways, origin):
    held = [open(way / "a", "rb") for way in ways]
    for file in held:
        assert file.read(1) == b"a"
    with open(origin / "a", "r+b") as file:
        file.write(b"X" * 5000)
    for file in held:
        assert poll(lambda: os.pread(file.fileno(), 5000, 0) == b"X" * 5000)
        file.close()


def test_names(ways, origin):
    (origin / "new").write_text("new")
    all_see(ways, lambda way: (way / "new").exists() and "new" in os.listdir(way))
    os.rename(origin / "new", origin / "renamed")
    all_see(ways, lambda way: not (way / "new").exists() and sorted(os.listdir(way)) == ["a", "b", "c", "renamed"])
    os.unlink(origin / "b")
    all_see(ways, lambda way: not (way / "b").exists() and "b" not in os.listdir(way))
    os.link(origin / "c", origin / "d")
    all_see(ways, lambda way: (way / "d").exists() and os.stat(way / "c").st_nlink == 2)
    (origin / "one" / "two").mkdir(parents=True)
    (origin / "one" / "two" / "file").write_text("deep")
    all_see(ways, lambda way: (way / "one" / "two" / "file").exists() and read_bytes(way / "one" / "two" / "file") == b"deep")
    os.rename(origin / "one" / "two", origin / "moved")
    all_see(ways, lambda way: (way / "moved" / "file").exists() and os.listdir(way / "one") == [])
    shutil.rmtree(origin / "moved")
    all_see(ways, lambda way: not (way / "moved").exists() and "moved" not in os.listdir(way))


def test_a_name_that_becomes_something_else(ways, origin):
    os.unlink(origin / "a")
    (origin / "a").mkdir()
    (origin / "a" / "inner").touch()
    all_see(ways, lambda way: (way / "a").is_dir() and os.listdir(way / "a") == ["inner"])
    shutil.rmtree(origin / "a")
    os.symlink("b", origin / "a")
    all_see(ways, lambda way: (way / "a").is_symlink() and os.readlink(way / "a") == "b")
    os.unlink(origin / "a")
    os.symlink("c", origin / "a")
    all_see(ways, lambda way: os.readlink(way / "a") == "c")


def test_attributes(ways, origin):
    for path in (origin / "a", origin):
        os.chmod(path, 0o700)
        os.utime(path, ns=(1, 123456789))
        all_see(ways, lambda way: os.stat(way / os.path.relpath(path, origin)).st_mode & 0o7777 == 0o700)
        all_see(ways, lambda way: os.stat(way / os.path.relpath(path, origin)).st_mtime_ns == 123456789)
    os.setxattr(origin / "a", "user.note", b"beside")
    all_see(ways, lambda way: "user.note" in os.listxattr(way / "a") and os.getxattr(way / "a", "user.note") == b"beside")


def test_runs_come_go_and_change(mounted, ways):
    source = mounted.source
    write_run(source, "chatdev", "run-9", "failed")
    assert poll(lambda: is_in_view(mounted, "failed", "run-9"))
    change_status(source / "chatdev" / "run-1", "mended", "in_place")
    assert poll(lambda: is_in_view(mounted, "mended", "run-1") and not is_in_view(mounted, "verified", "run-1"))
    shutil.rmtree(source / "ghspec" / "run-2")
    assert poll(lambda: not is_in_view(mounted, "failed", "run-2"))
    os.rename(source / "chatdev" / "run-9", source / "chatdev" / "run-8")
    assert poll(lambda: is_in_view(mounted, "failed", "run-8") and not is_in_view(mounted, "failed", "run-9"))
    assert_agree(mounted)


def test_a_framework_renamed_and_moved_out(mounted, ways, tmp_path):
    os.rename(mounted.source / "chatdev", mounted.source / "renamed")
    assert_agree_everywhere(mounted)
    write_run(mounted.source, "renamed", "run-5")
    (mounted.source / "renamed" / "run-1" / "workspace" / "src" / "after").write_text("after the move")
    assert_agree(mounted)
    assert_same_tree(mounted.source, mounted.runs)
    os.rename(mounted.source / "renamed", tmp_path / "outside")
    assert_agree(mounted)
    change_status(tmp_path / "outside" / "run-1", "outside", "rename")
    os.rename(tmp_path / "outside", mounted.source / "back")
    assert_agree(mounted)
    assert_same_tree(mounted.source, mounted.runs)


def test_a_ready_made_tree_is_moved_in(mounted, tmp_path):
    for number in range(20):
        write_run(tmp_path / "made", "framework", f"run-{number}", f"status-{number % 3}")
        os.makedirs(tmp_path / "made" / "framework" / f"run-{number}" / "deep" / "deeper")
    os.rename(tmp_path / "made" / "framework", mounted.source / "framework")
    assert_agree(mounted)
    subprocess.run(["cp", "-a", mounted.source / "framework", mounted.source / "copied"], check=True)
    assert_agree(mounted)
    (mounted.source / "copied" / "run-3" / "deep" / "deeper" / "file").write_text("x")
    assert_same_tree(mounted.source, mounted.runs)
    assert_views_pass_through(mounted)


def test_hard_link_changed_elsewhere(mounted, tmp_path):
    """A file of the source that is written under a name outside of it, which only its directory's poll can tell."""
    if "watch=poll" not in mounted.options:
        pytest.skip("no event names a directory of the source")
    os.link(mounted.source / "chatdev" / "run-1" / "metrics.json", tmp_path / "outside.json")
    assert is_in_view(mounted, "verified", "run-1")
    content = read_bytes(tmp_path / "outside.json").replace(b'"verified"', b'"altered" ')
    with open(tmp_path / "outside.json", "r+b") as file:
        file.write(content)
    assert poll(lambda: is_in_view(mounted, "altered", "run-1"))


def test_sighup_rescans(mount, source):
    """Where polling is too rare to see it, SIGHUP is enough."""
    write_run(source, "chatdev", "run-1")
    mounted = mount(source, "watch=poll", "poll_ms=600000")
    assert is_in_view(mounted, "verified", "run-1")
    change_status(source / "chatdev" / "run-1", "mended", "in_place")
    write_run(source, "chatdev", "run-2")
    mounted.signal(signal.SIGHUP)
    assert_agree(mounted)
    assert_same_tree(mounted.source, mounted.runs)
