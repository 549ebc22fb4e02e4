"""runs/ is the source: what is in files. Each test also holds for a plain directory (RUNSFS_NATIVE=1)."""

import errno
import hashlib
import mmap
import os

import pytest

from helpers import poll
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE, fallocate

MEBIBYTE = 1 << 20


@pytest.fixture
def opened(real):
    fds = []

    def start(name="file", flags=os.O_RDWR | os.O_CREAT):
        fds.append(os.open(real.runs / name, flags, 0o644))
        return fds[-1]

    yield start
    for fd in fds:
        os.close(fd)


def beside(real, name="file"):
    return (real.source / name).read_bytes()


def test_truncate_both_ways(real, opened):
    fd = opened()
    os.write(fd, b"0123456789")
    os.truncate(real.runs / "file", 4)
    assert os.pread(fd, 100, 0) == b"0123"
    os.ftruncate(fd, 8)
    assert os.pread(fd, 100, 0) == beside(real) == b"0123\0\0\0\0"
    assert os.fstat(fd).st_size == 8


def test_open_with_truncation(real):
    (real.runs / "file").write_text("something long")
    with open(real.runs / "file", "w", encoding="ascii") as file:
        assert os.fstat(file.fileno()).st_size == 0
        assert beside(real) == b""
        file.write("short")
    assert (real.runs / "file").read_bytes() == beside(real) == b"short"
    fd = os.open(real.runs / "file", os.O_RDONLY | os.O_TRUNC)
    os.close(fd)
    assert beside(real) == b""


