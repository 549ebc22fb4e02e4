"""at/ of a repository that means harm, or whose owner does: whatever stands there, the mount goes on, and in bounds."""

import errno
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from helpers import error_of, poll, read_bytes, write_run
from history import Repository, git
from users import as_user

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")


@pytest.fixture
def repository(tmp_path):
    repository = Repository.create(tmp_path / "repository")
    repository.commit_run("chatdev", "run-1")
    return repository


def outcome_of(function, *arguments):
    """0, or the error."""
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0


def open_packs(mounted):
    names = []
    for fd in os.scandir(f"/proc/{mounted.pid}/fd"):
        try:
            names.append(os.readlink(fd.path))
        except OSError:
            pass
    return sum(".pack" in name for name in names)


def memory_mb(mounted, what="VmRSS"):
    for line in pathlib.Path(f"/proc/{mounted.pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    raise AssertionError(what)


def loose(repository, kind, content):
    return repository.git("hash-object", "-w", "-t", kind, "--literally", "--stdin", given=content)


def tree_of(repository, entries):
    return loose(repository, "tree", b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(id)) for mode, name, id in entries))


def commit_of_tree(repository, source_tree):
    top = tree_of(repository, [(b"40000", b"runs", source_tree)])
    return repository.git("commit-tree", "-m", "made", top, at="2025-10-15T10:00:00Z")


# --- bounds ------------------------------------------------------------------------------------------------------------


def test_many_packs_take_few_descriptors(repository, mount):
    """Each pack that was read from stays open where nothing bounds it."""
    repository.git("config", "gc.auto", "0")
    for number in range(60):
        repository.commit_run("chatdev", f"run-{number}", tokens=(number, number), at=f"2025-10-16T10:{number // 60:02}:{number % 60:02}Z")
        repository.git("repack", "-q", "-d")
    assert len(list((repository.top / ".git" / "objects" / "pack").glob("*.pack"))) == 60
    mounted = mount(repository.source)
    for commit in repository.ids("HEAD"):
        assert os.listdir(mounted.path / "at" / commit / "where")
    assert 1 <= open_packs(mounted) <= 16


def test_packs_that_went_are_let_go(repository, mount):
    mounted = mount(repository.source)
    for number in range(40):
        repository.commit_run("chatdev", f"run-{number}")
        repository.git("repack", "-q", "-a", "-d")
        assert f"run-{number}" in os.listdir(mounted.path / "at" / "HEAD" / "where")
    assert 1 <= open_packs(mounted) <= 2


def test_a_tree_of_trees_without_end(repository, mount):
    """A handful of objects that say there are millions of runs."""
    blob = loose(repository, "blob", b"{}")
    run = tree_of(repository, [(b"100644", b"metrics.json", blob)])
    framework = tree_of(repository, [(b"40000", b"run-%05d" % number, run) for number in range(3000)])
    commit = commit_of_tree(repository, tree_of(repository, [(b"40000", b"framework-%05d" % number, framework) for number in range(3000)]))
    mounted = mount(repository.source)
    place = mounted.path / "at" / commit
    began = time.monotonic()
    assert error_of(os.listdir, place / "by-status") == errno.EFBIG
    assert time.monotonic() - began < 30
    assert len(os.listdir(place / "runs" / "framework-00000")) == 3000
    assert "runs" in mounted.log()
    assert os.listdir(mounted.path / "at" / "HEAD" / "where") == ["run-1"]


@pytest.mark.parametrize("pattern", ["(((((a{255}){255}){255}){255}){255})", "((a+){99}){99}{99}{99}{99}"])
def test_an_expression_that_eats_memory(repository, mount, pattern):
    mounted = mount(repository.source)
    assert (mounted.path / "at" / "HEAD").exists()
    before = memory_mb(mounted, "VmHWM")
    began = time.monotonic()
    for spelling in (f":%2F{pattern}", f"HEAD^{{%2F{pattern}}}"):
        assert error_of(os.stat, mounted.path / "at" / spelling) == errno.ENOENT
    assert time.monotonic() - began < 10
    assert memory_mb(mounted, "VmHWM") - before < 64


