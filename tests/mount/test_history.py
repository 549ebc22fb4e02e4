"""`runs log`, `runs progress` and `runs show --diff`: what Git's history says of the runs, beside git itself and an oracle."""

import csv
import io
import json
import os
import pathlib
import pty
import shutil
import stat
import subprocess

import pytest

import mounting
import oracle
from helpers import assert_agree, metrics, write_run
from mounting import runs_command
from test_runs_command import failed, succeeded

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")
needs_gnuplot = pytest.mark.skipif(not shutil.which("gnuplot"), reason="needs gnuplot")

# A Git bundle of a real experiment, with a branch main and the source in runs/.
HISTORY = os.environ.get("RUNSFS_HISTORY")
BEGIN_S = 1760000000  # 2025-10-09T08:53:20Z


@pytest.fixture(autouse=True)
def git_alone(monkeypatch, tmp_path):
    """Git as it comes: no configuration of whoever runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")


class Experiment:
    """A repository with a source in it, whose commits are a minute apart."""

    def __init__(self, top, folder="runs"):
        self.top, self.source = top, top / folder
        self.source.mkdir(parents=True, exist_ok=True)
        self.time_s = BEGIN_S
        self.git("init", "-q", "-b", "main")
        (self.source / "runs_manifest.json").write_text("{}")

    def git(self, *arguments):
        stamp = {"GIT_AUTHOR_DATE": f"{self.time_s} +0200", "GIT_COMMITTER_DATE": f"{self.time_s} +0200"}
        return subprocess.run(["git", "-C", self.top, *arguments], capture_output=True, check=True, env={**os.environ, **stamp}).stdout

    def commit(self, *options):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x", "--allow-empty", *options)
        self.time_s += 60
        return self.git("rev-parse", "HEAD").decode().strip()

    def run(self, framework, run_id, status="verified", tokens=(1000, 100)):
        return pathlib.Path(write_run(self.source, framework, run_id, status, tokens, layout="plain"))

    def log(self, *arguments):
        """[(path, change, renamed_from, before, after)], the oldest first; before and after as (status, in, out)."""
        changes = json.loads(succeeded(runs_command("-C", self.source, "log", "--json", *arguments)))
        return [(row["path"], row["change"], row["renamed_from"], said(row["before"]), said(row["after"])) for row in reversed(changes)]

    def progress(self):
        return progress_rows(self.source)


def said(state):
    return state and (state["verification_status"], state["total_tokens_in"], state["total_tokens_out"])


def progress_rows(source):
    """{commit: {status: count}} without zeros, in the order of the rows."""
    rows = csv.DictReader(io.StringIO(succeeded(runs_command("-C", source, "progress", "--csv"))))
    return {row.pop("commit"): {status: int(count) for status, count in row.items() if status != "time" and int(count)} for row in rows}


def counts_by_oracle(source):
    counts = {}
    for entry in oracle.expected_runs(source):
        counts[entry["verification_status"]] = counts.get(entry["verification_status"], 0) + 1
    return counts


@pytest.fixture
def experiment(tmp_path):
    return Experiment(tmp_path / "repository")


def oracle_at(experiment, commit, folder="runs"):
    """What the oracle derives from a checkout of the commit."""
    place = experiment.top.parent / f"checkout-{commit}"
    experiment.git("worktree", "add", "-q", "--detach", place, commit)
    counts = counts_by_oracle(place / folder) if (place / folder).is_dir() else {}
    experiment.git("worktree", "remove", "--force", place)
    return counts


def assert_counts(experiment):
    """Every row is what the oracle says, and every commit that touched the source against its first parent has one."""
    rows = experiment.progress()
    for commit, counts in rows.items():
        assert counts == oracle_at(experiment, commit), commit
    touched = experiment.git("log", "--first-parent", "--format=%H", "--", "runs").decode().split()
    assert set(touched) <= set(rows)
    return rows


# ---- the log ----


def test_a_life(experiment):
    run = experiment.run("chatdev", "run-1", "pending", (0, 0))
    experiment.commit()
    experiment.run("chatdev", "run-1", "pending", (7, 0))
    experiment.commit()
    experiment.run("chatdev", "run-1", "verified", (287761, 91329))
    experiment.run("chatdev", "run-2", "failed", (5, 6))
    experiment.commit()
    (run / "commit.txt").write_text("x")
    experiment.commit()  # nothing of this is told of
    shutil.rmtree(run)
    last = experiment.commit()
    pending, verified = ("pending", 0, 0), ("verified", 287761, 91329)
    assert experiment.log() == [
        ("chatdev/run-1", "added", None, None, pending),
        ("chatdev/run-1", "changed", None, pending, ("pending", 7, 0)),
        ("chatdev/run-2", "added", None, None, ("failed", 5, 6)),
        ("chatdev/run-1", "changed", None, ("pending", 7, 0), verified),
        ("chatdev/run-1", "removed", None, verified, None),
    ]
    lines = succeeded(runs_command("-C", experiment.source, "log")).splitlines()
    short = experiment.git("rev-parse", "--short", last).decode().strip()
    assert lines[0] == f"{short} 2025-10-09T08:57:20Z chatdev/run-1 removed"
    assert [line.split(" ", 3)[3] for line in lines[1:]] == [
        "pending -> verified, 7 -> 287761 in, 0 -> 91329 out", "added (failed, 5 in, 6 out)", "0 -> 7 in", "added (pending, 0 in, 0 out)"]
    assert [len(rows) for rows in (experiment.log("run-1"), experiment.log("chatdev/run-2"), experiment.log("--since", "2025-10-09T08:55:20"))] == [4, 1, 3]
    assert len(experiment.log("--since", "2025-10-09")) == 5
    result = failed(runs_command("-C", experiment.source, "log", "--since", "2025-10-10"), 1)
    assert (result.stdout, result.stderr) == ("", "")
    assert "--since" in failed(runs_command("-C", experiment.source, "log", "--since", "soon"), 2).stderr
    assert_counts(experiment)


def test_which_run(experiment):
    for run_id in ("0a1b", "0a1b-gone", "0a2", "1c"):
        experiment.run("chatdev", run_id)
    experiment.run("ghspec", "1c-gone")
    experiment.run("baes", "2d-gone")
    experiment.run("ghspec", "2d-gone")
    experiment.commit()
    for path in ("chatdev/0a1b-gone", "ghspec/1c-gone", "ghspec/2d-gone", "baes/2d-gone"):
        shutil.rmtree(experiment.source / path)
    experiment.commit()
    # Runs that are there come first; what is no longer there is found where none is.
    assert {row[0] for row in experiment.log("0a1")} == {"chatdev/0a1b"}
    assert {row[0] for row in experiment.log("0a1b-")} == {"chatdev/0a1b-gone"}
    assert [row[1] for row in experiment.log("ghspec/1c")] == ["added", "removed"]
    assert "chatdev/0a1b, chatdev/0a2;" in failed(runs_command("-C", experiment.source, "log", "0a"), 2).stderr
    assert "2d-gone, " in failed(runs_command("-C", experiment.source, "log", "2d"), 2).stderr
    for text in ("zz", "", "/", "ghspec/0a"):
        assert len(failed(runs_command("-C", experiment.source, "log", text), 1).stderr.splitlines()) == 1


def test_renamings(experiment):
    for number in range(3):
        experiment.run("chatdev", f"run-{number}", "pending", (number, 0))
    (experiment.source / "chatdev/empty").mkdir()
    (experiment.source / "chatdev/empty/metrics.json").write_text("")
    experiment.commit()
    # The whole run; the id in another framework, with another status; the metrics alone; an empty file says nothing.
    shutil.move(experiment.source / "chatdev/run-0", experiment.source / "chatdev/new-0")
    shutil.rmtree(experiment.source / "chatdev/run-1")
    experiment.run("baes", "run-1", "verified", (5, 0))
    (experiment.source / "ghspec").mkdir()
    shutil.move(experiment.source / "chatdev/run-2", experiment.source / "ghspec/other")
    (experiment.source / "ghspec/other/commit.txt").write_text("x")
    shutil.rmtree(experiment.source / "chatdev/empty")
    (experiment.source / "ghspec/nothing").mkdir()
    (experiment.source / "ghspec/nothing/metrics.json").write_text("")
    (experiment.source / "ghspec/nothing/commit.txt").write_text("y")
    experiment.commit()
    assert experiment.log()[4:] == [
        ("ghspec/other", "renamed", "chatdev/run-2", ("pending", 2, 0), ("pending", 2, 0)),
        ("ghspec/nothing", "added", None, None, ("pending", 0, 0)),
        ("chatdev/new-0", "renamed", "chatdev/run-0", ("pending", 0, 0), ("pending", 0, 0)),
        ("chatdev/empty", "removed", None, ("pending", 0, 0), None),
        ("baes/run-1", "renamed", "chatdev/run-1", ("pending", 1, 0), ("verified", 5, 0)),
    ]
    # A run is followed through its names.
    assert [row[:3] for row in experiment.log("new-0")] == [("chatdev/run-0", "added", None), ("chatdev/new-0", "renamed", "chatdev/run-0")]
    assert "baes/run-1 renamed from chatdev/run-1, pending -> verified, 1 -> 5 in\n" in succeeded(runs_command("-C", experiment.source, "log", "run-1"))
    assert_counts(experiment)


def test_a_framework_gets_another_name(experiment):
    for number in range(300):
        experiment.run("chatdev", f"run-{number}")
    experiment.commit()
    os.rename(experiment.source / "chatdev", experiment.source / "devchat")
    experiment.commit()
    assert sorted(row[1:3] + row[:1] for row in experiment.log()[300:]) == sorted(("renamed", f"chatdev/run-{n}", f"devchat/run-{n}") for n in range(300))


def test_branches_and_merges(experiment):
    experiment.run("chatdev", "run-1", "pending")
    experiment.run("chatdev", "run-2", "pending")
    experiment.commit()
    experiment.git("checkout", "-q", "-b", "side")
    experiment.run("chatdev", "run-1", "verified")
    experiment.run("chatdev", "run-side", "failed")
    experiment.commit()
    experiment.git("checkout", "-q", "main")
    experiment.run("chatdev", "run-3", "pending")
    experiment.commit()
    # Clean: nothing of its own. A run that the merge itself changes is told of.
    experiment.git("merge", "-q", "--no-edit", "side")
    experiment.time_s += 60
    assert [row[:2] for row in experiment.log()] == [("chatdev/run-2", "added"), ("chatdev/run-1", "added"), ("chatdev/run-side", "added"), ("chatdev/run-1", "changed"), ("chatdev/run-3", "added")]
    assert list(assert_counts(experiment).values())[-1] == {"verified": 1, "pending": 2, "failed": 1}
    experiment.git("checkout", "-q", "-b", "other", "HEAD~1")
    experiment.run("chatdev", "run-4", "pending")
    experiment.commit()
    experiment.git("checkout", "-q", "main")
    experiment.git("merge", "-q", "--no-commit", "--no-ff", "other")
    experiment.run("chatdev", "run-2", "verified")
    experiment.run("chatdev", "run-4", "failed")
    experiment.commit()
    assert [row[:2] for row in experiment.log("--since", "2025-10-09T08:58")] == [("chatdev/run-4", "added"), ("chatdev/run-2", "changed")]
    assert_counts(experiment)


def test_an_octopus_and_two_roots(experiment):
    experiment.run("chatdev", "run-1")
    experiment.commit()
    for name in ("a", "b"):
        experiment.git("checkout", "-q", "-b", name, "main")
        experiment.run(name, f"run-{name}", "failed")
        experiment.commit()
    experiment.git("checkout", "-q", "--orphan", "root")
    experiment.git("rm", "-rqf", ".")
    experiment.run("root", "run-root", "pending")
    experiment.commit()
    experiment.git("checkout", "-q", "main")
    experiment.git("merge", "-q", "--no-edit", "a", "b")
    experiment.time_s += 60
    experiment.git("merge", "-q", "--no-edit", "--allow-unrelated-histories", "root")
    assert sorted(row[:2] for row in experiment.log()) == [("a/run-a", "added"), ("b/run-b", "added"), ("chatdev/run-1", "added"), ("root/run-root", "added")]
    assert list(assert_counts(experiment).values())[-1] == {"verified": 1, "failed": 2, "pending": 1}


def test_the_rules_change_in_the_middle(experiment):
    experiment.run("chatdev", "run-1", "verified")
    experiment.run("chatdev", "run-2", "failed")
    (experiment.run("deep/er", "run-3", "pending") / "state.json").write_text('{"state": "done"}')
    first = experiment.commit()
    (experiment.source / "runsfs.json").write_text(json.dumps({"layout": ["*/*", "deep/er/*"], "exclude": ["chatdev/run-2"]}))
    second = experiment.commit()
    (experiment.source / "runsfs.json").write_text(json.dumps({"fields": {"verification_status": {"from": ["state.json#/state"]}}, "layout": ["*/*", "deep/er/*"]}))
    third = experiment.commit()
    os.remove(experiment.source / "runsfs.json")
    fourth = experiment.commit()
    rows = experiment.progress()
    plain = {"verified": 1, "failed": 1}
    assert rows == {first: plain, second: {"verified": 1, "pending": 1}, third: {"pending": 2, "done": 1}, fourth: plain}
    changes = experiment.log("--since", "2025-10-09T08:54")
    assert [row[:2] for row in changes[:2]] == [("deep/er/run-3", "added"), ("chatdev/run-2", "removed")]


def test_clocks_that_were_wrong(experiment):
    """A child that seems older than its parent still comes behind it in the numbers."""
    experiment.run("chatdev", "run-1")
    commits = [experiment.commit()]
    experiment.time_s -= 100_000
    for number in range(2, 5):
        experiment.run("chatdev", f"run-{number}")
        commits.append(experiment.commit())
    assert list(assert_counts(experiment)) == commits


def test_a_source_at_the_top(tmp_path):
    experiment = Experiment(tmp_path / "top", folder=".")
    experiment.run("chatdev", "run-1")
    experiment.commit()
    assert [row[0] for row in experiment.log()] == ["chatdev/run-1"]


def test_a_source_that_came_later_and_went(experiment):
    (experiment.top / "README").write_text("x")
    shutil.rmtree(experiment.source)
    experiment.commit()
    experiment.run("chatdev", "run-1")
    first = experiment.commit()
    (experiment.top / "README").write_text("y")
    experiment.commit()
    shutil.rmtree(experiment.source)
    second = experiment.commit()
    experiment.source.mkdir()
    assert experiment.progress() == {first: {"verified": 1}, second: {}}
    assert [row[1] for row in experiment.log()] == ["added", "removed"]


def test_no_history(tmp_path, experiment):
    bare = tmp_path / "plain"
    write_run(bare, "chatdev", "run-1")
    for arguments in (["log"], ["log", "run-1"], ["progress"], ["progress", "--csv"], ["show", "run-1", "--diff", "HEAD"]):
        result = failed(runs_command("-C", bare, *arguments), 2)
        assert (result.stdout, len(result.stderr.splitlines())) == ("", 1)
        assert "Git repository" in result.stderr
    # A branch without a commit, then commits without a run.
    experiment.run("chatdev", "run-1")
    for arguments in (["log"], ["log", "run-1"], ["progress"], ["progress", "--csv"]):
        assert failed(runs_command("-C", experiment.source, *arguments), 1).stdout == ""
    assert failed(runs_command("-C", experiment.source, "log", "--json"), 1).stdout == "[]\n"
    assert len(failed(runs_command("-C", experiment.source, "show", "run-1", "--diff", "HEAD"), 2).stderr.splitlines()) == 1
    shutil.rmtree(experiment.source / "chatdev")
    experiment.commit()
    assert failed(runs_command("-C", experiment.source, "log"), 1).stdout == ""
    assert list(experiment.progress().values()) == [{}]


def test_a_shallow_clone(tmp_path, experiment):
    for number in range(6):
        experiment.run("chatdev", f"run-{number}", "pending" if number % 2 else "verified")
        experiment.commit()
    subprocess.run(["git", "clone", "-q", "--depth", "3", f"file://{experiment.top}", tmp_path / "shallow"], check=True)
    source = tmp_path / "shallow" / "runs"
    assert list(progress_rows(source).values()) == [{"verified": 2, "pending": 2}, {"verified": 3, "pending": 2}, {"verified": 3, "pending": 3}]
    changes = json.loads(succeeded(runs_command("-C", source, "log", "--json")))
    assert [row["path"][-1] for row in changes[:2]] == ["5", "4"]
    assert {row["path"][-1] for row in changes[2:]} == {"0", "1", "2", "3"}  # as git log has it: the end is a root


def test_a_missing_object(experiment):
    experiment.run("chatdev", "run-1")
    experiment.commit()
    blob = experiment.git("rev-parse", "HEAD:runs/chatdev/run-1/metrics.json").decode().strip()
    os.remove(experiment.top / ".git/objects" / blob[:2] / blob[2:])
    for arguments in (["log"], ["progress", "--csv"]):
        result = failed(runs_command("-C", experiment.source, *arguments), 2)
        assert len(result.stderr.splitlines()) == 1 and blob in result.stderr


def test_inside_a_mount(experiment, mount):
    experiment.run("chatdev", "run-1", "pending")
    experiment.commit()
    experiment.run("chatdev", "run-1", "verified")
    experiment.commit()
    mounted = mount(experiment.source)
    assert_agree(mounted)
    experiment.commit()
    experiment.run("chatdev", "run-1", "failed")
    at = mounted.path / "by-framework" / "chatdev" / "run-1"
    assert succeeded(runs_command("log", cwd=at)).count("\n") == 2
    assert succeeded(runs_command("-C", at, "progress", "--csv")) == succeeded(runs_command("-C", experiment.source, "progress", "--csv"))
    assert runs_command("show", "run-1", "--diff", "HEAD", cwd=at).stdout.startswith("diff --git a/runs/chatdev/run-1/metrics.json ")


def test_names_that_steer_a_terminal(experiment):
    experiment.run("chat\x1bdev", "run\n1", "a\x1b[31m,\"b\"\n")
    experiment.commit()
    assert succeeded(runs_command("-C", experiment.source, "log")).endswith(' chat\\x1bdev/run\\x0a1 added (a\\x1b[31m,"b"\\x0a, 1000 in, 100 out)\n')
    assert experiment.log()[0][0] == "chat\x1bdev/run\n1"
    assert list(experiment.progress().values()) == [{'a\\x1b[31m,"b"\\x0a': 1}]


def test_a_table_on_a_terminal(experiment):
    experiment.run("chatdev", "run-1", "pending")
    experiment.run("chatdev", "run-two", "failed")
    experiment.commit()
    shown = on_a_terminal(experiment.source, "log").splitlines()
    short = experiment.git("rev-parse", "--short", "HEAD").decode().strip()
    assert shown[0].replace("  ", " ").startswith(f"\x1b[33m{short}\x1b[0m 2025-10-09 08:53:20 chatdev/run-1")
    assert "\x1b[33mpending\x1b[0m" in shown[0] and shown[1].startswith(" " * 30)


def on_a_terminal(source, *arguments):
    """What `runs` prints to a terminal of 80 columns."""
    first, second = pty.openpty()
    with subprocess.Popen([mounting.RUNS, "-C", source, *arguments], stdout=second, stdin=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": ""}) as process:
        os.close(second)
        shown = b""
        while True:
            try:
                part = os.read(first, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        process.wait(30)
    os.close(first)
    return shown.decode().replace("\r\n", "\n")


# ---- the chart ----


def test_csv_by_itself(experiment, monkeypatch):
    for number, status in enumerate(("zeta", "failed", "pending", "verified", "alpha", "a,b")):
        experiment.run("chatdev", f"run-{number}", status)
    commit = experiment.commit()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert succeeded(runs_command("-C", experiment.source, "progress", "--csv")) == f'commit,time,verified,pending,failed,"a,b",alpha,zeta\n{commit},2025-10-09T08:53:20Z,1,1,1,1,1,1\n'
    result = failed(runs_command("-C", experiment.source, "progress"), 2)
    assert len(result.stderr.splitlines()) == 1 and "--csv" in result.stderr and "install" in result.stderr
    assert failed(runs_command("-C", experiment.source, "progress", "--csv", "--svg", "x"), 2).stdout == ""


@needs_gnuplot
def test_pictures_in_files(experiment, tmp_path):
    for number, status in enumerate(("verified", "failed", "pending", "verified")):
        experiment.run("chatdev", f"run-{number}", status)
        experiment.commit()
    svg, png = tmp_path / "a'b $(x).svg", tmp_path / "p.png"
    succeeded(runs_command("-C", experiment.source, "progress", "--svg", svg))
    succeeded(runs_command("-C", experiment.source, "progress", "--png", png))
    text = svg.read_text()
    assert all(f">{word}<" in text for word in ("verified", "pending", "failed", "runs", "time (UTC)"))
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert succeeded(runs_command("-C", experiment.source, "progress", "--svg", "-")) == text
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".runsfs")]
    # A link stays one, and what is no file is written to.
    os.symlink(svg, tmp_path / "link.svg")
    svg.write_text("old")
    succeeded(runs_command("-C", experiment.source, "progress", "--svg", tmp_path / "link.svg"))
    assert (tmp_path / "link.svg").is_symlink() and svg.read_text() == text
    succeeded(runs_command("-C", experiment.source, "progress", "--svg", "/dev/null"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    for path in (tmp_path, tmp_path / "no" / "such.svg"):
        assert len(failed(runs_command("-C", experiment.source, "progress", "--svg", path), 2).stderr.splitlines()) == 1


@needs_gnuplot
def test_what_is_there_stays_where_gnuplot_fails(experiment, tmp_path, monkeypatch):
    experiment.run("chatdev", "run-1")
    experiment.commit()
    old = tmp_path / "p.svg"
    old.write_text("old")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gnuplot").write_text("#!/bin/sh\necho half a picture\necho 'line 1: no such terminal' >&2\nexit 1\n")
    (tools / "gnuplot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    assert "no such terminal" in failed(runs_command("-C", experiment.source, "progress", "--svg", old), 2).stderr
    assert old.read_text() == "old"


@needs_gnuplot
def test_statuses_that_gnuplot_could_take_for_orders(experiment, tmp_path):
    marker = tmp_path / "made"
    statuses = [f"`touch {marker}`", f"'; system('touch {marker}'); '", f"$(touch {marker})", "{/Bold x}_y^z", "<script>&amp;", 'a"b', "a\nEND\nsystem 'x'", "\\", "@x", "%s", "", "x" * 300]
    for number, status in enumerate(statuses):
        experiment.run("chatdev", f"run-{number}", status)
    experiment.commit()
    text = succeeded(runs_command("-C", experiment.source, "progress", "--svg", "-"))
    assert "<script>" not in text
    assert "&lt;script>&amp;amp;</text>" in text
    succeeded(runs_command("-C", experiment.source, "progress"))
    assert not marker.exists()


@needs_gnuplot
def test_the_chart_in_text(experiment):
    for number in range(20):
        experiment.run("chatdev", f"run-{number}", "verified" if number % 2 else "pending")
        experiment.commit()
    lines = succeeded(runs_command("-C", experiment.source, "progress")).splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) <= 24
    assert any(line.endswith(" p pending") for line in lines) and any(line.endswith(" v verified") for line in lines)
    assert not any("\x1b" in line or "\f" in line for line in lines)
    # In the last column one half is the one, the other the other.
    column = max(len(line.rstrip()) for line in lines if "v" in line and "verified" not in line) - 1
    letters = [line[column] for line in lines[:20] if len(line) > column]
    assert abs(letters.count("p") - letters.count("v")) <= 1
    assert "\x1b[38;5;" in on_a_terminal(experiment.source, "progress")


# ---- differences ----


def diff_of(experiment, revision, run="run-1"):
    return subprocess.run([mounting.RUNS, "-C", experiment.source, "show", run, "--diff", revision], capture_output=True, check=False, timeout=60)


def assert_as_git(experiment, revision, path="chatdev/run-1"):
    """What git diff prints once it knows of new files too."""
    ours = diff_of(experiment, revision)
    experiment.git("add", "-N", experiment.source / path)
    theirs = experiment.git("-c", "diff.noprefix=false", "diff", "--no-color", "--no-renames", revision, "--", f"runs/{path}")
    assert ours.stdout == theirs
    assert (ours.returncode, ours.stderr) == (0 if theirs else 1, b"")
    return theirs


FUNCTIONS = "".join(f"def function_{number}():\n    first\n    second\n    third\n    fourth\n    fifth\n\n" for number in range(9))


@pytest.mark.parametrize("change", ["nothing", "change", "remove", "add", "add-empty", "mode", "mode-and-change", "no-newline", "newline", "binary", "to-binary", "new-binary", "link", "to-link", "from-link",
                                    "names", "far", "empty", "all-gone", "untracked", "fifo", "to-directory"])
def test_a_difference_is_what_git_prints(experiment, change):
    run = experiment.run("chatdev", "run-1", "pending")
    (run / "metrics.json").write_text(json.dumps(metrics(), indent=2))
    (run / "notes.md").write_text(FUNCTIONS)
    (run / "cut.md").write_text("one\ntwo")
    (run / "binary.md").write_bytes(b"a\0b")
    (run / "commit.txt").write_text("abc\n")
    os.symlink("notes.md", run / "link.md")
    experiment.commit()
    if change in ("change", "mode-and-change"):
        (run / "notes.md").write_text(FUNCTIONS.replace("function_3", "other").replace("fifth\n\ndef function_7", "fifth\n    sixth\n\ndef function_7"))
    if change == "remove":
        os.remove(run / "commit.txt")
    if change == "add":
        (run / "metadata.json").write_text("{}\n")
    if change in ("add-empty", "empty"):
        (run / ("metadata.json" if change == "add-empty" else "commit.txt")).write_text("")
    if change in ("mode", "mode-and-change"):
        (run / "notes.md").chmod(0o755)
    if change == "no-newline":
        (run / "commit.txt").write_text("abd")
    if change == "newline":
        (run / "cut.md").write_text("one\ntwo\n")
    if change == "binary":
        (run / "binary.md").write_bytes(b"a\0c")
    if change == "to-binary":
        (run / "notes.md").write_bytes(b"x" * 7999 + b"\0")
    if change == "new-binary":
        (run / "new.md").write_bytes(b"\0")
    if change == "link":
        os.remove(run / "link.md")
        os.symlink("/elsewhere", run / "link.md")
    if change == "to-link":
        os.remove(run / "notes.md")
        os.symlink("cut.md", run / "notes.md")
    if change == "from-link":
        os.remove(run / "link.md")
        (run / "link.md").write_text("a file\n")
    if change == "names":
        for name in ("a b.md", "ünïcode.md", 'quo"te.md', "tab\t.md", "new\nline.md", "back\\slash.md", "café au lait.md"):
            (run / name).write_text("x\n")
    if change == "far":
        lines = FUNCTIONS.splitlines(keepends=True)
        (run / "notes.md").write_text("".join(["new\n", *lines[5:40], *lines[20:30], *lines[45:]]) + "end")
    if change == "all-gone":
        shutil.rmtree(run)
    if change == "untracked":
        (run / "run.log").write_text("x")
        (run / "workspace").mkdir()
        (run / "workspace" / "notes.md").write_text("x")
        assert diff_of(experiment, "HEAD").returncode == 1
        return
    if change == "fifo":
        os.remove(run / "commit.txt")
        os.mkfifo(run / "commit.txt")
        assert b"\ndeleted file mode 100644\n" in diff_of(experiment, "HEAD").stdout
        return
    if change == "to-directory":
        os.remove(run / "commit.txt")
        (run / "commit.txt").mkdir()
    assert_as_git(experiment, "HEAD")


def test_a_difference_since_older_revisions(experiment):
    experiment.commit()
    run = experiment.run("chatdev", "run-1", "pending")
    first = experiment.commit()
    experiment.run("chatdev", "run-1", "verified")
    (run / "README.md").write_text("hello\n")
    experiment.commit()
    for revision in (first, first[:9], "HEAD", "HEAD~1", "HEAD~2", "main"):
        assert_as_git(experiment, revision)
    assert diff_of(experiment, "2025-10-09").returncode == 1  # all of that day is in it
    assert diff_of(experiment, "2025-10-09T08:54:20").returncode == 0
    for revision in ("nonsense", "HEAD~99", "2024-01-01", ""):
        result = diff_of(experiment, revision)
        assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (2, b"", 1), revision
    assert diff_of(experiment, "HEAD", "nonsense").returncode == 1
    assert runs_command("-C", experiment.source, "show", "run-1", "--diff").returncode == 2
    assert runs_command("-C", experiment.source, "show", "run-1", "--json", "--diff", "HEAD").returncode == 2
    experiment.git("config", "core.abbrev", "12")
    experiment.git("config", "core.quotePath", "false")
    (run / "ünï.md").write_text("x")
    assert b"\nindex 000000000000.." in assert_as_git(experiment, "HEAD")


def test_a_difference_in_colour(experiment):
    run = experiment.run("chatdev", "run-1")
    (run / "notes.md").write_text("old\x1b\n")
    experiment.commit()
    (run / "notes.md").write_text("new\t\x1b\n")
    shown = on_a_terminal(experiment.source, "show", "run-1", "--diff", "HEAD")
    assert "\x1b[1m--- a/runs/chatdev/run-1/notes.md\x1b[m\n" in shown
    assert "\x1b[36m@@ -1 +1 @@\x1b[m\n\x1b[31m-old\\x1b\x1b[m\n\x1b[32m+new\t\\x1b\x1b[m\n" in shown


# ---- a real history ----


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if not HISTORY:
        pytest.skip("RUNSFS_HISTORY names no bundle")
    clone = tmp_path_factory.mktemp("real") / "clone"
    subprocess.run(["git", "clone", "-q", "-b", "main", HISTORY, clone], check=True)
    return clone


def test_progress_of_a_real_history(real, tmp_path):
    rows = progress_rows(real / "runs")
    commits = subprocess.run(["git", "-C", real, "log", "--reverse", "--format=%H"], capture_output=True, text=True, check=True).stdout.split()
    assert list(rows) == commits
    for commit in commits:
        place = tmp_path / commit
        place.mkdir()
        archive = subprocess.run(["git", "-C", real, "archive", commit, "runs"], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", place], input=archive, check=True)
        assert rows[commit] == counts_by_oracle(place / "runs"), commit


def test_the_log_of_a_real_history_adds_up(real):
    """Going through all changes gives what is there now."""
    runs = {}
    for change in reversed(json.loads(succeeded(runs_command("-C", real / "runs", "log", "--json")))):
        old = change["renamed_from"] or change["path"]
        assert runs.pop(old, None) == said(change["before"])
        if change["after"]:
            runs[change["path"]] = said(change["after"])
    wanted = {entry["path"]: (entry["verification_status"], entry["total_tokens_in"], entry["total_tokens_out"]) for entry in oracle.expected_runs(real / "runs")}
    assert runs == wanted
