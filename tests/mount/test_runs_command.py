"""`runs list`, `runs check` and `runs rebuild`, with a mount and without one."""

import json
import os
import shutil
import subprocess

import pytest

import oracle
from helpers import assert_agree, change_status, read_bytes, write_run
from mounting import RUNS, runs_command


@pytest.fixture
def filled(source):
    write_run(source, "chatdev", "run-1", "verified", (287761, 91329))
    write_run(source, "chatdev", "run-2", "failed", layout="plain", start="2025-10-01T00:00:00Z")
    write_run(source, "ghspec", "run-3", "pending", start=None)
    write_manifest(source)
    return source


def write_manifest(source, **changes):
    manifest = {**oracle.expected_manifest(source, standing={"last_updated": "2025-10-15T10:30:00Z"}), **changes}
    (source / "runs_manifest.json").write_bytes(oracle.manifest_bytes(manifest))


def succeeded(result):
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def failed(result, status):
    assert result.returncode == status, result
    return result


@pytest.fixture(params=["from-outside", "source", "framework", "run", "mounted-beside", "mount", "mount-runs", "mount-run", "view", "view-run"])
def place(request, filled, mount):
    """(arguments, working directory): the ways of saying which source is meant."""
    os.makedirs(filled / "chatdev" / "run-1" / "workspace")
    name = request.param
    if name in ("from-outside", "source", "framework", "run"):
        below = {"source": "", "framework": "chatdev", "run": "chatdev/run-1/workspace"}
        return (["-C", filled], None) if name == "from-outside" else ([], filled / below[name])
    mounted = mount(filled)
    assert_agree(mounted)
    if name == "mounted-beside":
        return [], filled
    below = {"mount": "", "mount-runs": "runs", "mount-run": "runs/chatdev/run-1/workspace", "view": "by-status/verified",
             "view-run": "by-status/verified/run-1/workspace"}
    return [], mounted.path / below[name]


def test_each_command_finds_its_source(place, filled):
    arguments, directory = place
    listed = json.loads(succeeded(runs_command(*arguments, "list", "--json", cwd=directory)))
    assert listed == oracle.expected_runs(filled)
    succeeded(runs_command(*arguments, "check", cwd=directory))
    before = read_bytes(filled / "runs_manifest.json")
    succeeded(runs_command(*arguments, "rebuild", cwd=directory))
    assert read_bytes(filled / "runs_manifest.json") == before


def test_list_for_people(filled):
    output = succeeded(runs_command("-C", filled, "list"))
    lines = output.splitlines()
    for run in oracle.expected_runs(filled):
        assert sum(run["run_id"] in line and run["framework"] in line and run["verification_status"] in line for line in lines) == 1
    assert "\x1b" not in output


def test_list_for_programs(filled):
    paths = [run["path"] for run in oracle.expected_runs(filled)]
    assert succeeded(runs_command("-C", filled, "list", "--paths")).splitlines() == paths
    assert succeeded(runs_command("-C", filled, "list", "--paths", "-0")) == "".join(f"{path}\0" for path in paths)
    assert json.loads(succeeded(runs_command("-C", filled, "list", "--json"))) == oracle.expected_runs(filled)


def test_list_of_odd_names(filled):
    write_run(filled, "new\nline", "\x1b[31mred", "sta\ttus")
    write_manifest(filled)
    assert "new\nline/\x1b[31mred\0" in succeeded(runs_command("-C", filled, "list", "--paths", "-0"))
    assert "\x1b" not in succeeded(runs_command("-C", filled, "list"))
    assert json.loads(succeeded(runs_command("-C", filled, "list", "--json"))) == oracle.expected_runs(filled)


def test_list_says_what_the_files_say(filled):
    """Also where the manifest on disk does not (yet)."""
    change_status(filled / "chatdev" / "run-1", "changed", "in_place")
    assert json.loads(succeeded(runs_command("-C", filled, "list", "--json"))) == oracle.expected_runs(filled)


