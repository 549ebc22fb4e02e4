"""`runs commit`: what it takes, what it leaves alone, and when it refuses."""

import json
import os
import random
import signal
import stat
import subprocess
import time

import oracle
import pytest
from helpers import metrics, read_bytes, write_run
from mounting import RUNS, runs_command
from repositories import assert_sound, commits, commits_of_runs, fatten_manifest, fixture_git_alone, git, leftovers  # noqa: F401

pytestmark = pytest.mark.usefixtures("git_alone")


def add_files(run):
    """Tracked and other files of a run besides metrics.json."""
    for name, text in (("metadata.json", "{}"), ("commit.txt", "abc\n"), ("reconciliation_analysis.md", "# x\n")):
        with open(os.path.join(run, name), "w", encoding="ascii") as file:
            file.write(text)
    for name in ("workspace", "artifacts", "sprint_1"):
        os.makedirs(os.path.join(run, name))
        for inner in ("metrics.json", "a.md", "data.bin"):
            with open(os.path.join(run, name, inner), "w", encoding="ascii") as file:
                file.write("{}")
    for name in ("run.log", "run.tar.gz", "notes.txt", ".hidden.md"):
        with open(os.path.join(run, name), "w", encoding="ascii") as file:
            file.write("x")
    os.symlink("/etc/passwd", os.path.join(run, "link.md"))
    os.mkfifo(os.path.join(run, "fifo.md"))


TRACKED = ["commit.txt", "metadata.json", "metrics.json", "reconciliation_analysis.md"]


@pytest.fixture(name="repository")
def fixture_repository(source):
    git(source, "init", "-q")
    return source


def commit(source, *arguments, status=0):
    result = runs_command("commit", "-C", source, *arguments)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout if status == 0 else result.stderr


def refused(source):
    before = git(source, "rev-parse", "--all"), read_bytes(source / ".git" / "HEAD")
    line = commit(source, status=2)
    assert line.startswith("runs: ") and line.count("\n") == 1, line
    assert (git(source, "rev-parse", "--all"), read_bytes(source / ".git" / "HEAD")) == before
    assert not leftovers(source)
    return line


@pytest.mark.parametrize("below", [".", "deep/er/runs"])
def test_tracked_files_and_nothing_else(tmp_path, below):
    top = tmp_path / "top"
    source = top / below
    source.mkdir(parents=True)
    git(top, "init", "-q")
    add_files(write_run(source, "chatdev", "run-1", tokens=(287761, 91329)))
    write_run(source, "chatdev", "running", "pending", end=None)
    out = commit(source)
    assert out.split(" ", 1)[1] == "chatdev/run-1: verified, 287761 tokens in, 91329 out\n"
    prefix = "" if below == "." else below + "/"
    wanted = sorted([f"{prefix}chatdev/run-1/{name}" for name in TRACKED] + [f"{prefix}runs_manifest.json"])
    assert list(commits(top).values()) == [wanted]
    assert git(top, "diff", "--cached", "--name-only") == ""
    assert git(top, "show", "-s", "--format=%an %ae %cn %s") == (
        "Tester tester@example.org Tester chatdev/run-1: verified, 287761 tokens in, 91329 out\n"
    )
    assert_sound(top)
    assert not leftovers(top)
    assert "nothing to commit" in commit(source, status=1)
    assert len(commits(top)) == 1


def test_one_commit_a_run_in_order_of_their_ends(repository):
    for number, end in ((1, "30"), (2, "20"), (3, "20"), (4, "10")):
        write_run(repository, "chatdev", f"run-{number}", end=f"2025-10-15T09:25:{end}Z")
    commit(repository)
    order = [subject.split(":")[0] for subject in commits(repository)]
    assert order == ["chatdev/run-4", "chatdev/run-2", "chatdev/run-3", "chatdev/run-1"]
    assert git(repository, "status", "--porcelain") == ""
    assert len(git(repository, "reflog").splitlines()) == 4 == len(git(repository, "reflog", "main").splitlines())
    # What each commit's manifest says is what its files say.
    for revision in git(repository, "rev-list", "HEAD").split():
        manifest = json.loads(git(repository, "show", f"{revision}:runs_manifest.json"))
        files = git(repository, "ls-tree", "-r", "--name-only", revision).split()
        assert sorted(run["path"] for run in manifest["runs"]) == sorted(
            os.path.dirname(path) for path in files if path.endswith("/metrics.json")
        )
    assert json.loads(git(repository, "show", "HEAD:runs_manifest.json")) == json.loads(
        read_bytes(oracle.manifest_path(repository))
    )


