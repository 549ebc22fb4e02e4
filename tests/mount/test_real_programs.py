"""runs/ is the source: programs at work in it. Each test also holds for a plain directory (RUNSFS_NATIVE=1)."""

import os
import shutil
import subprocess

import pytest

from helpers import assert_same_tree


def test_rename_of_a_directory_while_somebody_works_in_it(real):
    (real.runs / "old" / "inner").mkdir(parents=True)
    (real.runs / "old" / "inner" / "file").write_text("still here\n")
    script = "read _; cat file; echo more >> file; cat ../inner/file; pwd -P; read _; cat file"
    with subprocess.Popen(
        ["bash", "-c", script], cwd=real.runs / "old" / "inner", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        os.rename(real.runs / "old", real.runs / "new")
        output, _ = child.communicate("go\ngo\n", timeout=20)
    lines = output.splitlines()
    assert lines[:3] == ["still here", "still here", "more"]
    assert lines[-2:] == ["still here", "more"]
    assert (real.source / "new" / "inner" / "file").read_text() == "still here\nmore\n"


def test_getcwd_after_a_rename(real):
    (real.runs / "old").mkdir()
    command = ["/usr/bin/python3", "-c", "import os; input(); print(os.getcwd())"]
    with subprocess.Popen(command, cwd=real.runs / "old", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        os.rename(real.runs / "old", real.runs / "new")
        output, _ = child.communicate("\n", timeout=20)
    assert output.strip() == os.path.realpath(real.runs / "new")


def test_scripts_and_programs_run_from_it(real):
    script = real.runs / "script"
    script.write_text("#!/bin/sh\necho hello from $1\n")
    script.chmod(0o755)
    assert subprocess.run([script, "here"], capture_output=True, check=True).stdout == b"hello from here\n"
    shutil.copy("/bin/echo", real.runs / "program")
    assert subprocess.run([real.runs / "program", "hello"], capture_output=True, check=True).stdout == b"hello\n"
    script.chmod(0o644)
    with pytest.raises(PermissionError):
        subprocess.run([script], check=False)


def git(directory, *arguments):
    settings = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "safe.directory=*"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.fspath(directory), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *settings, *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=True, text=True).stdout


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_git_works_in_it(real):
    git(real.runs, "init", "-q")
    for number in range(30):
        (real.runs / f"directory-{number % 5}").mkdir(exist_ok=True)
        (real.runs / f"directory-{number % 5}" / f"file-{number}").write_text(f"content {number}\n" * number)
    git(real.runs, "add", "-A")
    git(real.runs, "commit", "-q", "-m", "first")
    assert git(real.runs, "status", "--porcelain") == ""
    assert git(real.source, "status", "--porcelain") == ""
    (real.runs / "directory-1" / "file-1").write_text("changed\n")
    assert git(real.runs, "status", "--porcelain").split() == ["M", "directory-1/file-1"]
    git(real.runs, "checkout", "-q", "--", ".")
    git(real.runs, "checkout", "-q", "-b", "other")
    git(real.runs, "mv", "directory-2", "moved")
    git(real.runs, "commit", "-q", "-m", "moved")
    git(real.runs, "gc", "-q")
    git(real.runs, "fsck", "--strict")
    assert git(real.source, "log", "--format=%s").split() == ["moved", "first"]


def test_tar_and_cp_keep_everything(real):
    (real.runs / "from" / "inner").mkdir(parents=True)
    (real.runs / "from" / "inner" / "file").write_bytes(os.urandom(100_000))
    os.link(real.runs / "from" / "inner" / "file", real.runs / "from" / "hard")
    os.symlink("nowhere", real.runs / "from" / "dangling")
    subprocess.run(["cp", "-a", "from", "copied"], cwd=real.runs, check=True)
    subprocess.run("mkdir untarred && tar -C from -c . | tar -C untarred -x", shell=True, cwd=real.runs, check=True)
    for name in ("copied", "untarred"):
        subprocess.run(["diff", "-r", "--no-dereference", "from", name], cwd=real.runs, check=True)
        assert os.stat(real.source / name / "hard").st_nlink == 2
    assert_same_tree(real.source, real.runs)


def test_rm_of_a_tree(real):
    for number in range(300):
        (real.runs / "tree" / f"{number % 7}" / f"{number % 11}").mkdir(parents=True, exist_ok=True)
        (real.runs / "tree" / f"{number % 7}" / f"{number % 11}" / f"{number}").touch()
    subprocess.run(["rm", "-r", real.runs / "tree"], check=True)
    assert os.listdir(real.source) == os.listdir(real.runs) == []
