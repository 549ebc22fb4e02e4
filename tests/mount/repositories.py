"""Git repositories of tests: made, asked and checked by git itself."""

import collections
import json
import os
import subprocess

import oracle
import pytest
from mounting import runs_command


def git(directory, *arguments, check=True, **more):
    """What git says, as text."""
    result = subprocess.run(
        ["git", *[os.fspath(part) for part in arguments]],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        **more,
    )
    if check:
        assert result.returncode == 0, f"git {arguments}: {result.stdout}{result.stderr}"
    return result.stdout if check else result


@pytest.fixture(name="git_alone")
def fixture_git_alone(monkeypatch, tmp_path):
    """Git knows nothing but what a test tells it."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git(home, "config", "--global", "user.name", "Tester")
    git(home, "config", "--global", "user.email", "tester@example.org")
    git(home, "config", "--global", "init.defaultBranch", "main")
    git(home, "config", "--global", "gc.auto", "0")
    return home


def commits(directory, *revisions):
    """{subject: paths} of every commit, the oldest first; a subject that comes twice fails."""
    text = git(directory, "log", "--reverse", "--format=%x00%s", "--name-only", "--no-renames", *(revisions or ["HEAD"]))
    found = {}
    for part in text.split("\0")[1:]:
        lines = part.strip().split("\n")
        assert lines[0] not in found, f"twice: {lines[0]}"
        found[lines[0]] = sorted(line for line in lines[1:] if line)
    return found


def commits_of_runs(directory, *revisions):
    """{run: how many commits} that have a metrics.json of it."""
    text = git(directory, "log", "--format=", "--name-only", "--no-renames", *(revisions or ["--all"]), "--", "*metrics.json")
    return collections.Counter(os.path.dirname(line) for line in text.split("\n") if line)


def assert_sound(directory):
    result = git(directory, "fsck", "--full", "--strict", check=False)
    assert result.returncode == 0 and "error" not in result.stderr, result.stdout + result.stderr
    assert "missing" not in result.stdout and "broken" not in result.stdout, result.stdout


def leftovers(directory):
    """Locks and unfinished files in the repository's directory."""
    found = []
    for top, _, names in os.walk(os.path.join(directory, ".git")):
        found += [os.path.join(top, name) for name in names if name.endswith(".lock") or name.startswith("runsfs-")]
    return found


def fatten_manifest(source, size_mb):
    """Has the manifest of a source be that large, by a member of somebody's."""
    runs_command("rebuild", "-C", source)
    path = oracle.manifest_path(source)
    with open(path, encoding="utf-8") as file:
        manifest = json.load(file)
    manifest["notes"] = "x" * (size_mb << 20)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2)