def test_a_change_of_status_and_a_file_that_went(repository):
    run = write_run(repository, "chatdev", "run-1", "failed")
    add_files(run)
    commit(repository)
    os.unlink(os.path.join(run, "commit.txt"))
    write_run(repository, "chatdev", "run-1", "verified")
    commit(repository)
    assert commits(repository)["chatdev/run-1: verified, 1000 tokens in, 100 out"] == [
        "chatdev/run-1/commit.txt",
        "chatdev/run-1/metrics.json",
        "runs_manifest.json",
    ]
    assert git(repository, "status", "--porcelain", "-uno") == ""


def test_named_runs_and_json(repository):
    for name in ("aa1", "ab2", "b3"):
        write_run(repository, "chatdev", name)
    write_run(repository, "chatdev", "open", "pending", end=None)
    made = json.loads(commit(repository, "--json", "b3", "chatdev/aa"))
    assert [entry["path"] for entry in made] == ["chatdev/aa1", "chatdev/b3"]
    assert made[1]["commit"] == git(repository, "rev-parse", "HEAD").strip()
    assert "not completed" in commit(repository, "open", status=1)
    assert "may be" in commit(repository, "a", status=2)
    assert json.loads(runs_command("commit", "-C", repository, "--json", "b3").stdout) == []


def test_what_is_staged_stays_staged(repository):
    (repository / "mine.txt").write_text("one\n")
    (repository / "other.txt").write_text("one\n")
    git(repository, "add", "mine.txt", "other.txt")
    git(repository, "commit", "-qm", "first")
    (repository / "mine.txt").write_text("two\n")
    (repository / "new.txt").write_text("new\n")
    git(repository, "add", "mine.txt", "new.txt")
    git(repository, "rm", "-q", "other.txt")
    (repository / "mine.txt").write_text("three\n")
    write_run(repository, "chatdev", "run-1", "failed")
    commit(repository)
    # Staged by the user, in a state of its own: stays his.
    write_run(repository, "chatdev", "run-1", "unknown")
    git(repository, "add", "chatdev/run-1/metrics.json")
    write_run(repository, "chatdev", "run-1", "verified")
    commit(repository)
    staged = git(repository, "diff", "--cached", "--name-status").splitlines()
    assert staged == ["M\tchatdev/run-1/metrics.json", "M\tmine.txt", "A\tnew.txt", "D\tother.txt"]
    assert "unknown" in git(repository, "show", ":chatdev/run-1/metrics.json")
    assert git(repository, "show", ":mine.txt") == "two\n" and (repository / "mine.txt").read_text() == "three\n"
    assert_sound(repository)


def test_a_change_in_the_second_of_the_index_is_not_missed(repository):
    write_run(repository, "chatdev", "run-1")
    for attempt in range(20):
        (repository / "mine.txt").write_text(f"{attempt:4}a")
        git(repository, "add", "mine.txt")
        (repository / "mine.txt").write_text(f"{attempt:4}b")
        write_run(repository, "chatdev", "run-1", tokens=(attempt + 1, 1))
        commit(repository)
        with open(repository / "chatdev" / "run-1" / "metrics.json", "r+b") as file:
            file.write(file.read().replace(b"verified", b"verifier"))
        time.sleep(0.3 if attempt % 5 else 1.1)
        changed = git(repository, "diff", "--name-only").split()
        assert "mine.txt" in changed, attempt


