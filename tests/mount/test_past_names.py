"""at/: which names mean which commit, what is listed, and that a name which moves shows its new commit."""

import contextlib
import errno
import os
import shutil
import subprocess
import time

import pytest

from helpers import error_of, poll, read_bytes, together
from history import Repository

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")

# The promise for a name that moves.
MOVED_SECONDS = 1.0
DATES = ("2025-10-14T23:59:59Z", "2025-10-15T08:00:00Z", "2025-10-15T23:59:59Z", "2025-10-16T11:59:59Z", "2025-10-16T12:00:00Z",
         "2025-10-16T12:00:01Z", "2025-10-18T00:00:00Z")


def commit_state(repository, number, at=None):
    """A commit that tells by a file which one it is."""
    (repository.source / "state.txt").write_text(f"{number}\n")
    return repository.commit(f"State {number} of all", at)


@pytest.fixture
def repository(tmp_path):
    """Dated commits on main, a side branch that is merged, tags of both kinds."""
    repository = Repository.create(tmp_path / "repository")
    repository.git("config", "core.logAllRefUpdates", "true")
    for number, date in enumerate(DATES):
        commit_state(repository, number, date)
        if number == 2:
            repository.git("tag", "light")
        if number == 3:
            repository.git("tag", "-a", "annotated", "-m", "Annotated", at=date)
            repository.git("tag", "-a", "of-a-tag", "-m", "Of a tag", "annotated", at=date)
    repository.git("branch", "feature/deep/er", "HEAD~1")
    repository.git("branch", "per%cent", "HEAD~2")
    repository.git("checkout", "-q", "-b", "side", "HEAD~1")
    (repository.source / "side.txt").touch()
    repository.commit("beside", "2025-10-17T12:00:00Z")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Merged", "side", at="2025-10-19T00:00:00Z")
    commit_state(repository, len(DATES), "2025-10-20T00:00:00Z")
    return repository


def state_of(at, name):
    """What tells one commit of the fixture from another: its file, and its time."""
    place = at / name
    return read_bytes(place / "runs" / "state.txt"), os.stat(place / "runs" / "state.txt").st_mtime, (place / "runs" / "side.txt").exists()


def expected_state(repository, commit):
    names = repository.git("ls-tree", "--name-only", f"{commit}:runs").split()
    return repository.git("show", f"{commit}:runs/state.txt").encode() + b"\n", repository.time_s(commit), "side.txt" in names


SPELLINGS = ("HEAD", "@", "HEAD~1", "HEAD~3", "HEAD^", "HEAD^^", "HEAD~", "HEAD^1", "HEAD~1^2", "HEAD~1^2~1", "HEAD^0", "HEAD^{commit}", "main",
             "main~2", "side", "side^{}", "light", "light~1", "annotated", "annotated^{}", "annotated^{commit}", "annotated~1", "of-a-tag",
             "of-a-tag^{}", "feature/deep/er", "feature/deep/er~1", "refs/heads/main", "heads/main", "refs/tags/light", "tags/annotated",
             "main@{0}", "main@{1}", "main@{1}~1", "HEAD@{1}", "@{1}", "@{-1}", "per%cent",
             "side~1^{commit}")


def escaped(spelling):
    return spelling.replace("%", "%25").replace("/", "%2F")


def test_what_git_rev_parse_takes(repository, mount):
    at = mount(repository.source).path / "at"
    wrong = []
    for spelling in (*SPELLINGS, repository.git("describe", "HEAD~3")):
        wanted = expected_state(repository, repository.id(spelling))
        if not (at / escaped(spelling)).exists() or state_of(at, escaped(spelling)) != wanted:
            wrong.append(spelling)
    assert not wrong


@pytest.mark.parametrize("spelling", ["HEAD^{/State 2}", ":/State 3"])
def test_by_a_commit_s_message(repository, mount, spelling):
    at = mount(repository.source).path / "at"
    assert state_of(at, escaped(spelling)) == expected_state(repository, repository.git("rev-parse", spelling))


