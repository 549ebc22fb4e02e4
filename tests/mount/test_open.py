"""Files that are open: the kernel tells of no open and no close, and yet whoever has one open goes on as on any filesystem.

Here: files that lose their names, what descriptors can do, programs, locks and links. The files come into being beside the
mount, so that nothing of them is cached before a test reads it. Each test that takes `both` also holds for a plain directory.
"""

import contextlib
import errno
import fcntl
import mmap
import multiprocessing
import os
import pathlib
import re
import resource
import shutil
import signal
import stat
import subprocess
import types

import pytest

import mounting
from helpers import poll, write_run
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate
from users import as_user

PAGE = mmap.PAGESIZE
SMALL, LARGE = 5000, 3_000_001
MANY = 1000 if mounting.LONG else 150


@pytest.fixture(params=["runs"] if mounting.NATIVE else ["runs", "view"])
def both(request, shared_mount):
    """A fresh run: `.here` and `.there` are two places of it, `.source` is it beside the mount."""
    if not mounting.NATIVE:
        request.node.mounts = [shared_mount]
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:200]
    here = there = pathlib.Path(write_run(shared_mount.runs, "chatdev", name))
    if not mounting.NATIVE:
        there = shared_mount.path / "by-status" / "verified" / name
    if request.param == "view":
        here, there = there, here
    return types.SimpleNamespace(here=here, there=there, source=shared_mount.source / "chatdev" / name)


@pytest.fixture
def few(mount, source):
    """The same, of a mount with few descriptors; `.evict()` has it use all it may for other files."""
    write_run(source, "chatdev", "run")
    (source / "large").mkdir()
    for number in range(150):
        (source / "large" / str(number)).write_bytes(bytes(200_000))
    mounted = mount(source, "fds=160")
    runs = mounted.runs / "chatdev" / "run"

    def evict():
        for number in range(150):
            (mounted.runs / "large" / str(number)).read_bytes()

    return types.SimpleNamespace(here=runs, there=runs, source=source / "chatdev" / "run", evict=evict)


@pytest.fixture
def opened():
    with contextlib.ExitStack() as stack:

        def start(path, flags=os.O_RDWR, mode=0o644):
            fd = os.open(path, flags, mode)
            stack.callback(os.close, fd)
            return fd

        yield start


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield types.SimpleNamespace(reading=reading, writing=writing)
    os.close(reading)
    os.close(writing)


def made(run, name="directory/file", size=SMALL):
    """Makes a file beside the mount and returns its content."""
    content = os.urandom(size)
    path = run.source / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return content


def error_of(function, *arguments):
    with pytest.raises(OSError) as caught:
        function(*arguments)
    return caught.value.errno


def replace(path):
    path.with_name("new").write_bytes(b"new")
    os.replace(path.with_name("new"), path)


LOSSES = {
    "unlink": lambda run: os.unlink(run.here / "directory/file"),
    "unlink_there": lambda run: os.unlink(run.there / "directory/file"),
    "rename_over": lambda run: replace(run.here / "directory/file"),
    "rename_over_there": lambda run: replace(run.there / "directory/file"),
    "rmtree": lambda run: shutil.rmtree(run.here / "directory"),
    "rmtree_there": lambda run: shutil.rmtree(run.there),
}
loses = pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
sizes = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])


# ---- files without a name ----


@loses
@sizes
@pytest.mark.parametrize("read_before", [0, 10, LARGE], ids=["unread", "partly", "whole"])
def test_a_nameless_file_is_read_to_its_end(both, opened, lose, size, read_before):
    content = made(both, size=size)
    fd = opened(both.here / "directory/file", os.O_RDONLY)
    begin = os.read(fd, read_before)
    lose(both)
    info = os.fstat(fd)
    assert (info.st_nlink, info.st_size) == (0, size)
    with open(fd, "rb", closefd=False) as file:
        assert begin + file.read() == content
    again = opened(f"/proc/self/fd/{fd}", os.O_RDONLY)
    assert os.pread(again, size, 0) == content


