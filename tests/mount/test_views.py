"""by-status/ and by-framework/: what they list, what passes through, what is refused, and how a run moves."""

import errno
import os
import subprocess

import pytest

import oracle
from helpers import (CHANGES, assert_agree, assert_agree_now, assert_same_tree, assert_views_pass_through, change_status,
                     is_in_view, write_run)
from syscalls import RENAME_EXCHANGE, renameat2


@pytest.fixture
def mounted(mount, source):
    write_run(source, "chatdev", "run-1", "verified")
    write_run(source, "chatdev", "run-2", "failed", layout="plain")
    write_run(source, "ghspec", "run-3", "verified")
    (source / "chatdev" / "run-1" / "workspace" / "deep").mkdir(parents=True)
    (source / "chatdev" / "run-1" / "workspace" / "deep" / "code.py").write_text("print()\n")
    (source / "chatdev" / "aborted").mkdir()
    result = mount(source)
    assert_agree(result)
    return result


@pytest.fixture
def ways(mounted):
    """Three names of one run directory."""
    return [mounted.runs / "chatdev" / "run-1", mounted.path / "by-status" / "verified" / "run-1", mounted.path / "by-framework" / "chatdev" / "run-1"]


def test_the_top_level(mounted):
    assert set(os.listdir(mounted.path)) >= {"runs", "by-status", "by-framework"}
    assert sorted(os.listdir(mounted.path / "by-status")) == ["failed", "verified"]
    assert sorted(os.listdir(mounted.path / "by-framework")) == ["chatdev", "ghspec"]
    assert sorted(os.listdir(mounted.path / "by-status" / "verified")) == ["run-1", "run-3"]


def test_one_inode_number_everywhere(mounted, ways):
    for way in ways:
        for name in ("", "metrics.json", "workspace", "workspace/deep", "workspace/deep/code.py"):
            assert os.lstat(way / name).st_ino == os.lstat(mounted.source / "chatdev" / "run-1" / name).st_ino
        assert os.path.isdir(way) and not os.path.islink(way)
    assert_views_pass_through(mounted)


def test_derived_directories_count_as_directories(mounted):
    for name in ("", "by-status", "by-status/verified", "by-framework", "by-framework/chatdev"):
        info = os.lstat(mounted.path / name)
        with os.scandir(mounted.path / name) as entries:
            for entry in entries:
                assert entry.is_dir(follow_symlinks=False)
                assert entry.inode() == os.lstat(entry.path).st_ino
        assert info.st_nlink >= 1
    # find decides by st_nlink whether a directory has subdirectories; all must be found.
    found = subprocess.run(["find", mounted.path / "by-status", "-type", "d", "-name", "deep"], capture_output=True, check=True)
    assert len(found.stdout.splitlines()) == 1


def refused(function, *arguments):
    with pytest.raises(OSError) as caught:
        function(*arguments)
    return errno.errorcode[caught.value.errno]


@pytest.mark.parametrize("level", ["", "by-status", "by-status/verified", "by-framework", "by-framework/chatdev"])
def test_derived_levels_refuse_changes(mounted, level):
    directory = mounted.path / level
    known = directory / sorted(os.listdir(directory))[0]
    assert refused(os.mkdir, directory / "new") == "EPERM"
    assert refused(os.open, directory / "new", os.O_CREAT | os.O_WRONLY) == "EPERM"
    assert refused(os.mkfifo, directory / "new") == "EPERM"
    assert refused(os.symlink, "x", directory / "new") == "EPERM"
    assert refused(os.link, mounted.runs / "chatdev" / "run-1" / "metrics.json", directory / "new") == "EPERM"
    assert refused(os.rename, known, directory / "new") == "EPERM"
    assert refused(os.rename, mounted.runs / "chatdev" / "aborted", directory / "new") == "EPERM"
    assert refused(os.rename, known, mounted.runs / "new") == "EPERM"
    assert refused(os.rmdir, known) in ("EPERM", "ENOTEMPTY", "EBUSY")
    assert refused(os.mkdir, known) == "EEXIST"
    assert refused(os.unlink, directory / "missing") == "ENOENT"
    assert refused(os.stat, directory / "missing") == "ENOENT"
    assert refused(renameat2, known, mounted.runs / "ghspec", RENAME_EXCHANGE) == "EPERM"
    assert_agree_now(mounted)


