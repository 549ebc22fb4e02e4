"""`runs init`: what real Git takes of a source full of junk once the rules are in place, and what is in their way."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from helpers import make_file, write_run
from mounting import runs_command
from test_runs_command import failed, succeeded, write_manifest

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")

BEGIN, END = b"# >>> runsfs", b"# <<< runsfs"


@pytest.fixture(autouse=True)
def git_alone(monkeypatch, tmp_path):
    """Git as it comes: no configuration of whoever runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))


def git(directory, *arguments):
    return subprocess.run(["git", "-C", directory, *arguments], capture_output=True, check=True).stdout


def taken(directory):
    """What `git add -A` takes, from the directory."""
    git(directory, "add", "-A")
    return {os.fsdecode(path) for path in git(directory, "ls-files", "-z").split(b"\0") if path}


def junk(run):
    """Junk of every kind. What Git takes of it is no junk; what it does not is."""
    for name in ("workspace/metrics.json", "workspace/README.md", "workspace/.gitignore", "sprint_1/metadata.json", "sprint_1/commit.txt", "artifacts/a/b/c/x.md", "archive.tar.gz", "run.zip",
                 "big", "log.txt", "metrics.json.bak", "metrics.jsonl", ".hidden.md", ".metrics.json", ".env", "x.MD", "md", "notes.md/inside.md", "notes.md/metrics.json", "dir.md/.md/x.md",
                 "metrics.json~", "a b .md ", "#x.md#", "new\nline.txt", "*.json", "!x", ".metrics.json.0123456789abcdef.runsfs"):
        make_file(run, name, 300)
    os.symlink("/dev/zero", run / "zero")
    os.symlink("workspace", run / "linked")
    os.mkfifo(run / "fifo.md")
    git_in_workspace = run / "workspace" / "clone"
    git_in_workspace.mkdir()
    git(git_in_workspace, "init", "-q")
    make_file(git_in_workspace, "README.md", 10)
    (run / "workspace" / ".gitignore").write_text("!*\n")
    (run / "empty.md").mkdir()
    kept = {"metrics.json", "metadata.json", "commit.txt", "README.md", "final report.md", "ünïcode.md", "link.md"}
    for name in kept - {"metrics.json", "link.md"}:
        make_file(run, name, 100)
    os.symlink("/nowhere", run / "link.md")
    return kept


def fill(source):
    """A source; returns what Git is to take of it."""
    expected = {".gitignore", "runs_manifest.json", "runsfs.json"}
    for framework, name in (("chatdev", "0a1b"), ("chatdev", "0a2c"), ("gh spec", "[odd] *name"), ("ghspec", "!bang"), (".dotted", ".run")):
        run = pathlib.Path(write_run(source, framework, name))
        expected |= {f"{framework}/{name}/{file}" for file in junk(run)}
    for name in ("README.md", "metrics.json", "notes.txt", ".env", ".runs_manifest.json.0123456789abcdef.runsfs", "runs_manifest.json.broken", "chatdev/README.md", "chatdev/metrics.json",
                 "chatdev/aborted/log.txt", "chatdev/aborted/sprint_1/metrics.json", "chatdev/.hidden"):
        make_file(source, name, 200)
    (source / "runsfs.json").write_text("{}")
    write_manifest(source)
    return expected


def block_of(source):
    content = (source / ".gitignore").read_bytes()
    return content[content.index(BEGIN):content.index(b"\n", content.index(END)) + 1]


@pytest.mark.parametrize("below", ["", "experiment/runs"])
def test_git_takes_the_tracked_files_and_nothing_else(tmp_path, below):
    repository = tmp_path / "repository"
    source = repository / below
    source.mkdir(parents=True)
    expected = fill(source)
    git(repository, "init", "-q")
    if below:
        make_file(repository, "README.md", 10)
        make_file(repository, "code/big", 10)
    output = succeeded(runs_command("init", source))
    assert output.startswith(".gitignore: ") and len(output.splitlines()) == 1
    outside = {"README.md", "code/big"} if below else set()
    assert taken(repository) == {os.path.join(below, path) for path in expected} | outside
    assert git(repository, "status", "--porcelain", "--untracked-files=all").count(b"\n") == len(expected | outside)