def test_appends_by_two_descriptors_do_not_overwrite(real, opened):
    first, second = (opened(flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(2))
    for number in range(50):
        os.write(first, f"first {number}\n".encode())
        os.write(second, f"second {number}\n".encode())
    lines = beside(real).decode().splitlines()
    assert lines == [f"{who} {number}" for number in range(50) for who in ("first", "second")]


def test_append_follows_what_was_appended_beside(real, opened):
    fd = opened(flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"mine ")
    with open(real.source / "file", "ab") as file:
        file.write(b"theirs ")
    poll(lambda: os.stat(real.runs / "file").st_size == 12)
    os.write(fd, b"mine")
    assert beside(real) == b"mine theirs mine"


def test_preallocation(real, opened):
    fd = opened()
    os.posix_fallocate(fd, 0, MEBIBYTE)
    assert os.fstat(fd).st_size == MEBIBYTE
    assert os.stat(real.source / "file").st_blocks * 512 >= MEBIBYTE
    fallocate(fd, FALLOC_KEEP_SIZE, MEBIBYTE, MEBIBYTE)
    assert os.stat(real.runs / "file").st_size == MEBIBYTE


@pytest.mark.parametrize("mode", [FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, FALLOC_ZERO_RANGE])
def test_a_punched_hole_reads_as_zeros(real, opened, mode):
    fd = opened()
    os.write(fd, b"x" * 65536)
    assert os.pread(fd, 65536, 0) == b"x" * 65536
    fallocate(fd, mode, 10000, 30000)
    wanted = b"x" * 10000 + bytes(30000) + b"x" * 25536
    assert os.pread(fd, 65536, 0) == wanted
    assert beside(real) == wanted


def test_copy_file_range(real, opened):
    content = os.urandom(300_000)
    (real.runs / "from").write_bytes(content)
    origin, target = opened("from", os.O_RDONLY), opened("to")
    copied = 0
    while copied < len(content):
        copied += os.copy_file_range(origin, target, len(content) - copied, copied, copied)
    assert (real.runs / "to").read_bytes() == beside(real, "to") == content
    assert os.copy_file_range(origin, target, 100, 10, len(content) + 4096) == 100
    assert os.fstat(target).st_size == len(content) + 4196
    assert beside(real, "to") == content + bytes(4096) + content[10:110]


def test_seek_data_and_hole(real, opened):
    fd = opened()
    os.pwrite(fd, b"x" * 4096, 0)
    os.pwrite(fd, b"y" * 4096, MEBIBYTE)
    os.fsync(fd)
    native = os.open(real.source / "file", os.O_RDONLY)
    for whence in (os.SEEK_DATA, os.SEEK_HOLE):
        for offset in (0, 100, 4096, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 4095):
            assert os.lseek(fd, offset, whence) == os.lseek(native, offset, whence)
    with pytest.raises(OSError) as caught:
        os.lseek(fd, 2 * MEBIBYTE, os.SEEK_DATA)
    assert caught.value.errno == errno.ENXIO
    os.close(native)


def test_direct_io(real, opened):
    block = 4096
    buffer = mmap.mmap(-1, 4 * block)
    buffer[:] = os.urandom(4 * block)
    fd = opened(flags=os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    assert os.pwritev(fd, [buffer], 0) == 4 * block
    assert beside(real) == buffer[:]
    back = mmap.mmap(-1, 4 * block)
    assert os.preadv(fd, [back], 0) == 4 * block
    assert back[:] == buffer[:]
    # Mixed with cached reads, in both directions.
    assert (real.runs / "file").read_bytes() == buffer[:]
    buffer[:] = os.urandom(4 * block)
    os.pwritev(fd, [buffer], 0)
    assert (real.runs / "file").read_bytes() == buffer[:]
    with open(real.runs / "file", "r+b") as cached:
        cached.write(b"cached")
    os.preadv(fd, [back], 0)
    assert back[:6] == b"cached"


def test_shared_mapping(real, opened):
    fd = opened()
    os.ftruncate(fd, 3 * mmap.PAGESIZE)
    with mmap.mmap(fd, 0) as mapped, mmap.mmap(fd, 0, prot=mmap.PROT_READ) as other:
        mapped[4000:4200] = b"m" * 200
        assert other[4000:4200] == b"m" * 200
        assert os.pread(fd, 200, 4000) == b"m" * 200
        os.pwrite(fd, b"w" * 100, 4050)
        assert mapped[4050:4150] == b"w" * 100
        mapped.flush()
        assert beside(real)[4000:4200] == b"m" * 50 + b"w" * 100 + b"m" * 50


def test_a_mapping_reaches_the_source_by_the_close(real):
    with open(real.runs / "file", "w+b") as file:
        file.truncate(10_000)
        with mmap.mmap(file.fileno(), 0) as mapped:
            mapped[9_000:9_005] = b"dirty"
    assert beside(real)[9_000:9_005] == b"dirty"
    assert len(beside(real)) == 10_000


def test_private_mapping(real, opened):
    fd = opened()
    os.write(fd, b"original" * 1000)
    with mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        mapped[:8] = b"scratch!"
        assert os.pread(fd, 8, 0) == b"original"
    assert beside(real)[:8] == b"original"


def test_fsync_of_files_and_directories(real, opened):
    fd = opened()
    os.write(fd, b"x")
    os.fsync(fd)
    os.fdatasync(fd)
    directory = opened(".", os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)


def test_sparse_file_over_4_gigabytes(real, opened):
    fd = opened()
    offset = 5 * (1 << 30) + 123
    os.pwrite(fd, b"far", offset)
    assert os.fstat(fd).st_size == offset + 3 == os.stat(real.source / "file").st_size
    assert os.stat(real.runs / "file").st_blocks == os.stat(real.source / "file").st_blocks
    assert os.pread(fd, 10, offset - 4) == bytes(4) + b"far"
    native = os.open(real.source / "file", os.O_RDONLY)
    assert os.pread(native, 3, offset) == b"far"
    os.close(native)
    os.ftruncate(fd, 1 << 33)
    assert os.stat(real.source / "file").st_size == 1 << 33


def test_large_transfers(real):
    content = os.urandom(9 * MEBIBYTE + 17)
    (real.runs / "file").write_bytes(content)
    wanted = hashlib.sha1(content).hexdigest()
    assert hashlib.sha1(beside(real)).hexdigest() == wanted
    assert hashlib.sha1((real.runs / "file").read_bytes()).hexdigest() == wanted


def test_reads_beyond_the_end(real, opened):
    fd = opened()
    os.write(fd, b"12345")
    assert os.pread(fd, 100, 3) == b"45"
    assert os.pread(fd, 100, 5) == b""
    assert os.pread(fd, 100, 1 << 40) == b""


def test_a_small_write_leaves_the_rest_alone(real, opened):
    """What was written beside a moment ago must not be undone by whole pages written back."""
    fd = opened()
    os.write(fd, b"a" * 4096)
    os.pread(fd, 4096, 0)
    with open(real.source / "file", "r+b") as file:
        file.seek(100)
        file.write(b"beside")
    os.pwrite(fd, b"through", 200)
    content = beside(real)
    assert content[100:106] == b"beside"
    assert content[200:207] == b"through"


def test_wrong_way_descriptors(real, opened):
    opened()
    reading, writing = opened(flags=os.O_RDONLY), opened(flags=os.O_WRONLY)
    for function, arguments in ((os.write, (reading, b"x")), (os.read, (writing, 1))):
        with pytest.raises(OSError) as caught:
            function(*arguments)
        assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError) as caught:
        os.open(real.runs, os.O_WRONLY)
    assert caught.value.errno == errno.EISDIR