def prepare_merge(source):
    write_run(source, "chatdev", "run-1")
    (source / "file").write_text("base\n")
    git(source, "add", "file")
    git(source, "commit", "-qm", "base")
    git(source, "switch", "-qc", "side")
    (source / "file").write_text("side\n")
    git(source, "commit", "-qam", "side")
    git(source, "switch", "-q", "main")
    (source / "file").write_text("main\n")
    git(source, "commit", "-qam", "main")


@pytest.mark.parametrize("work", ["merge", "rebase", "cherry-pick", "revert", "bisect"])
def test_during_unfinished_work(repository, work):
    prepare_merge(repository)
    arguments = {
        "merge": ("merge", "side"),
        "rebase": ("rebase", "side"),
        "cherry-pick": ("cherry-pick", "side"),
        "revert": ("revert", "--no-edit", "HEAD~1"),
        "bisect": ("bisect", "start"),
    }[work]
    if work == "revert":
        (repository / "file").write_text("again\n")
        git(repository, "commit", "-qam", "again")
    git(repository, *arguments, check=False)
    line = refused(repository)
    assert "not finished" in line and ("rebase" in line or work in line)


def test_off_a_branch_and_without_one(repository):
    prepare_merge(repository)
    git(repository, "switch", "-q", "--detach")
    assert "detached" in refused(repository)


def test_no_repository_and_a_bare_one(source):
    write_run(source, "chatdev", "run-1")
    assert "repository" in commit(source, status=2)
    git(source, "init", "-q", "--bare", ".git")
    assert "bare" in commit(source, status=2)


@pytest.mark.parametrize("name", ["pre-commit", "prepare-commit-msg", "commit-msg", "reference-transaction"])
@pytest.mark.parametrize("place", ["hooks", "elsewhere"])
def test_hooks(repository, name, place):
    write_run(repository, "chatdev", "run-1")
    directory = repository / ".git" / "hooks"
    if place == "elsewhere":
        directory = repository / "my-hooks"
        directory.mkdir()
        git(repository, "config", "core.hooksPath", "my-hooks")
    hook = directory / name
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert name in refused(repository)
    hook.chmod(0o644)
    commit(repository)


def test_signatures_and_no_name(repository, git_alone):
    write_run(repository, "chatdev", "run-1")
    git(repository, "config", "commit.gpgsign", "true")
    assert "gpgsign" in refused(repository)
    git(repository, "config", "commit.gpgsign", "false")
    (git_alone / ".gitconfig").unlink()
    assert "user.name" in refused(repository)


def test_attributes(repository):
    run = write_run(repository, "chatdev", "run-1")
    with open(os.path.join(run, "commit.txt"), "w", encoding="ascii", newline="") as file:
        file.write("one\r\ntwo\r\n")
    (repository / ".gitattributes").write_text("*.txt text eol=crlf\n")
    commit(repository)
    assert git(repository, "cat-file", "-s", "HEAD:chatdev/run-1/commit.txt") == "8\n"
    assert git(repository, "status", "--porcelain", "-uno") == ""
    git(repository, "update-index", "--really-refresh")
    (repository / ".gitattributes").write_text("*.json filter=lfs\n")
    write_run(repository, "chatdev", "run-1", "failed")
    assert "filter=lfs" in refused(repository)


def test_the_source_is_ignored(tmp_path):
    top = tmp_path / "top"
    source = top / "runs"
    source.mkdir(parents=True)
    git(top, "init", "-q")
    (top / ".gitignore").write_text("runs/\n")
    write_run(source, "chatdev", "run-1")
    assert "ignore" in commit(source, status=2)


def test_a_repository_in_a_run(repository):
    run = write_run(repository, "chatdev", "run-1")
    git(run, "init", "-q")
    assert "chatdev/run-1/.git" in refused(repository)


