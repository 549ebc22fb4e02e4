"""The manifest: its bytes, what of it survives, when it is written, and who may write it besides."""

import json
import os
import subprocess
import time

import pytest

import oracle
from helpers import (CHANGES, assert_agree, assert_agree_now, assert_no_leftovers, change_status, manifest_on_disk,
                     manifest_through, metrics, poll, read_bytes, write_run)

SETTLED_SECONDS = 1.5  # long enough that a manifest which is written twice is written twice by then


def write_manifest(source, manifest, name="runs_manifest.json"):
    path = source / name
    path.write_bytes(manifest if isinstance(manifest, bytes) else oracle.manifest_bytes(manifest))
    return path


def some_runs(source, count=6):
    for number in range(count):
        start = f"2025-10-{1 + number * 7 % 28:02d}T08:00:00Z"
        status = ("verified", "failed", "pending")[number % 3]
        layout = ("aggregate", "plain")[number % 2]
        write_run(source, ("chatdev", "ghspec")[number % 2], f"run-{number}", status, (number, number * 10), layout, start=start)


def in_order(source, last_updated="2025-01-01T00:00:00Z"):
    """Writes the manifest that the source should have."""
    return write_manifest(source, oracle.expected_manifest(source, standing={"last_updated": last_updated}))


def stamp(path):
    info = os.stat(path)
    return info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size


def test_a_missing_manifest_is_made(mount, source):
    some_runs(source)
    mounted = mount(source)
    assert_agree_now(mounted)
    assert_agree(mounted)
    manifest = manifest_on_disk(mounted)
    assert oracle.TIMESTAMP.fullmatch(manifest["last_updated"])
    assert list(manifest) == list(oracle.TOP_MEMBERS)
    assert oracle.member(manifest, "frameworks") == {"chatdev": 3, "ghspec": 3}


def test_an_empty_source(mount, source):
    mounted = mount(source)
    assert_agree(mounted)
    assert manifest_through(mounted)["runs"] == []
    write_run(mounted.runs, "first", "run-1")
    assert_agree_now(mounted)
    subprocess.run(["rm", "-r", mounted.runs / "first"], check=True)
    assert_agree_now(mounted)
    assert_agree(mounted)


def test_a_source_in_order_is_not_written_to(mount, source):
    some_runs(source)
    in_order(source)
    names = [os.path.join(directory, name) for directory, _, files in os.walk(source) for name in [".", *files]]
    before = {name: stamp(name) for name in names}
    mounted = mount(source)
    assert_agree_now(mounted)
    subprocess.run(f"find '{mounted.path}' -type f -exec cat {{}} + > /dev/null", shell=True, check=True)
    # A touch, and a write of what already stands there, change nothing of what the manifest says.
    assert manifest_through(mounted)["last_updated"] == "2025-01-01T00:00:00Z"
    time.sleep(SETTLED_SECONDS)
    mounted.unmount()
    assert {name: stamp(name) for name in names} == before


def test_changes_that_do_not_concern_it_do_not_touch_it(mount, source):
    some_runs(source)
    path = in_order(source)
    mounted = mount(source)
    before = stamp(path)
    (mounted.runs / "chatdev" / "run-0" / "artifact").write_text("something")
    run = mounted.runs / "chatdev" / "run-0" / "metrics.json"
    run.write_bytes(read_bytes(run) + b"  ")
    os.utime(run)
    change_status(source / "chatdev" / "run-0", "verified", "in_place", tokens=(0, 0), start="2025-10-01T08:00:00Z")
    time.sleep(SETTLED_SECONDS)
    assert stamp(path) == before
    change_status(mounted.runs / "chatdev" / "run-0", "moved", "in_place")
    assert manifest_through(mounted)["last_updated"] != "2025-01-01T00:00:00Z"
    assert_agree(mounted)
    assert stamp(path) != before


