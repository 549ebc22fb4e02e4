"""Mounted by root with allow_other, each caller sees and does exactly what the source lets it do there.

What is asserted is what the source itself does: every case runs once beside the mount and once through it.
"""

import os
import shutil
import stat
import subprocess

import pytest

import mounting
from helpers import assert_agree, poll, write_run
from users import as_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ALICE, BOB = (12001, 12001, []), (12002, 12002, [])
TEAM = 12100
REFUSED = ("EACCES", "ENOENT", "EPERM")


@pytest.fixture
def mounted(mount, open_tmp):
    (open_tmp / "source").mkdir(mode=0o755)
    return mount(open_tmp / "source", "allow_other", at=open_tmp / "mount")


@pytest.fixture
def both(mounted):
    """Two like directories, one used in the source, one through the mount."""

    def make(mode=0o755, uid=0, gid=0):
        pair = []
        for top, name in ((mounted.source, "beside"), (mounted.runs, "through")):
            (top / name).mkdir()
            os.chown(top / name, uid, gid)
            os.chmod(top / name, mode)
            pair.append(top / name)
        return pair

    return make


def outcomes(pair, user, function, *arguments, **keywords):
    """How it went beside and through; both must be one."""
    beside, through = (as_user(*user, function, path, *arguments, **keywords) for path in pair)
    assert through == beside
    return through


def create(directory, name, mode=0o666):
    os.close(os.open(directory / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    info = os.stat(directory / name)
    return info.st_uid, info.st_gid, stat.filemode(info.st_mode)


def make_directory(directory, name):
    os.mkdir(directory / name)
    info = os.stat(directory / name)
    return info.st_uid, info.st_gid, stat.filemode(info.st_mode)


def make_others(directory):
    os.mkfifo(directory / "fifo")
    os.symlink("x", directory / "link")
    return [(os.lstat(directory / name).st_uid, os.lstat(directory / name).st_gid) for name in ("fifo", "link")]


def write(directory, name, text="text"):
    with open(directory / name, "r+", encoding="ascii") as file:
        return file.write(text)


def read(directory, name):
    return (directory / name).read_text()


def remove(directory, name):
    os.unlink(directory / name)
    return "removed"


def test_what_is_created_belongs_to_the_caller(both):
    pair = both(mode=0o777)
    assert outcomes(pair, ALICE, create, "file") == (12001, 12001, "-rw-r--r--")
    assert outcomes(pair, BOB, make_directory, "directory") == (12002, 12002, "drwxr-xr-x")
    assert outcomes(pair, BOB, make_others) == [(12002, 12002)] * 2


def test_set_group_directories_pass_their_group_on(both):
    pair = both(mode=0o2777, gid=TEAM)
    assert outcomes(pair, ALICE, create, "file") == (12001, TEAM, "-rw-r--r--")
    assert outcomes(pair, ALICE, make_directory, "directory") == (12001, TEAM, "drwxr-sr-x")


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o137])
def test_umask(both, umask):
    pair = both(mode=0o777)
    assert outcomes(pair, ALICE, create, "file", umask=umask)[2] == stat.filemode(stat.S_IFREG | (0o666 & ~umask))


@pytest.mark.skipif(not shutil.which("setfacl"), reason="needs the acl tools")
def test_default_acls_overrule_the_umask(both):
    pair = both(mode=0o777)
    for path in pair:
        subprocess.run(["setfacl", "-d", "-m", f"u::rwx,g::rwx,o::-,u:{BOB[0]}:rw", path], check=True)
    assert outcomes(pair, ALICE, create, "file", umask=0o077)[2] == "-rw-rw----"
    assert outcomes(pair, BOB, write, "file") == 4
    assert outcomes(pair, (12003, 12003, []), read, "file") == "EACCES"


def test_denied_where_the_source_denies(both):
    pair = both(mode=0o755)
    for path in pair:
        (path / "secret").write_text("secret")
        (path / "secret").chmod(0o600)
        (path / "shown").write_text("shown")
    assert outcomes(pair, ALICE, create, "file") == "EACCES"
    assert outcomes(pair, ALICE, read, "secret") == "EACCES"
    assert outcomes(pair, ALICE, read, "shown") == "shown"
    assert outcomes(pair, ALICE, write, "shown") == "EACCES"
    assert outcomes(pair, ALICE, remove, "shown") == "EACCES"
    assert outcomes(pair, ALICE, lambda path: os.chmod(path / "shown", 0o777)) == "EPERM"
    assert outcomes(pair, ALICE, lambda path: os.chown(path / "shown", 12001, -1)) == "EPERM"
    assert outcomes(pair, ALICE, lambda path: os.utime(path / "shown", ns=(1, 1))) == "EPERM"
    assert outcomes(pair, ALICE, lambda path: os.truncate(path / "shown", 0)) == "EACCES"


