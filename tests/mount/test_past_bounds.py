"""at/ within bounds, however much of the past is looked at: memory, large files, long listings."""

import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

import mounting
from helpers import error_of, poll, write_run
from history import Repository

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")

MIB = 1 << 20
FIXED_BYTES, BYTES_PER_RUN, BYTES_PER_NODE = 16 * MIB, 1024, 200  # what the daemon may take
IDLE_SECONDS = 15


def is_plain():
    """A sanitizer has memory of its own."""
    return b"__asan_init" not in mounting.RUNSFS.read_bytes()


def memory_bytes(mounted, what="RssAnon"):
    status = pathlib.Path(f"/proc/{mounted.pid}/status").read_text()
    return int(re.search(rf"^{what}:\s+(\d+)", status, re.M)[1]) * 1024


def nodes(mounted):
    status = (mounted.path / ".runsfs" / "status.json").read_text()
    return int(re.search(r'"nodes": (\d+)', status)[1])


def spools(mounted):
    """Files that have no name any more, and their sizes."""
    found = {}
    for fd in os.listdir(f"/proc/{mounted.pid}/fd"):
        try:
            target = os.readlink(f"/proc/{mounted.pid}/fd/{fd}")
            if target.endswith(" (deleted)"):
                found[fd] = os.stat(f"/proc/{mounted.pid}/fd/{fd}").st_size
        except OSError:
            pass
    return found


@pytest.fixture
def repository(tmp_path):
    repository = Repository.create(tmp_path / "repository")
    repository.commit_run("chatdev", "run-1")
    return repository


# --- memory ------------------------------------------------------------------------------------------------------------