# --- objects that are not what they were -------------------------------------------------------------------------------


def test_a_pack_that_is_cut_off_while_it_is_read(repository, mount):
    """What is mapped and no longer in the file ends a process by SIGBUS, unless it knows better."""
    for number in range(40):
        write_run(repository.source, "chatdev", f"run-{number}")
        (repository.source / "chatdev" / f"run-{number}" / "notes.md").write_bytes(os.urandom(20000))
    repository.commit("many")
    repository.git("repack", "-q", "-a", "-d")
    pack, = (repository.top / ".git" / "objects" / "pack").glob("*.pack")
    mounted = mount(repository.source)
    place = mounted.path / "at" / "HEAD" / "runs" / "chatdev"
    assert len(os.listdir(place)) == 40
    assert read_bytes(place / "run-0" / "notes.md")
    pack.chmod(0o644)
    os.truncate(pack, 4096)
    outcomes = {outcome_of(read_bytes, place / f"run-{number}" / "notes.md") for number in range(40)}
    assert errno.EIO in outcomes
    assert os.listdir(mounted.runs / "chatdev")
    assert mounted.process.poll() is None


def test_an_index_that_is_cut_off_while_it_is_read(repository, mount):
    for number in range(300):
        write_run(repository.source, "chatdev", f"run-{number}")
        (repository.source / "chatdev" / f"run-{number}" / "notes.md").write_bytes(os.urandom(10))
    repository.commit("many")
    repository.git("repack", "-q", "-a", "-d")
    index, = (repository.top / ".git" / "objects" / "pack").glob("*.idx")
    mounted = mount(repository.source)
    place = mounted.path / "at" / "HEAD" / "runs" / "chatdev"
    assert read_bytes(place / "run-0" / "notes.md")
    index.chmod(0o644)
    os.truncate(index, 4096)
    for number in range(300):
        outcome_of(read_bytes, place / f"run-{number}" / "notes.md")
    assert os.listdir(mounted.runs / "chatdev")
    assert mounted.process.poll() is None


def test_a_name_whose_commit_is_missing(repository, mount):
    """It is there in Git, and can't be read: no ENOENT."""
    commit = repository.commit_run("chatdev", "run-2")
    repository.git("branch", "broken", commit)
    repository.git("reset", "-q", "--hard", "HEAD~1")
    path = repository.top / ".git" / "objects" / commit[:2] / commit[2:]
    path.unlink()
    mounted = mount(repository.source)
    assert error_of(os.stat, mounted.path / "at" / "broken") == errno.EIO
    assert error_of(os.stat, mounted.path / "at" / "broken~1") == errno.EIO
    assert poll(lambda: "at/broken" in mounted.log()), mounted.log()
    assert error_of(os.stat, mounted.path / "at" / commit) == errno.ENOENT
    assert error_of(os.stat, mounted.path / "at" / "HEAD~5") == errno.ENOENT


# --- names -------------------------------------------------------------------------------------------------------------


def test_what_is_listed_can_be_looked_up(repository, mount):
    for name in ("a" * 200 + "/" + "b" * 200, "é" * 90, "%2F", "x/y"):
        repository.git("branch", name)
    at = mount(repository.source).path / "at"
    names = os.listdir(at)
    for name in names:
        assert (at / name).is_dir(), name
    assert {"é" * 90, "%252F", "x%2Fy"} <= set(names)


def test_a_manifest_called_as_a_view(repository, mount):
    """A configuration of the past that calls the manifest as something else is called."""
    (repository.source / "runsfs.json").write_text('{"manifest": "by-status"}')
    repository.commit("odd")
    top = mount(repository.source).path / "at" / "HEAD"
    names = os.listdir(top)
    assert len(names) == len(set(names)), names