@loses
@sizes
@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND], ids=["write", "both", "append"])
def test_a_nameless_file_is_written(both, opened, lose, size, flags):
    content = made(both, size=size)
    fd = opened(both.here / "directory/file", flags)
    lose(both)
    os.lseek(fd, 0, os.SEEK_END)
    os.write(fd, b"more")
    os.fsync(fd)
    assert os.fstat(fd).st_size == size + 4
    os.ftruncate(fd, size + 2)
    again = opened(f"/proc/self/fd/{fd}")
    assert os.pread(again, size + 10, 0) == content + b"mo"
    os.pwrite(again, b"BEGIN", 0)
    assert os.pread(again, 10, 0) == b"BEGIN" + content[5:10]


@loses
def test_what_else_a_nameless_file_can_do(both, opened, lose):
    content = made(both)
    fd = opened(both.here / "directory/file")
    lose(both)
    os.fchmod(fd, 0o640)
    os.utime(fd, ns=(5, 1_000_000_007))
    info = os.fstat(fd)
    assert (stat.S_IMODE(info.st_mode), info.st_mtime_ns) == (0o640, 1_000_000_007)
    os.setxattr(fd, "user.colour", b"red")
    assert os.getxattr(fd, "user.colour") == b"red" and "user.colour" in os.listxattr(fd)
    os.removexattr(fd, "user.colour")
    assert error_of(os.getxattr, fd, "user.colour") == errno.ENODATA
    os.posix_fallocate(fd, 0, 5 * PAGE)
    fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 2 * PAGE, PAGE)
    os.fdatasync(fd)
    os.ftruncate(fd, 2 * PAGE)
    os.ftruncate(fd, 50 * PAGE)
    assert (os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE)) == (0, 2 * PAGE)
    assert error_of(os.lseek, fd, 3 * PAGE, os.SEEK_DATA) == errno.ENXIO
    assert os.copy_file_range(fd, fd, 100, 0, 40 * PAGE) == 100
    assert os.pread(fd, 100, 40 * PAGE) == content[:100]


@loses
@sizes
@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE], ids=["shared", "private"])
def test_a_nameless_file_stays_mapped(both, lose, size, flags):
    content = made(both, size=size)
    with open(both.here / "directory/file", "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=flags)
    with mapped:
        lose(both)
        assert mapped[-100:] == content[-100:]
        mapped[1000:1005] = b"WRITE"
        mapped.flush()
        assert mapped[:] == content[:1000] + b"WRITE" + content[1005:]


def test_a_nameless_mapping_is_written_back(both, opened):
    content = made(both, size=LARGE)
    fd = opened(both.here / "directory/file")
    with mmap.mmap(fd, 0) as mapped:
        os.unlink(both.there / "directory/file")
        mapped[PAGE : PAGE + 5] = b"WRITE"
        mapped.flush()
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, LARGE, 0) == content[:PAGE] + b"WRITE" + content[PAGE + 5 :]


def test_a_file_only_pointed_at(both, opened):
    content = made(both)
    fd = opened(both.here / "directory/file", os.O_PATH)
    os.unlink(both.here / "directory/file")
    assert (os.fstat(fd).st_size, os.fstat(fd).st_nlink) == (SMALL, 0)
    assert os.pread(opened(f"/proc/self/fd/{fd}", os.O_RDONLY), SMALL, 0) == content
    assert error_of(os.read, fd, 1) == errno.EBADF


def test_a_name_used_again_is_another_file(both, opened):
    fds = []
    for number in range(30):
        fds.append(opened(both.here / "file", os.O_RDWR | os.O_CREAT | os.O_EXCL))
        os.write(fds[-1], f"number {number}".encode())
        os.unlink((both.here, both.there)[number % 2] / "file")
    for number, fd in enumerate(fds):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(fd, 100, 0) == f"number {number}".encode()


# ---- many at once ----


def removed(path):
    """Was it removed? If not, for want of descriptors, the name is still there."""
    try:
        os.unlink(path)
    except OSError as error:
        assert error.errno == errno.ENFILE and path.exists()
        return False
    assert not path.exists()
    return True


