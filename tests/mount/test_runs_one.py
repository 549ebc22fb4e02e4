"""`runs show` and `runs du`: one run and what runs take, with a mount and without one."""

import json
import os
import subprocess

import pytest

import oracle
from helpers import assert_agree, make_file, write_run
from mounting import runs_command
from test_runs_command import failed, succeeded, write_manifest


@pytest.fixture
def filled(source):
    write_run(source, "chatdev", "0a1b-one", "verified", (287761, 91329))
    write_run(source, "chatdev", "0a2c-two", "failed", layout="plain")
    write_run(source, "ghspec", "0a1b-other", "pending", start=None)
    write_run(source, "ghspec", "0a1b", "pending")
    write_manifest(source)
    return source


@pytest.fixture(params=["source", "mount"])
def at(request, filled, mount):
    if request.param == "source":
        return filled
    mounted = mount(filled)
    assert_agree(mounted)
    return mounted.path / "by-status"


def shown(at, run):
    return json.loads(succeeded(runs_command("-C", at, "show", "--json", run)))


@pytest.mark.parametrize("text, path", [("0a2", "chatdev/0a2c-two"), ("0a1b-one", "chatdev/0a1b-one"), ("0a1b", "ghspec/0a1b"), ("ghspec/0a1b-", "ghspec/0a1b-other"),
                                        ("chatdev/0a1b", "chatdev/0a1b-one"), ("chatdev/0a1b-one/", "chatdev/0a1b-one")])
def test_show_takes_what_is_unambiguous(at, filled, text, path):
    result = shown(at, text)
    entry = next(entry for entry in oracle.expected_runs(filled) if entry["path"] == path)
    assert {name: result[name] for name in entry} == entry
    assert (result["added"], result["faults"]) == ({}, [])
    assert [file["name"] for file in result["files"]] == ["metrics.json"]


@pytest.mark.parametrize("text", ["0a", "0a1b-", "chatdev/", "chatdev/0a", "0"])
def test_what_is_ambiguous_is_an_error(at, text):
    result = failed(runs_command("-C", at, "show", text), 1 if text == "chatdev/" else 2)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert text == "chatdev/" or "chatdev/0a1b-one" in result.stderr


def test_one_id_in_two_frameworks(filled):
    write_run(filled, "chatdev", "0a1b")
    assert "chatdev/0a1b, ghspec/0a1b;" in failed(runs_command("-C", filled, "show", "0a1b"), 2).stderr
    assert shown(filled, "ghspec/0a1b")["path"] == "ghspec/0a1b"


@pytest.mark.parametrize("text", ["zz", "ghspec/0a2", "0a1b-oneX", "", "/", "/0a2"])
def test_no_such_run(filled, text):
    result = failed(runs_command("-C", filled, "show", text), 1)
    assert (result.stdout, len(result.stderr.splitlines())) == ("", 1)


@pytest.mark.parametrize("arguments", [("show",), ("show", "a", "b"), ("du", "0a"), ("remove", "--yes"), ("init", "a", "b")])
def test_the_wrong_number_of_arguments(filled, arguments):
    assert len(failed(runs_command("-C", filled, *arguments), 2).stderr.splitlines()) == 1


def test_show_all_there_is(filled):
    run = filled / "chatdev" / "0a1b-one"
    for name in ("README.md", ".hidden.md", "other.json", "commit.txt"):
        (run / name).write_text("x" * 1234)
    (run / "directory.md").mkdir()
    os.mkfifo(run / "fifo.md")
    os.symlink("README.md", run / "link.md")
    (run / "metadata.json").write_text("{")
    manifest = json.loads((filled / "runs_manifest.json").read_bytes())
    for entry in manifest["runs"]:
        entry["note"] = {"by": "\x1b[31mhand", "stars": [1, 2.50]}
    (filled / "runs_manifest.json").write_bytes(oracle.manifest_bytes(manifest))

    result = shown(filled, "0a1b-one")
    assert {file["name"]: file["size_bytes"] for file in result["files"]} == {
        "README.md": 1234, "commit.txt": 1234, "link.md": len("README.md"), "metadata.json": 1, "metrics.json": 2048}
    assert result["added"] == {"note": {"by": "\x1b[31mhand", "stars": [1, 2.5]}}
    assert [fault["file"] for fault in result["faults"]] == ["metadata.json"]

    output = succeeded(runs_command("-C", filled, "show", "0a1b-one"))
    for piece in ("0a1b-one", "chatdev", "287761 (288k)", "verified", "1.23 kB  README.md", "link  link.md", "metadata.json", "can't be read", '"stars"'):
        assert piece in output
    assert "\x1b" not in output


