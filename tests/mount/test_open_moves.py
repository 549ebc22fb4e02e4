"""Files that are open while others move, replace, overwrite, cut and extend them, through the mount and beside it.

Each test also holds for a plain directory.
"""

import errno
import mmap
import os
import time

import pytest

import mounting
from helpers import make_beside, poll, read_bytes, replace, together, two_places, write_run

PAGE = mmap.PAGESIZE
SECONDS = 10 if mounting.LONG else 0.7
LARGE = 4 << 20


@pytest.fixture(params=["runs"] if mounting.NATIVE else ["runs", "view"])
def both(request, mount, source):
    write_run(source, "chatdev", "run")
    (source / "baes").mkdir()
    return two_places(mount(source), "run", request.param == "view")


# ---- moving ----


def swinging(one, other):
    """Each call renames what is at one of the two names to the other."""
    names = [one, other]

    def swing():
        os.rename(*names)
        names.reverse()

    return swing


MOVES = {
    "file": lambda run: swinging(run.here / "directory/file", run.here / "directory/moved"),
    "file_there": lambda run: swinging(run.there / "directory/file", run.there / "directory/moved"),
    "file_to_another_directory": lambda run: swinging(run.here / "directory/file", run.here / "moved"),
    "directory": lambda run: swinging(run.here / "directory", run.here / "moved"),
    "directory_there": lambda run: swinging(run.there / "directory", run.there / "moved"),
    "run": lambda run: swinging(run.mounted.runs / "chatdev/run", run.mounted.runs / "baes/run"),
}
MOVES_BESIDE = {
    "file_beside": lambda run: swinging(run.source / "directory/file", run.source / "directory/moved"),
    "file_to_another_directory_beside": lambda run: swinging(run.source / "directory/file", run.source / "moved"),
    "directory_beside": lambda run: swinging(run.source / "directory", run.source / "moved"),
    "run_beside": lambda run: swinging(run.mounted.source / "chatdev/run", run.mounted.source / "baes/run"),
}
moves = pytest.mark.parametrize("move", [*MOVES.values(), *MOVES_BESIDE.values()], ids=[*MOVES, *MOVES_BESIDE])


@moves
@pytest.mark.parametrize("size", [2 * PAGE, 64 * PAGE], ids=["small", "large"])
@pytest.mark.long
def test_an_open_file_is_moved_and_used_all_the_while(both, opened, move, size):
    content = make_beside(both, size=size)
    direct = opened(both.here / "directory/file", os.O_RDONLY | os.O_DIRECT)
    writer, other = (opened(both.here / "directory/file") for _ in range(2))
    buffer = mmap.mmap(-1, PAGE)
    swing = move(both)

    def swing_and_rest():
        swing()
        if move in MOVES_BESIDE.values():  # what moves faster than it is told of can't be followed
            time.sleep(0.001)

    def read_uncached():
        assert os.preadv(direct, [buffer], PAGE) == PAGE and buffer[:] == content[PAGE : 2 * PAGE]

    def write():
        os.pwrite(writer, content[:PAGE], 0)

    def look():
        os.utime(other)
        assert os.fstat(other).st_size == size

    def drop_and_read():
        os.posix_fadvise(other, 0, 0, os.POSIX_FADV_DONTNEED)
        got = os.pread(other, size, 0)
        assert got == content[: len(got)] and len(got) == size

    together(swing_and_rest, read_uncached, write, look, drop_and_read, seconds=SECONDS)


@moves
def test_an_open_file_is_used_at_once_after_it_was_moved(both, opened, move):
    (both.source / "directory").mkdir()
    (both.source / "directory/file").write_bytes(b"0" * 100)
    fd = opened(both.here / "directory/file")
    swing = move(both)
    for number in range(30):
        os.pwrite(fd, b"%03d" % number, 0)
        swing()
        info = os.fstat(fd)
        assert (info.st_size, info.st_nlink) == (100, 1)
        swing()
        os.pwrite(fd, b"%03d" % (number + 1), 3)
        swing()
        os.ftruncate(fd, 100)
        swing()
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(fd, 6, 0) == b"%03d%03d" % (number, number + 1)


def test_an_open_file_is_moved_beside_to_where_nobody_looked(both, opened):
    content = make_beside(both)
    fd = opened(both.here / "directory/file")
    assert os.pread(fd, 10, 0) == content[:10]
    (both.source / "fresh").mkdir()
    os.rename(both.source / "directory/file", both.source / "fresh/file")
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    # No watch tells of a directory that nobody has looked at: the file is lost until somebody looks there.
    try:
        assert os.pread(fd, 5000, 0) == content
    except OSError as error:
        assert error.errno == errno.ESTALE and not mounting.NATIVE
    os.stat(both.here / "fresh/file")
    assert os.pread(fd, 5000, 0) == content
    os.pwrite(fd, b"written", 0)
    assert (both.source / "fresh/file").read_bytes()[:7] == b"written"


def test_an_open_file_leaves_the_source_and_comes_back(both, opened, tmp_path):
    content = make_beside(both)
    fd = opened(both.here / "directory/file")
    os.rename(both.source / "directory", tmp_path / "outside")
    os.rename(tmp_path / "outside", both.source / "back")
    assert os.pread(fd, 5000, 0) == content
    os.pwrite(fd, b"written", 0)
    assert (both.source / "back/file").read_bytes()[:7] == b"written"


