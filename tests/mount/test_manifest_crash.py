"""The manifest while changes go on, and through the death of the daemon: always whole."""

import json
import mmap
import os
import random
import subprocess
import sys
import threading
import time

import pytest

import mounting
import oracle
from helpers import CHANGES, assert_agree, assert_no_leftovers, change_status, leftovers, read_bytes, write_run

ROUNDS = 60 if mounting.LONG else 6


def in_chunks(path, size):
    fd = os.open(path, os.O_RDONLY)
    try:
        content = b""
        while piece := os.read(fd, size):
            content += piece
        return content
    finally:
        os.close(fd)


def by_mapping(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        return bytes(mapped)


READERS = {
    "whole": read_bytes,
    "chunks": lambda path: in_chunks(path, 4096),
    "mmap": by_mapping,
    "cat": lambda path: subprocess.run(["cat", path], capture_output=True, check=True).stdout,
}


@pytest.mark.threads
@pytest.mark.parametrize("reader", READERS)
def test_reads_are_never_torn(mount, source, reader):
    for number in range(150):
        write_run(source, "chatdev", f"run-{number:03d}", start=f"2025-10-15T08:{number % 60:02d}:00Z")
    mounted = mount(source)
    path = mounted.runs / "runs_manifest.json"
    # The changes come from a process of their own, so that a reader in this one is never paused by them.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from helpers import change_status\n"
        "for number in range(100000):\n"
        "    change_status(f'{sys.argv[2]}/run-{number % 150:03d}', 'x' * (number % 97), 'in_place', tokens=(number, 3))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, os.path.dirname(__file__), mounted.runs / "chatdev"]) as changer:
        try:
            deadline = time.monotonic() + (20 if mounting.LONG else 1.5)
            seen = set()
            while time.monotonic() < deadline:
                content = READERS[reader](path)
                manifest = json.loads(content)
                assert len(manifest["runs"]) == manifest["total_runs"] == sum(manifest["frameworks"].values()) == 150
                seen.add(content)
            assert len(seen) > 3, "the manifest did not change while it was read"
            assert changer.poll() is None
        finally:
            changer.kill()
    assert_agree(mounted)


def change_until(stop, mounted, seed):
    chance = random.Random(seed)
    while not stop.is_set():
        run = mounted.runs / "chatdev" / f"run-{chance.randrange(40)}"
        try:
            # No mapping here: a page that a dead mount can't give is SIGBUS for the test itself.
            change_status(run, f"status-{chance.randrange(5)}", chance.choice(CHANGES[:3]), tokens=(chance.randrange(10**6), 1))
        except OSError:
            time.sleep(0.001)


@pytest.mark.long
def test_killed_at_any_moment(mount, source):
    for number in range(40):
        write_run(source, "chatdev", f"run-{number}")
    mounted = mount(source)
    assert_agree(mounted)
    chance = random.Random(7)
    for number in range(ROUNDS):
        stop = threading.Event()
        changer = threading.Thread(target=change_until, args=(stop, mounted, number))
        changer.start()
        time.sleep(chance.uniform(0, 0.6))
        mounted.kill()
        stop.set()
        changer.join()
        manifest = json.loads(read_bytes(source / "runs_manifest.json"))
        assert manifest["total_runs"] == len(manifest["runs"]) == 40
        # A run whose file the crash caught empty or cut keeps what the manifest said: make the files whole again first.
        for run in range(40):
            if oracle.read_object(source / "chatdev" / f"run-{run}" / "metrics.json") is None:
                write_run(source, "chatdev", f"run-{run}", "mended")
        mounted.start()
        assert_agree(mounted)
    assert_no_leftovers(source)


def test_a_temporary_file_left_by_a_killed_one_is_removed(mount, source):
    write_run(source, "chatdev", "run-1")
    (source / ".runs_manifest.json.0123456789abcdef.runsfs").write_text('{"version": "1.0", "ru')
    mounted = mount(source)
    assert_agree(mounted)
    assert leftovers(source) == []
    assert not (mounted.runs / ".runs_manifest.json.0123456789abcdef.runsfs").exists()


def test_a_stale_mount_is_replaced(mount, source):
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    assert_agree(mounted)
    mounted.kill()
    assert not mounting.answers(mounted.path)
    change_status(source / "chatdev" / "run-1", "meanwhile", "rename")
    mounted.start()
    assert_agree(mounted)
    assert mounting.mounts_at(mounted.path) == ["fuse.runsfs"]


def test_changes_made_while_it_was_down_are_seen(mount, source):
    for number in range(5):
        write_run(source, "chatdev", f"run-{number}")
    mounted = mount(source)
    assert_agree(mounted)
    mounted.unmount()
    change_status(source / "chatdev" / "run-0", "later", "in_place")
    os.rename(source / "chatdev" / "run-1", source / "chatdev" / "renamed")
    subprocess.run(["rm", "-r", source / "chatdev" / "run-2"], check=True)
    write_run(source, "ghspec", "run-9")
    mounted.start()
    assert_agree(mounted)
