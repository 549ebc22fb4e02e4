"""tracked/: the tracked files alone, the same files, live; and what can't be done there."""

import errno
import os
import subprocess

import pytest

from helpers import assert_agree, change_status, poll, write_run

TRACKED = ["metrics.json", "metadata.json", "commit.txt", "README.md", "reconciliation_analysis.md"]


@pytest.fixture
def mounted(mount, source):
    for framework, run in (("chatdev", "run-1"), ("chatdev", "run-2"), ("ghspec", "run-3")):
        directory = write_run(source, framework, run)
        for name in TRACKED[1:] + ["run.log", "run.tar.gz", "checkpoint.bin", "notes.txt", ".hidden.md", "metrics.json.bak"]:
            with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                file.write("{}" if name.endswith(".json") else name)
        for name in ("workspace/deep", "artifacts", "odd.md", ".git"):
            os.makedirs(os.path.join(directory, name))
            with open(os.path.join(directory, name, "metrics.json"), "w", encoding="ascii") as file:
                file.write("{}")
    (source / "chatdev" / "aborted" / "workspace").mkdir(parents=True)
    (source / "chatdev" / "stray.md").write_text("stray")
    (source / "empty").mkdir()
    (source / "notes.md").write_text("notes")
    (source / ".gitignore").write_text("*\n")
    os.mkfifo(source / "chatdev" / "run-1" / "fifo.md")
    os.symlink("README.md", source / "chatdev" / "run-1" / "link.md")
    result = mount(source)
    assert_agree(result)
    return result


def files_below(top):
    found = subprocess.run(["find", top, "-not", "-type", "d", "-printf", "%P\n"], capture_output=True, check=True, text=True)
    return sorted(found.stdout.split())


def expected(*more):
    names = [f"{run}/{name}" for run in ("chatdev/run-1", "chatdev/run-2", "ghspec/run-3") for name in TRACKED]
    return sorted([*names, "chatdev/run-1/link.md", "runs_manifest.json", ".gitignore", *more])


def test_what_is_shown(mounted):
    top = mounted.path / "tracked"
    assert "tracked" in os.listdir(mounted.path)
    for _ in range(2):
        assert files_below(top) == expected()
        assert sorted(os.listdir(top)) == sorted(["chatdev", "ghspec", "runs_manifest.json", ".gitignore"])
        assert sorted(os.listdir(top / "chatdev")) == ["aborted", "run-1", "run-2"]
        assert os.listdir(top / "chatdev" / "aborted") == []
    for name in ("empty", "notes.md", "chatdev/aborted/workspace", "chatdev/stray.md", "chatdev/run-1/workspace", "chatdev/run-1/notes.txt",
                 "chatdev/run-1/odd.md", "chatdev/run-1/.hidden.md", "chatdev/run-1/fifo.md", "chatdev/run-1/.git"):
        assert not os.path.lexists(top / name), name


def test_they_are_the_same_files(mounted):
    top = mounted.path / "tracked"
    for name in expected():
        assert os.lstat(top / name).st_ino == os.lstat(mounted.runs / name).st_ino, name
    assert os.stat(top / "chatdev" / "run-1").st_ino == os.stat(mounted.source / "chatdev" / "run-1").st_ino
    assert (top / "runs_manifest.json").read_bytes() == (mounted.runs / "runs_manifest.json").read_bytes()
    subprocess.run(["cp", "-r", top, mounted.path.with_name("copy")], check=True)
    assert files_below(mounted.path.with_name("copy")) == expected()