def test_a_name_shared_by_many_who_create_write_and_remove_it(both):
    def work(place):
        try:
            fd = os.open(place / "file", os.O_RDWR | os.O_CREAT, 0o644)
        except FileExistsError:
            return
        try:
            os.pwrite(fd, b"content", 0)
            assert os.fstat(fd).st_size == 7
            os.unlink(place / "file")
        except FileNotFoundError:
            pass
        finally:
            os.close(fd)

    together(*(lambda place=place: work(place) for place in (both.here, both.there) * 2), seconds=SECONDS)


# ---- replacing beside ----


def test_a_large_file_is_read_to_its_end_though_it_was_replaced_beside(both, opened):
    content = os.urandom(LARGE)
    (both.source / "file").write_bytes(content)
    fd = opened(both.here / "file", os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    begin = os.read(fd, 100_000)
    replace(both.source / "file", b"new")
    for place in (both.here, both.there):
        assert poll(lambda place=place: read_bytes(place / "file") == b"new")
    with open(fd, "rb", closefd=False) as file:
        assert begin + file.read() == content


def test_a_large_file_is_read_to_its_end_though_it_was_removed_beside(both, opened):
    content = make_beside(both, size=LARGE)
    fd = opened(both.here / "directory/file", os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    begin = os.read(fd, 100_000)
    os.unlink(both.source / "directory/file")
    assert poll(lambda: not (both.here / "directory/file").exists())
    with open(fd, "rb", closefd=False) as file:
        assert begin + file.read() == content


@pytest.mark.parametrize("size", [100, 100_000, LARGE])
@pytest.mark.parametrize("read_before", [0, 50])
def test_a_file_replaced_beside_is_never_a_mixture(both, opened, size, read_before):
    for number in range(5):
        path = both.source / f"file{number}"
        old, new = b"o" * size, b"n" * size
        path.write_bytes(old)
        fd = opened(both.here / path.name, os.O_RDONLY)
        got = os.pread(fd, read_before, 0)
        replace(path, new)
        try:
            got += os.pread(fd, size, read_before)
        except OSError as error:
            assert error.errno == errno.ESTALE and (not read_before or size < LARGE)
        assert got in (old[: len(got)], new[: len(got)])
        assert poll(lambda path=path: read_bytes(both.here / path.name) == new)


def test_what_is_written_in_place_beside_shows(both, opened):
    (both.source / "file").write_bytes(b"a" * LARGE)
    fd = opened(both.here / "file")
    with mmap.mmap(fd, 0) as mapped, open(both.source / "file", "r+b", buffering=0) as beside:
        assert mapped[:] == os.pread(fd, LARGE, 0)
        for number in range(20):
            beside.seek(number * 150_000)
            beside.write(b"b%02d" % number)
            place = number * 150_000
            assert poll(lambda place=place, number=number: mapped[place : place + 3] == b"b%02d" % number)
            assert os.pread(fd, 3, number * 150_000) == b"b%02d" % number
        beside.truncate(10)
        assert poll(lambda: os.fstat(fd).st_size == 10)
        assert os.pread(fd, 100, 0) == b"b00aaaaaaa"
        beside.truncate(20)
        assert poll(lambda: os.pread(fd, 100, 0) == b"b00aaaaaaa" + bytes(10))


def append_together(run, opened, sizes):
    """Three append to one file at once. Returns what it then holds, and how often each wrote."""
    (run.source / "file").touch()
    fds = [opened(place / "file", os.O_WRONLY | os.O_APPEND) for place in (run.here, run.there, run.source)]
    numbers = [0] * len(fds)

    def append(who):
        size = sizes[numbers[who] % len(sizes)]
        assert os.write(fds[who], b"abc"[who : who + 1] * size) == size
        numbers[who] += 1

    together(*(lambda who=who: append(who) for who in range(len(fds))), seconds=SECONDS)
    content = read_bytes(run.source / "file")
    assert poll(lambda: read_bytes(run.here / "file") == content)
    return content, numbers


def test_appends_at_once_lose_nothing(both, opened):
    sizes = [1, 7, 300, 5000, 2]
    content, numbers = append_together(both, opened, sizes)
    for who, number in enumerate(numbers):
        assert content.count(b"abc"[who]) == number // 5 * sum(sizes) + sum(sizes[: number % 5])


def test_appends_at_once_are_not_torn(both, opened):
    """A write that crosses a page may be two (the kernel's doing); one that does not is one."""
    content, numbers = append_together(both, opened, [64])
    records = [content[begin : begin + 64] for begin in range(0, len(content), 64)]
    assert [records.count(b"abc"[who : who + 1] * 64) for who in range(3)] == numbers


def test_an_append_right_after_one_beside_shows_where_it_is(both, opened):
    for number in range(40):
        name = f"file{number}"
        (both.here / name).write_bytes(b"begin ")
        fd = opened(both.here / name, os.O_RDWR | os.O_APPEND)
        assert os.pread(fd, 100, 0) == b"begin "
        with open(both.source / name, "ab", buffering=0) as beside:
            beside.write(b"beside ")
            os.write(fd, b"through ")
        assert read_bytes(both.source / name) == b"begin beside through "
        assert poll(lambda fd=fd: os.pread(fd, 100, 0) == b"begin beside through ", 1), os.pread(fd, 100, 0)
        assert os.fstat(fd).st_size == 21


