"""`runs remove`: what goes, what stays, who is asked, and what a crash leaves."""

import json
import os
import pty
import select
import shutil
import subprocess
import time

import pytest

import oracle
from helpers import assert_agree, make_file, poll, read_bytes, tree, write_run
from mounting import RUNS, runs_command
from test_runs_command import failed, succeeded, write_manifest


@pytest.fixture
def filled(source):
    for framework, name in (("chatdev", "0a1b"), ("chatdev", "0a2c"), ("ghspec", "ff")):
        run = write_run(source, framework, name)
        make_file(run, "workspace/deep/big", 50000)
    write_manifest(source)
    return source


def listed(source):
    return [run["path"] for run in json.loads(read_bytes(source / "runs_manifest.json"))["runs"]]


def on_disk(source):
    return [run["path"] for run in oracle.expected_runs(source)]


def containers(source):
    return [name for _, names, _ in os.walk(source) for name in names if name.startswith(".removed.")]


def test_remove(filled):
    before = tree(filled / "chatdev" / "0a2c")
    output = succeeded(runs_command("-C", filled, "remove", "--yes", "0a1b"))
    assert "chatdev/0a1b" in output and "2 files" in output
    assert on_disk(filled) == listed(filled) == ["chatdev/0a2c", "ghspec/ff"]
    assert os.listdir(filled / "chatdev") == ["0a2c"]
    assert tree(filled / "chatdev" / "0a2c") == before


def test_remove_several_once(filled):
    succeeded(runs_command("-C", filled, "remove", "chatdev/0a1b", "ff", "0a1", "-y"))
    assert on_disk(filled) == listed(filled) == ["chatdev/0a2c"]


@pytest.mark.parametrize("place", ["beside", "runs", "by-status/verified", "by-framework/chatdev/0a2c"])
def test_remove_with_a_mount(filled, mount, place):
    mounted = mount(filled)
    assert_agree(mounted)
    succeeded(runs_command("-C", filled if place == "beside" else mounted.path / place, "remove", "--yes", "0a1b"))
    assert poll(lambda: not (mounted.path / "by-status/verified/0a1b").exists())
    assert_agree(mounted)
    assert on_disk(filled) == ["chatdev/0a2c", "ghspec/ff"]
    assert containers(filled) == []


@pytest.mark.parametrize("named, status", [(("0a1b", "zz"), 1), (("0a1b", "0a"), 2)])
def test_all_or_none(filled, named, status):
    failed(runs_command("-C", filled, "remove", "--yes", *named), status)
    assert len(on_disk(filled)) == 3


def test_nobody_to_ask(filled):
    result = failed(runs_command("-C", filled, "remove", "0a1b"), 2)
    assert "--yes" in result.stderr and len(result.stderr.splitlines()) == 1
    assert len(on_disk(filled)) == 3
    # What would not be asked about is told first.
    assert "no run's id" in failed(runs_command("-C", filled, "remove", "zz"), 1).stderr