def test_the_manifest_that_is_there(source):
    write_run(source, "chatdev", "run")
    write_manifest(source)
    os.rename(source / "runs_manifest.json", source / "manifest.json")
    git(source, "init", "-q")
    succeeded(runs_command("init", source))
    assert taken(source) == {".gitignore", "manifest.json", "chatdev/run/metrics.json"}


@pytest.mark.parametrize("before", [b"", b"*.tmp\n", b"*.tmp", b"*.tmp\r\n!workspace\r\n", b"\xff\xfe\n\n# mine\n!*/\n!*\n"])
def test_other_lines_stay(source, before):
    write_run(source, "chatdev", "run")
    write_manifest(source)
    make_file(source, "chatdev/run/workspace/big", 10)
    (source / ".gitignore").write_bytes(before)
    (source / ".gitignore").chmod(0o640)
    git(source, "init", "-q")
    assert "added" in succeeded(runs_command("init", source))
    content = (source / ".gitignore").read_bytes()
    assert content == before + (b"\n" if before and not before.endswith(b"\n") else b"") + block_of(source)
    assert (source / ".gitignore").stat().st_mode & 0o777 == 0o640
    assert taken(source) == {".gitignore", "runs_manifest.json", "chatdev/run/metrics.json"}
    stamp = (source / ".gitignore").stat()
    assert "already" in succeeded(runs_command("init", source))
    assert ((source / ".gitignore").stat().st_ino, (source / ".gitignore").read_bytes()) == (stamp.st_ino, content)


def test_an_old_block_is_brought_up_to_date_in_its_place(source):
    write_run(source, "chatdev", "run")
    write_manifest(source)
    git(source, "init", "-q")
    succeeded(runs_command("init", source))
    block = block_of(source)
    old = BEGIN + b" of long ago\n/*\n!/oldies\n" + END + b" end\n"
    (source / ".gitignore").write_bytes(b"before\n" + old + b"between\n" + old + b"behind")
    assert "up to date" in succeeded(runs_command("init", source))
    assert (source / ".gitignore").read_bytes() == b"before\n" + block + b"between\nbehind"
    assert {path.name for path in source.iterdir()} == {".git", ".gitignore", "chatdev", "runs_manifest.json"}


def test_a_block_without_end_is_left_alone(source):
    write_manifest(source)
    (source / ".gitignore").write_bytes(b"a\n" + BEGIN + b"\n/*\nmine\n")
    assert "line 2" in failed(runs_command("init", source), 2).stderr
    assert (source / ".gitignore").read_bytes() == b"a\n" + BEGIN + b"\n/*\nmine\n"


@pytest.mark.parametrize("what", ["directory", "link", "fifo"])
def test_a_gitignore_that_is_no_file(source, what):
    write_manifest(source)
    path = source / ".gitignore"
    {"directory": path.mkdir, "link": lambda: path.symlink_to("elsewhere"), "fifo": lambda: os.mkfifo(path)}[what]()
    assert len(failed(runs_command("init", source), 2).stderr.splitlines()) == 1
    assert {path.name for path in source.iterdir()} == {".gitignore", "runs_manifest.json"}


def finding(source, name):
    """What the report, of an init that ends with 1, says of name."""
    output = failed(runs_command("init", source), 1).stdout
    return "\n".join(line for line in output.splitlines()[1:] if line.startswith(name + ": "))


@pytest.fixture
def repository(source):
    write_run(source, "chatdev", "run")
    make_file(source, "chatdev/run/workspace/big", 10)
    make_file(source, "chatdev/run/commit.txt", 10)
    write_manifest(source)
    git(source, "init", "-q")
    return source


@pytest.mark.parametrize("name", ["chatdev/run/.gitignore", "chatdev/.gitignore"])
def test_rules_in_a_run_outrank_the_block(repository, name):
    (repository / name).write_text("# a comment\n\nlocal\n!workspace\n" if "run" in name else "!workspace\n")
    line = finding(repository, name)
    assert re.search(r'line \d, "!workspace"', line)
    assert "chatdev/run/workspace/big" in taken(repository)