def test_views_that_are_made_of_values_refuse_rmdir(mounted):
    for name in ("by-status", "by-status/verified", "by-framework/ghspec", "runs"):
        assert refused(os.rmdir, mounted.path / name) in ("EPERM", "EBUSY", "ENOTEMPTY")


def test_writing_through_a_view_is_writing(mounted, ways):
    for way in ways:
        (way / f"made-by-{way.parent.name}").write_text(str(way))
        (way / "workspace" / "shared").write_text(str(way))
        for other in ways:
            assert (other / f"made-by-{way.parent.name}").read_text() == str(way)
            assert (other / "workspace" / "shared").read_text() == str(way)
    assert_same_tree(mounted.source, mounted.runs)
    assert_views_pass_through(mounted)


@pytest.mark.parametrize("view", ["by-status/verified", "by-framework/chatdev"])
def test_rm_of_a_run_through_a_view_is_real(mounted, view):
    subprocess.run(["rm", "-r", mounted.path / view / "run-1"], check=True, stdin=subprocess.DEVNULL)
    assert not (mounted.source / "chatdev" / "run-1").exists()
    assert "run-1" not in os.listdir(mounted.path / "by-framework" / "chatdev")
    assert_agree_now(mounted)
    assert_agree(mounted)


def test_rm_of_all_runs_of_a_status(mounted):
    subprocess.run("rm -r by-status/verified/*", shell=True, cwd=mounted.path, check=True)
    assert not is_in_view(mounted, "verified", "run-1")
    assert os.listdir(mounted.path / "by-status") == ["failed"]
    assert_agree(mounted)


@pytest.mark.threads
@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("way", [0, 1, 2], ids=["runs", "by-status", "by-framework"])
def test_a_run_changes_views_at_once(mounted, how, way):
    for number in range(20):
        old, new = ("verified", "mended") if number % 2 == 0 else ("mended", "verified")
        by_status = mounted.path / "by-status" / old / "run-1"
        run = [mounted.runs / "chatdev" / "run-1", by_status, mounted.path / "by-framework" / "chatdev" / "run-1"][way]
        change_status(run, new, how)
        assert not is_in_view(mounted, old, "run-1")
        assert is_in_view(mounted, new, "run-1")
        assert not by_status.exists()
        assert_agree_now(mounted)
    assert_agree(mounted)