# --- rights ------------------------------------------------------------------------------------------------------------


@needs_root
def test_root_s_own_configuration_does_not_matter(open_tmp, mount, monkeypatch):
    repository = Repository.create(open_tmp / "repository")
    repository.commit_run("chatdev", "run-1")
    subprocess.run(["chown", "-R", "1234:1234", repository.top], check=True)
    home = open_tmp / "home"
    home.mkdir(mode=0o700)
    (home / ".gitconfig").write_text("[user]\n\tname = Root\n")
    monkeypatch.setenv("HOME", str(home))
    mounted = mount(repository.source, "allow_other", at=open_tmp / "mount")
    assert os.listdir(mounted.path / "at" / "HEAD" / "where") == ["run-1"], mounted.log()


@needs_root
def test_a_linked_working_tree_of_what_is_closed(open_tmp, mount):
    """The objects are where only their owner gets."""
    repository = Repository.create(open_tmp / "home" / "repository")
    repository.commit_run("chatdev", "run-1")
    repository.git("worktree", "add", "-q", "-b", "other", open_tmp / "linked")
    subprocess.run(["chown", "-R", "1234:1234", open_tmp / "home", open_tmp / "linked"], check=True)
    (open_tmp / "home").chmod(0o700)
    mounted = mount(open_tmp / "linked" / "runs", "allow_other", at=open_tmp / "mount")
    at = mounted.path / "at"
    assert as_user(1234, 1234, [], os.listdir, at / "HEAD" / "where") == ["run-1"]
    assert as_user(2345, 2345, [], os.listdir, at / "HEAD" / "where") == "EACCES"


# --- storm -------------------------------------------------------------------------------------------------------------

STORM_SECONDS = 4


def walk(at, until):
    """Looks at all there is, again and again; nothing but what is gone meanwhile may fail."""
    while time.monotonic() < until:
        for name in outcome_or([], os.listdir, at) + ["HEAD~1", "2025-10-16", "main@{0}"]:
            for top, _, files in os.walk(at / name):
                for file in files:
                    error = outcome_of(read_bytes, os.path.join(top, file))
                    if error not in (0, errno.ENOENT, errno.EIO, errno.ESTALE):
                        os._exit(error)
    os._exit(0)


def outcome_or(otherwise, function, *arguments):
    try:
        return function(*arguments)
    except OSError:
        return otherwise


def test_a_storm(repository, mount, tmp_path):
    """Walks, while branches move, objects are packed, and the repository is replaced by another one."""
    other = Repository.create(tmp_path / "other")
    for number in range(5):
        other.commit_run("ghspec", f"run-{number}")
        repository.commit_run("baes", f"run-{number}")
    mounted = mount(repository.source)
    at, until = mounted.path / "at", time.monotonic() + STORM_SECONDS
    everybody = [multiprocessing.Process(target=walk, args=(at, until)) for _ in range(4)]
    for one in everybody:
        one.start()
    number = 0
    while time.monotonic() < until:
        repository.commit_run("chatdev", f"run-{number % 7}", ("failed", "verified")[number % 2], (number, number))
        repository.git("branch", "-f", f"branch-{number % 3}", f"HEAD~{number % 4}")
        if number % 3 == 0:
            repository.git("repack", "-q", "-a", "-d")
        if number % 4 == 3:
            os.rename(repository.top / ".git", tmp_path / "aside")
            os.rename(other.top / ".git", repository.top / ".git")
            os.rename(tmp_path / "aside", other.top / ".git")
        number += 1
    for one in everybody:
        one.join()
        assert one.exitcode == 0, os.strerror(one.exitcode)
    repository.git("branch", "last", "HEAD")
    runs = repository.git("ls-tree", "--name-only", "HEAD:runs").split()
    assert poll(lambda: outcome_or(None, os.listdir, at / "last" / "runs") == runs, 5)
    assert mounted.process.poll() is None
