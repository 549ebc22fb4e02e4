"""The index cache: what was read once is not read again, and what is not what it was is. And the bar of who waits."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

import oracle
from helpers import assert_agree, assert_agree_now, change_status, is_in_view, metrics, padded, read_bytes, write_run
from mounting import RUNS, command_line, detach, fusermount, is_mounted

RUN_COUNT = 12
# A file must have been left alone for longer than a tick of the coarsest filesystem before it is remembered by its times.
TICK_SECONDS = 2.2


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """A cache home of the test's own; where the caches of runsfs are in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache-home"))
    return tmp_path / "cache-home" / "runsfs"


@pytest.fixture
def filled(source, caches):
    for number in range(RUN_COUNT):
        write_run(source, ("chatdev", "ghspec")[number % 2], f"run-{number}", ("verified", "failed")[number % 3 == 0])
    time.sleep(TICK_SECONDS)
    return source


def counts(mounted):
    """(runs, read, from the cache) as the log says of the last start."""
    found = re.findall(r"(\d+) runs: (\d+) read, (\d+) from the index cache", mounted.log())
    return tuple(map(int, found[-1]))


def remember(mount, source):
    """Mounts and unmounts once, after which there is a cache of everything."""
    mounted = mount(source, "log=info")
    assert_agree(mounted)
    mounted.unmount()
    return mounted


def again(mounted):
    mounted.start()
    found = counts(mounted)
    assert_agree(mounted)
    mounted.unmount()
    return found


def test_an_unchanged_source_is_not_read_again(mount, filled, caches):
    mounted = remember(mount, filled)
    assert counts(mounted) == (RUN_COUNT, RUN_COUNT, 0)
    assert again(mounted) == (RUN_COUNT, 0, RUN_COUNT)
    assert len(os.listdir(caches)) == 1
    assert os.stat(caches).st_mode & 0o777 == 0o700
    assert os.stat(caches / os.listdir(caches)[0]).st_mode & 0o777 == 0o600


def same_size_same_mtime(path):
    before = os.stat(path)
    change_status(path.parent, "VERIFIED", "in_place")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def another_inode(path):
    before = os.stat(path)
    change_status(path.parent, "VERIFIED", "rename")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def another_size(path):
    path.write_bytes(padded(metrics("VERIFIED")) + b" ")


def another_mtime(path):
    os.utime(path)


def one_file_more(path):
    (path.parent / "metadata.json").write_text("{}")


def one_file_less(path):
    path.unlink()


def permissions(path):
    path.chmod(0o600)


def another_in_its_place(path):
    run = path.parent
    run.rename(run.parent / "t")
    shutil.copytree(run.parent / "t", run)
    shutil.rmtree(run.parent / "t")


@pytest.mark.parametrize("change", [same_size_same_mtime, another_inode, another_size, another_mtime, one_file_more, one_file_less, permissions, another_in_its_place])
def test_a_run_that_is_not_what_it_was_is_read(mount, filled, change):
    mounted = remember(mount, filled)
    change(filled / "chatdev" / "run-0" / "metrics.json")
    runs, read, cached = again(mounted)
    assert cached == RUN_COUNT - 1
    assert read == runs - cached


def test_changes_while_mounted_are_remembered_and_those_between_are_seen(mount, filled):
    mounted = mount(filled, "log=info")
    change_status(mounted.runs / "chatdev" / "run-2", "through", "in_place")
    change_status(filled / "chatdev" / "run-4", "beside", "rename")
    write_run(mounted.runs, "new", "run-new", "new")
    assert_agree(mounted)
    time.sleep(TICK_SECONDS)
    mounted.unmount()
    assert again(mounted) == (RUN_COUNT + 1, 0, RUN_COUNT + 1)
    change_status(filled / "chatdev" / "run-6", "between", "in_place")
    mounted.start()
    assert_agree_now(mounted)
    assert is_in_view(mounted, "between", "run-6")


