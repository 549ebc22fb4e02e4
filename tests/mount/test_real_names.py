"""runs/ is the source: names, links, directories. Each test also holds for a plain directory (RUNSFS_NATIVE=1)."""

import errno
import os
import shutil
import stat
import subprocess

import pytest

import mounting
from helpers import assert_same_tree, poll, together
from syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2


def error_of(function, *arguments, **keywords):
    with pytest.raises(OSError) as caught:
        function(*arguments, **keywords)
    return caught.value.errno


def test_create_exclusive(real):
    path = real.runs / "file"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
    assert stat.S_IMODE(os.stat(real.source / "file").st_mode) == 0o640
    assert error_of(os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY) == errno.EEXIST
    assert error_of(os.open, real.runs / "missing", os.O_RDONLY) == errno.ENOENT
    assert error_of(os.open, path / "below", os.O_RDONLY) == errno.ENOTDIR


def test_create_with_no_permission_still_gives_a_writable_descriptor(real):
    fd = os.open(real.runs / "file", os.O_CREAT | os.O_RDWR, 0o000)
    assert os.write(fd, b"text") == 4
    assert os.pread(fd, 4, 0) == b"text"
    os.close(fd)
    assert (real.source / "file").stat().st_size == 4


def test_mknod_fifo_carries_data(real):
    path = real.runs / "fifo"
    os.mkfifo(path, 0o600)
    assert stat.S_ISFIFO(os.lstat(real.source / "fifo").st_mode)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    os.close(writer)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_mknod_device_and_socket(real):
    os.mknod(real.runs / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(real.runs / "socket", stat.S_IFSOCK | 0o600)
    for name in ("null", "socket"):
        through, beside = os.lstat(real.runs / name), os.lstat(real.source / name)
        assert (through.st_mode, through.st_rdev) == (beside.st_mode, beside.st_rdev)


def test_mkdir_and_rmdir(real):
    os.mkdir(real.runs / "directory", 0o750)
    assert stat.S_IMODE(os.stat(real.source / "directory").st_mode) == 0o750
    assert os.stat(real.runs).st_nlink == os.stat(real.source).st_nlink
    assert error_of(os.mkdir, real.runs / "directory") == errno.EEXIST
    (real.runs / "directory" / "file").touch()
    assert error_of(os.rmdir, real.runs / "directory") == errno.ENOTEMPTY
    assert error_of(os.unlink, real.runs / "directory") in (errno.EISDIR, errno.EPERM)
    os.unlink(real.runs / "directory" / "file")
    os.rmdir(real.runs / "directory")
    assert not (real.source / "directory").exists()
    assert os.stat(real.runs).st_nlink == os.stat(real.source).st_nlink


@pytest.mark.parametrize("removed_at", ["runs", "source"])
def test_a_directory_is_removed_while_it_is_listed(real, removed_at):
    """From there on it is empty, as a plain one, or known to be gone."""
    def remove():
        path = getattr(real, removed_at) / "directory"
        path.mkdir()
        (path / "file").touch()
        shutil.rmtree(path)

    def look():
        try:
            os.listdir(real.runs / "directory")
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.ESTALE), error

    together(remove, look, look, seconds=2)


@pytest.mark.parametrize("target", ["file", "missing", "/", "/nowhere/at/all", "../..", "a" * 4000, "new\nline"])
def test_symlinks_are_shown_as_they_are(real, target):
    os.symlink(target, real.runs / "made-through")
    os.symlink(target, real.source / "made-beside")
    for name in ("made-through", "made-beside"):
        assert poll(lambda: os.path.lexists(real.runs / name))
        assert os.readlink(real.runs / name) == os.readlink(real.source / name) == target
        assert os.lstat(real.runs / name).st_size == len(target)


def test_hard_links_are_one_file(real):
    (real.runs / "one").write_text("first")
    (real.runs / "directory").mkdir()
    os.link(real.runs / "one", real.runs / "directory" / "two")
    one, two = os.stat(real.runs / "one"), os.stat(real.runs / "directory" / "two")
    assert (one.st_nlink, one.st_ino) == (two.st_nlink, two.st_ino) == (2, os.stat(real.source / "one").st_ino)
    os.chmod(real.runs / "one", 0o600)
    assert stat.S_IMODE(os.stat(real.runs / "directory" / "two").st_mode) == 0o600
    with open(real.runs / "directory" / "two", "a", encoding="ascii") as file:
        file.write(" and second")
    assert (real.runs / "one").read_text() == "first and second"
    os.unlink(real.runs / "one")
    assert os.stat(real.runs / "directory" / "two").st_nlink == 1
    assert (real.runs / "directory" / "two").read_text() == "first and second"