def test_ids(repository, mount):
    at = mount(repository.source).path / "at"
    for commit in repository.ids("--all"):
        wanted = expected_state(repository, commit)
        for name in (commit, commit.upper(), commit[:12], repository.git("rev-parse", "--short=7", commit), repository.git("rev-parse", "--short=4", commit)):
            assert state_of(at, name) == wanted, name
    tag = repository.git("rev-parse", "annotated")
    assert tag != repository.id("annotated")
    assert state_of(at, tag) == expected_state(repository, "annotated")


@pytest.mark.parametrize("spelling", ["main@{yesterday}", "main@{1.day.ago}", "main@{2.hours.ago}", "HEAD@{3.days.ago}", "@{yesterday}"])
def test_by_when_it_was_here(tmp_path, mount, spelling):
    """The reflog says so, not the commits."""
    repository = Repository.create(tmp_path / "repository")
    now = int(time.time())
    for number, hours in enumerate((100, 70, 30, 20, 1)):
        commit_state(repository, number, f"@{now - hours * 3600} +0000")
    at = mount(repository.source).path / "at"
    assert state_of(at, spelling) == expected_state(repository, repository.id(spelling))


def test_an_upstream(repository, mount, tmp_path):
    clone = Repository(tmp_path / "clone")
    repository.git("clone", "-q", repository.top, clone.top)
    commit_state(clone, 99)
    at = mount(clone.source).path / "at"
    for spelling in ("origin/main", "main@{upstream}", "@{u}", "origin/feature/deep/er", "origin", "remotes/origin/side"):
        assert state_of(at, escaped(spelling)) == expected_state(clone, clone.id(spelling)), spelling


def test_dates(repository, mount):
    """The last commit of a day or a moment, or before it, by the committer's time and UTC, in the history of HEAD."""
    at = mount(repository.source).path / "at"
    times = {repository.time_s(commit): commit for commit in repository.ids("HEAD")}
    for date, last in (("2025-10-14", "2025-10-14T23:59:59"), ("2025-10-15", "2025-10-15T23:59:59"), ("2025-10-16", "2025-10-16T23:59:59"),
                       ("2025-10-17", "2025-10-17T23:59:59"), ("2025-10-18", "2025-10-18T23:59:59"), ("2026-01-01", "2026-01-01T23:59:59"),
                       ("2025-10-16T12:00", "2025-10-16T12:00:00"), ("2025-10-16T11:59", "2025-10-16T11:59:00"),
                       ("2025-10-16T12:00:01", "2025-10-16T12:00:01"), ("2025-10-15T08:00", "2025-10-15T08:00:00")):
        limit_s = int(subprocess.run(["date", "-ud", f"{last}Z", "+%s"], capture_output=True, check=True).stdout)
        wanted = times[max(time_s for time_s in times if time_s <= limit_s)]
        assert state_of(at, date) == expected_state(repository, wanted), date


def test_a_branch_that_is_named_like_a_date(repository, mount):
    """It is a revision, and so goes first."""
    repository.git("branch", "2025-10-15", "HEAD~1")
    at = mount(repository.source).path / "at"
    assert state_of(at, "2025-10-15") == expected_state(repository, "HEAD~1")
    repository.git("branch", "-q", "-D", "2025-10-15")
    assert poll(lambda: state_of(at, "2025-10-15")[0] == b"2\n", MOVED_SECONDS)


UNKNOWN = ("nothing", "HEAD~1000", "HEAD^3", "main@{1000}", "2025-10-13", "2025-13-45", "2025-10-16T25:00", "2025-1-1", "0" * 40, "f" * 40, "abcdef0",
           "HEAD..main", "HEAD...main", "^HEAD", "HEAD:runs", "%2F", "%", "%zz", "%2fHEAD", "..%2F..%2Fetc", "-h", "--all", "HEAD^{tree}",
           "HEAD^{blob}", "@{", "@{-9}", "main@{u}", ":", ":%2F", ":0:runs", "x" * 255, "HEAD\n", "HEAD ", " HEAD", ".git", "%2E%2E", os.fsdecode(b"\xff"))


