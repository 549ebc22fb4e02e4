"""at/<revision>/: what a revision looks like is what Git has, and what the specification derives from it.

RUNSFS_HISTORY names a Git bundle of a real experiment, with a branch main and the source in runs/: each of its commits is compared.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import mounting
import oracle
from helpers import poll, read_bytes, write_run
from history import Repository, find_differences, git, shown

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")

MAKE_EXAMPLE = mounting.ROOT / "scripts" / "make-example"
BUNDLE = os.environ.get("RUNSFS_HISTORY")
HOSTILE_NAMES = ("new\nline", "per%cent", "100%25", ".hidden", ".gitx", "git~1x", " ", "-rf", "back\\slash", "quo\"te", "~", "a" * 250,
                 "tab\tbed", "é", "\u202e", os.fsdecode(b"\xff\xfe"), os.fsdecode(b"half\xc3"), "HEAD", "%2F", "con:1", "x" * 255)


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    top = tmp_path_factory.mktemp("history") / "example"
    subprocess.run([sys.executable, MAKE_EXAMPLE, "--history", "--runs", "40", "--commits", "120", top], check=True, capture_output=True)
    return Repository(top)


@pytest.fixture(scope="session")
def real_history(tmp_path_factory):
    if not BUNDLE:
        pytest.skip("RUNSFS_HISTORY names no bundle")
    top = tmp_path_factory.mktemp("real") / "history"
    git("/", "clone", "-q", "-b", "main", pathlib.Path(BUNDLE).resolve(), top)
    return Repository(top)


@pytest.fixture
def repository(tmp_path):
    return Repository.create(tmp_path / "repository")


def assert_right(repository, mounted, commits, tmp_path):
    wrong = {}
    for commit in commits:
        scratch = tmp_path / f"checkout-{commit}"
        if difference := find_differences(repository, commit, mounted.path / "at" / commit, scratch):
            wrong[commit] = difference
        shutil.rmtree(scratch, ignore_errors=True)
    assert not wrong, f"{len(wrong)} of {len(commits)} differ; the first:\n" + "\n".join(next(iter(wrong.items())))


def test_every_commit_of_a_real_history(real_history, mount, tmp_path):
    mounted = mount(real_history.source)
    assert_right(real_history, mounted, real_history.ids("main"), tmp_path)


def test_commits_of_the_example(example, mount, tmp_path):
    """Some of each branch, the first (which has no runs at all), merges, and the last ones."""
    ids = example.ids("--all")
    merges = example.ids("--all", "--merges")
    assert len(ids) == 120 and merges
    mounted = mount(example.source)
    assert_right(example, mounted, dict.fromkeys([*ids[:8], *merges, *ids[8::7], ids[-1]]), tmp_path)


def test_manifests_recorded_in_the_example_are_the_derived_ones(example, mount):
    mounted = mount(example.source)
    for commit in example.ids("main")[:40]:
        place = mounted.path / "at" / commit
        assert read_bytes(place / "runs_manifest.json") == read_bytes(place / "runs" / "runs_manifest.json"), commit


def runs_with_status(repository, commit, scratch):
    """{run id: (status, its files)}"""
    files = repository.archived(commit)
    entries = oracle.expected_runs(repository.check_out(commit, scratch))
    return {run["run_id"]: (run["verification_status"], {path: what for path, what in files.items() if path.startswith(run["path"] + "/")})
            for run in entries}


@pytest.mark.parametrize("which", ["example", "real_history"])
def test_diff_names_the_runs_that_changed(which, mount, tmp_path, request):
    repository = request.getfixturevalue(which)
    at = mount(repository.source).path / "at"
    for number in range(8):
        new, old = (f"HEAD~{number}" if number else "HEAD"), f"HEAD~{number + 1}"
        before, after = (runs_with_status(repository, text, tmp_path / f"{number}-{text}") for text in (old, new))
        # A run whose directory moved to another framework alone is the same in by-status.
        changed = {run for run in before.keys() | after.keys() if [before.get(run), after.get(run)].count(None) or
                   (before[run][0], sorted((path.split("/", 1)[1], what) for path, what in before[run][1].items())) !=
                   (after[run][0], sorted((path.split("/", 1)[1], what) for path, what in after[run][1].items()))}
        done = subprocess.run(["diff", "-rq", at / old / "by-status", at / new / "by-status"], capture_output=True, text=True, check=False)
        assert done.returncode == bool(changed), done.stderr
        lines = done.stdout.splitlines()
        # A status that no other run has shows as a whole: its runs are those below it.
        named = set()
        for line in lines:
            ids = {run for run in before.keys() | after.keys() if run in line}
            if not ids and line.startswith("Only in"):
                place, status = line.removeprefix("Only in ").split(": ", 1)
                ids = set(os.listdir(os.path.join(place, status)))
            assert ids, line
            named |= ids
        assert named == changed, f"{old} to {new}"


def test_cp_restores_what_was_removed(example, mount, tmp_path):
    run = oracle.expected_runs(example.source)[0]
    mounted = mount(example.source)
    shutil.rmtree(mounted.runs / run["path"])
    try:
        assert run["run_id"] not in os.listdir(mounted.path / "where")
        subprocess.run(["cp", "-rp", mounted.path / "at" / "HEAD" / "runs" / run["path"], mounted.runs / run["framework"]], check=True)
        assert run["run_id"] in os.listdir(mounted.path / "where")
        assert poll(lambda: not example.git("status", "--short"))
    finally:
        example.git("checkout", "-q", "-f", "HEAD", "--", ".")


# --- kinds of files, and names -----------------------------------------------------------------------------------------


def test_modes_and_links(repository, mount, tmp_path):
    run = pathlib.Path(write_run(repository.source, "chatdev", "run-1"))
    (run / "analyse.sh").write_text("#!/bin/sh\necho it ran\n")
    (run / "analyse.sh").chmod(0o755)
    (run / "final").symlink_to("sprint_006")
    (run / "absolute").symlink_to("/nowhere/at all")
    (run / "link.md").symlink_to("metrics.json")
    (run / "empty.md").touch()
    (run / "large.bin").write_bytes(os.urandom(3_000_000))
    (repository.source / "framework-link").symlink_to("chatdev")
    commit = repository.commit("all kinds")
    mounted = mount(repository.source)
    assert find_differences(repository, commit, mounted.path / "at" / "HEAD", tmp_path / "checkout") is None
    for top in ("runs/chatdev", "by-status/verified"):
        place = mounted.path / "at" / "HEAD" / top / "run-1"
        assert subprocess.run([place / "analyse.sh"], capture_output=True, check=True).stdout == b"it ran\n"
        assert (place / "link.md").read_bytes() == (place / "metrics.json").read_bytes()
        assert os.stat(place / "analyse.sh").st_mode & 0o7111 == 0o111
        with open(place / "large.bin", "rb") as file:
            file.seek(2_999_990)
            assert file.read() == read_bytes(run / "large.bin")[-10:]


def test_an_object_keeps_its_inode_in_all_places(repository, mount):
    repository.commit_run("chatdev", "run-1")
    at = mount(repository.source).path / "at"
    first, second = (at / "HEAD" / top / "run-1" / "metrics.json" for top in ("runs/chatdev", "by-status/verified"))
    assert os.stat(first).st_ino == os.stat(second).st_ino
    assert os.stat(first).st_ino == next(entry.inode() for entry in os.scandir(first.parent) if entry.name == "metrics.json")


def test_hostile_names(repository, mount, tmp_path):
    for name in HOSTILE_NAMES:
        run = pathlib.Path(write_run(repository.source, "chatdev", name))
        (run / f"{name[:200]}.md").write_text(name, errors="surrogateescape")
    write_run(repository.source, os.fsdecode(b"frame\xffwork\n%"), "run")
    commit = repository.commit("hostile")
    mounted = mount(repository.source)
    assert find_differences(repository, commit, mounted.path / "at" / commit, tmp_path / "checkout") is None


def test_hostile_statuses(repository, mount, tmp_path):
    for number, status in enumerate(("a/b", "..", ".", "", "new\nline", "50%", "\ud800", "é" * 200, "HEAD")):
        write_run(repository.source, "chatdev", f"run-{number}", status)
    commit = repository.commit("hostile")
    mounted = mount(repository.source)
    assert find_differences(repository, commit, mounted.path / "at" / commit, tmp_path / "checkout") is None


def test_two_runs_of_one_name(repository, mount, tmp_path):
    write_run(repository.source, "chatdev", "run")
    write_run(repository.source, "baes", "run")
    commit = repository.commit("twins")
    at = mount(repository.source).path / "at"
    assert find_differences(repository, commit, at / "HEAD", tmp_path / "checkout") is None
    assert sorted(os.listdir(at / "HEAD" / "by-status" / "verified")) == ["run.baes", "run.chatdev"]


def test_names_that_no_directory_can_have(repository, mount):
    """What git-fsck complains of can be in a repository: it is left out, or shown, and does no harm."""
    commit = repository.commit_run("chatdev", "run-1")
    blob = bytes.fromhex(repository.git("hash-object", "-w", "--stdin", given=b"content"))
    names = (b".", b"..", b".git", b"a/b", b"fine", b"x" * 300)
    raw = b"".join(b"100644 %b\0%b" % (name, blob) for name in names)
    tree = repository.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=raw)
    top = repository.git("mktree", given=f"040000 tree {tree}\truns\n".encode())
    broken = repository.git("commit-tree", "-m", "broken", "-p", commit, top)
    mounted = mount(repository.source)
    listed = os.listdir(mounted.path / "at" / broken / "runs")
    assert sorted(set(listed) - {".git"}) == ["fine"]
    assert read_bytes(mounted.path / "at" / broken / "runs" / "fine") == b"content"
    assert os.listdir(mounted.path / "at" / broken / "where") == []
    assert os.listdir(mounted.path / "at" / commit / "where") == ["run-1"]


@pytest.mark.parametrize("name_length", [9, 240])
def test_large_directories(repository, mount, name_length, tmp_path):
    """They are read in several parts."""
    run = pathlib.Path(write_run(repository.source, "chatdev", "run-1"))
    for number in range(1000):
        (run / (f"{number:04}".ljust(name_length - 3, "n") + ".md")).write_text(str(number))
        write_run(repository.source, "baes", f"{number:04}".ljust(name_length, "r"))
    commit = repository.commit("large")
    at = mount(repository.source).path / "at"
    assert find_differences(repository, commit, at / commit, tmp_path / "checkout") is None
    # A listing that is read while others are made and forgotten stays whole.
    with os.scandir(at / commit / "runs" / "baes") as entries:
        names = [next(entries).name for _ in range(10)]
        subprocess.run(["find", at / "HEAD"], stdout=subprocess.DEVNULL, check=True)
        names += [entry.name for entry in entries]
    assert len(names) == len(set(names)) == 1000


def test_a_submodule_is_an_empty_directory(repository, mount):
    commit = repository.commit_run("chatdev", "run-1")
    for path in ("runs/chatdev/run-1/workspace", "runs/chatdev/module"):
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    repository.git("commit", "-q", "-m", "submodules")
    place = mount(repository.source).path / "at" / "HEAD" / "runs" / "chatdev"
    assert sorted(os.listdir(place)) == ["module", "run-1"]
    assert os.listdir(place / "module") == os.listdir(place / "run-1" / "workspace") == []
    assert (place / "module").is_dir() and os.stat(place / "module").st_mtime == repository.time_s("HEAD")
    assert shown(place)["run-1/workspace"] == ("directory", None, None)


def test_files_that_are_no_runs(repository, mount, tmp_path):
    """Broken, oversized and foreign files: the defaults, as there is no last good entry in the past."""
    for run_id, content in (("broken", b"{half"), ("list", b"[]"), ("nan", b'{"total_tokens_in": NaN, "start_time": "x"}'), ("bom", b"\xef\xbb\xbf{}"),
                            ("deep", b"[" * 100_000), ("float", b'{"total_tokens_in": 1.0}'), ("twice", b'{"total_tokens_in": 1, "total_tokens_in": 2}')):
        (repository.source / "chatdev" / run_id).mkdir(parents=True)
        (repository.source / "chatdev" / run_id / "metrics.json").write_bytes(content)
    (repository.source / "chatdev" / "aborted").mkdir()
    (repository.source / "chatdev" / "aborted" / "README.md").touch()
    (repository.source / "chatdev" / "link").mkdir()
    (repository.source / "chatdev" / "link" / "metrics.json").symlink_to("../twice/metrics.json")
    (repository.source / "README.md").touch()
    commit = repository.commit("no runs")
    mounted = mount(repository.source)
    assert find_differences(repository, commit, mounted.path / "at" / commit, tmp_path / "checkout") is None


# --- what is in force there --------------------------------------------------------------------------------------------


def test_the_manifest_of_a_revision_without_one(repository, mount):
    """No change was recorded, so none is dated: the same tree has the same manifest, whatever commit it is reached by."""
    repository.commit_run("chatdev", "run-1", at="2025-10-16T10:00:00Z")
    manifest = json.loads(read_bytes(mount(repository.source).path / "at" / "HEAD" / "runs_manifest.json"))
    assert manifest["last_updated"] is None
    assert manifest["total_runs"] == 1


def test_the_manifest_keeps_what_others_added(repository, mount):
    write_run(repository.source, "chatdev", "run-1", "failed")
    entry = {"note": "mine", **oracle.expected_runs(repository.source)[0], "verification_status": "verified", "cost": 1.5}
    recorded = {"version": "1.0", "last_updated": "2025-01-01T00:00:00Z", "owner": {"a": [1]}, "total_runs": 9,
                "frameworks": {"ghspec": 3, "chatdev": 7}, "runs": [entry]}
    (repository.source / "manifest.json").write_text(json.dumps(recorded))
    repository.commit("recorded")
    at = mount(repository.source).path / "at"
    assert "runs_manifest.json" not in os.listdir(at / "HEAD")
    assert json.loads(read_bytes(at / "HEAD" / "runs" / "manifest.json")) == recorded
    derived = json.loads(read_bytes(at / "HEAD" / "manifest.json"))
    additions = []
    assert oracle.manifest_bytes(oracle.without_additions(derived, additions)) == oracle.manifest_bytes(
        oracle.expected_manifest(repository.source, standing=recorded))
    assert sorted(additions) == [("", "owner", {"a": [1]}), ("chatdev/run-1", "cost", 1.5), ("chatdev/run-1", "note", "mine")]


def test_the_configuration_of_the_revision_is_in_force(repository, mount):
    """Its manifest's name, its layout, its fields and views; the present has a third one, which is not committed."""
    run = pathlib.Path(write_run(repository.source, "chatdev", "run-1"))
    (run / "metadata.json").write_text('{"model": "gpt-4o"}')
    write_run(repository.source, "archive/baes", "run-2")
    repository.commit("built in")
    configuration = {"manifest": "index.json", "layout": ["*/*", "archive/*/*"], "exclude": ["chatdev/run-9"],
                     "fields": {"model": "metadata.json#/model"}, "views": {"by-model": "model"}}
    (repository.source / "runsfs.json").write_text(json.dumps(configuration))
    write_run(repository.source, "chatdev", "run-9")
    repository.commit("configured")
    (repository.source / "runsfs.json").write_text('{"views": {"by-day": "day"}, "exclude": ["chatdev/*"]}')
    mounted = mount(repository.source)
    new, old = mounted.path / "at" / "HEAD", mounted.path / "at" / "HEAD~1"
    assert sorted(os.listdir(old)) == ["by-framework", "by-status", "runs", "runs_manifest.json", "where"]
    assert sorted(os.listdir(old / "where")) == ["run-1"]
    assert sorted(os.listdir(new)) == ["by-framework", "by-model", "by-status", "index.json", "runs", "where"]
    assert sorted(os.listdir(new / "where")) == ["run-1", "run-2"]
    assert os.listdir(new / "by-model" / "gpt-4o") == ["run-1"]
    assert os.listdir(new / "where" / "model=gpt-4o") == ["run-1"]
    assert [run["path"] for run in json.loads(read_bytes(new / "index.json"))["runs"]] == ["chatdev/run-1", "archive/baes/run-2"]
    assert not os.path.lexists(old / "by-model") and not os.path.lexists(new / "by-day")
    assert "by-day" in os.listdir(mounted.path)