def test_check_leaves_everything_alone(filled):
    names = [os.path.join(top, name) for top, _, files in os.walk(filled) for name in [".", *files]]
    before = {name: os.stat(name).st_mtime_ns for name in names}
    succeeded(runs_command("-C", filled, "check"))
    change_status(filled / "chatdev" / "run-1", "changed", "in_place")
    failed(runs_command("-C", filled, "check"), 1)
    after = {name: os.stat(name).st_mtime_ns for name in names}
    assert {name for name in names if before[name] != after[name]} == {os.path.join(filled, "chatdev", "run-1", "metrics.json")}


def drift(source):
    manifest = json.loads(read_bytes(source / "runs_manifest.json"))
    manifest["runs"][0]["verification_status"] = "drifted"
    manifest["total_runs"] = 17
    (source / "runs_manifest.json").write_bytes(oracle.manifest_bytes(manifest))
    return manifest["runs"][0]["path"]


def forget(source):
    write_run(source, "ghspec", "run-4")
    return "ghspec/run-4"


def invent(source):
    manifest = json.loads(read_bytes(source / "runs_manifest.json"))
    manifest["runs"].append({**manifest["runs"][0], "run_id": "ghost", "path": "chatdev/ghost"})
    (source / "runs_manifest.json").write_bytes(oracle.manifest_bytes(manifest))
    return "chatdev/ghost"


def lose(source):
    (source / "runs_manifest.json").unlink()
    return "runs_manifest.json"


def empty(source):
    (source / "runs_manifest.json").write_bytes(b"")
    return "runs_manifest.json"


@pytest.mark.parametrize("damage", [drift, forget, invent, lose, empty])
def test_check_names_and_mends_what_differs(filled, damage):
    named = damage(filled)
    assert named in failed(runs_command("-C", filled, "check"), 1).stdout
    runs_command("-C", filled, "check", "--fix")
    assert read_bytes(filled / "runs_manifest.json") == oracle.manifest_bytes(oracle.expected_manifest(filled))
    succeeded(runs_command("-C", filled, "check"))


@pytest.mark.parametrize("damage", [drift, forget, invent, lose, empty])
def test_rebuild_mends_what_differs(filled, damage):
    damage(filled)
    succeeded(runs_command("-C", filled, "rebuild"))
    assert read_bytes(filled / "runs_manifest.json") == oracle.manifest_bytes(oracle.expected_manifest(filled))


def test_check_names_what_cannot_be_read_and_what_is_no_run(filled):
    (filled / "ghspec" / "broken").mkdir()
    (filled / "ghspec" / "broken" / "metrics.json").write_text('{"verification_status": ')
    os.mkfifo(filled / "ghspec" / "run-3" / "metadata.json")
    (filled / "ghspec" / "aborted" / "workspace").mkdir(parents=True)
    write_manifest(filled)
    output = failed(runs_command("-C", filled, "check"), 1).stdout
    for name in ("ghspec/broken", "ghspec/run-3", "ghspec/aborted"):
        assert name in output
    assert "chatdev/run-1" not in output


def test_rebuild_keeps_additions_and_writes_only_what_changed(filled):
    write_manifest(filled, note={"kept": True})
    before = os.stat(filled / "runs_manifest.json")
    succeeded(runs_command("-C", filled, "rebuild"))
    after = os.stat(filled / "runs_manifest.json")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    drift(filled)
    succeeded(runs_command("-C", filled, "rebuild"))
    manifest = json.loads(read_bytes(filled / "runs_manifest.json"))
    assert manifest["note"] == {"kept": True}
    assert manifest["last_updated"] != "2025-10-15T10:30:00Z"
    assert oracle.without_additions(manifest) == oracle.expected_manifest(filled)