def test_hard_link_of_a_symlink_and_of_a_directory(real):
    os.symlink("missing", real.runs / "link")
    os.link(real.runs / "link", real.runs / "other", follow_symlinks=False)
    assert os.readlink(real.runs / "other") == "missing"
    assert os.lstat(real.runs / "other").st_nlink == 2
    (real.runs / "directory").mkdir()
    assert error_of(os.link, real.runs / "directory", real.runs / "name") == errno.EPERM


def test_rename_keeps_the_inode(real):
    (real.runs / "old").write_text("text")
    (real.runs / "directory").mkdir()
    number = os.stat(real.runs / "old").st_ino
    os.rename(real.runs / "old", real.runs / "directory" / "new")
    assert not (real.runs / "old").exists()
    assert os.stat(real.runs / "directory" / "new").st_ino == number == os.stat(real.source / "directory" / "new").st_ino


def test_rename_noreplace(real):
    for name in ("one", "two"):
        (real.runs / name).write_text(name)
    assert error_of(renameat2, real.runs / "one", real.runs / "two", RENAME_NOREPLACE) == errno.EEXIST
    renameat2(real.runs / "one", real.runs / "three", RENAME_NOREPLACE)
    assert (real.source / "three").read_text() == "one"
    assert (real.runs / "two").read_text() == "two"


def test_rename_exchange(real):
    (real.runs / "file").write_text("file")
    (real.runs / "directory").mkdir()
    (real.runs / "directory" / "inner").write_text("inner")
    numbers = [os.stat(real.runs / name).st_ino for name in ("file", "directory")]
    renameat2(real.runs / "file", real.runs / "directory", RENAME_EXCHANGE)
    assert [os.stat(real.runs / name).st_ino for name in ("directory", "file")] == numbers
    assert (real.runs / "directory").read_text() == "file"
    assert (real.runs / "file" / "inner").read_text() == "inner"
    assert_same_tree(real.source, real.runs)


def test_rename_over_an_open_file(real):
    (real.runs / "target").write_text("old")
    (real.runs / "new").write_text("new")
    with open(real.runs / "target", "r+", encoding="ascii") as held:
        os.replace(real.runs / "new", real.runs / "target")
        assert held.read() == "old"
        assert os.fstat(held.fileno()).st_nlink == 0
        held.write(" and still written")
        held.flush()
        held.seek(0)
        assert held.read() == "old and still written"
    assert (real.runs / "target").read_text() == "new"


def test_rename_errors(real):
    (real.runs / "file").touch()
    (real.runs / "full" / "inner").mkdir(parents=True)
    (real.runs / "empty").mkdir()
    assert error_of(os.rename, real.runs / "missing", real.runs / "new") == errno.ENOENT
    assert error_of(os.rename, real.runs / "file", real.runs / "full") == errno.EISDIR
    assert error_of(os.rename, real.runs / "full", real.runs / "file") == errno.ENOTDIR
    assert error_of(os.rename, real.runs / "empty", real.runs / "full") == errno.ENOTEMPTY
    assert error_of(os.rename, real.runs / "full", real.runs / "full" / "inner" / "deeper") == errno.EINVAL
    os.rename(real.runs / "full", real.runs / "empty")
    assert (real.source / "empty" / "inner").is_dir()


def test_unlinked_open_file_lives_on(real):
    fd = os.open(real.runs / "file", os.O_CREAT | os.O_RDWR, 0o600)
    os.write(fd, b"some text")
    os.unlink(real.runs / "file")
    assert not (real.source / "file").exists()
    assert os.pread(fd, 100, 0) == b"some text"
    assert os.pwrite(fd, b"more", 5) == 4
    assert os.fstat(fd).st_nlink == 0
    os.ftruncate(fd, 7)
    assert os.fstat(fd).st_size == 7
    os.fchmod(fd, 0o640)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
    os.fsync(fd)
    assert os.pread(fd, 100, 0) == b"some mo"
    (real.runs / "file").write_text("another under the same name")
    assert os.pread(fd, 100, 0) == b"some mo"
    os.close(fd)


