"""Files that are open: rights, ways of reading and writing, programs, locks.

Each test that takes `both` also holds for a plain directory.
"""

import errno
import fcntl
import mmap
import multiprocessing
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import types

import pytest

from helpers import error_of, make_beside
from users import as_user

PAGE = mmap.PAGESIZE
SMALL = 5000


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield types.SimpleNamespace(reading=reading, writing=writing)
    os.close(reading)
    os.close(writing)


# ---- rights and ways of opening ----


@pytest.mark.parametrize("mode", [0o444, 0o200, 0])
def test_a_file_is_written_that_nobody_may_open(both, opened, mode):
    fd = opened(both.here / "file", os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    os.write(fd, b"0123456789")
    os.ftruncate(fd, 8)
    os.fchmod(fd, 0)
    os.pwrite(fd, b"AB", 0)
    os.fsync(fd)
    assert os.pread(fd, 10, 0) == b"AB234567"
    assert stat.S_IMODE(os.stat(both.source / "file").st_mode) == 0
    os.chmod(both.source / "file", 0o600)
    assert (both.source / "file").read_bytes() == b"AB234567"


def work_without_rights(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        os.write(fd, b"0123456789")
        os.fchmod(fd, 0)
        os.ftruncate(fd, 8)
        os.pwrite(fd, b"AB", 0)
        os.unlink(path)
        os.pwrite(fd, b"CD", 4)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(fd, 10, 0)
    finally:
        os.close(fd)


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")
def test_a_user_works_on_in_a_file_that_forbids_it(mount, open_tmp):
    (open_tmp / "source").mkdir()
    os.chown(open_tmp / "source", 1000, 1000)
    runs = mount(open_tmp / "source", "allow_other", at=open_tmp / "mount").runs
    assert as_user(1000, 1000, [], work_without_rights, os.fspath(runs / "file")) == b"AB23CD67"


def test_truncation_by_an_open(both, opened):
    make_beside(both, "file")
    reader = opened(both.here / "file", os.O_RDONLY)
    assert len(os.pread(reader, SMALL, 0)) == SMALL
    writer = opened(both.there / "file", os.O_WRONLY | os.O_TRUNC)
    assert os.pread(reader, SMALL, 0) == b"" and os.fstat(reader).st_size == 0
    os.write(writer, b"new")
    assert os.pread(reader, SMALL, 0) == b"new" == (both.source / "file").read_bytes()
    assert error_of(os.open, both.there / "file", os.O_CREAT | os.O_EXCL) == errno.EEXIST


def win(path):
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return 0
    return 1


def test_of_many_who_create_one_wins(both):
    paths = [place / f"file{number}" for number in range(60) for place in (both.here, both.there) * 2]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        wins = pool.map(win, paths, chunksize=1)
    for number in range(60):
        assert sum(wins[4 * number : 4 * number + 4]) == 1


@pytest.mark.parametrize("flags", [os.O_SYNC, os.O_DSYNC, os.O_DIRECT], ids=["sync", "dsync", "direct"])
def test_writing_past_the_caches(both, opened, flags):
    content = make_beside(both, "file", 8 * PAGE)
    buffer = mmap.mmap(-1, 2 * PAGE)
    fd = opened(both.here / "file", os.O_RDWR | flags)
    assert os.preadv(fd, [buffer], PAGE) == 2 * PAGE and buffer[:] == content[PAGE : 3 * PAGE]
    os.unlink(both.there / "file")
    buffer[:] = os.urandom(2 * PAGE)
    assert os.pwritev(fd, [buffer], 4 * PAGE) == 2 * PAGE
    assert os.pread(opened(f"/proc/self/fd/{fd}", os.O_RDONLY), 9 * PAGE, 0) == (
        content[: 4 * PAGE] + buffer[:] + content[6 * PAGE :])


def test_bytes_moved_by_the_kernel(both, opened, pipe):
    content = make_beside(both, "file", 60_000)
    fd, target = opened(both.here / "file"), opened(both.there / "target", os.O_RDWR | os.O_CREAT)
    os.unlink(both.here / "file")
    moved = os.splice(fd, pipe.writing, 50_000, offset_src=0)
    assert os.splice(pipe.reading, target, moved, offset_dst=0) == moved > 0
    os.lseek(target, moved, os.SEEK_SET)
    assert os.sendfile(target, fd, moved, 60_000) == 60_000 - moved
    assert os.pread(target, 60_001, 0) == content == (both.source / "target").read_bytes()
    assert os.copy_file_range(fd, target, 60_000, 0, 0) == 60_000
    assert os.pread(target, 60_001, 0) == content == (both.source / "target").read_bytes()


def test_descriptors_share_an_offset(both, opened):
    content = make_beside(both, "file")
    fd = opened(both.here / "file", os.O_RDONLY)
    os.unlink(both.here / "file")
    other = os.dup(fd)
    assert os.read(other, 10) == content[:10]
    os.close(other)
    child = os.fork()
    if child == 0:
        os._exit(os.read(fd, 10) != content[10:20])
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(fd, 10) == content[20:30]


# ---- programs ----


@pytest.mark.parametrize("kind", ["script", "program"])
def test_what_was_just_written_runs(both, kind):
    content = b"#!/bin/sh\necho $1\n" if kind == "script" else pathlib.Path("/bin/echo").read_bytes()
    for number in range(10):
        path = both.here / f"{kind}{number % 3}"
        path.write_bytes(content)
        path.chmod(0o755)
        for place in (both.here, both.source, both.there):
            assert subprocess.run([place / path.name, "hello"], capture_output=True, check=True).stdout == b"hello\n"


@pytest.mark.parametrize("runs_at", ["here", "there", "source"])
def test_a_running_program_is_not_written(both, runs_at):
    shutil.copy("/bin/sleep", both.source / "program")
    with subprocess.Popen([getattr(both, runs_at) / "program", "60"]) as child:
        try:
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
                assert error_of(write_at, both.here / "program", flags) == errno.ETXTBSY
            assert error_of(os.truncate, both.here / "program", 0) == errno.ETXTBSY
            os.unlink(both.here / "program")
            assert child.poll() is None
        finally:
            child.send_signal(signal.SIGKILL)


def write_at(path, flags):
    """Of a program run beside the mount, only the write tells."""
    fd = os.open(path, flags)
    try:
        os.write(fd, b"x")
    finally:
        os.close(fd)


# ---- locks ----


def take(how, fd):
    if how == "flock":
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("how", ["flock", "fcntl"])
@pytest.mark.parametrize("end", ["close", "exit", "kill"])
def test_a_lock_ends_with_who_holds_it(both, opened, how, end):
    make_beside(both, "file")
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        fd = os.open(both.there / "file", os.O_RDWR)
        take(how, fd)
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        if end == "close":
            os.close(fd)
            os.write(ready[1], b"x")
            os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    fd = opened(both.here / "file")
    assert error_of(take, how, fd) == errno.EAGAIN
    if end == "kill":
        os.kill(child, signal.SIGKILL)
    else:
        os.write(go[1], b"x")
    if end == "close":
        os.read(ready[0], 1)
        take(how, fd)
        os.write(go[1], b"x")
    os.waitpid(child, 0)
    take(how, fd)
    for end_of_pipe in (*ready, *go):
        os.close(end_of_pipe)
