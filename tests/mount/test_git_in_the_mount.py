"""git itself, called in runs/ of a mount whose source is a repository: it sees what others commit, and loses nothing of it."""

import os

import pytest
from helpers import poll, write_run
from repositories import assert_sound, commits_of_runs, fixture_git_alone, git  # noqa: F401

pytestmark = pytest.mark.usefixtures("git_alone")

WATCHES = ["watch=inotify", "watch=poll"] + (["watch=fanotify"] if os.geteuid() == 0 else [])


@pytest.fixture(name="repository")
def fixture_repository(source):
    write_run(source, "chatdev", "run-0")
    git(source, "init", "-q")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "base")
    return source


def look(directory):
    """What git needs of its directory: the branch, the log, the index."""
    return [(directory / ".git" / name).read_bytes() for name in ("refs/heads/main", "logs/HEAD", "index")]


def git_in_turn(directory, *arguments):
    """Git, again where autocommit had the index or the branch just then."""
    def is_done():
        result = git(directory, *arguments, check=False)
        assert result.returncode == 0 or ".lock" in result.stderr, result.stderr
        return result.returncode == 0

    assert poll(is_done, 30)


@pytest.mark.parametrize("watch", WATCHES)
def test_commits_beside_are_seen(repository, mount, watch):
    mounted = mount(repository, watch, "poll_ms=100")
    for number in range(5):
        look(mounted.runs)
        (repository / "chatdev" / "run-0" / "note.md").write_text(f"{number}")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", f"{number}")
        assert poll(lambda: look(mounted.runs) == look(repository), 10)
    assert poll(lambda: git(mounted.runs, "log", "--format=%H") == git(repository, "log", "--format=%H"), 10)


@pytest.mark.parametrize("watch", WATCHES)
def test_what_autocommit_commits_is_seen(repository, mount, watch):
    """It writes beside the mount, though it is the daemon: nothing that the kernel has of Git's directory may stay."""
    mounted = mount(repository, "autocommit", watch, "poll_ms=100")
    # With the manifest that the mount has made.
    assert poll(lambda: git(repository, "status", "--porcelain") == "?? runs_manifest.json\n", 30)
    git_in_turn(repository, "add", "-A")
    git_in_turn(repository, "commit", "-qm", "manifest")
    for number in range(1, 4):
        git(mounted.runs, "status")
        look(mounted.runs)
        write_run(mounted.runs, "chatdev", f"run-{number}")
        assert poll(lambda: commits_of_runs(repository).get(f"chatdev/run-{number}"), 60), mounted.log()
        assert poll(lambda: look(mounted.runs) == look(repository), 10), number
        # A commit by hand goes on top of it.
        (mounted.runs / "chatdev" / f"run-{number}" / "note.md").write_text("note")
        git_in_turn(mounted.runs, "add", f"chatdev/run-{number}/note.md")
        git_in_turn(mounted.runs, "commit", "-qm", f"by hand {number}")
        subjects = git(repository, "log", "--format=%s").splitlines()
        assert subjects[0] == f"by hand {number}" and subjects[1].startswith(f"chatdev/run-{number}: "), subjects
    assert git(repository, "status", "--porcelain") == git(mounted.runs, "status", "--porcelain")
    assert_sound(repository)
