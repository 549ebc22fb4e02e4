"""-o autocommit: what a mount commits by itself, when, and beside whom."""

import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time

import mounting
import pytest
from helpers import metrics, poll, write_run
from users import as_user
from repositories import assert_sound, commits, commits_of_runs, fatten_manifest, fixture_git_alone, git, leftovers  # noqa: F401

pytestmark = pytest.mark.usefixtures("git_alone")


@pytest.fixture(name="repository")
def fixture_repository(source):
    git(source, "init", "-q")
    (source / ".gitignore").write_text("*.log\n")
    git(source, "add", ".gitignore")
    git(source, "commit", "-qm", "base")
    return source


def count(repository):
    return int(git(repository, "rev-list", "--count", "HEAD"))


def mount_refused(source, tmp_path, *options):
    place = tmp_path / "refused"
    place.mkdir(exist_ok=True)
    result = subprocess.run(
        mounting.command_line(source, place, "autocommit", *options), capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode in (1, 2) and result.stderr.count("\n") == 1, result.stderr
    assert not mounting.mounts_at(place)
    return result.stderr


def test_refused_at_start(source, tmp_path, git_alone):
    assert "ro" in mount_refused(source, tmp_path, "ro")
    assert "repository" in mount_refused(source, tmp_path)
    git(source, "init", "-q")
    git(source, "config", "commit.gpgsign", "true")
    assert "gpgsign" in mount_refused(source, tmp_path)
    git(source, "config", "commit.gpgsign", "false")
    (git_alone / ".gitconfig").unlink()
    assert "user.name" in mount_refused(source, tmp_path)


def test_a_run_is_one_commit_once_its_files_rest(repository, mount):
    mounted = mount(repository, "autocommit")
    run = write_run(mounted.runs, "chatdev", "run-1", "pending", end=None)
    time.sleep(1.5)
    assert count(repository) == 1
    write_run(mounted.runs, "chatdev", "run-1", tokens=(5, 6))
    for name in ("metadata.json", "commit.txt", "notes.md"):
        time.sleep(0.5)
        with open(os.path.join(run, name), "w", encoding="ascii") as file:
            file.write("{}")
    assert poll(lambda: count(repository) == 2, 10)
    assert commits(repository)["chatdev/run-1: verified, 5 tokens in, 6 out"] == [
        "chatdev/run-1/commit.txt",
        "chatdev/run-1/metadata.json",
        "chatdev/run-1/metrics.json",
        "chatdev/run-1/notes.md",
        "runs_manifest.json",
    ]
    assert poll(lambda: git(repository, "status", "--porcelain") == "")
    # Beside the mount, and another status.
    write_run(repository, "chatdev", "run-1", "failed", tokens=(5, 6))
    assert poll(lambda: count(repository) == 3, 10)
    time.sleep(1.5)
    assert count(repository) == 3
    mounted.unmount()
    assert git(repository, "status", "--porcelain") == ""
    assert count(repository) == 3


def test_what_was_there_before_and_the_end(repository, mount):
    write_run(repository, "chatdev", "run-1")
    mounted = mount(repository, "autocommit")
    assert poll(lambda: count(repository) == 2, 10)
    write_run(mounted.runs, "chatdev", "run-2")
    mounted.unmount()
    assert count(repository) == 3
    assert git(repository, "status", "--porcelain") == ""


def test_sigterm(repository, mount):
    mounted = mount(repository, "autocommit")
    write_run(mounted.runs, "chatdev", "run-1")
    mounted.signal(signal.SIGTERM)
    assert mounted.wait() == 0
    assert count(repository) == 2


def test_it_waits_for_a_merge(repository, mount):
    (repository / "file").write_text("a")
    git(repository, "add", "file")
    git(repository, "commit", "-qm", "a")
    git(repository, "switch", "-qc", "side", "HEAD~1")
    (repository / "file").write_text("b")
    git(repository, "add", "file")
    git(repository, "commit", "-qm", "b")
    mounted = mount(repository, "autocommit")
    git(repository, "merge", "main", check=False)
    write_run(mounted.runs, "chatdev", "run-1")
    time.sleep(4)
    assert "merge" in mounted.log() and mounted.log().count("merge") == 1
    assert count(repository) == 2
    (repository / "file").write_text("c")
    git(repository, "commit", "-qam", "merged")
    assert poll(lambda: commits_of_runs(repository)["chatdev/run-1"] == 1, 10)
    assert_sound(repository)


def test_an_idle_mount_sleeps(repository, mount):
    mounted = mount(repository, "autocommit")
    write_run(mounted.runs, "chatdev", "run-1")
    assert poll(lambda: count(repository) == 2, 10)
    time.sleep(2)

    def switches():
        total = {}
        for task in os.listdir(f"/proc/{mounted.pid}/task"):
            with open(f"/proc/{mounted.pid}/task/{task}/status", encoding="ascii") as file:
                fields = dict(line.split(":", 1) for line in file)
            if fields["Name"].strip() == "autocommit":
                total[task] = int(fields["voluntary_ctxt_switches"])
        return total

    before = switches()
    time.sleep(5)
    assert before and switches() == before


def test_a_burst(repository, mount):
    """Each of many runs that are completed at once has its own commit, and none is empty."""
    number = 1000 if mounting.LONG else 150
    mounted = mount(repository, "autocommit")
    for each in range(number):
        write_run(mounted.runs, ("chatdev", "baes")[each % 2], f"run-{each:04}", tokens=(each, 1))
    assert poll(lambda: count(repository) == number + 1, 290, 0.5), (count(repository), mounted.log())
    made = commits(repository)
    assert all(len(paths) == 2 for subject, paths in made.items() if subject != "base")
    assert set(commits_of_runs(repository).values()) == {1}
    assert git(repository, "status", "--porcelain") == ""
    assert_sound(repository)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_acts_as_the_owner(repository_of_another, mount):
    source, uid = repository_of_another
    mounted = mount(source, "autocommit", "allow_other", at=source.parent / "mount")
    as_user(uid, uid, [], write_run, mounted.runs, "chatdev", "run-1")
    as_owner = ("-c", f"safe.directory={source}")
    assert poll(lambda: git(source, *as_owner, "rev-list", "--count", "HEAD", check=False).stdout == "1\n", 10), mounted.log()
    mounted.unmount()
    for top, directories, names in os.walk(source / ".git"):
        for name in directories + names:
            assert os.lstat(os.path.join(top, name)).st_uid == uid, os.path.join(top, name)


@pytest.fixture(name="repository_of_another")
def fixture_repository_of_another(open_tmp):
    """A repository of a user whom the user database does not know; who commits stands in the repository itself."""
    uid = 47110
    source = open_tmp / "source"
    source.mkdir()
    git(source, "init", "-q")
    for name in ("user.name", "user.email"):
        git(source, "config", name, "owner")
    subprocess.run(["chown", "-R", f"{uid}:{uid}", source], check=True)
    return source, uid


class User(threading.Thread):
    """Stages, commits and switches branches, as a user would who tries again where Git says that another is at work."""

    def __init__(self, repository):
        super().__init__()
        self.repository = repository
        self.ending = threading.Event()
        self.chance = random.Random(7)
        self.failure = None
        self.commits = 0

    def git(self, *arguments):
        for _ in range(200):
            result = git(self.repository, *arguments, check=False)
            if result.returncode == 0:
                return
            if ".lock" not in result.stderr and "cannot lock ref" not in result.stderr:
                raise AssertionError(f"{arguments}: {result.stdout}{result.stderr}")
            time.sleep(0.005)
        raise AssertionError(f"{arguments}: locked all the time")

    def turn(self, number):
        name = f"mine-{number}.txt"
        (self.repository / name).write_text("x" * number)
        self.git("add", name)
        if number % 3 == 0:
            self.git("commit", "-qm", f"mine {number}")
            self.commits += 1
        if number % 7 == 0:
            self.git("switch", "-qc", f"branch-{number}")
        elif number % 7 == 3:
            self.git("reset", "-q", name)
            self.git("add", name)

    def run(self):
        try:
            for number in range(1, 10000):
                if self.ending.is_set():
                    return
                self.turn(number)
                time.sleep(self.chance.uniform(0, 0.1))
        except BaseException as error:  # told by the test
            self.failure = error


def test_beside_a_user(repository, mount):
    """Every run is in exactly one commit, and what the user has staged is still staged."""
    number = 200
    mounted = mount(repository, "autocommit")
    user = User(repository)
    user.start()
    for each in range(number):
        run = write_run(mounted.runs, "chatdev", f"run-{each:04}", tokens=(each, 1))
        os.makedirs(os.path.join(run, "workspace"))
        with open(os.path.join(run, "workspace", "metrics.json"), "w", encoding="ascii") as file:
            json.dump(metrics(), file)
        time.sleep(0.05)
    done = poll(lambda: len(commits_of_runs(repository)) == number, 200, 0.5)
    user.ending.set()
    user.join()
    assert user.failure is None, user.failure
    assert done, (len(commits_of_runs(repository)), mounted.log())
    (repository / "last.txt").write_text("last")
    user.git("add", "last.txt")
    mounted.unmount()
    found = commits_of_runs(repository)
    assert len(found) == number and set(found.values()) == {1}, {run: n for run, n in found.items() if n != 1}
    staged = git(repository, "diff", "--cached", "--name-only").split()
    assert "last.txt" in staged and all(name.startswith(("mine-", "last")) for name in staged), staged
    assert_sound(repository)
    assert not leftovers(repository)
    assert user.commits > 3
    tracked = git(repository, "ls-files").split()
    assert not [name for name in tracked if "workspace" in name]


def test_a_run_that_never_rests_stops_no_other(repository, mount):
    restless = write_run(repository, "chatdev", "run-1", end="2025-10-15T09:25:10Z")
    program = """
import os, sys, time
number = 0
while os.getppid() == int(sys.argv[2]):
    number += 1
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(number))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
"""
    changing = subprocess.Popen(["python3", "-c", program, os.path.join(restless, "notes.md"), str(os.getpid())])
    try:
        mounted = mount(repository, "autocommit")
        # It is waited for so long; then it is tried, and comes first.
        time.sleep(31)
        write_run(mounted.runs, "chatdev", "run-2")
        assert poll(lambda: commits_of_runs(repository)["chatdev/run-2"] == 1, 8)
    finally:
        changing.kill()
        changing.wait()
    assert poll(lambda: commits_of_runs(repository)["chatdev/run-1"] == 1, 8)
    mounted.unmount()
    assert_sound(repository)


def test_changes_beside_the_end(repository, mount):
    for number in range(6):
        mounted = mount(repository, "autocommit")
        ending = threading.Event()

        def change():
            tokens = 0
            while not ending.is_set():
                tokens += 1
                write_run(repository, "chatdev", "run-1", "pending", end=None, tokens=(tokens, 1))

        thread = threading.Thread(target=change)
        thread.start()
        time.sleep(0.3 + number / 30)
        mounted.unmount()
        ending.set()
        thread.join()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_reads_the_configuration_as_the_owner(mount):
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        source = pathlib.Path(top) / "source"
        source.mkdir()
        secret = pathlib.Path(top) / "secret"
        secret.write_text("[user]\nname = Secret\n")
        secret.chmod(0o600)
        git(source, "init", "-q")
        write_run(source, "chatdev", "run-1")
        with open(source / ".git" / "config", "a", encoding="ascii") as file:
            file.write(f"[user]\nname = Owner\nemail = owner@example.org\n[include]\npath = {secret}\n")
        for directory, _, names in os.walk(source):
            for path in [directory, *(os.path.join(directory, name) for name in names)]:
                os.chown(path, 65534, 65534)
        place = pathlib.Path(top) / "refused"
        place.mkdir()
        result = subprocess.run(
            mounting.command_line(source, place, "autocommit"), capture_output=True, text=True, timeout=30, check=False
        )
        assert result.returncode == 1 and "autocommit" in result.stderr
        git(source, "config", "--file", source / ".git" / "config", "--unset", "include.path")
        os.chown(source / ".git" / "config", 65534, 65534)
        mounted = mount(source, "autocommit")
        mounted.unmount()
        assert git(source, "-c", "safe.directory=*", "log", "--format=%an", check=False).stdout == "Owner\n"
        assert (source / ".git" / "index").stat().st_uid == 65534


def test_a_repository_that_disappears(repository, mount):
    write_run(repository, "chatdev", "run-1")
    mounted = mount(repository, "autocommit")
    assert poll(lambda: count(repository) == 2, 10)
    os.rename(repository / ".git", repository.parent / "gone")
    write_run(mounted.runs, "chatdev", "run-2")
    time.sleep(2)
    os.rename(repository.parent / "gone", repository / ".git")
    write_run(mounted.runs, "chatdev", "run-3")
    assert poll(lambda: count(repository) == 4, 15)
    os.rename(repository / ".git", repository.parent / "gone")
    write_run(mounted.runs, "chatdev", "run-4")
    started = time.monotonic()
    mounted.unmount()
    assert time.monotonic() - started < 5


def test_very_many_share_commits(repository, mount):
    for number in range(11):
        write_run(repository, "chatdev", f"run-{number:02}", tokens=(number, 1))
    fatten_manifest(repository, 90)
    mounted = mount(repository, "autocommit")
    assert poll(lambda: count(repository) == 5, 60), mounted.log()
    mounted.unmount()
    assert git(repository, "log", "--reverse", "--format=%s").splitlines() == ["base", "3 runs", "3 runs", "3 runs", "2 runs"]
    assert len(commits_of_runs(repository)) == 11 and set(commits_of_runs(repository).values()) == {1}
    assert git(repository, "status", "--porcelain") == ""


def test_a_filter_for_one_run_stops_no_other(repository, mount):
    (repository / ".gitattributes").write_text("chatdev/run-1/*.json filter=lfs\n")
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "-qm", "attributes")
    mounted = mount(repository, "autocommit")
    write_run(mounted.runs, "chatdev", "run-1")
    assert poll(lambda: "filter=lfs" in mounted.log(), 10)
    for number in (2, 3):
        write_run(mounted.runs, "chatdev", f"run-{number}")
        assert poll(lambda name=f"chatdev/run-{number}": name in commits_of_runs(repository), 10), mounted.log()
    write_run(mounted.runs, "chatdev", "run-1", "failed", tokens=(7, 8))
    time.sleep(2.5)
    assert mounted.log().count("filter=lfs") == 1
    (repository / ".gitattributes").write_text("")
    git(repository, "add", ".gitattributes")
    write_run(mounted.runs, "chatdev", "run-1", "failed", tokens=(9, 8))
    assert poll(lambda: "chatdev/run-1" in commits_of_runs(repository), 10), mounted.log()