def test_what_has_just_changed_is_not_remembered(mount, filled):
    mounted = remember(mount, filled)
    mounted.start()
    change_status(filled / "chatdev" / "run-0", "VERIFIED", "in_place")
    assert_agree(mounted)
    mounted.unmount()
    assert again(mounted) == (RUN_COUNT, 1, RUN_COUNT - 1)


def test_what_cannot_be_read_is_tried_again(mount, filled):
    (filled / "ghspec" / "run-1" / "metrics.json").write_text('{"verification_status": ')
    time.sleep(TICK_SECONDS)
    mounted = mount(filled, "log=info")
    mounted.unmount()
    mounted.start()
    assert counts(mounted) == (RUN_COUNT, 1, RUN_COUNT - 1)
    assert mounted.log().count("ghspec/run-1/metrics.json") == 2


def damage_tail(path):
    path.write_bytes(path.read_bytes()[:-9])


def damage_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage_all(path):
    path.write_bytes(b"")


def damage_to_others(path):
    path.chmod(0o666)


def damage_to_a_fifo(path):
    path.unlink()
    os.mkfifo(path, 0o600)


def damage_to_a_directory(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [damage_tail, damage_byte, damage_all, damage_to_others, damage_to_a_fifo])
def test_a_damaged_cache_is_ignored_and_made_anew(mount, filled, caches, damage):
    mounted = remember(mount, filled)
    (cache,) = caches.iterdir()
    damage(cache)
    assert again(mounted) == (RUN_COUNT, RUN_COUNT, 0)
    assert again(mounted) == (RUN_COUNT, 0, RUN_COUNT)


def test_a_cache_that_cannot_be_written_is_no_failure(mount, filled, caches):
    mounted = remember(mount, filled)
    (cache,) = caches.iterdir()
    damage_to_a_directory(cache)
    for _ in range(2):
        assert again(mounted) == (RUN_COUNT, RUN_COUNT, 0)
    assert list(caches.iterdir()) == [cache]


def test_none_and_elsewhere(mount, filled, caches, tmp_path):
    mounted = mount(filled, "log=info", "index_cache=none")
    mounted.unmount()
    assert not caches.exists()
    mounted = mount(filled, "log=info", f"index_cache={tmp_path / 'elsewhere'}")
    mounted.unmount()
    assert again(mounted) == (RUN_COUNT, 0, RUN_COUNT)
    assert not caches.exists()


def test_never_in_the_source(mount, filled, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(filled / ".cache"))
    before = sorted(os.listdir(filled))
    mounted = remember(mount, filled)
    assert again(mounted) == (RUN_COUNT, RUN_COUNT, 0)
    assert sorted(os.listdir(filled)) == sorted({*before, "runs_manifest.json"})


def test_never_where_others_may_write(mount, filled, caches):
    caches.mkdir(parents=True)
    caches.chmod(0o777)
    mounted = remember(mount, filled)
    assert again(mounted) == (RUN_COUNT, RUN_COUNT, 0)
    assert os.listdir(caches) == []


def test_a_killed_mount_leaves_a_cache_that_may_be_believed(mount, filled):
    mounted = remember(mount, filled)
    mounted.start()
    change_status(mounted.runs / "chatdev" / "run-0", "changed", "in_place")
    mounted.kill()
    mounted.start()
    assert counts(mounted) == (RUN_COUNT, 1, RUN_COUNT - 1)
    assert_agree(mounted)


