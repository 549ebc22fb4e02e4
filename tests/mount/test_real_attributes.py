"""runs/ is the source: attributes, times, modes, locks. Each test also holds for a plain directory (RUNSFS_NATIVE=1)."""

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time

import pytest

from syscalls import UTIME_NOW, UTIME_OMIT, utimensat


@pytest.fixture(params=["file", "directory"])
def thing(request, real):
    if request.param == "file":
        (real.runs / "thing").touch()
    else:
        (real.runs / "thing").mkdir()
    return real.runs / "thing", real.source / "thing"


def test_extended_attributes(thing):
    through, beside = thing
    os.setxattr(through, "user.one", b"first")
    os.setxattr(through, "user.empty", b"")
    os.setxattr(through, "user.binary", bytes(range(256)))
    assert os.getxattr(beside, "user.one") == b"first"
    assert sorted(os.listxattr(through)) == sorted(os.listxattr(beside))
    assert os.getxattr(through, "user.binary") == bytes(range(256))
    assert os.getxattr(through, "user.empty") == b""
    with pytest.raises(OSError) as caught:
        os.setxattr(through, "user.one", b"x", os.XATTR_CREATE)
    assert caught.value.errno == errno.EEXIST
    with pytest.raises(OSError) as caught:
        os.setxattr(through, "user.absent", b"x", os.XATTR_REPLACE)
    assert caught.value.errno == errno.ENODATA
    os.removexattr(through, "user.one")
    for path in thing:
        with pytest.raises(OSError) as caught:
            os.getxattr(path, "user.one")
        assert caught.value.errno == errno.ENODATA


def acl_of(path):
    command = ["getfacl", "-cpn", path]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@pytest.mark.skipif(not shutil.which("setfacl"), reason="needs the acl tools")
def test_access_control_lists(thing):
    through, beside = thing
    subprocess.run(["setfacl", "-m", "u:12345:rwx,g:54321:r,m::rx", through], check=True)
    assert "user:12345:rwx" in acl_of(through)
    assert acl_of(through) == acl_of(beside)
    assert os.stat(through).st_mode == os.stat(beside).st_mode
    os.chmod(through, 0o700)
    assert acl_of(through) == acl_of(beside)
    subprocess.run(["setfacl", "-b", through], check=True)
    assert acl_of(through) == acl_of(beside)
    assert "12345" not in acl_of(through)


@pytest.mark.skipif(not shutil.which("setfacl"), reason="needs the acl tools")
def test_default_access_control_lists_are_inherited(real):
    for top in (real.runs, real.source):
        directory = top / f"in-{'runs' if top is real.runs else 'source'}"
        directory.mkdir()
        subprocess.run(["setfacl", "-d", "-m", "u:12345:rwx,o::-", directory], check=True)
        old = os.umask(0o077)
        try:
            (directory / "file").touch(0o666)
            (directory / "inner").mkdir(0o777)
        finally:
            os.umask(old)
    for name in ("", "file", "inner"):
        assert acl_of(real.runs / "in-runs" / name) == acl_of(real.source / "in-source" / name)


LOCK_CHILD = """
import errno, fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
try:
    if sys.argv[2] == "flock":
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, int(sys.argv[3]))
    print("got it")
except OSError as error:
    print("refused" if error.errno in (errno.EAGAIN, errno.EACCES) else error)
"""