def test_commands_under_a_mount_and_its_changes(filled, mount):
    mounted = mount(filled)
    change_status(mounted.runs / "chatdev" / "run-1", "changed", "in_place")
    assert json.loads(succeeded(runs_command("list", "--json", cwd=mounted.runs))) == oracle.expected_runs(filled)
    assert_agree(mounted)
    (filled / "runs_manifest.json").unlink()
    runs_command("-C", mounted.runs, "rebuild")
    assert_agree(mounted)


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("list", "--nonsense"), ("-C", "/nonexistent/directory", "list"), ("-C",), ("check", "-C", "/dev/null")])
def test_errors_are_one_line_and_2(tmp_path, arguments):
    result = failed(runs_command(*arguments, cwd=tmp_path), 2)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("runs: ")


@pytest.mark.parametrize("command", ["list", "check", "rebuild"])
def test_no_source_anywhere_above(tmp_path, command):
    result = failed(runs_command(command, cwd=tmp_path), 2)
    assert len(result.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_help():
    output = succeeded(runs_command("--help"))
    for command in ("list", "check", "rebuild"):
        assert command in output


def test_help_by_its_other_name():
    assert succeeded(runs_command("help")) == succeeded(runs_command("--help"))
    assert succeeded(runs_command("help", "find")) == succeeded(runs_command("find", "--help"))
    assert failed(runs_command("help", "nonsense"), 2).stderr.startswith("runs: nonsense: no such command")


@pytest.mark.parametrize("typed, meant", [("fnd", "find"), ("lst", "list"), ("remvoe", "remove"), ("complet", None), ("nonsense", None)])
def test_a_command_that_is_misspelled(typed, meant):
    message = failed(runs_command(typed), 2).stderr
    assert (f"did you mean {meant}?" in message) if meant else ("did you mean" not in message)


def test_a_mount_whose_daemon_was_killed(filled, mount):
    mounted = mount(filled)
    mounted.kill()
    for command in (["list"], ["find", "limit=1"], ["show", "run-1"], ["check"], ["rebuild"], ["du"], ["log"], ["init"]):
        message = failed(runs_command("-C", mounted.path, *command), 2).stderr
        assert message == f"runs: {mounted.runs}: nobody serves this mount any more; mount it again, or take it away by fusermount3 -u\n", command
    succeeded(runs_command("-C", filled, "list"))


def test_a_file_is_no_source(filled):
    path = filled / "chatdev" / "run-1" / "metrics.json"
    message = failed(runs_command("-C", path, "list"), 2).stderr
    assert message == f"runs: {path}: is no directory; give the one that holds the runs\n"


@pytest.mark.parametrize("command", ["commit", "log", "progress", "show"])
def test_no_repository(filled, command):
    """Each command says the same, and what to do."""
    arguments = ["run-1", "--diff", "HEAD"] if command == "show" else []
    message = failed(runs_command("-C", filled, command, *arguments), 2).stderr
    assert message == f"runs: {filled}: lies in no Git repository with a working tree; git init makes one, then runs init\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("configured", [False, True], ids=["no safe.directory at all", "another safe.directory"])
def test_a_repository_of_somebody_else(open_tmp, configured):
    """It is there, and may be allowed: `git init` would be no advice."""
    source = open_tmp / "source"
    write_run(source, "chatdev", "run-1")
    write_manifest(source)
    subprocess.run(["git", "init", "-q", source], check=True)
    command = shutil.copy(RUNS, open_tmp)  # where everybody may start it
    home = open_tmp / "home"
    home.mkdir()
    if configured:
        (home / ".gitconfig").write_text("[safe]\n directory = /elsewhere\n")
    nobody = {"user": 65534, "group": 65534, "extra_groups": [], "env": {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}}
    for name in ("log", "progress", "commit"):
        result = subprocess.run([command, "-C", source, name], capture_output=True, text=True, timeout=60, check=False, **nobody)
        assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result
        assert "git init" not in result.stderr and ("git status" in result.stderr or "safe.directory" in result.stderr), result