@pytest.mark.parametrize("rule", ["*.txt", "**/commit.txt", "/**/*.txt"])
def test_rules_in_a_run_that_hide_tracked_files(repository, rule):
    (repository / "chatdev/run/.gitignore").write_text(f"*.log\n{rule}\n")
    assert f'line 2, "{rule}"' in finding(repository, "chatdev/run/.gitignore")
    assert "chatdev/run/commit.txt" not in taken(repository)


def test_harmless_rules_in_a_run(repository):
    (repository / "chatdev/run/.gitignore").write_text("*.log\n__pycache__/\n.venv\n")
    succeeded(runs_command("init", repository))


def test_lines_behind_the_block(repository):
    succeeded(runs_command("init", repository))
    with open(repository / ".gitignore", "a", encoding="utf-8") as file:
        file.write("*.tmp\n!/*/*/report.pdf\n")
    make_file(repository, "chatdev/run/report.pdf", 10)
    assert '"!/*/*/report.pdf"' in finding(repository, ".gitignore")
    assert "chatdev/run/report.pdf" in taken(repository)


@pytest.mark.parametrize("place", ["chatdev/run", "chatdev"])
def test_a_repository_in_a_run(repository, place):
    git(repository / place, "init", "-q")
    assert "submodule" in finding(repository, place)


def test_rules_above_the_source(tmp_path, source):
    write_run(source, "chatdev", "run")
    write_manifest(source)
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("# one\n/source/\n")
    assert ".gitignore:2:/source/" in finding(source, ".gitignore")
    assert taken(tmp_path) == {".gitignore"}


def test_what_git_has_already(repository):
    git(repository, "add", "-A")
    assert "git rm --cached" in finding(repository, "chatdev/run/workspace/big")


def test_no_repository_yet(source):
    write_run(source, "chatdev", "run")
    write_manifest(source)
    assert "git init" in succeeded(runs_command("init", source))
    git(source, "init", "-q")
    assert taken(source) == {".gitignore", "runs_manifest.json", "chatdev/run/metrics.json"}


TRACKED = ("run.json", ".mark", "a.tsv", "b.csv", "with blank ")


@pytest.mark.parametrize("layout, is_run", [
    ("*", lambda parts: len(parts) == 1),
    ("exp-*/*/[r]uns", lambda parts: len(parts) == 3 and parts[0].startswith("exp-") and parts[2] == "runs"),
    (["*/*", "deep/*/*/*", "*"], lambda parts: len(parts) in (1, 2) or (len(parts) == 4 and parts[0] == "deep")),
])
def test_other_layouts_and_tracked_files(source, layout, is_run):
    (source / "runsfs.json").write_text(json.dumps({"layout": layout, "tracked": ["run.json", ".mark", "*.[tc]sv", "with blank "], "manifest": "my [1] index.json"}))
    (source / "my [1] index.json").write_text('{"runs": []}')
    directories = ["one", ".two", "exp-1", "exp-1/x", "exp-1/x/other", "exp-1/x/runs", "exp-1/x/runs/in/it", "exp- 2/y/runs", "a/b", "a/b/c", "a/b/c/d", "deep/y", "deep/y/c", "deep/y/c/d",
                   "deep/y/c/d/e", "deep/x.md/c/d", "z/1/2/3/4"]
    for directory in directories:
        for name in (*TRACKED, ".hidden.csv", "big", "metrics.json", "directory.csv/run.json"):
            make_file(source, f"{directory}/{name}", 20)
    git(source, "init", "-q")
    succeeded(runs_command("init", source))
    places = [path.relative_to(source) for path in source.rglob("*") if path.is_dir() and ".git" not in path.parts]
    kept = {f"{place}/{name}" for place in places if is_run(place.parts) for name in TRACKED if (source / place / name).is_file()}
    assert kept and taken(source) == kept | {".gitignore", "runsfs.json", "my [1] index.json"}


def test_a_configuration_that_is_broken(repository):
    (repository / "runsfs.json").write_text("{\n  broken")
    result = failed(runs_command("init", repository), 2)
    assert "runsfs.json:2:" in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (repository / ".gitignore").exists()


