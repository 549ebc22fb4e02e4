"""What is changed through one name of a run is seen at once through every other: contents, names, attributes."""

import itertools
import os
import shutil
import subprocess

import pytest

from helpers import (assert_agree, assert_agree_now, assert_same_tree, assert_views_pass_through, change_status, names_of_run_1,
                     write_run, write_two_runs)

PAIRS = list(itertools.permutations(range(3), 2))
WAYS = ("runs", "by-status", "by-framework")


@pytest.fixture
def mounted(mount, source):
    write_two_runs(source)
    return mount(source)


@pytest.fixture(params=PAIRS, ids=[f"{WAYS[a]}-to-{WAYS[b]}" for a, b in PAIRS])
def changer_and_looker(request, mounted):
    ways = names_of_run_1(mounted)
    changer, looker = (ways[number] / "workspace" / "src" for number in request.param)
    # The looker has seen everything before, so that there is something stale to be shown.
    for name in os.listdir(looker):
        assert (looker / name).read_text()
    assert not (looker / "new").exists()
    os.stat(looker / ".." / "..")
    return changer, looker


def test_names(changer_and_looker):
    changer, looker = changer_and_looker
    (changer / "new").write_text("new")
    assert (looker / "new").read_text() == "new"
    assert sorted(os.listdir(looker)) == ["a", "b", "c", "new"]
    os.rename(changer / "new", changer / "renamed")
    assert sorted(os.listdir(looker)) == ["a", "b", "c", "renamed"]
    assert not (looker / "new").exists()
    assert (looker / "renamed").read_text() == "new"
    os.replace(changer / "renamed", changer / "a")
    assert (looker / "a").read_text() == "new"
    os.unlink(changer / "b")
    assert not (looker / "b").exists()
    assert sorted(os.listdir(looker)) == ["a", "c"]
    os.link(changer / "c", changer / "d")
    assert os.stat(looker / "d").st_ino == os.stat(changer / "c").st_ino
    assert os.stat(looker / "c").st_nlink == 2
    os.symlink("c", changer / "e")
    assert os.readlink(looker / "e") == "c"


def test_contents(changer_and_looker):
    changer, looker = changer_and_looker
    with open(looker / "a", "rb") as held:
        (changer / "a").write_text("short")
        assert held.read() == b"short"
        assert os.fstat(held.fileno()).st_size == 5
    with open(changer / "a", "a", encoding="ascii") as file:
        file.write(" and longer")
    assert (looker / "a").read_text() == "short and longer"
    os.truncate(changer / "a", 3)
    assert (looker / "a").read_text() == "sho"
    assert os.stat(looker / "a").st_mtime_ns == os.stat(changer / "a").st_mtime_ns


def test_attributes(changer_and_looker):
    changer, looker = changer_and_looker
    for target in ("a", "."):
        os.chmod(changer / target, 0o700)
        assert os.stat(looker / target).st_mode & 0o7777 == 0o700
        os.utime(changer / target, ns=(1, 123456789))
        assert os.stat(looker / target).st_mtime_ns == 123456789
        os.setxattr(changer / target, "user.note", b"seen")
        assert os.getxattr(looker / target, "user.note") == b"seen"
    (changer / "b").unlink()
    assert os.stat(looker).st_mtime_ns == os.stat(changer).st_mtime_ns > 123456789


def test_subdirectories(changer_and_looker):
    changer, looker = changer_and_looker
    (changer / "one" / "two").mkdir(parents=True)
    (changer / "one" / "two" / "file").write_text("1")
    assert (looker / "one" / "two" / "file").read_text() == "1"
    assert os.stat(looker).st_nlink == os.stat(changer).st_nlink
    os.rename(changer / "one" / "two", changer / "moved")
    assert os.listdir(looker / "one") == []
    assert (looker / "moved" / "file").read_text() == "1"
    (looker / "moved" / "other").write_text("2")
    assert sorted(os.listdir(changer / "moved")) == ["file", "other"]
    os.rename(changer / "moved" / "file", changer / "one" / "file")
    assert os.listdir(looker / "moved") == ["other"]
    shutil.rmtree(changer / "moved")
    assert not (looker / "moved").exists()
    (changer / "moved").mkdir()
    assert os.listdir(looker / "moved") == []


def test_a_directory_removed_here_is_gone_there(changer_and_looker):
    changer, looker = changer_and_looker
    (changer / "gone").mkdir()
    fd = os.open(looker / "gone", os.O_RDONLY)
    (changer / "gone").rmdir()
    try:
        assert os.listdir(fd) == []
    except FileNotFoundError:  # what most filesystems say
        pass
    os.close(fd)
    assert not (looker / "gone").exists()