def test_manifest_json_is_used_where_it_is(mount, source):
    some_runs(source)
    write_manifest(source, {"version": "1.0", "frameworks": {}, "runs": []}, "manifest.json")
    mounted = mount(source)
    assert_agree(mounted)
    assert not (source / "runs_manifest.json").exists()
    assert json.loads(read_bytes(mounted.runs / "manifest.json"))["total_runs"] == 6


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("beside", [False, True], ids=["through", "beside"])
def test_it_follows_every_change(mount, source, how, beside):
    some_runs(source)
    mounted = mount(source)
    run = (source if beside else mounted.runs) / "chatdev" / "run-2"
    for status in ("one", "two"):
        change_status(run, status, how, tokens=(len(status), 7))
        if not beside:
            assert_agree_now(mounted)
        assert_agree(mounted)


def test_additions_survive(mount, source):
    some_runs(source)
    standing = oracle.expected_manifest(source, standing={"last_updated": "2025-01-01T00:00:00Z"})
    standing["note"] = {"by": "hand", "list": [1, 2.50, 1e3, None, True, "ü\u2028😀", {}, []], "big": 12345678901234567890}
    standing["runs"][2]["comment"] = ["kept", {"a": {}}]
    standing["runs"][3]["empty"] = ""
    commented = standing["runs"][2]["path"]
    path = write_manifest(source, standing)
    before = stamp(path)
    mounted = mount(source)
    time.sleep(SETTLED_SECONDS)
    assert stamp(path) == before or manifest_on_disk(mounted) == standing
    change_status(mounted.runs / commented, "other", "rename")
    change_status(mounted.runs / "ghspec" / "run-5", "other", "in_place")
    os.unlink(mounted.runs / "ghspec" / "run-3" / "metrics.json")
    assert_agree(mounted)
    for manifest in (manifest_through(mounted), manifest_on_disk(mounted)):
        assert manifest["note"] == standing["note"]
        assert {run["path"]: run.get("comment") for run in manifest["runs"]}[commented] == ["kept", {"a": {}}]
    mounted.unmount()
    again = mount(source)
    assert_agree(again)
    assert manifest_through(again)["note"] == standing["note"]


def test_frameworks_keep_their_order(mount, source):
    some_runs(source)
    write_manifest(source, {"version": "1.0", "frameworks": {"zeta": 4, "ghspec": 0, "alpha": 1}, "runs": []})
    for name in ("new-b", "new-a", "Upper", "ünicode"):
        write_run(source, name, "run")
    mounted = mount(source)
    assert_agree(mounted)
    wanted = ["zeta", "ghspec", "alpha", "Upper", "chatdev", "new-a", "new-b", "ünicode"]
    assert list(manifest_on_disk(mounted)["frameworks"]) == wanted
    write_run(mounted.runs, "aaa", "run")
    assert list(manifest_through(mounted)["frameworks"])[-1] == "aaa"
    assert_agree(mounted)
    subprocess.run(["rm", "-r", mounted.runs / "ghspec"], check=True)
    assert manifest_through(mounted)["frameworks"]["ghspec"] == 0
    assert_agree(mounted)


def test_order_of_runs(mount, source):
    starts = ["2025-10-15T08:00:00Z", "2025-10-15T08:00:00.5Z", "2025-10-15", "", "zzz", "ä", "2024-01-01T00:00:00+02:00"]
    for number, start in enumerate(starts * 2):
        write_run(source, ("b", "a", "ä")[number % 3], f"run-{20 - number}", start=start)
    (source / "a" / "no-times").mkdir()
    (source / "a" / "no-times" / "metadata.json").write_text("{}")
    (source / "b" / "only-metadata").mkdir()
    (source / "b" / "only-metadata" / "metadata.json").write_text('{"start_time": "2025-10-15", "end_time": 5}')
    mounted = mount(source)
    assert_agree(mounted)
    for number, start in enumerate(starts):
        change_status(mounted.runs / "b" / "run-20", "verified", "in_place", start=start)
        change_status(mounted.runs / "a" / "run-19", f"status-{number}", "rename", start=start)
        assert_agree_now(mounted)
    assert_agree(mounted)


