"""The manifest while somebody has it open: each who reads it reads one state, and whoever writes it, however, leaves it right."""

import json
import mmap
import os
import time

import pytest

import mounting
from users import as_user
from helpers import assert_agree, change_status, manifest_on_disk, manifest_through, metrics, padded, read_bytes, together, write_run

RUNS = 600
SECONDS = 10 if mounting.LONG else 0.7


@pytest.fixture
def many(mount, source):
    for number in range(RUNS):
        write_run(source, "chatdev", f"run-{number:03d}")
    mounted = mount(source)
    assert_agree(mounted, seconds=30)
    mounted.manifest = mounted.runs / "runs_manifest.json"
    return mounted


@pytest.fixture
def three(mount, source):
    for number in range(3):
        write_run(source, "chatdev", f"run-{number}")
    mounted = mount(source, "fds=160")
    mounted.manifest = mounted.runs / "runs_manifest.json"
    assert_agree(mounted)
    return mounted


def change(mounted, number):
    """Gives a run a new status, through the mount and beside it by turns."""
    top = (mounted.runs, mounted.source)[number % 2]
    with open(top / "chatdev" / f"run-{number % 3:03d}" / "metrics.json", "r+b", buffering=0) as file:
        file.write(padded(metrics(f"status {number}")))


def test_a_manifest_read_slowly_is_of_one_state(many):
    for _ in range(2):
        with open(many.manifest, "rb", buffering=0) as slow, open(many.manifest, "rb") as whole:
            wanted, got, number = whole.read(), b"", 0
            while piece := slow.read(10_000):
                got += piece
                change(many, number)
                number += 1
                os.posix_fadvise(slow.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert got == wanted
    assert_agree(many)


def noted(manifest, note):
    manifest["note"] = note
    manifest["runs"][0]["note"] = note
    return json.dumps(manifest, indent=2).encode()


def assert_noted(mounted, note):
    assert_agree(mounted)
    for manifest in (manifest_through(mounted), manifest_on_disk(mounted)):
        assert (manifest["note"], manifest["runs"][0]["note"]) == (note, note)


@pytest.mark.parametrize("pause", [0, 0.01, 0.3, 1.2])
def test_a_manifest_written_in_pieces(three, pause):
    content = noted(manifest_through(three), "in pieces")
    with open(three.manifest, "wb", buffering=0) as file:
        for begin in range(0, len(content), len(content) // 3):
            file.write(content[begin : begin + len(content) // 3])
            manifest_through(three)  # whole for everybody else
            time.sleep(pause)
    assert_noted(three, "in pieces")


def test_a_manifest_is_rewritten_often(three):
    for number in range(300):
        three.manifest.write_bytes(noted(manifest_through(three), str(number)))
    assert_noted(three, "299")


def test_a_part_of_the_manifest_is_overwritten(three):
    before = manifest_through(three)
    with open(three.manifest, "r+b", buffering=0) as file:
        file.seek(file.read().index(b"verified"))
        for piece in (b"f", b"ail", b"ed  "):
            file.write(piece)
            time.sleep(0.3)
    assert_agree(three)
    assert manifest_through(three)["runs"] == before["runs"]


@pytest.mark.parametrize("more", [b"\n", b"}", b'{"runs": [', b"x" * 10_000])
def test_something_is_appended_to_the_manifest(three, more):
    three.manifest.write_bytes(noted(manifest_through(three), "before"))
    assert_noted(three, "before")
    with open(three.manifest, "ab", buffering=0) as file:
        file.write(more)
    assert_noted(three, "before")


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_the_manifest_is_truncated(three, size):
    os.truncate(three.manifest, size)
    assert_agree(three)


def test_the_manifest_is_written_through_a_mapping(three):
    with open(three.manifest, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        place = mapped.find(b"verified")
        mapped[place : place + 8] = b"mistaken"
        mapped.flush()
    assert_agree(three)


def test_two_write_the_manifest_at_once(three):
    contents = {note: noted(manifest_through(three), note) for note in ("one", "other")}

    def write(note):
        with open(three.manifest, "wb", buffering=0) as file:
            file.write(contents[note][:300])
            file.write(contents[note][300:])

    together(lambda: write("one"), lambda: write("other"), seconds=SECONDS)
    assert_agree(three)
    assert manifest_through(three)["runs"]


def test_a_writer_of_the_manifest_who_never_ends(three):
    content = noted(manifest_through(three), "too late")
    with open(three.manifest, "wb", buffering=0) as file:
        file.write(content[:400])
        assert_agree(three)
        write_run(three.runs, "chatdev", "run-3", status="new")
        assert_agree(three)
        file.write(content[400:700])
        assert_agree(three)
        os.fsync(file.fileno())
    assert_agree(three)
    assert manifest_on_disk(three)["total_runs"] == 4


def test_the_manifest_is_removed_or_replaced_while_it_is_read(three):
    for lose in (lambda: os.unlink(three.manifest), lambda: os.unlink(three.source / three.manifest.name),
                 lambda: three.manifest.with_name("new").write_bytes(b"{}"),
                 lambda: os.replace(three.manifest.with_name("new"), three.manifest)):
        wanted = read_bytes(three.manifest)
        with open(three.manifest, "rb") as file:
            lose()
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.fstat(file.fileno()).st_size == len(wanted) and file.read() == wanted
        (three.runs / "new").touch()
        assert_agree(three)


def exchange_for_a_secret(manifest, mine, secret, use):
    """What an open manifest is good for once another's file has taken its place."""
    with open(mine, "w", encoding="ascii") as file:
        file.write('{"version": "1.0"}')
    os.rename(mine, manifest)
    descriptor = os.open(manifest, os.O_RDWR)
    try:
        os.rename(secret, manifest)
        return use(descriptor)
    finally:
        os.close(descriptor)


def read_after_writing(descriptor):
    os.pwrite(descriptor, b'{"version": "1.0" }', 0)
    return os.pread(descriptor, 100, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to be two users")
@pytest.mark.parametrize("use", [
    read_after_writing,
    lambda descriptor: os.pread(descriptor, 100, 0),
    lambda descriptor: os.pwrite(descriptor, b"overwritten", 0),
    lambda descriptor: os.fchmod(descriptor, 0o666),
    lambda descriptor: os.ftruncate(descriptor, 0),
], ids=["written and read", "read", "written", "made readable", "cut"])
def test_an_open_manifest_gives_nobody_anothers_file(mount, open_tmp, use):
    source = open_tmp / "source"
    write_run(source, "chatdev", "run-1")
    os.chmod(source, 0o777)
    shared = source / "shared"
    shared.mkdir(mode=0o777)
    os.chmod(shared, 0o777)
    secret = shared / "secret"
    secret.write_text("the secret of another")
    os.chown(secret, 1002, 1002)
    os.chmod(secret, 0o600)
    (open_tmp / "mount").mkdir()
    mounted = mount(source, "allow_other", at=open_tmp / "mount")
    assert as_user(1001, 1001, [], os.open, mounted.runs / "shared" / "secret", os.O_RDONLY) == "EACCES"
    outcome = as_user(1001, 1001, [], exchange_for_a_secret, mounted.runs / "runs_manifest.json", mounted.runs / "mine",
                      mounted.runs / "shared" / "secret", use)
    assert outcome == "ESTALE" or (isinstance(outcome, bytes) and b"secret" not in outcome) or isinstance(outcome, int), outcome
    assert_agree(mounted)
    # The keeper keeps what it does not understand as a copy, which is the other's file itself.
    kept = source / "runs_manifest.json.broken"
    assert kept.read_text() == "the secret of another"
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (1002, 0o600)


def test_who_writes_the_manifest_reads_what_he_wrote(three):
    with open(three.manifest, "r+b", buffering=0) as file:
        written = b'{"version": "1.0", "note": "mine"}'
        file.truncate(0)
        file.write(written)
        number = os.fstat(file.fileno()).st_ino
        change_status(three.runs / "chatdev" / "run-1", "else", "rename")
        assert_agree(three)
        file.seek(0)
        assert os.fstat(file.fileno()).st_ino == number
        assert file.read() == written