def test_a_broken_configuration_counts_as_none(repository, mount):
    (repository.source / "runsfs.json").write_text("{not json")
    repository.commit_run("chatdev", "run-1")
    (repository.source / "runsfs.json").unlink()
    assert os.listdir(mount(repository.source).path / "at" / "HEAD" / "by-status" / "verified") == ["run-1"]


def test_queries_below_views_and_their_errors(repository, mount):
    for number in range(4):
        write_run(repository.source, "chatdev", f"run-{number}", tokens=(number * 1000, 0))
    repository.commit("four")
    place = mount(repository.source).path / "at" / "HEAD"
    assert sorted(os.listdir(place / "by-status" / "verified" / "min_tokens=2000")) == ["run-2", "run-3"]
    assert os.listdir(place / "where" / "sort=-tokens,limit=2" / "max_tokens=2000") in (["run-2"], ["run-2", "run-1"], ["run-1", "run-2"])
    assert sorted(os.listdir(place / "where" / "sort=-tokens,limit=2")) == ["run-2", "run-3"]
    assert os.listdir(place / "where" / "status=failed") == []
    assert not os.path.lexists(place / "where" / "colour=red") and not os.path.lexists(place / "by-status" / "unknown")
    assert not os.path.lexists(place / "tracked")


def test_the_mount_s_own_status_file_is_not_in_the_past(repository, mount):
    repository.commit_run("chatdev", "run-1")
    mounted = mount(repository.source)
    for place in (mounted.path / "at", mounted.path / "at" / "HEAD", mounted.path / "at" / "HEAD" / "runs"):
        assert ".runsfs" not in os.listdir(place)
        assert not os.path.lexists(place / ".runsfs")