@pytest.mark.long
def test_many_open_files_are_removed(few, opened):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MANY + 500), hard))
    paths = [few.here / "directory" / str(number) for number in range(MANY)]
    contents = [made(few, f"directory/{number}", 100) for number in range(MANY)]
    with contextlib.ExitStack() as stack:
        fds = [opened_in(stack, path) for path in paths]
        left = [path for path in paths if not removed(path)]
        assert len(left) < MANY - 20
        for fd, content in zip(fds, contents):
            assert os.pread(fd, 200, 0) == content
            os.pwrite(fd, b"written", 50)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for path in left:
        assert path.read_bytes()[50:57] == b"written"
        assert poll(lambda path=path: removed(path))
    again = made(few)
    fd = opened(few.here / "directory/file")
    assert poll(lambda: removed(few.here / "directory/file"))
    assert os.pread(fd, SMALL, 0) == again


def opened_in(stack, path):
    fd = os.open(path, os.O_RDWR)
    stack.callback(os.close, fd)
    return fd


@pytest.mark.parametrize("remove", [("first",), ("second",), ("first", "second"), ("second", "first")], ids="+".join)
def test_a_hard_link_removed_and_many_other_files_read(few, opened, remove):
    content = made(few, "first")
    os.link(few.source / "first", few.source / "second")
    fd = opened(few.here / "first")
    assert (few.here / "second").exists()
    for name in remove:
        os.unlink(few.here / name)
    few.evict()
    assert os.pread(fd, SMALL, 0) == content
    os.pwrite(fd, b"written", 0)
    os.ftruncate(fd, 7)
    assert os.fstat(fd).st_nlink == 2 - len(remove)


def test_a_nameless_file_outlives_many_other_files_read(few, opened):
    content = made(few, size=LARGE)
    fd = opened(few.here / "directory/file")
    os.read(fd, 10)
    os.unlink(few.here / "directory/file")
    few.evict()
    assert os.pread(fd, LARGE, 0) == content


# ---- links ----


def test_hard_links(both, opened):
    content = made(both, "first")
    os.link(both.here / "first", both.there / "second")
    fd = opened(both.here / "first")
    os.unlink(both.here / "first")
    os.write(fd, b"begin")
    assert (both.there / "second").read_bytes() == b"begin" + content[5:] == (both.source / "second").read_bytes()
    assert os.fstat(fd).st_nlink == 1
    os.unlink(both.there / "second")
    os.write(fd, b"begin")
    assert os.pread(fd, 20, 0) == b"beginbegin" + content[10:20]
    assert os.fstat(fd).st_nlink == 0


def test_a_tree_of_hard_links_is_removed_while_some_are_open(both, opened):
    contents = [made(both, f"tree/{number}", 100) for number in range(500)]
    subprocess.run(["cp", "-al", both.here / "tree", both.there / "links"], check=True)
    fds = {number: opened(both.here / ("tree", "links")[number % 2] / str(number)) for number in range(0, 500, 25)}
    for name in ("links", "tree"):
        subprocess.run(["rm", "-r", both.there / name], check=True)
        for number, fd in fds.items():
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(fd, 200, 0) == contents[number]
            os.pwrite(fd, contents[number][:10], 0)
    assert not (both.here / "tree").exists() and not (both.here / "links").exists()


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
    made(both, "file")
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
    content = made(both, "file", 8 * PAGE)
    buffer = mmap.mmap(-1, 2 * PAGE)
    fd = opened(both.here / "file", os.O_RDWR | flags)
    assert os.preadv(fd, [buffer], PAGE) == 2 * PAGE and buffer[:] == content[PAGE : 3 * PAGE]
    os.unlink(both.there / "file")
    buffer[:] = os.urandom(2 * PAGE)
    assert os.pwritev(fd, [buffer], 4 * PAGE) == 2 * PAGE
    assert os.pread(opened(f"/proc/self/fd/{fd}", os.O_RDONLY), 9 * PAGE, 0) == (
        content[: 4 * PAGE] + buffer[:] + content[6 * PAGE :])


def test_bytes_moved_by_the_kernel(both, opened, pipe):
    content = made(both, "file", 60_000)
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
    content = made(both, "file")
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
    made(both, "file")
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