def test_unknown_names(repository, mount):
    mounted = mount(repository.source)
    at = mounted.path / "at"
    known = []
    for name in UNKNOWN:
        with contextlib.suppress(FileNotFoundError):
            os.stat(at / name)
            known.append(name)
    assert not known
    assert os.listdir(at / "HEAD" / "runs")


def test_trees_and_blobs_are_no_revisions(repository, mount):
    at = mount(repository.source).path / "at"
    repository.git("tag", "a-tree", "HEAD^{tree}")
    repository.git("tag", "-a", "-m", "of a blob", "a-blob", "HEAD:runs/state.txt")
    for name in (repository.git("rev-parse", "HEAD^{tree}"), repository.git("rev-parse", "HEAD:runs/state.txt"), "a-tree", "a-blob",
                 repository.git("rev-parse", "--short", "HEAD^{tree}")):
        assert error_of(os.stat, at / name) == errno.ENOENT, name
    assert not {"a-tree", "a-blob"} & set(os.listdir(at))


def test_an_id_of_too_few_digits(repository, mount):
    at = mount(repository.source).path / "at"
    assert error_of(os.stat, at / repository.id("HEAD")[:3]) == errno.ENOENT


# --- the listing -------------------------------------------------------------------------------------------------------


def test_what_is_listed(repository, mount):
    """HEAD, branches, tags, and ids of commits that changed something of the source, the last ones."""
    (repository.top / "elsewhere.txt").touch()
    beside = repository.commit("changes nothing in the source")
    repository.git("update-ref", "refs/notes/commits", "HEAD")
    at = mount(repository.source).path / "at"
    listed = os.listdir(at)
    names = {name for name in listed if len(name) != 40}
    ids = set(listed) - names
    assert len(listed) == len(set(listed))
    assert names == {"HEAD", "main", "side", "feature%2Fdeep%2Fer", "per%25cent", "light", "annotated", "of-a-tag"}
    assert beside not in ids
    changed = set(repository.ids("HEAD", "--", "runs"))
    assert changed - ids == set(), "those in which the source changed are few enough to be listed"
    assert ids <= set(repository.ids("HEAD"))
    for name in listed:
        assert (at / name).is_dir() and os.listdir(at / name / "runs"), name
        assert next(entry.inode() for entry in os.scandir(at) if entry.name == name), name


def test_a_long_listing(repository, mount):
    """Branches by the thousand, read in several parts; of the commits just the last."""
    tip = repository.id("HEAD")
    names = [f"batch/{number:04}-{'x' * 60}" for number in range(1500)]
    repository.git("update-ref", "--stdin", given="".join(f"create refs/heads/{name} {tip}\n" for name in names).encode())
    for number in range(60):
        commit_state(repository, f"more {number}")
    listed = os.listdir(mount(repository.source).path / "at")
    assert len(listed) == len(set(listed))
    assert {name.replace("/", "%2F") for name in names} < set(listed)
    ids = {name for name in listed if len(name) == 40}
    assert 10 <= len(ids) <= 60 and ids == set(repository.ids(f"-{len(ids)}", "HEAD"))


def test_find_sees_all_of_it(repository, mount):
    at = mount(repository.source).path / "at"
    done = subprocess.run(["find", at, "-name", "state.txt"], capture_output=True, text=True, check=True)
    places = {line.removeprefix(f"{at}/").split("/")[0] for line in done.stdout.splitlines()}
    assert places == set(os.listdir(at))


def test_a_detached_head(repository, mount):
    repository.git("checkout", "-q", "--detach", "HEAD~2")
    at = mount(repository.source).path / "at"
    assert state_of(at, "HEAD") == expected_state(repository, "HEAD")
    assert "HEAD" in os.listdir(at)