def test_through_a_mount(repository, mount):
    mounted = mount(repository)
    succeeded(runs_command("init", cwd=mounted.path))
    assert taken(repository) == {".gitignore", "runs_manifest.json", "chatdev/run/metrics.json", "chatdev/run/commit.txt"}


def test_through_a_mount_of_a_part_of_a_repository(mount, tmp_path):
    """Git's directory is not in such a mount; what git would do is found out all the same."""
    source = tmp_path / "experiment" / "runs"
    write_run(source, "chatdev", "run-1")
    make_file(source, "chatdev/run-1/checkpoint.bin", 2_000_000)
    git(source.parent, "init", "-q")
    git(source.parent, "add", "-A")
    mounted = mount(source)
    result = failed(runs_command("init", cwd=mounted.path), 1)
    assert "no Git repository" not in result.stdout
    assert "chatdev/run-1/checkpoint.bin: Git has this file already" in result.stdout
    for place in (mounted.path, source):
        assert "chatdev/run-1/checkpoint.bin" in failed(runs_command("check", cwd=place), 1).stdout, place


def test_check_names_big_files_that_git_would_take(source):
    """Until the rules are in place; what is no run's is left to nobody else."""
    write_run(source, "chatdev", "run-1")
    make_file(source, "chatdev/run-1/checkpoint.bin", 2_000_000)
    git(source, "init", "-q")
    write_manifest(source)
    found = runs_command("check", "-C", source)
    assert found.returncode == 1 and "chatdev/run-1/checkpoint.bin: 2.0 MB, which Git would take" in found.stdout
    runs_command("init", source)
    assert runs_command("check", "-C", source).returncode == 0
    make_file(source, "chatdev/run-1/report.md", 2_000_000)
    assert "chatdev/run-1/report.md: 2.0 MB" in runs_command("check", "-C", source).stdout


def test_check_says_what_helps_against_a_big_file(source):
    """Rules help against one that Git does not have, and is not to have by its name. The manifest is as long as
    there are runs, and no finding."""

    def found():
        lines = runs_command("check", "-C", source).stdout.splitlines()[:-1]
        return {line.split(": ")[0]: line for line in lines}

    write_run(source, "chatdev", "run-1")
    git(source, "init", "-q")
    make_file(source, "chatdev/run-1/checkpoint.bin", 2_000_000)
    make_file(source, "chatdev/run-1/report.md", 2_000_000)
    make_file(source, "chatdev/run-1/deep/report.md", 2_000_000)
    git(source, "add", "-f", "chatdev/run-1/checkpoint.bin")
    write_manifest(source, note="x" * 2_000_000)
    assert set(found()) == {f"chatdev/run-1/{name}" for name in ("checkpoint.bin", "report.md", "deep/report.md")}
    assert "git rm --cached" in found()["chatdev/run-1/checkpoint.bin"]
    assert "by its name; rename it" in found()["chatdev/run-1/report.md"]
    assert found()["chatdev/run-1/deep/report.md"].endswith("would take; runs init keeps such files out")
    git(source, "rm", "-q", "--cached", "chatdev/run-1/checkpoint.bin")
    runs_command("init", source)
    assert list(found()) == ["chatdev/run-1/report.md"]


def test_check_says_what_is_in_the_way_of_the_rules(source):
    run = pathlib.Path(write_run(source, "chatdev", "run-1"))
    write_manifest(source)
    make_file(run, "workspace/code.py", 100)
    (run / ".gitignore").write_text("*.json\n")
    git(source, "init", "-q")
    git(source, "add", "-f", "chatdev/run-1/workspace/code.py")
    assert runs_command("check", "-C", source).returncode == 0  # nobody has asked for rules
    init = runs_command("init", source)
    check = runs_command("check", "-C", source)
    assert init.returncode == check.returncode == 1
    assert "chatdev/run-1/workspace/code.py: Git has this file already" in check.stdout
    assert "chatdev/run-1/.gitignore: line 1" in check.stdout
    assert init.stdout.splitlines()[1:] == check.stdout.splitlines()[:-1]
    (run / ".gitignore").unlink()
    git(source, "rm", "-q", "--cached", "-r", ".")
    assert succeeded(runs_command("check", "-C", source))