@pytest.mark.parametrize("answer, left", [("y", 2), ("yes", 2), ("n", 3), ("", 3), ("yy", 3)])
def test_it_asks_at_a_terminal(filled, answer, left):
    controller, terminal = pty.openpty()
    process = subprocess.Popen([RUNS, "-C", filled, "remove", "0a1b"], stdin=terminal, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 20
    while b"[y/N]" not in shown and time.monotonic() < deadline:
        if select.select([controller], [], [], 0.1)[0]:
            shown += os.read(controller, 4096)
    assert b"chatdev/0a1b: " in shown and b"kB in 2 files" in shown
    assert len(on_disk(filled)) == 3
    os.write(controller, answer.encode() + b"\n")
    process.communicate(timeout=20)
    os.close(controller)
    assert process.returncode == (0 if left == 2 else 1)
    assert len(on_disk(filled)) == left


def test_nothing_beyond_a_link_is_touched(filled, tmp_path):
    outside = tmp_path / "outside"
    make_file(outside, "file", 100)
    run = filled / "chatdev" / "0a1b"
    os.symlink(outside, run / "link")
    os.symlink(outside / "file", run / "workspace" / "file-link")
    os.link(outside / "file", run / "hard")
    os.mkfifo(run / "fifo")
    (run / "closed").mkdir()
    make_file(run / "closed", "module", 10)
    (run / "closed").chmod(0o500)
    succeeded(runs_command("-C", filled, "remove", "--yes", "0a1b"))
    assert (outside / "file").stat().st_size == 100
    assert os.listdir(filled / "chatdev") == ["0a2c"]


def test_a_framework_that_is_a_link_has_no_runs(filled, tmp_path):
    shutil.move(filled / "ghspec", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", filled / "ghspec")
    failed(runs_command("-C", filled, "remove", "--yes", "ff"), 1)
    assert (tmp_path / "elsewhere" / "ff" / "metrics.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a tmpfs")
def test_nothing_that_is_mounted_is_touched(filled):
    place = filled / "chatdev" / "0a1b" / "workspace" / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    try:
        make_file(place, "file", 100)
        result = failed(runs_command("-C", filled, "remove", "--yes", "0a1b", "ff"), 2)
        assert "workspace/mounted" in result.stderr
        assert len(on_disk(filled)) == 3
        assert (place / "file").exists()
    finally:
        subprocess.run(["umount", place], check=True)


def test_what_can_not_be_deleted_is_named(filled):
    """It is told where it is now; the run is none any more, and the rest goes as soon as that may go."""
    file = make_file(filled / "chatdev" / "0a1b", "workspace/fixed", 10)
    if subprocess.run(["chattr", "+i", file], capture_output=True, check=False).returncode:
        pytest.skip("needs chattr +i")
    left = None
    try:
        error = failed(runs_command("-C", filled, "remove", "--yes", "0a1b"), 2).stderr
        left = next((filled / "chatdev").glob(".removed.*/**/0a1b/workspace/fixed"))
        assert str(left.relative_to(filled)) in error
        assert on_disk(filled) == listed(filled) == ["chatdev/0a2c", "ghspec/ff"]
    finally:
        subprocess.run(["chattr", "-i", left or file], check=True)
    succeeded(runs_command("-C", filled, "remove", "--yes", "0a2c"))
    assert os.listdir(filled / "chatdev") == []


def start_injected(source, what, tmp_path):
    """`runs remove`, to which something happens at a system call."""
    command = ["strace", "-f", "-qq", "-o", tmp_path / "trace", "-e", f"trace={what.partition(':')[0]}", "-e", f"inject={what}",
               RUNS, "-C", source, "remove", "--yes", "chatdev/0a1b"]
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.Popen([os.fspath(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, stdin=subprocess.DEVNULL, text=True)


def injected(source, call, number, what, tmp_path):
    with start_injected(source, f"{call}:{what}:when={number}", tmp_path) as process:
        output, error = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, error)


def crash_at(source, call, number, tmp_path):
    """Kills it where it is about to make that call; False where it makes fewer."""
    return injected(source, call, number, "signal=KILL", tmp_path).returncode != 0


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("call", ["mkdirat", "renameat", "unlinkat"])
def test_a_crash_leaves_a_run_whole_or_gone(filled, tmp_path, call):
    run, entry = filled / "chatdev" / "0a1b", oracle.expected_runs(filled)[0]
    whole = tree(run)
    spare = tmp_path / "spare"
    shutil.copytree(run, spare)
    crashes = 0
    for number in range(1, 12):
        if not run.exists():
            shutil.copytree(spare, run)
        if not crash_at(filled, call, number, tmp_path):
            break
        crashes += 1
        found = oracle.expected_runs(filled)
        assert [other["path"] for other in found if other["path"] != entry["path"]] == ["chatdev/0a2c", "ghspec/ff"]
        assert not run.exists() or tree(run).keys() == whole.keys()
    assert crashes > 0
    # Whoever comes next makes all of it true.
    if not run.exists():
        shutil.copytree(spare, run)
    succeeded(runs_command("-C", filled, "remove", "--yes", "chatdev/0a1b"))
    assert on_disk(filled) == listed(filled) == ["chatdev/0a2c", "ghspec/ff"]
    assert os.listdir(filled / "chatdev") == ["0a2c"]


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("call", ["renameat", "unlinkat", "openat2"])
def test_an_error_says_whether_the_run_is_there(filled, tmp_path, call):
    run = filled / "chatdev" / "0a1b"
    spare = tmp_path / "spare"
    shutil.copytree(run, spare)
    told = set()
    for number in range(1, 60):
        for left in containers(filled):
            shutil.rmtree(filled / "chatdev" / left)
        if not run.exists():
            shutil.copytree(spare, run)
        result = injected(filled, call, number, "error=EIO", tmp_path)
        if result.returncode != 2 or "0a1b" not in result.stderr:
            continue
        if run.exists():
            assert tree(run).keys() == tree(spare).keys() and ("as it was" in result.stderr or "nothing was removed" in result.stderr), (number, result.stderr)
        else:
            assert "the run is gone from its place" in result.stderr and ".removed." in result.stderr, (number, result.stderr)
        told.add(run.exists())
    assert told == ({True} if call == "renameat" else {True, False} if call == "openat2" else {False})


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_two_that_delete_the_same(filled, tmp_path):
    """The second finishes what the first seems to have left; neither has anything to complain of."""
    for pause in range(6):
        run = filled / "chatdev" / "0a1b"
        for number in range(15):
            make_file(run, f"workspace/{number}/x/y/file", 1)
        write_run(filled, "chatdev", "0a1b")
        write_run(filled, "chatdev", "0a2c")
        with start_injected(filled, "unlinkat:delay_enter=20000", tmp_path) as slow:
            assert poll(lambda: not run.exists(), seconds=20)
            time.sleep(0.03 * pause)
            succeeded(runs_command("-C", filled, "remove", "--yes", "0a2c"))
            output, error = slow.communicate()
        assert (slow.returncode, error) == (0, "") and "removed" in output
        assert os.listdir(filled / "chatdev") == []


def test_a_run_that_is_at_work_is_removed_all_the_same(filled):
    """Somebody goes on writing in it, by a directory that is its working directory."""
    run = filled / "chatdev" / "0a1b" / "workspace"
    writer = subprocess.Popen(["sh", "-c", "i=0; while :; do i=$((i+1)); : > file$i || exit; sleep 0.002; done"], cwd=run, stderr=subprocess.DEVNULL)
    try:
        assert poll(lambda: (run / "file10").exists())
        succeeded(runs_command("-C", filled, "remove", "--yes", "0a1b"))
        assert on_disk(filled) == listed(filled) == ["chatdev/0a2c", "ghspec/ff"]
        assert containers(filled) == []
    finally:
        writer.kill()
        writer.wait()


# ---- --keep-files ----


def test_keep_files(filled):
    before = tree(filled / "chatdev")
    output = succeeded(runs_command("-C", filled, "remove", "--keep-files", "0a1b", "ff"))
    assert output == "chatdev/0a1b: excluded, its files stay\nghspec/ff: excluded, its files stay\n"
    assert json.loads((filled / "runsfs.json").read_bytes()) == {"exclude": ["chatdev/0a1b", "ghspec/ff"]}
    assert tree(filled / "chatdev") == before
    assert sorted(os.listdir(filled)) == ["chatdev", "ghspec", "runs_manifest.json", "runsfs.json"]


def test_keep_files_in_a_configuration_that_is_there(filled):
    path = filled / "runsfs.json"
    path.write_text('{\n    "exclude": ["old/one"],\n    "tracked": ["*.md"]\n}\n')
    path.chmod(0o640)
    succeeded(runs_command("-C", filled, "remove", "--keep-files", "0a1b"))
    assert json.loads(path.read_bytes()) == {"exclude": ["old/one", "chatdev/0a1b"], "tracked": ["*.md"]}
    assert path.read_text().endswith(',\n    "tracked": ["*.md"]\n}\n')
    assert path.stat().st_mode & 0o777 == 0o640


def test_keep_files_and_a_broken_configuration(filled):
    (filled / "runsfs.json").write_text("{")
    result = failed(runs_command("-C", filled, "remove", "--keep-files", "0a1b"), 2)
    assert "runsfs.json" in result.stderr and len(result.stderr.splitlines()) == 1
    assert (filled / "runsfs.json").read_text() == "{"


def test_keep_files_through_a_mount(filled, mount):
    mounted = mount(filled)
    succeeded(runs_command("remove", "--keep-files", "0a1b", cwd=mounted.path / "by-status"))
    assert json.loads((filled / "runsfs.json").read_bytes()) == {"exclude": ["chatdev/0a1b"]}
    assert (filled / "chatdev/0a1b/workspace/deep/big").exists()
