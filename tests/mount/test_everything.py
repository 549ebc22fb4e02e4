"""All that a mount can do, at the same time: readers of every kind, writers on both sides, commands, Git, another configuration.

Each of these has tests of its own; here is what only their meeting shows.
"""

import errno
import itertools
import json
import os
import pathlib
import random
import shutil

import pytest

from helpers import assert_agree, metrics, padded, read_bytes, replace, together, write_run
from mounting import LONG, runs_command
from repositories import assert_sound, fixture_git_alone, git, leftovers  # noqa: F401

FRAMEWORKS = ("chatdev", "baes", "ghspec")
STATUSES = ("verified", "failed", "pending", "odd/status", ".hidden")
RUN_COUNT = 60
VIEWS = ("runs", "by-status", "by-framework", "tracked", ".runsfs")
QUERIES = ("status=verified", "min_tokens=500000,sort=-tokens,limit=5", "framework=baes/status=failed", "contains_run_id=1", "missing=end_time", "status=none")
REVISIONS = ("HEAD", "HEAD~1", "HEAD~3", "main", "other", "mark", "2100-01-01", "HEAD@{1}", "nonsense", ":%2Fbeside")
CONFIGURATIONS = (b"{}", b"{", b"", b'{"views": {"by-tokens": "tokens"}}', b'{"exclude": ["chatdev/run-3"]}', b'{"layout": ["*/*", "*"]}')
COMMANDS = (["find", "status=verified"], ["list", "--json"], ["show", "run-1"], ["check"], ["check", "--fix"], ["du"], ["log"], ["progress", "--csv"],
            ["commit"], ["rebuild"], ["find", "min_tokens=5,sort=-tokens,limit=3", "--paths"])
GOES_AWAY = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
FILES_A_WALK = 200


def walk(top):
    """Reads what is below, up to a number of files. What goes away meanwhile is no failure; any other error is."""
    def complain(error):
        if error.errno not in GOES_AWAY:
            raise error

    found = ((directory, name) for directory, _, names in os.walk(top, onerror=complain) for name in names)
    for directory, name in itertools.islice(found, FILES_A_WALK):
        try:
            read_bytes(os.path.join(directory, name))
        except OSError as error:
            complain(error)


def change(runs):
    """One change of a run, of any kind."""
    def place():
        return os.path.join(runs, random.choice(FRAMEWORKS), f"run-{random.randrange(RUN_COUNT)}")

    kind, run = random.random(), place()
    try:
        if kind < 0.35:
            write_run(runs, *run.split("/")[-2:], random.choice(STATUSES), (random.randrange(10**6), 1))
        elif kind < 0.7:
            os.makedirs(run, exist_ok=True)
            replace(pathlib.Path(run, "metrics.json"), padded(metrics(random.choice(STATUSES), (random.randrange(10**6), 1))))
        elif kind < 0.8:
            shutil.rmtree(run, ignore_errors=True)
        elif kind < 0.9:
            os.rename(run, place())
        else:
            os.rename(os.path.join(run, "metrics.json"), os.path.join(run, "metrics.old"))
    except OSError as error:
        assert error.errno in GOES_AWAY | {errno.ENOTEMPTY, errno.EEXIST, errno.EINVAL}, error


@pytest.mark.threads
@pytest.mark.usefixtures("git_alone")
def test_all_at_once(mount, source):
    for number in range(RUN_COUNT):
        write_run(source, FRAMEWORKS[number % 3], f"run-{number}", STATUSES[number % 5])
    git(source, "init", "-q")
    assert runs_command("-C", source, "init").returncode == 0
    git(source, "add", "-A")
    git(source, "commit", "-qm", "base")
    git(source, "branch", "other")
    mounted = mount(source, "autocommit")

    def ask():
        where = random.choice([source, mounted.runs, mounted.path / "by-status"])
        result = runs_command("-C", where, *random.choice(COMMANDS))
        assert result.returncode in (0, 1, 2), result.stderr

    def beside_with_git():
        command = random.choice([("commit", "--allow-empty", "-qm", "beside"), ("gc", "-q"), ("tag", "-f", "mark"), ("add", "-A"),
                                 ("checkout", "-q", "-B", "main"), ("reset", "-q", "--soft", "HEAD~1"), ("branch", "-f", "other")])
        git(source, *command, check=False)  # who comes second to a lock is refused

    def ask_the_mount():
        json.loads(read_bytes(mounted.path / ".runsfs" / "find" / random.choice(QUERIES).replace("/", ",")))
        json.loads(read_bytes(mounted.path / ".runsfs" / "status.json"))

    def configure():
        replace(source / "runsfs.json", random.choice(CONFIGURATIONS))
        walk(mounted.path / "by-tokens")

    together(lambda: walk(mounted.path / random.choice(VIEWS)),
             lambda: walk(mounted.path / "where" / random.choice(QUERIES)),
             lambda: walk(mounted.path / "at" / random.choice(REVISIONS) / random.choice(["runs", "by-status", "where/status=failed", "."])),
             lambda: change(source), lambda: change(mounted.runs), ask, ask_the_mount, beside_with_git, configure, seconds=120 if LONG else 10)
    replace(source / "runsfs.json", b"{}")
    assert_agree(mounted)
    assert runs_command("-C", source, "check", "--fix").returncode in (0, 1)
    mounted.unmount()
    assert_sound(source)
    assert not leftovers(source)