def test_names_of_255_bytes_and_256(real):
    for name in ("n" * 255, "ä" * 127 + "n"):
        (real.runs / name).write_text("long")
        assert (real.source / name).read_text() == "long"
        os.rename(real.runs / name, real.runs / "short")
        os.rename(real.runs / "short", real.runs / name)
    for operation in (os.mkdir, os.stat, os.mkfifo):
        assert error_of(operation, real.runs / ("n" * 256)) == errno.ENAMETOOLONG
    assert sorted(os.listdir(real.runs)) == sorted(os.listdir(real.source))


def test_any_byte_in_a_name(real):
    directory = os.fsencode(real.runs)
    names = [b"new\nline", b"\xff\xfe", b"%", b"%2F", b" ", b"-rf", b"\x01", b"back\\slash", b".hidden", "ünï".encode()]
    for name in names:
        with open(os.path.join(directory, name), "wb") as file:
            file.write(name)
    assert sorted(os.listdir(directory)) == sorted(names)
    assert_same_tree(real.source, real.runs)


def test_a_tree_deeper_than_any_path(real):
    opened = [os.open(real.runs, os.O_RDONLY)]
    for _ in range(120):
        os.mkdir("d" * 60, dir_fd=opened[-1])
        opened.append(os.open("d" * 60, os.O_RDONLY, dir_fd=opened[-1]))
    fd = os.open("file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=opened[-1])
    os.write(fd, b"deep")
    os.close(fd)
    found = subprocess.run(["find", ".", "-type", "f", "-printf", "%d\n"], cwd=real.runs, capture_output=True, check=True)
    assert found.stdout == b"121\n"
    for fd in opened:
        os.close(fd)
    subprocess.run(["rm", "-r", "d" * 60], cwd=real.runs, check=True)
    assert os.listdir(real.source) == []


def entries_of(path):
    with os.scandir(path) as entries:
        return [(entry.name, entry.inode()) for entry in entries]


@pytest.mark.long
def test_a_large_directory_is_listed_completely_once(real):
    count = 1_000_000 if mounting.LONG else 20_000
    for number in range(count):
        os.close(os.open(real.source / f"entry-{number:07d}", os.O_CREAT | os.O_WRONLY, 0o600))
    (real.runs / "last").touch()
    wanted = {f"entry-{number:07d}" for number in range(count)} | {"last"}
    found = entries_of(real.runs)
    assert len(found) == count + 1
    assert {name for name, _ in found} == wanted
    assert all(os.lstat(real.runs / name).st_ino == number for name, number in found[:: max(1, count // 2000)])

    # While every second entry goes, right after it was listed, the others are seen exactly once.
    seen = []
    with os.scandir(real.runs) as entries:
        for position, entry in enumerate(entries):
            seen.append(entry.name)
            if position % 2:
                os.unlink(entry.path)
    assert len(seen) == len(set(seen))
    assert set(os.listdir(real.runs)) <= set(seen)
    assert sorted(os.listdir(real.runs)) == sorted(os.listdir(real.source))
    subprocess.run(["rm", "-r", real.runs], check=True)
    assert not real.source.exists()


def test_seek_in_a_directory(real):
    for number in range(500):
        (real.source / f"entry-{number}").touch()
    fd = os.open(real.runs, os.O_RDONLY)
    first = os.listdir(fd)
    os.lseek(fd, 0, os.SEEK_SET)
    (real.runs / "another").touch()
    assert set(os.listdir(fd)) == {*first, "another"}
    os.close(fd)


def test_inode_numbers_are_the_sources(real):
    (real.runs / "directory" / "inner").mkdir(parents=True)
    (real.runs / "directory" / "file").touch()
    os.symlink("x", real.runs / "link")
    for name in ("", "directory", "directory/inner", "directory/file", "link"):
        assert os.lstat(real.runs / name).st_ino == os.lstat(real.source / name).st_ino
    assert sorted(entries_of(real.runs)) == sorted(entries_of(real.source))
