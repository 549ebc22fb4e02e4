"""The control directory `.runsfs`: what the daemon says of itself, above all what it was asked for."""

import json
import os
import subprocess

import pytest

from helpers import poll, write_run


def some_runs(source):
    for number in range(6):
        directory = write_run(source, "chatdev", f"run-{number}", status=["verified", "failed"][number % 2])
        for name in ("workspace", "artifacts"):
            os.makedirs(os.path.join(directory, name))
            for file in range(5):
                with open(os.path.join(directory, name, f"{file}.py"), "w", encoding="ascii") as script:
                    script.write("print()\n" * 100)


def status(mounted):
    return json.loads((mounted.path / ".runsfs" / "status.json").read_text())


@pytest.fixture
def mounted(mount, source):
    some_runs(source)
    return mount(source)


def test_it_is_reached_by_name_and_not_listed(mounted):
    assert ".runsfs" not in os.listdir(mounted.path)
    assert set(os.listdir(mounted.path / ".runsfs")) == {"status.json", "errors", "refresh", "find"}
    for change in (lambda path: (path / "x").touch(), lambda path: (path / "status.json").unlink(),
                   lambda path: (path / "status.json").write_text("x")):
        with pytest.raises(PermissionError):
            change(mounted.path / ".runsfs")


def test_every_look_is_the_present(mounted):
    assert status(mounted)["runs"] == 6
    write_run(mounted.runs, "ghspec", "another")
    after = status(mounted)
    assert after["runs"] == 7
    write_run(mounted.runs, "ghspec", "another", status="failed")
    assert status(mounted)["generation"] > after["generation"]


def test_a_look_stays_as_it_was_for_who_has_it_open(mounted):
    with open(mounted.path / ".runsfs" / "status.json", encoding="ascii") as file:
        before = file.read()
        write_run(mounted.runs, "ghspec", "another")
        file.seek(0)
        assert file.read() == before


@pytest.mark.parametrize("command", [["find", "."], ["find", ".", "-size", "+1M"], ["grep", "-r", "nothing", "."]],
                         ids=["names", "attributes", "content"])
def test_what_was_looked_at_before_is_not_asked_for_again(mounted, command):
    def look():
        """How many requests a look takes, below the views and in all."""
        before = status(mounted)["requests"]
        subprocess.run(command, cwd=mounted.runs / "chatdev", check=False, capture_output=True)
        after = status(mounted)["requests"]
        return after["below_views"] - before["below_views"], after["total"] - before["total"]

    # The second look still asks for the time of access, which the first has changed; and the watch may be late to tell of the files' making.
    # In the end none but what finding the way there takes; every file and directory would be hundreds.
    assert poll(lambda: look()[0] <= 3)
    assert look()[1] > 0


def test_requests_are_counted_by_operation(mounted):
    before = status(mounted)["requests"]["by_operation"]
    for number in range(20):
        (mounted.runs / "chatdev" / "run-0" / f"new-{number}").write_bytes(b"x")
    after = status(mounted)["requests"]["by_operation"]
    assert after["create"] - before.get("create", 0) == 20
    assert after["write"] - before.get("write", 0) == 20