def test_moves_between_ways(mounted):
    """A rename from one view of a run into another is a rename within the run."""
    one = mounted.path / "by-status" / "verified" / "run-1"
    other = mounted.path / "by-framework" / "chatdev" / "run-1"
    os.rename(one / "workspace" / "src" / "a", other / "workspace" / "a")
    assert (mounted.source / "chatdev" / "run-1" / "workspace" / "a").read_text() == "a" * 5000
    os.link(one / "workspace" / "a", other / "linked")
    os.rename(mounted.runs / "chatdev" / "run-1" / "workspace" / "src", one / "sources")
    assert sorted(os.listdir(other / "sources")) == ["b", "c"]
    subprocess.run(["mv", other / "sources", mounted.runs / "ghspec" / "run-2"], check=True)
    assert sorted(os.listdir(mounted.path / "by-status" / "failed" / "run-2" / "sources")) == ["b", "c"]
    assert_same_tree(mounted.source, mounted.runs)
    assert_views_pass_through(mounted)


def test_renames_of_runs_and_frameworks(mounted):
    os.rename(mounted.runs / "chatdev" / "run-1", mounted.runs / "ghspec" / "run-9")
    assert sorted(os.listdir(mounted.path / "by-framework" / "ghspec")) == ["run-2", "run-9"]
    assert os.listdir(mounted.path / "by-status" / "verified") == ["run-9"]
    assert_agree_now(mounted)
    os.rename(mounted.runs / "ghspec", mounted.runs / "newname")
    assert sorted(os.listdir(mounted.path / "by-framework" / "newname")) == ["run-2", "run-9"]
    assert_agree_now(mounted)
    # A run that stops being one, and is one again.
    os.rename(mounted.runs / "newname" / "run-9" / "metrics.json", mounted.runs / "newname" / "run-9" / "kept.json")
    assert os.listdir(mounted.path / "by-framework" / "newname") == ["run-2"]
    os.rename(mounted.runs / "newname" / "run-9" / "kept.json", mounted.runs / "newname" / "run-9" / "metadata.json")
    assert_agree_now(mounted)
    # Out of the depth at which runs stand, and back.
    os.rename(mounted.runs / "newname" / "run-2", mounted.runs / "newname" / "run-9" / "inner")
    assert os.listdir(mounted.path / "by-framework" / "newname") == ["run-9"]
    os.rename(mounted.runs / "newname" / "run-9" / "inner", mounted.runs / "newname" / "run-2")
    assert_agree_now(mounted)
    assert_views_pass_through(mounted)
    assert_agree(mounted)


def test_tools_see_the_source(mounted, tmp_path):
    assert_agree(mounted)
    find = ["find", ".", "-printf", "%p %y %s %i %n %m %T@\n"]
    results = [subprocess.run(find, cwd=top, capture_output=True, check=True).stdout for top in (mounted.runs, mounted.source)]
    assert sorted(results[0].splitlines()) == sorted(results[1].splitlines()) or _manifest_alone(*results)
    (tmp_path / "copy").mkdir()
    subprocess.run(f"tar -C '{mounted.runs}' -c . | tar -C '{tmp_path}/copy' -x", shell=True, check=True)
    subprocess.run(["diff", "-r", "--no-dereference", mounted.source, tmp_path / "copy"], check=True)
    if shutil.which("rsync"):
        compare = ["rsync", "-aHnci", "--delete", "--exclude=/runs_manifest.json", f"{mounted.source}/", f"{mounted.runs}/"]
        assert subprocess.run(compare, capture_output=True, check=True, text=True).stdout == ""
    for view in ("by-status/verified/run-1", "by-framework/chatdev/run-1"):
        subprocess.run(["diff", "-r", "--no-dereference", mounted.source / "chatdev" / "run-1", mounted.path / view], check=True)


def _manifest_alone(one, other):
    """The manifest is served from memory: its inode number may be its own, nothing else may differ."""
    differing = set(one.splitlines()) ^ set(other.splitlines())
    return all(line.startswith(b"./runs_manifest.json ") or line.startswith(b". ") for line in differing)


@pytest.mark.parametrize("where", ["through", "beside"])
def test_run_files_that_are_one_file(mount, source, where):
    """A metrics.json with two names, in two runs: written by one name, both runs change."""
    write_run(source, "chatdev", "one", status="verified")
    (source / "chatdev" / "two").mkdir()
    os.link(source / "chatdev" / "one" / "metrics.json", source / "chatdev" / "two" / "metrics.json")
    mounted = mount(source)
    assert sorted(os.listdir(mounted.path / "by-status" / "verified")) == ["one", "two"]
    root = mounted.runs if where == "through" else source
    change_status(root / "chatdev" / "two", "failed", "in_place")
    if where == "through":
        assert sorted(os.listdir(mounted.path / "by-status" / "failed")) == ["one", "two"]
    assert_agree(mounted)