@pytest.mark.parametrize("place", ["runs", "source", "tracked"])
def test_it_is_live(mounted, place):
    top = mounted.path / "tracked"
    other = mounted.path / "tracked" if place == "tracked" else getattr(mounted, place)

    def seen(condition):
        assert condition() if place != "source" else poll(condition)

    assert files_below(top) == expected()
    (other / "chatdev" / "run-2" / "more.md").write_text("more")
    seen(lambda: files_below(top) == expected("chatdev/run-2/more.md"))
    os.rename(other / "chatdev" / "run-2" / "more.md", other / "chatdev" / "run-2" / "other.md")
    seen(lambda: files_below(top) == expected("chatdev/run-2/other.md"))
    os.unlink(other / "chatdev" / "run-2" / "other.md")
    seen(lambda: files_below(top) == expected())
    change_status(other / "chatdev" / "run-2", "else", "in_place")
    assert "else" in os.listdir(mounted.path / "by-status") or poll(lambda: "else" in os.listdir(mounted.path / "by-status"))
    assert_agree(mounted)


@pytest.mark.parametrize("place", ["runs", "source"])
def test_runs_come_and_go(mounted, place):
    top, other = mounted.path / "tracked", getattr(mounted, place)

    def seen(condition):
        assert condition() if place == "runs" else poll(condition)

    assert files_below(top) == expected()
    write_run(other, "chatdev", "aborted")  # it is one now
    write_run(other, "empty", "first")
    seen(lambda: files_below(top) == expected("chatdev/aborted/metrics.json", "empty/first/metrics.json"))
    os.unlink(other / "chatdev" / "aborted" / "metrics.json")
    subprocess.run(["rm", "-r", other / "empty" / "first"], check=True)
    seen(lambda: files_below(top) == expected() and not (top / "empty").exists())
    (other / "chatdev" / "aborted" / "why.md").write_text("no room")  # Git takes it as well
    seen(lambda: files_below(top) == expected("chatdev/aborted/why.md"))


def test_writing(mounted):
    run = mounted.path / "tracked" / "chatdev" / "run-1"
    (run / "README.md").write_text("changed\n")
    assert (mounted.source / "chatdev" / "run-1" / "README.md").read_text() == "changed\n"
    (run / "new.md").write_text("new\n")
    os.replace(run / "new.md", run / "commit.txt")
    assert (mounted.source / "chatdev" / "run-1" / "commit.txt").read_text() == "new\n"
    os.symlink("commit.txt", run / "pointer.md")
    os.link(run / "commit.txt", run / "hard.md")
    assert os.stat(mounted.source / "chatdev" / "run-1" / "hard.md").st_nlink == 2
    os.unlink(run / "hard.md")
    os.chmod(run, 0o750)
    assert os.stat(mounted.source / "chatdev" / "run-1").st_mode & 0o777 == 0o750


def test_what_is_refused(mounted):
    top = mounted.path / "tracked"
    run = top / "chatdev" / "run-1"
    outside = mounted.runs / "chatdev" / "run-1"
    for change in (lambda: (run / "x.txt").touch(), lambda: (run / "x.md").mkdir(), lambda: os.rename(run / "README.md", run / "x.txt"),
                   lambda: os.rename(run / "README.md", outside / "x.txt" if False else run / "x.bin"),
                   lambda: os.symlink("x", run / "x"), lambda: os.link(run / "README.md", run / "x"),
                   lambda: os.mkdir(top / "new"), lambda: os.mkdir(top / "chatdev" / "new"), lambda: os.rmdir(top / "chatdev" / "run-2"),
                   lambda: os.mkfifo(run / "x.md"), lambda: (top / "x.md").touch(), lambda: os.rename(top / "chatdev" / "run-1", top / "chatdev" / "x"),
                   lambda: os.chmod(top / "chatdev", 0o700), lambda: os.unlink(run / "notes.txt")):
        with pytest.raises(OSError) as caught:
            change()
        assert caught.value.errno in (errno.EPERM, errno.ENOENT), caught.value
    assert files_below(top) == expected()


def test_a_run_with_very_many_artifacts(mount, source):
    directory = write_run(source, "big", "run")
    for number in range(20000):
        open(os.path.join(directory, f"artifact-{number}"), "wb").close()
    mounted = mount(source)
    for _ in range(2):
        assert os.listdir(mounted.path / "tracked" / "big" / "run") == ["metrics.json"]