def test_show_has_the_fields_of_ones_own(at, filled):
    """Numbers as they are spelled, all else as strings, null for what a run does not have."""
    (filled / "chatdev" / "0a1b-one" / "metadata.json").write_text('{"model": "gpt \\"4o\\"", "cost": 2.50, "when": 1760604659, "flag": true, "nan": NaN}')
    sources = {"model": "text", "cost": "number", "when": "epoch", "flag": "text", "nan": "number", "absent": "number"}
    fields = {name: {"from": f"metadata.json#/{name}", "type": kind} for name, kind in sources.items()}
    assert shown(at, "0a2c")["fields"] == {}
    (at.parent / "runs" if (at.parent / "runs").exists() else filled).joinpath("runsfs.json").write_text(json.dumps({"fields": fields}))
    text = succeeded(runs_command("-C", at, "show", "--json", "0a1b-one"))
    assert '"cost": 2.50,' in text
    result = json.loads(text)["fields"]
    assert list(result) == list(sources)
    assert (result["model"], result["cost"], result["flag"], result["absent"]) == ('gpt "4o"', 2.5, "true", None)
    assert shown(at, "0a2c")["fields"] == dict.fromkeys(sources)
    output = succeeded(runs_command("-C", at, "show", "0a1b-one"))
    assert 'model                gpt "4o"' in output and "cost                 2.50" in output and "absent               -" in output


# ---- du ----


def sizes(at, *options):
    return json.loads(succeeded(runs_command("-C", at, "du", "--json", *options)))


def du(path, *options):
    """What du(1) says, in bytes."""
    return int(subprocess.run(["du", "-s", "-B1", *options, path], capture_output=True, check=True).stdout.split()[0])


def test_du_adds_up_to_du(at, filled):
    for run in (filled / "chatdev" / "0a1b-one", filled / "ghspec" / "0a1b"):
        make_file(run, "workspace/deep/er/big", 123456)
        make_file(run, "archive.tar", 70000)
        make_file(run, "README.md", 5000)
        os.symlink("/", run / "workspace" / "root")
        os.mkfifo(run / "workspace" / "fifo")
    with open(filled / "chatdev" / "0a1b-one" / "sparse", "wb") as file:
        file.truncate(1 << 30)
    result = sizes(at)
    by_path = {run["path"]: run for run in result["runs"]}
    assert list(by_path) == [run["path"] for run in oracle.expected_runs(filled)]
    for path, run in by_path.items():
        assert run["tracked_bytes"] + run["ignored_bytes"] == du(filled / path)
    one = by_path["chatdev/0a1b-one"]
    assert (one["tracked_files"], one["ignored_files"]) == (2, 5)
    assert one["tracked_bytes"] == du(filled / "chatdev/0a1b-one/metrics.json") + du(filled / "chatdev/0a1b-one/README.md")
    for name in ("tracked_bytes", "tracked_files", "ignored_bytes", "ignored_files"):
        assert result["total"][name] == sum(run[name] for run in result["runs"])
    apparent = {run["path"]: run for run in sizes(at, "--apparent-size")["runs"]}["chatdev/0a1b-one"]
    assert apparent["tracked_bytes"] == 2048 + 5000
    assert apparent["ignored_bytes"] == 123456 + 70000 + (1 << 30) + len("/")


def test_du_counts_a_linked_file_once(filled):
    one, other = filled / "chatdev" / "0a1b-one", filled / "ghspec" / "0a1b"
    make_file(one, "big", 1000000)
    os.link(one / "big", one / "also")
    os.link(one / "big", other / "also")
    os.link(other / "metrics.json", other / "copy")
    result = sizes(filled, "--apparent-size")
    by_path = {run["path"]: run for run in result["runs"]}
    assert by_path["chatdev/0a1b-one"]["ignored_bytes"] == by_path["ghspec/0a1b"]["ignored_bytes"] == 1000000
    assert (by_path["ghspec/0a1b"]["tracked_bytes"], by_path["ghspec/0a1b"]["tracked_files"]) == (2048, 1)
    assert (result["total"]["ignored_bytes"], result["total"]["ignored_files"]) == (1000000, 1)


def test_du_goes_as_deep_as_it_has_to(filled):
    here = os.getcwd()
    os.chdir(filled / "chatdev" / "0a1b-one")
    try:
        for _ in range(3000):
            os.mkdir("d" * 20)
            os.chdir("d" * 20)
        make_file(".", "bottom", 4321)
    finally:
        os.chdir(here)
    assert {run["path"]: run for run in sizes(filled, "--apparent-size")["runs"]}["chatdev/0a1b-one"]["ignored_bytes"] == 4321
    succeeded(runs_command("-C", filled, "remove", "--yes", "0a1b-one"))
    assert os.listdir(filled / "chatdev") == ["0a2c-two"]


def test_du_for_people(filled):
    make_file(filled / "ghspec" / "0a1b", "big", 3000000)
    lines = succeeded(runs_command("-C", filled, "du", "--apparent-size")).splitlines()
    assert lines[0].split() == ["RUN", "FRAMEWORK", "TRACKED", "FILES", "IGNORED", "FILES"]
    assert any(line.split() == ["0a1b", "ghspec", "2.05", "kB", "1", "3.00", "MB", "1"] for line in lines)
    assert lines[-1].split() == ["4", "runs", "8.19", "kB", "4", "3.00", "MB", "1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs")
def test_du_crosses_no_mount_point(filled):
    place = filled / "chatdev" / "0a1b-one" / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    try:
        make_file(place, "big", 1000000)
        assert sizes(filled, "--apparent-size")["total"]["ignored_bytes"] == 0
    finally:
        subprocess.run(["umount", place], check=True)
