"""Files that are open: the kernel tells of no open and no close, and yet whoever has one open goes on as on any filesystem.

Here: files that lose their names. Each test that takes `both` also holds for a plain directory.
"""

import errno
import mmap
import os
import resource
import shutil
import stat
import subprocess

import pytest

import mounting
from helpers import descriptors, error_of, make_beside, poll, replace, two_places, write_run
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate

PAGE = mmap.PAGESIZE
SMALL, LARGE = 5000, 3_000_001
MANY = 1000 if mounting.LONG else 120


@pytest.fixture
def few(mount, source):
    """The same, of a mount with few descriptors; `.evict()` has it use all it may for other files."""
    write_run(source, "chatdev", "run")
    (source / "large").mkdir()
    for number in range(150):
        (source / "large" / str(number)).write_bytes(bytes(200_000))
    mounted = mount(source, "fds=160")

    def evict():
        for number in range(150):
            (mounted.runs / "large" / str(number)).read_bytes()

    run = two_places(mounted, "run")
    run.evict = evict
    return run


LOSSES = {
    "unlink": lambda run: os.unlink(run.here / "directory/file"),
    "unlink_there": lambda run: os.unlink(run.there / "directory/file"),
    "rename_over": lambda run: replace(run.here / "directory/file", b"new"),
    "rename_over_there": lambda run: replace(run.there / "directory/file", b"new"),
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
    content = make_beside(both, size=size)
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
    content = make_beside(both, size=size)
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
    content = make_beside(both)
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
    content = make_beside(both, size=size)
    with open(both.here / "directory/file", "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0, flags=flags)
    with mapped:
        lose(both)
        assert mapped[-100:] == content[-100:]
        mapped[1000:1005] = b"WRITE"
        mapped.flush()
        assert mapped[:] == content[:1000] + b"WRITE" + content[1005:]


def test_a_nameless_mapping_is_written_back(both, opened):
    content = make_beside(both, size=LARGE)
    fd = opened(both.here / "directory/file")
    with mmap.mmap(fd, 0) as mapped:
        os.unlink(both.there / "directory/file")
        mapped[PAGE : PAGE + 5] = b"WRITE"
        mapped.flush()
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(fd, LARGE, 0) == content[:PAGE] + b"WRITE" + content[PAGE + 5 :]


def test_a_file_only_pointed_at(both, opened):
    content = make_beside(both)
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


def removed(remove, path):
    """Was it removed? If not, for want of descriptors, the name still leads to it."""
    inode = path.stat().st_ino
    try:
        remove(path)
    except OSError as error:
        assert error.errno == errno.ENFILE and path.stat().st_ino == inode
        return False
    return True


@pytest.mark.long
@pytest.mark.parametrize("remove", [os.unlink, lambda path: replace(path, b"")], ids=["unlink", "rename_over"])
def test_many_open_files_are_removed(few, remove):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, MANY + 500)), hard))
    paths = [few.here / "directory" / str(number) for number in range(MANY)]
    contents = [make_beside(few, f"directory/{number}", 100) for number in range(MANY)]
    with descriptors() as opened:
        fds = [opened(path) for path in paths]
        left = [path for path in paths if not removed(remove, path)]
        assert len(left) < MANY - 20
        for fd, content in zip(fds, contents):
            assert os.pread(fd, 200, 0) == content
            os.pwrite(fd, b"written", 50)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for path in left:
        assert path.read_bytes()[50:57] == b"written"
        assert poll(lambda path=path: removed(os.unlink, path))
    content = make_beside(few)
    with descriptors() as opened:
        fd = opened(few.here / "directory/file")
        assert poll(lambda: removed(remove, few.here / "directory/file"))
        assert os.pread(fd, 9000, 0) == content


@pytest.mark.parametrize("remove", [("first",), ("second",), ("first", "second"), ("second", "first")], ids="+".join)
def test_a_hard_link_removed_and_many_other_files_read(few, opened, remove):
    content = make_beside(few, "first")
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
    content = make_beside(few, size=LARGE)
    fd = opened(few.here / "directory/file")
    os.read(fd, 10)
    os.unlink(few.here / "directory/file")
    few.evict()
    assert os.pread(fd, LARGE, 0) == content


# ---- links ----


def test_hard_links(both, opened):
    content = make_beside(both, "first")
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


def test_a_hard_link_that_could_not_be_removed(both, opened):
    content = make_beside(both, "directory/second")
    os.link(both.source / "directory/second", both.source / "first")
    assert (both.here / "directory/second").exists()
    fd = opened(both.here / "first")
    if subprocess.run(["chattr", "+i", both.source / "directory"], capture_output=True, check=False).returncode:
        pytest.skip("no chattr here")
    try:
        os.unlink(both.here / "first")
        assert error_of(os.unlink, both.here / "directory/second") == errno.EPERM
        assert os.pread(fd, SMALL, 0) == content
        os.pwrite(fd, b"written", 0)
    finally:
        subprocess.run(["chattr", "-i", both.source / "directory"], check=True)
    assert (both.source / "directory/second").read_bytes()[:7] == b"written"


def test_a_hard_link_removed_beside(both, opened):
    content = make_beside(both, "first")
    os.link(both.source / "first", both.source / "second")
    fd = opened(both.here / "first")
    assert (both.here / "second").stat().st_nlink == 2
    os.unlink(both.source / "second")
    assert os.pread(fd, SMALL, 0) == content
    os.pwrite(fd, b"written", 0)
    assert os.fstat(fd).st_nlink == 1


def test_a_tree_of_hard_links_is_removed_while_some_are_open(both, opened):
    contents = [make_beside(both, f"tree/{number}", 100) for number in range(500)]
    subprocess.run(["cp", "-al", both.here / "tree", both.there / "links"], check=True)
    fds = {number: opened(both.here / ("tree", "links")[number % 2] / str(number)) for number in range(0, 500, 25)}
    for name in ("links", "tree"):
        subprocess.run(["rm", "-r", both.there / name], check=True)
        for number, fd in fds.items():
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(fd, 200, 0) == contents[number]
            os.pwrite(fd, contents[number][:10], 0)
    assert not (both.here / "tree").exists() and not (both.here / "links").exists()