def try_lock(path, kind, offset=0):
    command = [sys.executable, "-c", LOCK_CHILD, path, kind, str(offset)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def test_flock_between_processes(real):
    with open(real.runs / "file", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert try_lock(real.runs / "file", "flock") == "refused"
        fcntl.flock(file, fcntl.LOCK_UN)
        assert try_lock(real.runs / "file", "flock") == "got it"
        fcntl.flock(file, fcntl.LOCK_SH)
    assert try_lock(real.runs / "file", "flock") == "got it"


def test_posix_locks_between_processes(real):
    with open(real.runs / "file", "w", encoding="ascii") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 0)
        assert try_lock(real.runs / "file", "posix", 5) == "refused"
        assert try_lock(real.runs / "file", "posix", 10) == "got it"
        fcntl.lockf(file, fcntl.LOCK_UN, 10, 0)
        assert try_lock(real.runs / "file", "posix", 5) == "got it"
        fcntl.lockf(file, fcntl.LOCK_EX)
    assert try_lock(real.runs / "file", "posix") == "got it"


def test_a_waiting_lock_is_granted(real):
    code = "import fcntl, sys; f = open(sys.argv[1], 'r+'); print('up', flush=True); fcntl.flock(f, fcntl.LOCK_EX); print('locked')"
    with open(real.runs / "file", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with subprocess.Popen([sys.executable, "-c", code, real.runs / "file"], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "up\n"
            time.sleep(0.05)
            fcntl.flock(file, fcntl.LOCK_UN)
            assert child.communicate(timeout=20)[0] == "locked\n"


def test_statvfs(real):
    through, beside = os.statvfs(real.runs), os.statvfs(real.source)
    for field in ("f_bsize", "f_frsize", "f_blocks", "f_files", "f_namemax"):
        assert getattr(through, field) == getattr(beside, field), field
    assert through.f_bfree > 0


def test_times_have_nanoseconds(thing):
    through, beside = thing
    os.utime(through, ns=(1_000_000_000_123_456_789, 1_500_000_000_987_654_321))
    for path in thing:
        info = os.stat(path)
        assert (info.st_atime_ns, info.st_mtime_ns) == (1_000_000_000_123_456_789, 1_500_000_000_987_654_321)
    assert os.stat(through).st_ctime_ns == os.stat(beside).st_ctime_ns


def test_times_omitted_and_now(thing):
    through, beside = thing
    os.utime(through, ns=(10**18 + 1, 10**18 + 2))
    utimensat(through, (0, UTIME_OMIT), (1234, 5678))
    assert (os.stat(beside).st_atime_ns, os.stat(beside).st_mtime_ns) == (10**18 + 1, 1234 * 10**9 + 5678)
    utimensat(through, (4321, 8765), (0, UTIME_OMIT))
    assert (os.stat(through).st_atime_ns, os.stat(through).st_mtime_ns) == (4321 * 10**9 + 8765, 1234 * 10**9 + 5678)
    utimensat(through, (0, UTIME_NOW), (0, UTIME_OMIT))
    assert abs(os.stat(through).st_atime - time.time()) < 60
    assert os.stat(through).st_mtime_ns == os.stat(beside).st_mtime_ns == 1234 * 10**9 + 5678


def test_times_of_a_symlink(real):
    os.symlink("missing", real.runs / "link")
    os.utime(real.runs / "link", ns=(5, 7), follow_symlinks=False)
    assert os.lstat(real.source / "link").st_mtime_ns == os.lstat(real.runs / "link").st_mtime_ns == 7


def test_times_move_with_changes(real):
    (real.runs / "file").write_text("x")
    os.utime(real.runs / "file", ns=(0, 0))
    os.utime(real.runs, ns=(0, 0))
    (real.runs / "file").write_text("y")
    (real.runs / "new").touch()
    for name in ("file", ""):
        through, beside = os.stat(real.runs / name), os.stat(real.source / name)
        assert through.st_mtime_ns == beside.st_mtime_ns > 0
        assert through.st_ctime_ns == beside.st_ctime_ns


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777, 0o6711, 0o000, 0o777])
def test_special_modes(thing, mode):
    through, beside = thing
    os.chmod(through, mode)
    assert stat.S_IMODE(os.stat(through).st_mode) == stat.S_IMODE(os.stat(beside).st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_ownership(thing):
    through, beside = thing
    os.chown(through, 12345, 54321)
    assert (os.stat(beside).st_uid, os.stat(beside).st_gid) == (12345, 54321)
    os.chown(through, -1, 999)
    assert (os.stat(through).st_uid, os.stat(through).st_gid) == (12345, 999)


def test_umask_is_applied_once(real):
    old = os.umask(0o027)
    try:
        os.close(os.open(real.runs / "file", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(real.runs / "directory", 0o777)
        os.mkfifo(real.runs / "fifo", 0o666)
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(os.stat(real.source / name).st_mode) for name in ("file", "directory", "fifo")]
    assert modes == [0o640, 0o750, 0o640]
