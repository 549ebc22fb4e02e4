"""What programs and people get from `runs`: the shapes of --json, the exit status, colour and width. As its manual page says it."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from helpers import write_run
from mounting import RUNS, runs_command
from repositories import fixture_git_alone, git  # noqa: F401
from test_runs_command import write_manifest

pytestmark = pytest.mark.usefixtures("git_alone")

ENTRY = ["run_id", "framework", "path", "start_time", "end_time", "verification_status", "total_tokens_in", "total_tokens_out"]
SIZES = ["tracked_bytes", "tracked_files", "ignored_bytes", "ignored_files"]
STATE = ["verification_status", "total_tokens_in", "total_tokens_out"]


@pytest.fixture
def repository(source):
    write_run(source, "chatdev", "run-1", "verified")
    write_run(source, "chatdev", "run-2", "failed")
    write_manifest(source)
    git(source, "init", "-q")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "base")
    return source


def answer(source, *arguments, status=0):
    result = runs_command("-C", source, *arguments)
    assert result.returncode == status, result
    return json.loads(result.stdout)


def test_the_shapes_of_json(repository):
    for command in (["list"], ["find", "status=verified"]):
        entries = answer(repository, *command, "--json")
        assert [list(entry) for entry in entries] == [ENTRY] * len(entries) and entries
    shown = answer(repository, "show", "--json", "run-1")
    assert list(shown) == [*ENTRY, "fields", "added", "faults", "files"] and list(shown["files"][0]) == ["name", "size_bytes"]
    usage = answer(repository, "du", "--json")
    assert list(usage) == ["runs", "total"] and list(usage["total"]) == SIZES
    assert list(usage["runs"][0]) == ["run_id", "framework", "path", *SIZES]
    (change, *_) = answer(repository, "log", "--json")
    assert list(change) == ["commit", "time", "path", "change", "renamed_from", "before", "after"]
    assert change["before"] is None and list(change["after"]) == STATE
    (repository / "chatdev" / "aborted").mkdir()
    assert [list(finding) for finding in answer(repository, "check", "--json", status=1)] == [["kind", "path", "detail"]]
    write_run(repository, "chatdev", "run-3")
    assert [list(commit) for commit in answer(repository, "commit", "--json")] == [["commit", "path", "message"]]


@pytest.mark.parametrize("command", [["list"], ["find", "status=nothing"], ["du"], ["log"], ["commit"]], ids=lambda words: words[0])
def test_nothing_is_json_too(source, command):
    """An array (of du the object that it always is), and 1."""
    git(source, "init", "-q")
    write_manifest(source)
    git(source, "add", "-A")
    git(source, "commit", "-qm", "base")
    nothing = answer(source, *command, "--json", status=1)
    assert nothing == ({"runs": [], "total": dict.fromkeys(SIZES, 0)} if command == ["du"] else [])


@pytest.mark.parametrize("status, command", [
    (0, "list"), (0, "find"), (0, "find status=failed"), (0, "show run-1"), (0, "du"), (0, "check"), (0, "rebuild"), (0, "log"), (0, "progress --csv"),
    (0, "log run-1"), (0, "log --since 2001-01-01"), (0, "init"), (0, "help"), (0, "help du"), (0, "--help"), (0, "--version"),
    (1, "find status=nothing"), (1, "find limit=0"), (1, "show zz"), (1, "show --diff HEAD run-1"), (1, "log zz"), (1, "log --since 2100-01-01"),
    (1, "commit"), (1, "remove --yes zz"), (1, "remove zz"),
    (2, ""), (2, "nonsense"), (2, "find nonsense"), (2, "find tokns=1"), (2, "find tokens=many"), (2, "show"), (2, "show run"), (2, "show run-1 run-2"),
    (2, "show --diff nonsense run-1"), (2, "show --diff"), (2, "list more"), (2, "list --json --paths"), (2, "log --since someday"),
    (2, "progress --csv --svg x"), (2, "progress --svg /nonexistent/x"), (2, "remove"), (2, "remove run-1"), (2, "remove --yes run"), (2, "commit run"),
    (2, "-C /nonexistent list"), (2, "init /nonexistent"), (2, "help nonsense"),
])
def test_the_exit_status(repository, status, command):
    """And of an error one line, which says whose it is."""
    result = runs_command(*command.split(" ") if command else [], cwd=repository)
    assert result.returncode == status, result
    if status == 2:
        assert result.stdout == "" and result.stderr.startswith("runs: ")
        # A wrong query is shown beneath it, with a mark.
        assert len(result.stderr.splitlines()) == (3 if command.startswith("find") else 1), result.stderr


def on_a_terminal(source, *arguments, columns=80, **environment):
    """What a terminal of so many columns is sent."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([RUNS, "-C", source, *arguments], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
                          env={**os.environ, "TERM": "xterm", "NO_COLOR": "", "LC_ALL": "C.UTF-8", **environment}) as process:
        os.close(terminal)
        output = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            output += piece
        os.close(master)
    assert process.returncode == 0, output
    return output.decode().replace("\r\n", "\n")


def test_colour_is_for_terminals(repository):
    assert "\x1b[" in on_a_terminal(repository, "list")
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_a_terminal(repository, "list", **environment)
    assert "\x1b[" in on_a_terminal(repository, "list", NO_COLOR="")
    for option in ("--json", "--paths", "-0"):
        assert "\x1b" not in on_a_terminal(repository, "list", option)
    for command in (["list"], ["du"], ["log"], ["show", "run-1"]):
        assert "\x1b" not in runs_command("-C", repository, *command).stdout


def test_the_width_is_the_terminals(repository):
    """The longest names are cut to it; where there is no terminal nothing is."""
    write_run(repository, "chatdev", "n" * 200)
    table = on_a_terminal(repository, "list", columns=100)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in table.splitlines()) <= 100
    assert "n" * 200 not in table and "\u2026" in table
    assert "n" * 200 in runs_command("-C", repository, "list").stdout
