"""`runs find`, and `runs list` beside it: with a mount at hand and without one, which must not be told apart."""

import json
import os
import shutil
import subprocess

import pytest

import oracle
from helpers import assert_agree, change_status, poll, write_run
from mounting import RUNS, runs_command


@pytest.fixture
def filled(source):
    for number in range(12):
        write_run(source, ("chatdev", "ghspec", "baes")[number % 3], f"run-{number:02d}", ("verified", "failed")[number % 2],
                  tokens=(1000 * number, number), start=f"2025-10-{10 + number}T08:00:00Z")
    return source


@pytest.fixture(params=["scanned", "mounted"])
def either(request, filled, mount):
    if request.param == "mounted":
        assert_agree(mount(filled))
    return filled


def find(source, *arguments):
    return runs_command("-C", source, "find", *arguments)


def paths(source, *arguments):
    result = find(source, "--paths", *arguments)
    assert result.stderr == "" and result.returncode == (0 if result.stdout else 1), result
    return result.stdout.splitlines()


def asks(source, *command):
    """Is a mount asked, and nothing else looked at?"""
    # Leaks can't be looked for in a process that is traced.
    trace = subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", "/dev/stdout", RUNS, "-C", source, *command],
                           stdout=subprocess.PIPE, text=True, errors="replace", check=False, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    opened = [line for line in trace.stdout.splitlines() if "openat(" in line]
    behind = next((opened[at + 1:] for at, line in enumerate(opened) if '"status.json"' in line), [])
    return len(behind) == 1  # the answer


def test_queries(either):
    assert paths(either, "status=failed", "framework=chatdev") == ["chatdev/run-03", "chatdev/run-09"]
    assert paths(either, "status=failed,framework=chatdev") == ["chatdev/run-03", "chatdev/run-09"]
    assert paths(either, "status=failed/sort=-tokens,limit=2") == ["baes/run-11", "chatdev/run-09"]
    assert paths(either, "sort=-tokens", "limit=2", "status=verified") == ["ghspec/run-10", "baes/run-08"]
    assert paths(either, "since=2025-10-20") == ["ghspec/run-10", "baes/run-11"]
    assert paths(either, "path=chatdev%2Frun-00") == ["chatdev/run-00"]
    assert paths(either, "run_id~*-0[12]") == ["ghspec/run-01", "baes/run-02"]
    assert paths(either, "status=none") == []
    assert len(paths(either)) == 12
    assert find(either, "status=failed,limit=1", "-0").stdout == "ghspec/run-01\0"


def test_options_before_and_behind(either):
    for arguments in (("--json", "limit=1"), ("limit=1", "--json"), ("--json", "--", "limit=1")):
        assert json.loads(find(either, *arguments).stdout) == oracle.expected_runs(either)[:1]
    assert find(either, "--json", "--paths", "limit=1").returncode == 2


def test_the_table(either):
    lines = find(either, "status=verified,sort=-tokens,limit=3").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["RUN", "run-10", "run-08", "run-06"]


def test_no_match(either):
    result = find(either, "status=none", "--json")
    assert (result.returncode, result.stdout, result.stderr) == (1, "[]\n", "")


def test_a_long_query(either):
    assert paths(either, *["not_status=pending"] * 40, "limit=1") == ["chatdev/run-00"]


@pytest.mark.parametrize("query, lines", [
    (("min_tokns=5",), ('there is no field "tokns"; did you mean "tokens"?', "min_tokns=5", "    ^")),
    (("status=verified", "min_tokens=many"), ('"many" is no number', "status=verified/min_tokens=many", " " * 27 + "^")),
    (("status=%zz",), ("write %25", "status=%zz", "       ^")),
    (("status=é,x=1",), ('no field "x"', None, " " * 9 + "^")),
    (("a\x1b[31m=1",), ("no field", "a\\x1b[31m=1", "^")),
    (("status=failed", ""), ("a predicate is missing", "status=failed/", " " * 14 + "^")),
])
def test_what_is_no_query(either, query, lines):
    result = runs_command("-C", either, "find", *query)
    assert result.returncode == 2 and result.stdout == ""
    reason, shown, mark = result.stderr.splitlines()
    assert reason.startswith("runs: ") and lines[0] in reason
    # What a locale can't print is spelled out, and the mark moves with it.
    assert shown == "    " + (lines[1] or shown[4:])
    assert mark == "    " + lines[2] or (lines[1] is None and shown[len(mark) - 1:].startswith("x=1"))