def traced(*options):
    """The beginning of a command line for strace, where it is there and may trace."""
    command = ["strace", "-f", "-qq", *map(os.fspath, options)]
    if not shutil.which("strace") or subprocess.run([*command, "-o", "/dev/null", "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace is not there, or may not trace")
    # The leak sanitizer is a tracer itself.
    return [shutil.which("env"), f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0", *command]


def opened_files(tmp_path, *arguments):
    """How many files of runs a `runs` command opens, and what it answers."""
    trace = tmp_path / "trace"
    command = [*traced("-e", "trace=openat", "-o", trace), RUNS, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return trace.read_text().count('"metrics.json"'), result


def test_the_command_reads_once_and_checks_everything(filled, tmp_path):
    opened, result = opened_files(tmp_path, "-C", filled, "list", "--json")
    assert opened == RUN_COUNT
    listed = json.loads(result.stdout)
    for command, expected in (("list", 0), ("check", RUN_COUNT), ("rebuild", RUN_COUNT), ("list", 0)):
        opened, _ = opened_files(tmp_path, "-C", filled, command)
        assert opened == expected, command
    change_status(filled / "chatdev" / "run-0", "changed", "rename")
    opened, result = opened_files(tmp_path, "-C", filled, "list", "--json")
    assert opened == 1
    assert json.loads(result.stdout) == oracle.expected_runs(filled) != listed


def test_the_command_and_a_mount_share_it(mount, filled, tmp_path):
    remember(mount, filled)
    opened, _ = opened_files(tmp_path, "-C", filled, "list")
    assert opened == 0


# ---- the progress bar ----


def watch_terminal(command, meanwhile=lambda: None, seconds=60):
    """Runs a command on a terminal of its own; its exit status and what the terminal got."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], [os.fspath(part) for part in command], os.environ | {"TERM": "xterm"})
    output, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        meanwhile()
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # its last user is gone
                piece = b""
            if not piece:
                break
            output += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode(errors="replace")


def slowed(command):
    """The command with every look at a file delayed, so that a scan of 100 takes some seconds. Ends with all that it started."""
    return [*traced("-o", "/dev/null", "-e", "trace=newfstatat", "-e", "inject=newfstatat:delay_enter=10000"), *command]


@pytest.fixture
def many(source, caches):
    for number in range(100):
        write_run(source, "chatdev", f"run-{number:03}")
    return source


def test_a_bar_for_who_waits(many):
    status, output = watch_terminal(slowed([RUNS, "-C", many, "list", "--paths"]))
    assert status == 0
    drawn = re.findall(r"\r\[([#.]+)\] +(\d+)% (\d+)/100 runs, \d+/s", output)
    assert drawn, output
    assert all(int(percent) == int(done) for _, percent, done in drawn)
    bar, _, rest = output.rpartition("\r\x1b[K")
    assert bar and "[" not in rest and len(rest.splitlines()) == 100


def test_a_bar_of_the_scan_and_one_of_du(many):
    status, output = watch_terminal(slowed([RUNS, "-C", many, "du"]))
    assert status == 0
    scan, du, rest = output.split("\r\x1b[K")
    for bar in (scan, du):
        assert re.search(r"\r\[([#.]+)\] +(\d+)% (\d+)/100 runs, \d+/s", bar)
    assert "[" not in rest and len(rest.splitlines()) == 102


def test_a_bar_of_the_mount_before_it_is_there(many, tmp_path):
    path = tmp_path / "mount"
    path.mkdir()
    try:
        status, output = watch_terminal(slowed(command_line(many, path, foreground=False)), lambda: is_mounted(path) and fusermount("-u", path))
    finally:
        detach(path)
    assert status == 0
    assert re.search(r"\d+/100 runs", output)


def test_no_bar_for_who_does_not(many):
    status, output = watch_terminal([RUNS, "-C", many, "list", "--paths"])
    assert (status, "[" in output, "\x1b" in output) == (0, False, False)
    result = subprocess.run(slowed([RUNS, "-C", many, "check"]), capture_output=True, text=True, check=False)
    assert "%" not in result.stderr and "\x1b" not in result.stderr


def test_the_manifest_is_the_same_with_and_without(mount, filled):
    """Also to the byte, its last_updated included: nothing is written where nothing differs."""
    remember(mount, filled)
    before = os.stat(filled / "runs_manifest.json"), read_bytes(filled / "runs_manifest.json")
    for options in ((), ("index_cache=none",)):
        mounted = mount(filled, *options)
        assert_agree_now(mounted)
        mounted.unmount()
        after = os.stat(filled / "runs_manifest.json"), read_bytes(filled / "runs_manifest.json")
        assert before[0].st_ino == after[0].st_ino and before[1] == after[1]