def test_text_of_every_kind_keeps_its_bytes(mount, source):
    texts = ['quote"', "back\\slash", "/", "\b\f\n\r\t", "\x00\x1f\x7f\x80", "ä\u2028\uffff", "😀\U0010ffff", "\ud800", "\udfff\ud83d", ""]
    for number, text in enumerate(texts):
        run = source / "texts" / f"run-{number}"
        run.mkdir(parents=True)
        (run / "metrics.json").write_text(json.dumps(metrics(text, start=text, end=text)))
    (source / "texts" / "quote\" ä\n").mkdir()
    (source / "texts" / "quote\" ä\n" / "metadata.json").write_bytes(b"\xef\xbb\xbf{}")
    mounted = mount(source)
    assert_agree(mounted)


# Foreign writers


def foreign(source):
    """What the older tool would write: drifted statuses and counts, one run forgotten."""
    manifest = oracle.expected_manifest(source)
    manifest["last_updated"] = "2024-12-31T23:59:59Z"
    manifest["runs"] = manifest["runs"][1:]
    manifest["runs"][0]["verification_status"] = "drifted"
    manifest["total_runs"] = 99
    return oracle.manifest_bytes(manifest)


def overwrite(path, content, by_rename):
    if by_rename:
        with open(f"{path}.tmp", "wb") as file:
            file.write(content)
        os.replace(f"{path}.tmp", path)
    else:
        with open(path, "wb") as file:
            file.write(content)


@pytest.mark.parametrize("by_rename", [False, True], ids=["in-place", "by-rename"])
@pytest.mark.parametrize("beside", [False, True], ids=["through", "beside"])
def test_a_foreign_writer_is_corrected_once(mount, source, by_rename, beside):
    some_runs(source)
    path = in_order(source)
    mounted = mount(source)
    assert_agree(mounted)
    for _ in range(2):
        content = foreign(source)
        overwrite((source if beside else mounted.runs) / path.name, content, by_rename)
        if not beside:
            assert_agree_now(mounted)
        assert_agree(mounted)
        assert read_bytes(path) != content
        corrected = stamp(path)
        time.sleep(SETTLED_SECONDS)
        assert stamp(path) == corrected
    assert not (source / "runs_manifest.json.tmp").exists()
    assert_no_leftovers(source)


def test_two_mounts_of_one_source_do_not_chase_each_other(mount, source):
    some_runs(source)
    one, other = mount(source), mount(source)
    change_status(one.runs / "chatdev" / "run-0", "by-one", "rename")
    assert_agree(one)
    assert_agree(other)
    change_status(other.runs / "chatdev" / "run-2", "by-other", "in_place")
    assert_agree(one)
    assert_agree(other)
    time.sleep(SETTLED_SECONDS)
    before = stamp(source / "runs_manifest.json")
    time.sleep(SETTLED_SECONDS)
    assert stamp(source / "runs_manifest.json") == before


def test_it_comes_back_when_removed(mount, source):
    some_runs(source)
    path = in_order(source)
    mounted = mount(source)
    os.unlink(path)
    assert poll(path.exists)
    assert_agree(mounted)


def test_additions_written_while_mounted_are_taken_over(mount, source):
    some_runs(source)
    path = in_order(source)
    mounted = mount(source)
    for place in (source, mounted.runs):
        manifest = json.loads(read_bytes(place / path.name))
        manifest[f"by-{place.name}"] = "hand"
        overwrite(place / path.name, oracle.manifest_bytes(manifest), True)
        change_status(mounted.runs / "chatdev" / "run-0", f"after-{place.name}", "in_place")
        assert_agree(mounted)
        assert poll(lambda: manifest_through(mounted).get(f"by-{place.name}") == "hand")


def test_mode_and_attributes_of_the_file_are_kept(mount, source):
    some_runs(source)
    path = in_order(source)
    path.chmod(0o664)
    os.setxattr(path, "user.note", b"kept")
    mounted = mount(source)
    change_status(mounted.runs / "chatdev" / "run-0", "other", "rename")
    assert_agree(mounted)
    assert os.stat(path).st_mode & 0o7777 == os.stat(mounted.runs / path.name).st_mode & 0o7777 == 0o664
    assert os.getxattr(path, "user.note") == b"kept"