def import_history(repository, runs, entries, commits):
    """Commits that each change a run and a directory of so many files; their ids, the last first."""
    metrics = '{{"start_time": "2025-10-15T08:50:59Z", "verification_status": "verified", "aggregate_metrics": {{"TOK_IN": {}}}}}'
    lines, message = [], "data 0\n\n"

    def commit(number, changes):
        lines.append(f"commit refs/heads/main\ncommitter T <t@example.org> {1760000000 + number} +0000\n{message}")
        if number == 0:
            lines.append("from refs/heads/main^0\n")
        for path, text in changes:
            lines.append(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n")

    first = [(f"runs/many/run-{run:04}/metrics.json", metrics.format(run)) for run in range(runs)]
    commit(0, first + [(f"runs/big/entry-{entry:05}", "") for entry in range(entries)])
    for number in range(1, commits):
        run = number * 7 % runs
        commit(number, [(f"runs/many/run-{run:04}/metrics.json", metrics.format(number)), (f"runs/big/entry-{number:05}", str(number))])
    repository.git("fast-import", "--quiet", "--force", given="".join(lines).encode())
    return repository.ids(f"-{commits}", "main")


@pytest.mark.skipif(not is_plain(), reason="a sanitizer has memory of its own")
def test_memory(repository, mount):
    """Of many revisions everything: directories of 20,000 entries, views, queries, manifests."""
    runs, commits = 1000, 50
    ids = import_history(repository, runs, 20000, commits)
    mounted = mount(repository.source)
    at = mounted.path / "at"
    for commit in ids:
        assert len(os.listdir(at / commit / "runs" / "big")) == 20000
        assert len(os.listdir(at / commit / "by-status" / "verified")) == runs + 1
        assert len(os.listdir(at / commit / "where" / "limit=10")) == 10
        assert len((at / commit / "runs_manifest.json").read_bytes()) > 100 * runs
    limit = FIXED_BYTES + BYTES_PER_RUN * runs + BYTES_PER_NODE * nodes(mounted)
    used = memory_bytes(mounted)
    assert used <= limit, f"{used / MIB:.1f} of {limit / MIB:.1f} MiB"
    # And all of it side by side, name by name.
    finds = [subprocess.Popen(["find", at / commit, "-path", "*/runs/big", "-prune", "-o", "-print"], stdout=subprocess.DEVNULL) for commit in ids]
    assert [find.wait() for find in finds] == [0] * len(ids)
    limit = FIXED_BYTES + BYTES_PER_RUN * runs + BYTES_PER_NODE * nodes(mounted)
    used = memory_bytes(mounted)
    assert used <= limit, f"{used / MIB:.1f} of {limit / MIB:.1f} MiB, {nodes(mounted)} nodes"


def test_many_configurations(repository, mount):
    """Each revision has rules of its own, which are kept by indexes and runs: they go together, and all stays right."""
    commits = []
    for number in range(40):
        exclude = [f"none/{'x' * 60}-{entry}" for entry in range(1500)] + [f"chatdev/run-{number}"]
        (repository.source / "runsfs.json").write_text(json.dumps({"exclude": exclude}))
        commits.append(repository.commit_run("chatdev", f"run-{number}"))
    at = mount(repository.source).path / "at"
    for _ in range(2):
        for number, commit in enumerate(commits):
            expected = {f"run-{run}" for run in (1, *range(number)) if run != number}
            assert set(os.listdir(at / commit / "where")) == expected
            assert set(os.listdir(at / commit / "where" / "status=verified")) == expected


# --- large files -------------------------------------------------------------------------------------------------------


def big_file(repository, size, content=b"0123456789abcdef"):
    path = repository.source / "chatdev" / "run-1" / "notes.md"
    with open(path, "wb") as file:
        for at in range(0, size, MIB):
            file.write((str(at).encode() + content * (MIB // len(content)))[:MIB])
        file.truncate(size)
    return path


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("is_packed", [False, True], ids=["loose", "packed"])
def test_a_large_file(repository, mount, is_packed):
    """A loose one is never in memory as a whole, a packed one not for long. What is copied for it goes when nobody looks."""
    size = 200 * MIB + 12345
    original = big_file(repository, size)
    expected = digest(original)
    repository.git("config", "core.bigFileThreshold", "1g")
    repository.commit("large")
    if is_packed:
        repository.git("gc", "-q", "--prune=now")
    mounted = mount(repository.source)
    place = mounted.path / "at" / "HEAD" / "runs" / "chatdev" / "run-1"
    assert place.joinpath("metrics.json").read_bytes()
    before, peak_before = memory_bytes(mounted), memory_bytes(mounted, "VmHWM")
    assert place.joinpath("notes.md").stat().st_size == size
    with open(place / "notes.md", "rb") as file:
        file.seek(150 * MIB)
        piece = file.read(1000)
    with open(original, "rb") as file:
        file.seek(150 * MIB)
        assert piece == file.read(1000)
    assert digest(place / "notes.md") == expected
    assert list(spools(mounted).values()) == [size]
    if is_plain():
        assert memory_bytes(mounted) - before < 8 * MIB
        assert is_packed or memory_bytes(mounted, "RssAnon") < 32 * MIB
        assert not is_packed or memory_bytes(mounted, "VmHWM") - peak_before < 2 * size
    assert poll(lambda: not spools(mounted), IDLE_SECONDS)


def test_several_large_files(repository, mount):
    """Of many that are read side by side some are copied again and again, but all are right."""
    expected = {}
    for number in range(5):
        path = repository.source / "chatdev" / "run-1" / f"large-{number}.md"
        path.write_bytes((str(number) * 1000 + "\n").encode() * 3000)
        expected[path.name] = digest(path)
    repository.commit("large")
    mounted = mount(repository.source)
    place = mounted.path / "at" / "HEAD" / "runs" / "chatdev" / "run-1"
    files = {name: open(place / name, "rb") for name in expected}
    digests = {name: hashlib.sha256() for name in expected}
    for _ in range(100):
        for name, file in files.items():
            digests[name].update(file.read(128 << 10))
    for file in files.values():
        file.close()
    assert {name: done.hexdigest() for name, done in digests.items()} == expected
    assert 1 <= len(spools(mounted)) <= 2


def test_a_packed_file_that_is_too_large(repository, mount):
    """Packs give objects in one piece: over 512 MB that is refused, and the log says so. All else goes on."""
    size = 513 * MIB
    with open(repository.source / "chatdev" / "run-1" / "notes.md", "wb") as file:
        file.truncate(size)
    repository.git("config", "core.bigFileThreshold", "1m")
    repository.git("config", "core.compression", "1")
    repository.commit("large")
    repository.git("repack", "-q", "-a", "-d")
    mounted = mount(repository.source)
    place = mounted.path / "at" / "HEAD" / "runs" / "chatdev" / "run-1"
    assert place.joinpath("notes.md").stat().st_size == size
    assert error_of(place.joinpath("notes.md").read_bytes) == errno.EFBIG
    assert "notes.md: can't be read from Git: it lies in a pack and is larger than 512 MB" in mounted.log()
    assert place.joinpath("metrics.json").read_bytes()
    if is_plain():
        assert memory_bytes(mounted, "VmHWM") < 100 * MIB


# --- listings ----------------------------------------------------------------------------------------------------------


def create_tags(repository, numbers):
    tip = repository.id("HEAD")
    repository.git("update-ref", "--stdin", given="".join(f"create refs/tags/tag-{number:05}-{'x' * 60} {tip}\n" for number in numbers).encode())
    repository.git("pack-refs", "--all")


def test_a_listing_takes_time_by_its_length(repository, mount):
    """Not by its square, though it is read in hundreds of pieces."""
    at = mount(repository.source).path / "at"

    def seconds(count):
        took = []
        for _ in range(3):
            began = time.monotonic()
            assert len(os.listdir(at)) >= count
            took.append(time.monotonic() - began)
        return min(took)

    create_tags(repository, range(1000))
    short = seconds(1000)
    create_tags(repository, range(1000, 12000))
    assert seconds(12000) < 40 * short + 0.1


def test_a_listing_is_of_one_moment(repository, mount):
    """References that come while at/ is listed move no other ones."""
    create_tags(repository, range(3000))
    at = mount(repository.source).path / "at"
    names = []
    with os.scandir(at) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) == 10:
                repository.git("update-ref", "--stdin",
                               given="".join(f"create refs/heads/a-{number} HEAD\n" for number in range(500)).encode())
    assert len(names) == len(set(names))
    assert sum(name.startswith("tag-") for name in names) == 3000
    assert sum(name.startswith("a-") for name in os.listdir(at)) == 500