def test_a_right_taken_away_is_gone_at_once(both):
    pair = both(mode=0o755, uid=ALICE[0])
    outcomes(pair, ALICE, create, "file")
    assert outcomes(pair, BOB, read, "file") == ""
    outcomes(pair, ALICE, lambda path: os.chmod(path / "file", 0o600))
    assert outcomes(pair, BOB, read, "file") == "EACCES"
    outcomes(pair, ALICE, lambda path: os.chmod(path, 0o700))
    assert outcomes(pair, BOB, lambda path: os.stat(path / "file").st_size) == "EACCES"
    assert outcomes(pair, BOB, os.listdir) == "EACCES"


def test_supplementary_groups_of_the_process_count(both):
    pair = both(mode=0o770, gid=TEAM)
    assert outcomes(pair, ALICE, os.listdir) == "EACCES"
    member = (*ALICE[:2], [54321, TEAM])
    assert outcomes(pair, member, create, "file") == (12001, 12001, "-rw-r--r--")
    assert outcomes(pair, member, lambda path: os.chown(path / "file", -1, TEAM)) is None
    assert outcomes(pair, ALICE, read, "file") == "EACCES"
    outcomes(pair, member, lambda path: os.chmod(path / "file", 0o660))
    assert outcomes(pair, (*BOB[:2], [TEAM]), write, "file") == 4
    assert outcomes(pair, (*BOB[:2], list(range(20000, 20040)) + [TEAM]), read, "file") == "text"


def test_sticky_directories(both):
    pair = both(mode=0o1777)
    outcomes(pair, ALICE, create, "hers")
    assert outcomes(pair, BOB, remove, "hers") == "EPERM"
    assert outcomes(pair, BOB, lambda path: os.rename(path / "hers", path / "his")) == "EPERM"
    assert outcomes(pair, ALICE, remove, "hers") == "removed"


def test_a_write_by_another_drops_the_set_id_bits(both):
    pair = both(mode=0o777)
    outcomes(pair, ALICE, create, "file")
    for path in pair:
        os.chmod(path / "file", 0o6777)
    assert outcomes(pair, BOB, write, "file") == 4
    assert [stat.S_IMODE(os.stat(path / "file").st_mode) for path in pair] == [0o777] * 2
    for path in pair:
        os.chmod(path / "file", 0o6777)
    assert outcomes(pair, BOB, lambda path: os.truncate(path / "file", 0)) is None
    modes = [stat.S_IMODE(os.stat(path / "file").st_mode) for path in pair]
    assert modes[0] == modes[1]


def test_chgrp_drops_the_set_id_bits(both):
    pair = both(mode=0o777)
    outcomes(pair, ALICE, create, "file")
    outcomes(pair, ALICE, lambda path: os.chmod(path / "file", 0o6755))
    outcomes(pair, (*ALICE[:2], [TEAM]), lambda path: os.chown(path / "file", -1, TEAM))
    modes = [stat.S_IMODE(os.stat(path / "file").st_mode) for path in pair]
    assert modes[0] == modes[1] == 0o755


@pytest.fixture
def private(mounted):
    """A run in a framework directory that is its owner's alone, in both views."""
    run = write_run(mounted.source, "private", "run-1", status="hidden")
    for directory, _, names in os.walk(mounted.source / "private"):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            os.chown(path, *ALICE[:2])
    os.chmod(mounted.source / "private", 0o700)
    assert_agree(mounted)
    assert os.path.isdir(run)
    return [mounted.path / "by-status" / "hidden" / "run-1", mounted.path / "by-framework" / "private" / "run-1"]


def test_no_way_around_a_closed_framework_through_a_view(mounted, private):
    # Root has looked at everything before: nothing of what the kernel remembers may let the stranger in.
    for way in private:
        assert (way / "metrics.json").read_bytes()
        os.listdir(way)
    for way in private:
        assert as_user(*BOB, read, way, "metrics.json") in REFUSED
        assert as_user(*BOB, os.listdir, way) in REFUSED
        assert as_user(*BOB, lambda path: os.stat(path / "metrics.json").st_size, way) in REFUSED
        assert as_user(*BOB, create, way, "new") in REFUSED
        assert as_user(*ALICE, lambda path: len(read(path, "metrics.json")), way) > 0
        assert as_user(*ALICE, create, way, f"mine-{way.parent.name}")[:2] == ALICE[:2]
    assert as_user(*BOB, read, mounted.runs / "private" / "run-1", "metrics.json") == "EACCES"


