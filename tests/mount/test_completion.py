"""What Tab does: `runs complete`, the function for bash, and an interactive bash with somebody typing."""

import json
import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from helpers import write_run
from mounting import BUILD, ROOT, RUNS, runs_command
from test_runs_command import succeeded, write_manifest

SCRIPT = ROOT / "scripts" / "completion" / "runs.bash"
pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
needs_find = pytest.mark.skipif(RUNS.exists() and "\n    find " not in runs_command("--help").stdout, reason="no find yet")


@pytest.fixture
def filled(source):
    write_run(source, "chatdev", "0a1b", "verified")
    write_run(source, "chatdev", "0a2c", "failed")
    write_run(source, "ghspec", "ff-1", "odd, one", start="2025-10-16T08:50:59Z")
    write_run(source, "my fw", "sp ace", "pending")
    write_manifest(source)
    return source


def candidates(source, *words):
    return [line.partition("\t")[0] for line in succeeded(runs_command("complete", *words, cwd=source)).splitlines()]


COMMANDS = ["list", "show", "du", "check", "init", "commit", "rebuild", "remove"]


def test_commands_and_options(filled):
    assert set(candidates(filled, "")) >= set(COMMANDS)
    assert "complete" not in candidates(filled, "")
    assert candidates(filled, "sh") == ["show"]
    assert set(candidates(filled, "list", "--")) == {"--json", "--paths", "--help", "--version"}
    assert "-0" in candidates(filled, "list", "-")
    assert candidates(filled, "remove", "0a1b", "--y") == ["--yes"]
    assert candidates(filled, "--ver") == ["--version"]
    assert candidates(filled, "nonsense", "") == []
    for command in candidates(filled, ""):
        for option in candidates(filled, command, "--"):
            assert option in ("--version", "--help") or option in succeeded(runs_command(command, "--help"))


def test_run_ids(filled):
    assert set(candidates(filled, "show", "")) == {"0a1b", "0a2c", "ff-1", "sp ace", "chatdev/", "ghspec/", "my fw/"}
    assert candidates(filled, "show", "0a") == ["0a1b", "0a2c"]
    assert candidates(filled, "show", "chatdev/0a1") == ["chatdev/0a1b"]
    assert candidates(filled, "remove", "0a1b", "--yes", "ff") == ["ff-1"]
    assert candidates(filled, "show", "0a1b", "") == []
    assert candidates(filled, "list", "") == []