def test_a_locked_index_is_waited_for(repository):
    write_run(repository, "chatdev", "run-1")
    lock = repository / ".git" / "index.lock"
    lock.write_bytes(b"")
    process = subprocess.Popen([RUNS, "commit", "-C", repository], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    assert process.poll() is None
    lock.unlink()
    assert process.wait(10) == 0, process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    write_run(repository, "chatdev", "run-2")
    lock.write_bytes(b"")
    started = time.monotonic()
    assert "index.lock" in commit(repository, status=2)
    assert 5 < time.monotonic() - started < 20
    lock.unlink()
    commit(repository)


def test_a_big_file_and_a_broken_one(repository):
    run = write_run(repository, "chatdev", "run-1")
    with open(os.path.join(run, "big.md"), "wb") as file:
        file.truncate(3 << 20)
    write_run(repository, "chatdev", "run-2")
    (repository / "chatdev" / "run-2" / "metrics.json").write_text("{")
    (repository / "chatdev" / "run-2" / "metadata.json").write_text('{"end_time": "2025-10-15T10:00:00Z"}')
    result = runs_command("commit", "-C", repository, "run-1")
    assert result.returncode == 0 and "big.md: is over 1 MB" in result.stderr
    assert "metrics.json: line 1" in runs_command("commit", "-C", repository, "run-2").stderr
    assert list(commits(repository).values()) == [["chatdev/run-1/metrics.json", "runs_manifest.json"]]


def test_a_linked_working_tree_and_packed_references(repository, tmp_path):
    write_run(repository, "chatdev", "run-1")
    commit(repository)
    git(repository, "worktree", "add", "-q", "-b", "team/branch", tmp_path / "linked")
    git(repository, "pack-refs", "--all")
    git(repository, "gc", "-q")
    linked = tmp_path / "linked"
    write_run(linked, "chatdev", "run-2")
    commit(linked)
    assert git(linked, "status", "--porcelain") == "" and git(repository, "status", "--porcelain") == ""
    assert git(linked, "log", "--format=%s", "-1", "team/branch").startswith("chatdev/run-2")
    assert git(repository, "rev-list", "--count", "main") == "1\n"
    assert "chatdev/run-2" in git(linked, "reflog", "-1") and "chatdev/run-2" in git(linked, "reflog", "-1", "team/branch")
    assert_sound(repository)


def test_indexes_of_all_kinds(repository):
    write_run(repository, "chatdev", "run-1")
    git(repository, "add", "-N", "chatdev/run-1/metrics.json")
    (repository / "flagged").write_text("x")
    git(repository, "add", "flagged")
    git(repository, "commit", "-qm", "base", "flagged")
    git(repository, "update-index", "--index-version", "4", "--assume-unchanged", "flagged")
    git(repository, "update-index", "--force-untracked-cache")
    write_run(repository, "chatdev", "run-2")
    commit(repository)
    assert git(repository, "ls-files", "-v", "flagged") == "h flagged\n"
    assert git(repository, "diff", "--cached", "--name-only") == ""
    git(repository, "update-index", "--split-index")
    write_run(repository, "chatdev", "run-3")
    assert "split-index" in refused(repository)
    git(repository, "update-index", "--no-split-index")
    commit(repository)
    assert_sound(repository)


def test_an_executable_file_and_a_mode_that_does_not_count(repository):
    run = write_run(repository, "chatdev", "run-1")
    os.chmod(os.path.join(run, "metrics.json"), 0o755)
    commit(repository)
    assert git(repository, "ls-tree", "HEAD:chatdev/run-1").startswith("100755")
    git(repository, "config", "core.fileMode", "false")
    os.chmod(os.path.join(run, "metrics.json"), 0o644)
    commit(repository, status=1)


def test_inside_a_mount(repository, mount):
    write_run(repository, "chatdev", "run-1")
    mounted = mount(repository)
    write_run(mounted.runs, "chatdev", "run-2")
    result = runs_command("commit", cwd=mounted.path / "by-status" / "verified" / "run-2")
    assert result.returncode == 0, result.stderr
    assert len(commits(repository)) == 2
    assert stat.S_ISDIR(os.stat(mounted.path / "at").st_mode)


def test_other_names_and_layouts(repository):
    (repository / "runsfs.json").write_text(
        json.dumps({"manifest": "index.json", "layout": ["*/*/*"], "tracked": ["metrics.json", "*.csv"]})
    )
    git(repository, "add", "runsfs.json")
    git(repository, "commit", "-qm", "configuration")
    run = repository / "a" / "b" / "run é"
    run.mkdir(parents=True)
    (run / "metrics.json").write_text(json.dumps(metrics()))
    (run / "t.csv").write_text("1\n")
    (run / "n.md").write_text("1\n")
    commit(repository)
    assert git(repository, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "HEAD").splitlines() == [
        "a/b/run é/metrics.json",
        "a/b/run é/t.csv",
        "index.json",
        "runsfs.json",
    ]


def test_killed_at_any_moment(repository):
    """Either no commit or a whole one, and never a lock that stays."""
    chance = random.Random(5)
    (repository / "staged.txt").write_text("mine\n")
    git(repository, "add", "staged.txt")
    started = time.monotonic()
    write_run(repository, "chatdev", "run-0")
    commit(repository)
    longest = time.monotonic() - started
    # A search for leaks that is itself killed leaves half a report.
    unchecked = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    for number in range(60):
        write_run(repository, "chatdev", "run-1", "failed" if number % 2 else "verified", tokens=(number, 1))
        process = subprocess.Popen(
            [RUNS, "commit", "-C", repository], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=unchecked
        )
        time.sleep(chance.uniform(0, longest))
        process.send_signal(signal.SIGKILL)
        process.wait()
        git(repository, "ls-files", "-s")
        assert_sound(repository)
        count = len(commits(repository))
        result = runs_command("commit", "-C", repository)
        assert result.returncode in (0, 1), result.stderr
        assert len(commits(repository)) == count + (result.returncode == 0)
        assert git(repository, "diff", "--cached", "--name-only") == "staged.txt\n"
    for name in leftovers(repository):
        assert not name.endswith(".lock")
        os.utime(name, (0, 0))
    write_run(repository, "chatdev", "run-2")
    commit(repository)
    assert not leftovers(repository)


def test_a_manifest_that_was_a_link(repository):
    os.symlink("elsewhere.json", repository / "runs_manifest.json")
    git(repository, "add", "runs_manifest.json")
    git(repository, "commit", "-qm", "link")
    (repository / "runs_manifest.json").unlink()
    write_run(repository, "chatdev", "run-1")
    commit(repository)
    assert git(repository, "ls-tree", "HEAD", "runs_manifest.json").startswith("100644 blob")
    assert git(repository, "status", "--porcelain") == ""


def test_between_the_commits_of_a_cherry_pick(repository):
    prepare_merge(repository)
    git(repository, "switch", "-q", "side")
    for number in (1, 2):
        (repository / f"more-{number}").write_text("x")
        git(repository, "add", f"more-{number}")
        git(repository, "commit", "-qm", f"more {number}")
    git(repository, "switch", "-q", "main")
    git(repository, "cherry-pick", "side~2", "side~1", "side", check=False)
    git(repository, "add", "-u")
    git(repository, "commit", "-qm", "resolved")
    write_run(repository, "chatdev", "run-1")
    assert "cherry-pick" in refused(repository)
    git(repository, "cherry-pick", "--continue")
    commit(repository)


def test_what_the_working_tree_leaves_out_is_not_removed(repository):
    run = write_run(repository, "chatdev", "run-1", "failed")
    add_files(run)
    commit(repository)
    git(repository, "update-index", "--refresh")
    git(repository, "sparse-checkout", "set", "--no-cone", "/*", "!*.txt")
    assert not os.path.exists(os.path.join(run, "commit.txt"))
    commit(repository, status=1)
    write_run(repository, "chatdev", "run-1", "verified")
    commit(repository)
    assert git(repository, "ls-tree", "--name-only", "HEAD:chatdev/run-1").split() == TRACKED
    assert git(repository, "status", "--porcelain", "-uno") == ""


def test_attributes_that_are_no_file(repository):
    run = write_run(repository, "chatdev", "run-1", end="2025-10-15T09:25:10Z")
    os.mkfifo(os.path.join(run, ".gitattributes"))
    write_run(repository, "chatdev", "run-2")
    result = subprocess.run([RUNS, "commit", "-C", repository], capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 2 and "chatdev/run-1/.gitattributes" in result.stderr
    assert list(commits(repository)) == ["chatdev/run-2: verified, 1000 tokens in, 100 out"]


def test_a_repository_in_a_run_stops_no_other_run(repository):
    git(write_run(repository, "chatdev", "run-1", end="2025-10-15T09:25:10Z"), "init", "-q")
    write_run(repository, "chatdev", "run-2")
    assert "chatdev/run-1/.git" in commit(repository, status=2)
    assert list(commits(repository)) == ["chatdev/run-2: verified, 1000 tokens in, 100 out"]


def test_a_lock_that_was_taken_away_and_taken_by_another(repository):
    """Who breaks our lock, as Git's own words advise, and takes it, keeps his."""
    lock = repository / ".git" / "index.lock"
    for number in range(12):
        write_run(repository, "chatdev", f"run-{number}")
    process = subprocess.Popen([RUNS, "commit", "-C", repository], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    taken = 0
    while process.poll() is None and not taken:
        try:
            os.unlink(lock)
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            taken = os.stat(lock).st_ino
        except FileNotFoundError:
            time.sleep(0)
    assert taken
    time.sleep(0.5)
    assert lock.exists() and os.stat(lock).st_ino == taken
    os.unlink(lock)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert len(commits(repository)) == 12
    assert_sound(repository)
    assert not leftovers(repository)


def test_an_index_that_is_a_link(repository, tmp_path):
    write_run(repository, "chatdev", "run-0")
    commit(repository)
    os.rename(repository / ".git" / "index", tmp_path / "index")
    os.symlink(tmp_path / "index", repository / ".git" / "index")
    write_run(repository, "chatdev", "run-1")
    assert "symbolic link" in refused(repository)
    assert os.path.islink(repository / ".git" / "index")


def test_a_branch_that_is_a_link(repository):
    git(repository, "commit", "-q", "--allow-empty", "-m", "base")
    os.symlink("main", repository / ".git" / "refs" / "heads" / "alias")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/alias")
    write_run(repository, "chatdev", "run-1")
    assert "symbolic link" in commit(repository, status=2)
    assert os.path.islink(repository / ".git" / "refs" / "heads" / "alias")


@pytest.mark.parametrize("branch", ["main/below", "ma"])
def test_a_branch_that_cannot_be_beside_another(repository, branch):
    git(repository, "commit", "-q", "--allow-empty", "-m", "base")
    git(repository, "branch", "ma/x" if branch == "ma" else "other")
    git(repository, "pack-refs", "--all")
    git(repository, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
    write_run(repository, "chatdev", "run-1")
    before = git(repository, "for-each-ref")
    assert "refs/heads/ma" in commit(repository, status=2)
    assert git(repository, "for-each-ref") == before
    assert not (repository / ".git" / "refs" / "heads" / branch).is_file()


def test_what_is_staged_below_the_name_of_a_file(repository):
    git(repository, "commit", "-q", "--allow-empty", "-m", "base")
    run = write_run(repository, "chatdev", "run-1")
    below = os.path.join(run, "notes.md")
    os.mkdir(below)
    with open(os.path.join(below, "inner"), "w", encoding="ascii") as file:
        file.write("mine\n")
    git(repository, "add", "-f", "chatdev/run-1/notes.md/inner")
    os.rename(below, os.path.join(run, "elsewhere"))
    with open(below, "w", encoding="ascii") as file:
        file.write("a note\n")
    commit(repository)
    assert git(repository, "cat-file", "-t", "HEAD:chatdev/run-1/notes.md") == "blob\n"
    assert git(repository, "show", ":chatdev/run-1/notes.md/inner") == "mine\n"
    git(repository, "write-tree")


def test_no_empty_directory_in_a_tree(repository):
    (repository / "runsfs.json").write_text(json.dumps({"tracked": ["*.csv"]}))
    run = write_run(repository, "chatdev", "run-1")
    small = os.path.join(run, "a.csv")
    with open(small, "w", encoding="ascii") as file:
        file.write("1\n")
    commit(repository)
    os.unlink(small)
    with open(os.path.join(run, "b.csv"), "wb") as file:
        file.truncate(2 << 20)
    result = runs_command("commit", "-C", repository)
    assert result.returncode in (0, 1), result.stderr
    trees = git(repository, "ls-tree", "-rt", "HEAD")
    assert "4b825dc642cb6eb9a060e54bf8d69288fbee4904" not in trees
    assert git(repository, "diff", "--cached", "--name-only") == ""


def test_attributes_of_the_source_that_are_no_file(repository):
    write_run(repository, "chatdev", "run-1")
    os.mkfifo(repository / ".gitattributes")
    result = subprocess.run([RUNS, "commit", "-C", repository], capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 2 and ".gitattributes" in result.stderr


def test_very_many_share_commits(repository):
    """What is due at once has 512 MiB of manifests at most: five of 90 MiB, and so three runs a commit."""
    names = [f"run-{number:02}" for number in range(11)]
    for number, name in enumerate(names):
        write_run(repository, "chatdev", name, ("verified", "failed")[number % 2], tokens=(number, 1))
    fatten_manifest(repository, 90)
    made = json.loads(commit(repository, "--json"))
    assert [entry["path"] for entry in made] == [f"chatdev/{name}" for name in names]
    assert made[1]["message"] == "chatdev/run-01: failed, 1 tokens in, 1 out"
    assert git(repository, "log", "--reverse", "--format=%s").splitlines() == ["3 runs", "3 runs", "3 runs", "2 runs"]
    in_bodies = "".join(git(repository, "log", "--reverse", "--format=%b")).split("\n")
    assert [line for line in in_bodies if line] == [entry["message"] for entry in made]
    assert list(dict.fromkeys(entry["commit"] for entry in made)) == git(repository, "rev-list", "--reverse", "HEAD").split()
    assert set(commits_of_runs(repository).values()) == {1}
    assert git(repository, "status", "--porcelain") == ""
    log = json.loads(runs_command("log", "-C", repository, "--json").stdout)
    assert {(entry["commit"], entry["path"], entry["change"]) for entry in log} == {
        (entry["commit"], entry["path"], "added") for entry in made
    }
    table = runs_command("progress", "-C", repository, "--csv").stdout.splitlines()
    assert [line.split(",")[2:] for line in table] == [
        ["verified", "failed"], ["2", "1"], ["3", "3"], ["5", "4"], ["6", "5"]
    ]  # fmt: skip
    assert_sound(repository)


def test_a_filter_for_one_run_stops_no_other(repository):
    for number in (1, 2, 3):
        write_run(repository, "chatdev", f"run-{number}")
    (repository / ".gitattributes").write_text("chatdev/run-2/*.json filter=lfs\n")
    line = commit(repository, status=2)
    assert "chatdev/run-2/metrics.json" in line and "filter=lfs" in line and line.count("\n") == 1
    assert sorted(commits_of_runs(repository)) == ["chatdev/run-1", "chatdev/run-3"]
    (repository / ".gitattributes").unlink()
    commit(repository)
    assert "chatdev/run-2" in commits_of_runs(repository)


def test_a_file_where_a_run_is_stops_no_other(repository):
    (repository / "chatdev").mkdir()
    (repository / "chatdev" / "run-1").write_text("a file once\n")
    git(repository, "add", "chatdev/run-1")
    git(repository, "commit", "-qm", "base")
    (repository / "chatdev" / "run-1").unlink()
    write_run(repository, "chatdev", "run-1")
    write_run(repository, "chatdev", "run-2")
    assert "chatdev/run-1: is no directory in the last commit" in commit(repository, status=2)
    assert list(commits_of_runs(repository)) == ["chatdev/run-2"]


def modes(repository):
    """Of what a commit makes in .git, by kind."""
    found = {}
    for top, directories, names in os.walk(repository / ".git"):
        for name in directories + names:
            path = os.path.relpath(os.path.join(top, name), repository / ".git")
            part = path.split(os.sep)
            if part[0] == "objects" and len(part[1:]) and len(part[1]) == 2:
                found["an object" if len(part) == 3 else "a directory of objects"] = os.lstat(os.path.join(top, name)).st_mode
            elif part[0] in ("index", "refs", "logs"):
                found[path] = os.lstat(os.path.join(top, name)).st_mode
    return {path: oct(mode) for path, mode in found.items()}


@pytest.mark.parametrize("value", ["group", "all", "0640", "0666", "true", "2", "umask"])
def test_a_shared_repository(tmp_path, value):
    """The permissions of all that a commit makes are those that Git gives."""
    made = {}
    before = os.umask(0o077)
    try:
        for way in ("git", "runs"):
            source = tmp_path / way
            source.mkdir()
            git(source, "init", "-q")
            git(source, "config", "core.sharedRepository", value)
            git(source, "symbolic-ref", "HEAD", "refs/heads/team/ours")
            for name in ("run-1", "run-2"):
                write_run(source, "chatdev", name)
                if way == "git":
                    runs_command("rebuild", "-C", source)
                    git(source, "add", "-A")
                    git(source, "commit", "-qm", name)
                else:
                    commit(source)
            (source / ".git" / "COMMIT_EDITMSG").unlink(missing_ok=True)
            made[way] = modes(source)
    finally:
        os.umask(before)
    assert made["runs"] == made["git"]


def test_a_shared_repository_as_git_does_not_take_it(repository):
    write_run(repository, "chatdev", "run-1")
    git(repository, "config", "core.sharedRepository", "0440")
    line = commit(repository, status=2)
    assert "sharedRepository" in line and line.count("\n") == 1


def test_a_run_that_is_removed_is_removed_by_hand(repository):
    for number in (1, 2):
        write_run(repository, "chatdev", f"run-{number}")
    runs_command("init", "-C", repository)
    commit(repository)
    before = git(repository, "rev-parse", "HEAD")
    assert runs_command("remove", "-C", repository, "--yes", "run-1").returncode == 0
    commit(repository, status=1)
    assert git(repository, "rev-parse", "HEAD") == before
    # As docs/git.md has it.
    git(repository, "add", "-A", "chatdev/run-1", "runs_manifest.json")
    git(repository, "commit", "-qm", "chatdev/run-1: removed")
    manifest = json.loads(git(repository, "show", "HEAD:runs_manifest.json"))
    assert [run["run_id"] for run in manifest["runs"]] == ["run-2"]
    assert "chatdev/run-1" not in git(repository, "ls-tree", "-r", "--name-only", "HEAD")
    commit(repository, status=1)


def test_a_later_commit_beside_broken_runs(repository):
    """A run that is broken in the tip keeps what it said in all manifests from there on."""
    for number in (1, 2):
        write_run(repository, "chatdev", f"run-{number}", tokens=(number, 1))
    commit(repository)
    (repository / "chatdev" / "run-1" / "metrics.json").write_text("{")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "broken")
    for number in (3, 4):
        write_run(repository, "chatdev", f"run-{number}", tokens=(number, 1))
    commit(repository)
    for revision in ("HEAD", "HEAD~1"):
        manifest = json.loads(git(repository, "show", f"{revision}:runs_manifest.json"))
        assert manifest["runs"][0]["total_tokens_in"] == 1
    assert_sound(repository)


def test_attributes_of_the_index(repository):
    """They count where the working tree has none, as for git add, and not where it has others."""
    run = write_run(repository, "chatdev", "run-1")
    text = os.path.join(run, "commit.txt")
    with open(text, "wb") as file:
        file.write(b"one\r\n")
    (repository / ".gitattributes").write_text("*.txt text eol=crlf\n")
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "-qm", "base")
    (repository / ".gitattributes").unlink()
    commit(repository)
    assert git(repository, "cat-file", "-s", "HEAD:chatdev/run-1/commit.txt") == "4\n"
    (repository / ".gitattributes").write_text("\n")
    with open(text, "wb") as file:
        file.write(b"two\r\n")
    commit(repository)
    assert git(repository, "cat-file", "-s", "HEAD:chatdev/run-1/commit.txt") == "5\n"