def bytes_of(source, *arguments):
    result = subprocess.run([RUNS, "-C", source, "find", *arguments], capture_output=True, check=False)
    assert result.stderr == b"", result
    return result.stdout


def test_odd_names_and_values(filled, mount):
    names = ["new\nline", "50%", "a,b", os.fsdecode(b"\xff\xfe"), "é", "\x1b[31m"]
    for name, status in zip(names, ["a/b", "x\0y", "\ud800", "", "é", "\x7f"], strict=True):
        write_run(filled, "odd,+ones", name, status)
    write_run(filled, "ghspec", "run-00")
    questions = [(), ("framework=odd%2C%2Bones",), ("run_id=%ff%fe",), ("status=a%2Fb",), ("sort=-status",), ("status=%",), ("status=x%00y",),
                 ("run_id=run-00",)]

    def outputs():
        return [bytes_of(filled, *form, *question) for question in questions for form in (("--json",), ("-0",), ())]

    scanned = outputs()
    assert [json.loads(output) != [] for output in scanned[::3]] == [True] * len(questions)
    assert_agree(mount(filled))
    assert outputs() == scanned


def test_members_that_somebody_added_are_not_shown(filled, mount):
    mounted = mount(filled)
    assert_agree(mounted)
    manifest = json.loads((mounted.runs / "runs_manifest.json").read_text())
    manifest["runs"][0]["note"] = {"status": ["new"]}
    (mounted.runs / "runs_manifest.json").write_text(json.dumps(manifest))
    assert "note" in (mounted.path / ".runsfs" / "find" / "limit=1").read_text()
    assert json.loads(find(filled, "--json", "limit=1").stdout) == oracle.expected_runs(filled)[:1]


needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="no strace")


@needs_strace
def test_a_mount_is_asked(filled, mount):
    mounted = mount(filled)
    assert_agree(mounted)
    for place in (filled, filled / "chatdev", mounted.path, mounted.path / "by-status" / "failed"):
        assert asks(place, "find", "--paths", "status=failed")
        assert asks(place, "list", "--paths")
    assert not asks(filled, "find", *["not_status=pending"] * 40)


@needs_strace
def test_a_mount_of_another_source_is_not(filled, mount, tmp_path):
    other = tmp_path / "other"
    write_run(other, "chatdev", "elsewhere")
    mount(other)
    assert not asks(filled, "list")
    assert len(paths(filled)) == 12 and paths(other) == ["chatdev/elsewhere"]
    # One that stands where the source of a mount stood is another, too.
    other.rename(tmp_path / "moved")
    write_run(other, "chatdev", "new")
    assert paths(other) == ["chatdev/new"]
    assert paths(tmp_path / "moved") == ["chatdev/elsewhere"]


@needs_strace
def test_a_mount_that_polls_is_not(filled, mount):
    mounted = mount(filled, "watch=poll", "poll_ms=600000")
    assert_agree(mounted)
    write_run(filled, "chatdev", "new")
    assert "chatdev/new" in paths(filled)
    assert not asks(filled, "list")


def test_a_mount_that_died(filled, mount):
    mounted = mount(filled)
    assert_agree(mounted)
    mounted.kill()
    assert len(paths(filled)) == 12


def test_answers_are_live(filled, mount):
    mounted = mount(filled)
    assert_agree(mounted)
    assert "chatdev/run-00" in paths(filled, "status=verified")
    change_status(mounted.runs / "chatdev" / "run-00", "failed", "rename")
    assert "chatdev/run-00" not in paths(filled, "status=verified")
    change_status(filled / "chatdev" / "run-00", "verified", "in_place")
    assert poll(lambda: "chatdev/run-00" in paths(filled, "status=verified"))


def test_help_teaches_by_example(filled):
    runs_command("-C", filled, "rebuild")
    text = runs_command("find", "--help").stdout
    examples = [line.split("  ")[2].strip() for line in text.splitlines() if line.startswith("    runs find")]
    assert len(examples) >= 10
    for example in examples:
        command = ["sh", "-c", example.replace("runs find", f"{RUNS} find", 1)]
        result = subprocess.run(command, cwd=filled, capture_output=True, text=True, check=False)
        assert result.returncode in (0, 1) and not result.stderr, (example, result)