def test_work_in_a_view_goes_on_while_the_run_leaves_it(mounted):
    inside = mounted.path / "by-status" / "verified" / "run-1"
    script = "read _; cat deep/code.py; cat ../metrics.json | wc -c; ls deep; echo new > deep/new && cat deep/new"
    with subprocess.Popen(["bash", "-c", script], cwd=inside / "workspace", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        with open(inside / "workspace" / "deep" / "code.py", "r+", encoding="ascii") as file:
            change_status(mounted.runs / "chatdev" / "run-1", "failed", "in_place")
            assert not is_in_view(mounted, "verified", "run-1")
            assert file.read() == "print()\n"
            file.write("# more\n")
        output, _ = child.communicate("go\n", timeout=20)
    assert output.split("\n")[:2] == ["print()", "# more"]
    assert output.split("\n")[2:-1] == ["2048", "code.py", "new"]
    assert (mounted.source / "chatdev" / "run-1" / "workspace" / "deep" / "new").read_text() == "new\n"
    assert (mounted.path / "by-status" / "failed" / "run-1" / "workspace" / "deep" / "code.py").read_text().endswith("# more\n")


def test_cwd_in_the_run_directory_itself_outlives_the_change(mounted):
    with subprocess.Popen(["bash", "-c", "read _; cat workspace/deep/code.py && ls && echo x > made"],
                          cwd=mounted.path / "by-status" / "verified" / "run-1",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        change_status(mounted.runs / "chatdev" / "run-1", "failed", "rename")
        is_in_view(mounted, "verified", "run-1")
        output, _ = child.communicate("go\n", timeout=20)
    assert child.returncode == 0
    assert output.split() == ["print()", "metrics.json", "workspace"]
    assert (mounted.source / "chatdev" / "run-1" / "made").exists()


def test_one_run_id_in_two_frameworks(mounted):
    write_run(mounted.runs, "ghspec", "run-1", "verified")
    names = ["run-1.chatdev", "run-1.ghspec", "run-3"]
    assert sorted(os.listdir(mounted.path / "by-status" / "verified")) == names
    for name in names[:2]:
        framework = name.partition(".")[2]
        assert_same_tree(mounted.source / framework / "run-1", mounted.path / "by-status" / "verified" / name)
    assert os.listdir(mounted.path / "by-framework" / "ghspec").count("run-1") == 1
    assert not (mounted.path / "by-status" / "verified" / "run-1").exists()
    assert_agree_now(mounted)
    change_status(mounted.path / "by-status" / "verified" / "run-1.ghspec", "failed", "truncate_append")
    assert sorted(os.listdir(mounted.path / "by-status" / "verified")) == ["run-1", "run-3"]
    assert sorted(os.listdir(mounted.path / "by-status" / "failed")) == ["run-1", "run-2"]
    assert_agree(mounted)


def test_names_that_collide_with_told_apart_ones(mounted):
    write_run(mounted.runs, "ghspec", "run-1", "verified")
    write_run(mounted.runs, "other", "run-1.chatdev", "verified")
    names = os.listdir(mounted.path / "by-status" / "verified")
    assert len(names) == len(set(names)) == 4
    wanted = {os.stat(mounted.source / path).st_ino for path in ("chatdev/run-1", "ghspec/run-1", "ghspec/run-3", "other/run-1.chatdev")}
    assert {os.stat(mounted.path / "by-status" / "verified" / name).st_ino for name in names} == wanted


ODD_STATUSES = ["", ".", "..", "...", ".hidden", "a/b", "/", "new\nline", "nul\0byte", "100%", "%2F", "a" * 255, "a" * 256,
                "a" * 300, "/" * 100, "ä" * 150, "überprüft", "日本", "\x7f", "tab\t", "\ud800", "a b", "-rf", "*", "~", "a" * 300 + "b"]


def test_odd_statuses(mounted):
    for number, status in enumerate(ODD_STATUSES):
        write_run(mounted.runs, "odd", f"odd-{number}", status)
        assert is_in_view(mounted, status, f"odd-{number}")
    assert len(os.listdir(mounted.path / "by-status")) == len(ODD_STATUSES) + 2
    assert_agree_now(mounted)
    for name in os.listdir(mounted.path / "by-status"):
        assert len(os.fsencode(name)) <= 255
    for number, status in enumerate(ODD_STATUSES):
        change_status(mounted.runs / "odd" / f"odd-{number}", "plain", "rename")
        assert not is_in_view(mounted, status, f"odd-{number}")
    assert_agree(mounted)


def test_escapes_are_those_of_the_specification():
    known = {"": "%", "..": "%2E.", "a/b": "a%2Fb", "a\n": "a%0A", "%": "%25", "ä": "ä", b"\xff": "%FF", "a.b": "a.b", "\0": "%00"}
    assert {value: oracle.escaped(value) for value in known} == known
    assert len(os.fsencode(oracle.escaped("ä" * 150))) in (254, 255)
