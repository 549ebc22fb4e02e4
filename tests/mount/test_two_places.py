"""One directory through several of its places at once, and the manifest and runs taken away and made anew: what has hung or failed."""
import json
import os
import shutil
import subprocess
import threading

import pytest

from helpers import assert_agree, assert_agree_now, metrics, poll, write_run


@pytest.fixture
def mounted(mount, source):
    for number in range(3):
        write_run(source, "chatdev", f"run-{number}", status="verified")
    return mount(source)


def places(mounted, run="run-1"):
    return [mounted.runs / "chatdev" / run, mounted.path / "by-status" / "verified" / run,
            mounted.path / "by-framework" / "chatdev" / run]


def finished(*threads):
    for thread in threads:
        thread.join(60)
    return not any(thread.is_alive() for thread in threads)


def test_a_rename_from_one_place_of_a_directory_to_another(mounted):
    one, two, three = places(mounted)
    (one / "file").write_text("x")
    subprocess.run(["mv", two / "file", one / "renamed"], check=True, timeout=30)
    assert [sorted(os.listdir(place)) for place in (one, two, three)] == [sorted(os.listdir(one))] * 3
    assert not (three / "file").exists() and (three / "renamed").read_text() == "x"


@pytest.mark.threads
@pytest.mark.parametrize("options", [(), ("max_threads=1",)], ids=["many-threads", "one-thread"])
def test_the_same_names_removed_through_two_places(mount, source, options):
    write_run(source, "chatdev", "run-1", status="verified")
    mounted = mount(source, *options)
    here, there, third = places(mounted)

    def remove(place):
        for number in range(150):
            try:
                os.unlink(place / f"n{number % 5}")
            except FileNotFoundError:
                pass

    def create():
        for number in range(150):
            with open(here / f"n{number % 5}", "w", encoding="ascii") as file:
                file.write("x")
            os.path.exists(third / f"missing{number}")

    threads = [threading.Thread(target=remove, args=(here,), daemon=True),
               threading.Thread(target=remove, args=(there,), daemon=True), threading.Thread(target=create, daemon=True)]
    for thread in threads:
        thread.start()
    assert finished(*threads)
    for place in (here, there, third):
        assert poll(lambda place=place: sorted(os.listdir(place)) == sorted(os.listdir(source / "chatdev" / "run-1")))


def test_the_manifest_removed_and_made_anew(mounted):
    path = mounted.runs / "runs_manifest.json"
    content = path.read_bytes()
    for make in (lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)), lambda: path.write_bytes(content),
                 lambda: path.touch()):
        os.unlink(path)
        assert not path.exists()
        make()
        assert_agree(mounted)
    os.unlink(path)
    assert_agree(mounted)


def test_the_manifest_is_copied_as_it_is_shown(mounted, tmp_path):
    for number in range(10):
        write_run(mounted.runs, "chatdev", "run-2", status=f"status {number}")
        subprocess.run(["cp", mounted.runs / "runs_manifest.json", mounted.runs / "copy.json"], check=True)
        runs = json.loads((mounted.runs / "copy.json").read_text())["runs"]
        assert [run["verification_status"] for run in runs if run["run_id"] == "run-2"] == [f"status {number}"]


def test_a_run_made_anew_is_in_one_status(mounted):
    run = mounted.path / "by-status" / "verified" / "run-1"
    os.unlink(run / "metrics.json")
    metadata = mounted.runs / "chatdev" / "run-1" / "metadata.json"
    if metadata.exists():
        metadata.unlink()
    write_run(mounted.runs, "chatdev", "run-1", status="failed")
    assert not run.exists()
    assert (mounted.path / "by-status" / "failed" / "run-1").is_dir()
    assert_agree_now(mounted)


def test_an_entry_replaced_beside_is_new_in_every_place(mounted):
    for number in range(50):
        for place in places(mounted):
            os.stat(place / "notes.md") if number else None
        new = mounted.source / "chatdev" / "run-1" / "tmp"
        new.write_text(str(number))
        os.rename(new, new.parent / "notes.md")
        inode = os.stat(new.parent / "notes.md").st_ino
        for place in reversed(places(mounted)):
            assert poll(lambda place=place: (place / "notes.md").exists() and os.stat(place / "notes.md").st_ino == inode)


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")
def test_a_run_removed_through_a_view_by_its_owner(mount, open_tmp):
    source = open_tmp / "source"
    source.mkdir()
    write_run(source, "chatdev", "run-1", status="failed")
    for directory, names, files in os.walk(source):
        for name in [".", *names, *files]:
            os.chown(os.path.join(directory, name), 1000, 1000)
    mounted = mount(source, "allow_other", at=open_tmp / "mount")
    done = subprocess.run(["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "rm", "-r",
                           mounted.path / "by-status" / "failed" / "run-1"], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (source / "chatdev" / "run-1").exists()
    done = subprocess.run(["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "mkdir", mounted.path / "by-status" / "x"],
                          stderr=subprocess.PIPE, text=True, check=False)
    assert "Operation not permitted" in done.stderr
    shutil.rmtree(source / "chatdev")


def test_a_second_name_that_is_written(mount, source):
    """A link is made through the mount, and the run's file is written by the other name alone."""
    write_run(source, "chatdev", "run-1", "old")
    mounted = mount(source)
    run = mounted.runs / "chatdev" / "run-1"
    assert os.listdir(mounted.path / "by-status") == ["old"]
    os.link(run / "metrics.json", run / "backup.json")
    (run / "backup.json").write_text(json.dumps(metrics("new")))
    assert os.listdir(mounted.path / "by-status") == ["new"]
    os.link(run / "backup.json", mounted.runs / "elsewhere.json")
    (mounted.runs / "elsewhere.json").write_text(json.dumps(metrics("newer")))
    assert os.listdir(mounted.path / "by-status") == ["newer"]
    assert_agree(mounted)