def test_a_framework_that_is_closed_later_is_closed_in_the_views(mounted, private):
    os.chmod(mounted.runs / "private", 0o755)
    for way in private:
        assert as_user(*BOB, lambda path: len(read(path, "metrics.json")), way) > 0
    os.chmod(mounted.runs / "private", 0o700)
    for way in private:
        assert as_user(*BOB, read, way, "metrics.json") in REFUSED
    os.chmod(mounted.source / "private", 0o755)
    for way in private:
        assert poll(lambda: not isinstance(as_user(*BOB, os.listdir, way), str))
    os.chmod(mounted.source / "private", 0o700)
    for way in private:
        assert poll(lambda: as_user(*BOB, read, way, "metrics.json") in REFUSED)


def test_the_manifest_and_derived_levels_are_open_to_all(mounted, private):
    assert as_user(*BOB, os.listdir, mounted.path / "by-status") == ["hidden"]
    assert "private/run-1" in as_user(*BOB, read, mounted.runs, "runs_manifest.json")
    assert as_user(*BOB, make_directory, mounted.path / "by-status", "x") in ("EPERM", "EACCES")
    assert as_user(*BOB, write, mounted.runs, "runs_manifest.json") == "EACCES"


def runs(*arguments):
    """(status, standard error) of the command; without an index cache, which would be root's."""
    environment = {**os.environ, "HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"}
    command = [os.fspath(part) for part in (mounting.RUNS, *arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
    return done.returncode, done.stderr


def owned_run(mounted, framework, name, owner):
    run = write_run(mounted.source, framework, name)
    for path in (mounted.source / framework, run, *(os.path.join(run, each) for each in os.listdir(run))):
        os.chown(path, *owner[:2])


@pytest.fixture
def command_for_all():
    if as_user(*BOB, os.access, mounting.RUNS, os.X_OK) is not True:
        pytest.skip("others can't execute what is tested")


def test_who_may_remove_a_run_need_not_write_the_manifest(mounted, private, command_for_all):
    """Through a mount, which writes it: neither he nor what he does not see is in its way."""
    owned_run(mounted, "chatdev", "mine", BOB)
    owned_run(mounted, "ghspec", "other", ALICE)
    assert_agree(mounted)
    assert as_user(*BOB, runs, "-C", mounted.path, "remove", "--yes", "mine") == (0, "")
    status, error = as_user(*BOB, runs, "-C", mounted.path, "remove", "--yes", "other")
    assert status == 2 and "other: Permission denied" in error
    assert not (mounted.source / "chatdev" / "mine").exists() and (mounted.source / "ghspec" / "other").exists()
    assert_agree(mounted)


def checked(source):
    command = [os.fspath(mounting.RUNS), "check", "-C", os.fspath(source)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout.splitlines()[:-1]


def test_what_keeps_the_manifest_from_being_written_is_named(mounted, private, command_for_all):
    """A framework that can't be listed: to write it would lose its runs, whoever may write the file. Of these
    runs nobody can say that there are none."""
    write_run(mounted.source, "chatdev", "run-2")
    assert_agree(mounted)
    os.chown(mounted.source, *BOB[:2])
    os.chown(mounted.source / "runs_manifest.json", *BOB[:2])
    before = (mounted.source / "runs_manifest.json").read_bytes()
    assert as_user(*BOB, checked, mounted.source) == ["private: can't be listed (Permission denied); its runs are not seen"]
    status, error = as_user(*BOB, runs, "-C", mounted.source, "rebuild")
    assert status == 2 and len(error.splitlines()) == 1
    assert f"{mounted.source}/private: can't be looked into" in error and "runs_manifest.json" in error
    assert (mounted.source / "runs_manifest.json").read_bytes() == before


def test_without_allow_other_nobody_else_gets_in(mount, open_tmp):
    (open_tmp / "own").mkdir(mode=0o755)
    mounted = mount(open_tmp / "own", at=open_tmp / "closed")
    assert as_user(*ALICE, os.listdir, mounted.path) == "EACCES"


def test_fanotify_is_roots(open_tmp):
    """It says so, in place of blaming the source."""
    (open_tmp / "own").mkdir()
    (open_tmp / "point").mkdir()
    for path in (open_tmp / "own", open_tmp / "point"):
        os.chown(path, *BOB[:2])
    if as_user(*BOB, os.access, mounting.RUNSFS, os.X_OK) is not True:
        pytest.skip("others can't execute what is tested")

    def start():
        command = [mounting.RUNSFS, "-f", "-o", "watch=fanotify,index_cache=none", open_tmp / "own", open_tmp / "point"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stderr

    status, error = as_user(*BOB, start)
    assert status == 1 and error == "runsfs: watch=fanotify: only root may have it; give watch=inotify, or auto\n"