def test_a_repository_that_was_packed_is_opened_anew(repository, mount):
    """Else the packs that are no more stay open, and on disk, as long as the mount."""
    write_run(repository, "chatdev", "run-1")
    git(repository, "gc", "-q")
    mounted = mount(repository, "autocommit")
    assert poll(lambda: count(repository) == 2, 10)
    git(repository, "gc", "-q", "--prune=now")
    write_run(mounted.runs, "chatdev", "run-2")
    assert poll(lambda: count(repository) == 3, 10), mounted.log()
    with open(f"/proc/{mounted.pid}/maps", encoding="utf-8") as file:
        assert ".pack (deleted)" not in file.read()
    assert_sound(repository)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_reads_nothing_before_it_acts_as_the_owner(open_tmp, repository_of_another):
    source, uid = repository_of_another
    secret = open_tmp / "secret"
    secret.write_text("[core]\nbare = true\n")
    secret.chmod(0o600)
    with open(source / ".git" / "config", "a", encoding="ascii") as file:
        file.write(f"[include]\npath = {secret}\n")
    line = mount_refused(source, open_tmp, "allow_other")
    assert "bare" not in line
    # And what a .git leads to is the same user's.
    theirs = open_tmp / "theirs"
    theirs.mkdir()
    git(theirs, "init", "-q")
    git(theirs, "config", "user.name", "Victim")
    git(theirs, "config", "user.email", "victim@example.org")
    leading = open_tmp / "leading"
    leading.mkdir()
    (leading / ".git").write_text(f"gitdir: {theirs}/.git\n")
    subprocess.run(["chown", "-R", f"{uid}:{uid}", leading], check=True)
    assert "another user" in mount_refused(leading, open_tmp, "allow_other")