def test_before_the_first_commit(tmp_path, mount):
    repository = Repository.create(tmp_path / "repository")
    at = mount(repository.source).path / "at"
    assert os.listdir(at) == []
    assert error_of(os.stat, at / "HEAD") == error_of(os.stat, at / "main") == errno.ENOENT
    commit_state(repository, 1)
    assert poll(lambda: (at / "HEAD").exists(), MOVED_SECONDS)
    assert poll(lambda: {"HEAD", "main", repository.id("HEAD")} == set(os.listdir(at)), MOVED_SECONDS)


# --- names that move ---------------------------------------------------------------------------------------------------


def shows(at, name, repository, commit):
    wanted = expected_state(repository, commit)
    return poll(lambda: state_of(at, name) == wanted, MOVED_SECONDS)


def test_a_new_commit_shows_while_the_old_one_stays_readable(repository, mount, opened):
    at = mount(repository.source).path / "at"
    old, old_state = repository.id("HEAD"), state_of(at, "HEAD")
    directory = opened(at / "HEAD" / "runs", os.O_RDONLY | os.O_DIRECTORY)
    file = opened(at / "HEAD" / "runs" / "state.txt", os.O_RDONLY)
    listed = sorted(os.listdir(directory))
    for number in range(20, 26):
        (repository.source / f"new-{number}.txt").touch()
        commit_state(repository, number)
        for name in ("HEAD", "main"):
            assert shows(at, name, repository, "HEAD"), f"{name} after commit {number}"
        assert poll(lambda: f"new-{number}.txt" in os.listdir(at / "HEAD" / "runs"), MOVED_SECONDS)
        assert shows(at, "HEAD~1", repository, "HEAD~1")
    assert sorted(os.listdir(directory)) == listed
    assert os.pread(file, 100, 0) == old_state[0]
    inner = opened_at(directory, "state.txt")
    assert inner == old_state[0]
    assert state_of(at, old) == old_state


def opened_at(directory, name):
    descriptor = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        return os.read(descriptor, 1000)
    finally:
        os.close(descriptor)


def test_branches_and_tags_come_move_and_go(repository, mount):
    at = mount(repository.source).path / "at"
    assert error_of(os.stat, at / "new") == errno.ENOENT
    repository.git("branch", "new", "HEAD~2")
    assert poll(lambda: (at / "new").exists(), MOVED_SECONDS)
    assert shows(at, "new", repository, "HEAD~2")
    repository.git("branch", "-f", "new", "HEAD")
    assert shows(at, "new", repository, "HEAD")
    repository.git("tag", "-f", "light", "HEAD")
    assert shows(at, "light", repository, "HEAD")
    repository.git("pack-refs", "--all")
    assert shows(at, "light", repository, "HEAD") and shows(at, "new", repository, "HEAD")
    repository.git("branch", "-q", "-D", "new")
    assert poll(lambda: not (at / "new").exists(), MOVED_SECONDS)
    assert poll(lambda: "new" not in os.listdir(at), MOVED_SECONDS)
    repository.git("checkout", "-q", "side")
    assert shows(at, "HEAD", repository, "side")
    repository.git("reset", "-q", "--hard", "HEAD~1")
    assert shows(at, "side", repository, "side")


def test_readers_of_a_moving_name_see_one_commit_each_time(repository, mount):
    """By one open directory everything is of one revision: file and time go together."""
    at = mount(repository.source).path / "at"
    number = [100]

    def commit():
        number[0] += 1
        commit_state(repository, number[0], f"@{1_800_000_000 + number[0]} +0000")

    def read():
        directory = os.open(at / "HEAD" / "runs", os.O_RDONLY)
        try:
            state = opened_at(directory, "state.txt")
            time_s = os.stat("state.txt", dir_fd=directory).st_mtime
            assert time_s == 1_800_000_000 + int(state), (state, time_s)
        finally:
            os.close(directory)

    commit()
    assert poll(lambda: state_of(at, "HEAD")[0] == b"101\n", MOVED_SECONDS)
    together(commit, read, read, seconds=4)
