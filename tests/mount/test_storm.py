"""Storms of changes, through the mount and beside it at once: when they are over, mount and disk agree everywhere."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

import mounting
from helpers import assert_agree, assert_agree_everywhere, assert_same_tree, change_status, write_run
from storm import Storm
from test_beside import BACKENDS, options_of

OPERATIONS = 20_000 if mounting.LONG else 700


def look_at_views(mounted, stop):
    while not stop.is_set():
        subprocess.run(["find", mounted.path, "-type", "f", "-exec", "cat", "{}", "+"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def settle(mounted):
    """Files that the storm left half-written would keep entries that no oracle can know: makes all of them whole."""
    for framework in os.listdir(mounted.source):
        top = mounted.source / framework
        for run in os.listdir(top) if top.is_dir() else []:
            if os.path.lexists(top / run / "metrics.json"):
                change_status(top / run, "settled" if len(run) % 2 else "calm", "rename")
    assert_agree_everywhere(mounted, seconds=20)


@pytest.mark.threads
@pytest.mark.long
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tops", ["through", "beside", "both"])
def test_storm(mount, source, backend, tops):
    mounted = mount(source, *options_of(backend))
    for number in range(6):
        write_run(source, ("chatdev", "ghspec")[number % 2], f"run-{number}")
    places = {"through": [mounted.runs, mounted.runs], "beside": [source, source], "both": [mounted.runs, source]}[tops]
    storms = [threading.Thread(target=Storm(place, seed).blow, args=(OPERATIONS,)) for seed, place in enumerate(places)]
    stop = threading.Event()
    looker = threading.Thread(target=look_at_views, args=(mounted, stop))
    for thread in (*storms, looker):
        thread.start()
    for thread in storms:
        thread.join()
    stop.set()
    looker.join()
    settle(mounted)


def test_storm_through_views_alone(mount, source):
    mounted = mount(source)
    for framework in ("chatdev", "ghspec"):
        for number in range(6):
            write_run(source, framework, f"run-{number}", "verified")
    Storm(mounted.path / "by-framework", 3).blow(OPERATIONS)
    settle(mounted)


def events_until_overflow():
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        return int(file.read())


@pytest.mark.parametrize("backend", BACKENDS[:2])
def test_overflow_of_the_queue(mount, source, backend):
    """More events than the kernel queues, while the daemon does not run to read them."""
    limit = events_until_overflow()
    if limit > 100_000:
        pytest.skip(f"the queue holds {limit} events")
    for number in range(10):
        write_run(source, "chatdev", f"run-{number}")
    mounted = mount(source, *options_of(backend))
    assert_agree(mounted)
    assert_same_tree(mounted.source, mounted.runs)
    mounted.signal(signal.SIGSTOP)
    try:
        # Two names in turn: the kernel merges events that repeat the one before.
        command = "import os, sys\nfor n in range(int(sys.argv[2])):\n os.close(os.open(f'{sys.argv[1]}/{n % 2000}', os.O_CREAT | os.O_WRONLY))"
        subprocess.run([sys.executable, "-c", command, source / "chatdev", str(limit)], check=True)
        write_run(source, "later", "run-1", "unseen")
        change_status(source / "chatdev" / "run-1", "unseen", "in_place")
        shutil.rmtree(source / "chatdev" / "run-2")
        os.rename(source / "chatdev" / "run-3", source / "later" / "run-3")
        (source / "chatdev" / "run-4" / "new").write_text("new")
    finally:
        mounted.signal(signal.SIGCONT)
    assert_agree(mounted, seconds=20)
    assert_same_tree(mounted.source, mounted.runs, seconds=20)
    # The watches of what came meanwhile are in place.
    change_status(source / "later" / "run-3", "seen", "in_place")
    assert_agree(mounted)