def test_of_the_source_that_is_named(filled, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert candidates(tmp_path, "-C", filled, "show", "f") == ["ff-1"]
    assert candidates(tmp_path, "show", f"-C{filled}", "f") == ["ff-1"]
    assert candidates(tmp_path, "-C", "~/source", "show", "f") == ["ff-1"]
    result = runs_command("complete", "show", "f", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("words", [("-C", "x"), ("list", "-C", ""), ("init", ""), ("init", "x")])
def test_directories_are_the_shells(filled, words):
    assert runs_command("complete", *words, cwd=filled).returncode == 1


@needs_find
def test_queries(filled):
    assert "status=" in candidates(filled, "find", "") and "sort=" in candidates(filled, "find", "")
    assert sorted(candidates(filled, "find", "min_tok")) == ["min_tokens=", "min_tokens_in=", "min_tokens_out="]
    assert candidates(filled, "find", "status=") == ["status=failed", "status=odd%2C one", "status=pending", "status=verified"]
    assert candidates(filled, "find", "framework=chatdev,not_status=failed+v") == ["framework=chatdev,not_status=failed+verified"]
    assert candidates(filled, "find", "sort=-dur") == ["sort=-duration"]
    assert candidates(filled, "find", "since=") == ["since=2025-10-15", "since=2025-10-16"]


@needs_find
def test_queries_of_fields_of_ones_own(filled):
    (filled / "runsfs.json").write_text(json.dumps({"fields": {
        "model": {"from": ["metrics.json#/model"]},
        "cost": {"from": ["metrics.json#/cost"], "type": "number"},
        "seen": {"from": ["metrics.json#/seen"], "type": "time"},
    }}))
    for run, model in (("0a1b", "gpt-4,turbo"), ("0a2c", "")):
        (filled / "chatdev" / run / "metrics.json").write_text(json.dumps({"model": model, "cost": 2.5, "seen": "2025-11-02T23:30:00-01:00"}))
    assert candidates(filled, "find", "mod") == ["model="]
    assert candidates(filled, "find", "model=") == ["model=%", "model=gpt-4%2Cturbo"]
    assert candidates(filled, "find", "status=verified,not_model=g") == ["status=verified,not_model=gpt-4%2Cturbo"]
    assert candidates(filled, "find", "max_co") == ["max_cost="] and candidates(filled, "find", "contains_co") == []
    assert candidates(filled, "find", "cost=") == []
    assert candidates(filled, "find", "min_seen=") == ["min_seen=2025-11-03"]
    assert {"model", "cost", "seen", "status"} <= {text[5:] for text in candidates(filled, "find", "sort=")}
    assert "has=model" in candidates(filled, "find", "has=")
    for field in ("model", "cost", "seen"):
        assert runs_command("find", f"has={field}", cwd=filled).returncode == 0
    (filled / "runsfs.json").write_text("{")
    for directory in (filled, filled.parent):
        assert "\nstatus=\t" in runs_command("complete", "find", "st", cwd=directory).stdout


def replies(directory, line, *words):
    """What the function gives to readline, for a line that readline has broken into words."""
    program = '. "$1"; shift; COMP_LINE=$1; COMP_POINT=${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _runs; printf "%s\\n" "${COMPREPLY[@]}"'
    environment = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"}
    result = subprocess.run(["bash", "-c", program, "bash", SCRIPT, line, *words], cwd=directory, env=environment, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return result.stdout.split("\n")[:-1]


def test_replies_of_the_function(filled):
    assert set(replies(filled, "runs ", "runs", "")) >= set(COMMANDS)
    assert replies(filled, "runs  show   0a", "runs", "show", "0a") == ["0a1b", "0a2c"]
    assert replies(filled, "runs show my\\ f", "runs", "show", "my\\ f") == ["my\\ fw/"]
    assert replies(filled, "runs show 'sp", "runs", "show", "'sp") == ["sp\\ ace"]
    assert replies(filled.parent, "runs -C sou", "runs", "-C", "sou") == ["source"]
    assert replies(filled, "runs show 0a1b", "runs", "show", "0a1b") == ["0a1b"]


@needs_find
def test_replies_where_readline_breaks_words(filled):
    assert replies(filled, "runs find status=v", "runs", "find", "status", "=", "v") == ["verified"]
    assert replies(filled, "runs find status=", "runs", "find", "status", "=") == ["failed", "odd%2C\\ one", "pending", "verified"]
    assert replies(filled, "runs find framework=chatdev,status=f", "runs", "find", "framework", "=", "chatdev,status", "=", "f") == ["failed"]
    assert replies(filled, "runs find stat", "runs", "find", "stat") == ["status="]


def typed(directory, keys, until):
    """What stands on the screen of an interactive bash after keys, as soon as `until` does, or after some seconds."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(directory)
        environment = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "ready> ", "INPUTRC": os.devnull}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    screen = b""

    def wait_for(text):
        nonlocal screen
        deadline = time.monotonic() + 20
        while text not in screen and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                screen += os.read(terminal, 65536)

    try:
        wait_for(b"ready> ")
        screen = b""
        os.write(terminal, f". '{SCRIPT}'; echo loaded''\n".encode())
        wait_for(b"loaded\r\nready> ")
        screen = b""
        os.write(terminal, keys.encode())
        wait_for(until.encode())
    finally:
        os.write(terminal, b"\x15exit\n")
        os.close(terminal)
        os.waitpid(process, 0)
    return screen.decode(errors="replace")


@pytest.mark.parametrize("keys, until", [
    ("runs sh\t", "runs show "), ("runs show f\t", "runs show ff-1 "), ("runs remove chatdev/0a1\t", "runs remove chatdev/0a1b "), ("runs show s\t", "sp\\ ace "), ("runs show my\\ f\t\t", "my\\ fw/sp\\ ace "),
    ("runs show 0a\t\t", "0a1b  0a2c"), ("runs remove --y\t", "--yes "), ("runs -C ../sou\t", "../source/"), ("runs show gh\t\t", "runs show ghspec/ff-1 "),
    pytest.param("runs find status=v\t", "status=verified", marks=needs_find), pytest.param("runs find framework=chatdev,stat\tf\t", "chatdev,status=failed", marks=needs_find),
])
def test_somebody_types(filled, keys, until):
    assert until in typed(filled, keys, until)


@pytest.mark.parametrize("shell, syntax", [("zsh", "_runs"), ("fish", "runs.fish")])
def test_other_shells_understand_theirs(shell, syntax):
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    subprocess.run([shell, "-n", SCRIPT.with_name(syntax)], check=True)
