"""Each example of docs/queries.md, run as it stands there."""

import os
import re
import shutil
import subprocess

import pytest

from helpers import assert_agree, write_run
from mounting import BUILD, ROOT

PAGE = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
BLOCKS = [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if not language]
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.strip() and "$ " not in block]
REFUSED = [block for block in BLOCKS if "$ " in block]
ROWS = [line.strip("|").split(" | ") for line in PAGE[PAGE.index("## From the Python calls"):].splitlines() if line.startswith("| `")]
IN_TABLE = sorted({code.replace("\\|", "|") for row in ROWS for cell in row[1:] for code in re.findall(r"`(.+?)`", cell.replace("nothing", ""))})


@pytest.fixture
def shell(mount, source, tmp_path, monkeypatch):
    """Runs a line of the page in the source, with MNT for the mount; there are runs that match every example."""
    if not shutil.which("jq"):
        pytest.skip("needs jq")
    for number, (framework, status) in enumerate((f, s) for f in ("chatdev", "baes", "ghspec") for s in ("verified", "failed", "discrepancy", "two,three")):
        times = {"start": f"2025-10-{16 + number % 3}T08:50:59Z", "end": None if number % 5 == 0 else f"2025-10-{16 + number % 3}T11:50:59Z"}
        write_run(source, framework, f"0a{number:02d}", status, tokens=(100_000 * (number % 4 + 1), 50), **times)
    write_run(source, "chatdev", "RUN_ID", "pending", tokens=(0, 0), start="2025-10-16T01:00:00Z")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{BUILD}:{os.environ['PATH']}")
    mounted = mount(source)
    assert_agree(mounted)

    def start(line):
        line = re.sub(r"\bMNT\b", str(mounted.path), line).replace("FRAMEWORK", "chatdev")
        return subprocess.run(["bash", "-c", "set -o pipefail; " + line], cwd=source, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    return start


def test_there_are_examples():
    assert len(COMMANDS) > 12 and len(REFUSED) == 2 and len(IN_TABLE) > 10


def test_examples_find_what_they_say(shell):
    for line in COMMANDS:
        result = shell(line)
        assert (result.returncode, result.stderr) == (0, ""), (line, result)
        assert result.stdout or line.startswith("cp "), line


def test_the_table_of_calls(shell):
    """Those that remove come last."""
    for code in sorted(IN_TABLE, key=lambda code: "rm" in code or "remove" in code):
        line = code if code.split()[0] in ("runs", "rm", "jq") else f"ls {code}"
        line = line.replace("runs remove", "runs remove --yes")
        if line.startswith("runs remove"):
            assert shell("mkdir -p MNT/runs/chatdev/RUN_ID && echo '{}' > MNT/runs/chatdev/RUN_ID/metrics.json").returncode == 0
        result = shell(line)
        assert (result.returncode, result.stderr) == (0, ""), (line, result)
        if "rm" in line or "remove" in line:
            assert shell("ls MNT/runs/chatdev").stdout.split() == ["0a00", "0a01", "0a02", "0a03"]


@pytest.mark.parametrize("block", REFUSED)
def test_refusals_read_as_shown(shell, block):
    for part in block.split("$ ")[1:]:
        line, _, said = part.partition("\n")
        result = shell(line)
        assert result.returncode == (0 if line.startswith("tail") else 2)
        told = re.sub(r"/\S*/mount\d+/", "MNT/", result.stdout + result.stderr)
        without_time = lambda text: re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
        assert without_time(told) == without_time(said)
