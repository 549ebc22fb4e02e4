"""at/ in all states that a repository can be in: packed, borrowed, shallow, damaged, absent; and that nothing can be changed there."""

import errno
import mmap
import os
import shutil
import stat
import subprocess

import pytest

from helpers import error_of, poll, read_bytes, together, write_run
from history import Repository, find_differences, git, shown
from users import as_user

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="needs git")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")

APPEARS_SECONDS = 5


def fill(repository):
    """Three commits: two runs, a change of status, a removal. No two files are the same object."""
    write_run(repository.source, "chatdev", "run-1", tokens=(1, 1))
    repository.commit_run("ghspec", "run-2", "failed", (2, 2), at="2025-10-15T10:00:00Z")
    repository.commit_run("ghspec", "run-2", "verified", (2, 2), at="2025-10-16T10:00:00Z")
    shutil.rmtree(repository.source / "chatdev" / "run-1")
    repository.commit_run("baes", "run-3", tokens=(3, 3), at="2025-10-17T10:00:00Z")
    return repository


@pytest.fixture
def repository(tmp_path):
    return fill(Repository.create(tmp_path / "repository"))


def assert_right(repository, mounted, tmp_path, commits=None):
    for number, commit in enumerate(commits or repository.ids("HEAD")):
        place = mounted.path / "at" / commit
        scratch = tmp_path / f"checkout-{len(os.listdir(tmp_path))}-{number}"
        assert find_differences(repository, commit, place, scratch) is None, f"HEAD~{number}"


# --- where objects lie -------------------------------------------------------------------------------------------------


def test_loose_then_packed_while_mounted(repository, mount, tmp_path):
    mounted = mount(repository.source)
    assert_right(repository, mounted, tmp_path, [repository.id("HEAD")])
    repository.git("gc", "-q", "--prune=now")
    assert not list((repository.top / ".git" / "objects").glob("[0-9a-f][0-9a-f]"))
    assert_right(repository, mounted, tmp_path)
    repository.commit_run("chatdev", "run-9")
    repository.git("repack", "-adq", "--depth=1")
    assert poll(lambda: (mounted.path / "at" / "HEAD" / "runs" / "chatdev" / "run-9").exists(), 1)
    assert_right(repository, mounted, tmp_path)


def test_packed_before(repository, mount, tmp_path):
    repository.git("gc", "-q", "--aggressive", "--prune=now")
    repository.git("commit-graph", "write", "--reachable")
    repository.git("multi-pack-index", "write")
    assert_right(repository, mount(repository.source), tmp_path)


def test_repacked_under_readers(repository, mount):
    """Objects that go from one pack to another meanwhile are found again."""
    mounted = mount(repository.source)
    wanted = {commit: repository.archived(commit) for commit in repository.ids("HEAD")}

    def read():
        for commit, files in wanted.items():
            assert shown(mounted.path / "at" / commit[:20] / "runs") == files

    def repack():
        repository.git("repack", "-adfq")
        repository.git("commit", "-q", "--allow-empty", "-m", "another")
        mounted.path.joinpath("at", "HEAD", "where").stat()

    together(repack, read, read, seconds=4)


def test_objects_of_another_repository(repository, mount, tmp_path):
    clone = Repository(tmp_path / "clone")
    git(tmp_path, "clone", "-q", "--shared", repository.top, clone.top)
    assert (clone.top / ".git" / "objects" / "info" / "alternates").exists()
    clone.commit_run("chatdev", "run-7")
    assert_right(clone, mount(clone.source), tmp_path)


def test_a_linked_working_tree(repository, mount, tmp_path):
    linked = Repository(tmp_path / "linked")
    repository.git("worktree", "add", "-q", "-b", "other", linked.top, "HEAD~1")
    linked.commit_run("chatdev", "run-7")
    mounted = mount(linked.source)
    assert_right(linked, mounted, tmp_path)
    assert shown(mounted.path / "at" / "HEAD" / "runs") == linked.archived("other")
    assert shown(mounted.path / "at" / "main" / "runs") == linked.archived("main")
    repository.commit_run("chatdev", "run-8")
    linked.commit_run("chatdev", "run-9")
    assert poll(lambda: shown(mounted.path / "at" / "HEAD" / "runs") == linked.archived("other"), 1)
    assert poll(lambda: shown(mounted.path / "at" / "main" / "runs") == linked.archived("main"), 1)


def test_a_shallow_clone(repository, mount, tmp_path):
    clone = Repository(tmp_path / "clone")
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{repository.top}", clone.top)
    mounted = mount(clone.source)
    assert len(clone.ids("HEAD")) == 2
    assert_right(clone, mounted, tmp_path)
    at = mounted.path / "at"
    assert error_of(os.stat, at / "HEAD~2") == error_of(os.stat, at / "2025-10-15") == errno.ENOENT
    assert {name for name in os.listdir(at) if len(name) == 40} == set(clone.ids("HEAD"))
    clone.git("fetch", "-q", "--unshallow")
    assert poll(lambda: (at / "HEAD~2").exists(), APPEARS_SECONDS)
    assert_right(clone, mounted, tmp_path)


def test_a_separate_git_directory(mount, tmp_path):
    repository = Repository(tmp_path / "work")
    repository.source.mkdir(parents=True)
    repository.git("init", "-q", "-b", "main", "--separate-git-dir", tmp_path / "elsewhere.git")
    fill(repository)
    assert_right(repository, mount(repository.source), tmp_path)


def test_a_repository_with_a_working_tree_elsewhere_in_it(mount, tmp_path):
    """The source is the top of the working tree, or two directories deep in it, its name hostile."""
    for number, prefix in enumerate((".", "a b/ru%ns\n")):
        repository = Repository.create(tmp_path / f"top-{number}", prefix)
        repository.prefix = "" if prefix == "." else prefix
        fill(repository)
        mounted = mount(repository.source)
        assert_right(repository, mounted, tmp_path)
        assert ".git" not in os.listdir(mounted.path / "at" / "HEAD" / "runs")


def test_a_source_that_came_to_be_later(repository, mount, tmp_path):
    """Revisions without the source's directory, and one in which a file has its name, are empty."""
    other = Repository(repository.top, "later")
    other.source.mkdir()
    write_run(other.source, "chatdev", "run-1")
    first = other.commit("later")
    shutil.rmtree(other.source)
    other.source.write_text("a file")
    file = other.commit("a file")
    other.source.unlink()
    write_run(other.source, "chatdev", "run-2")
    last = other.commit("a directory again")
    at = mount(other.source).path / "at"
    for commit in (*repository.ids(f"{first}~1"), file):
        assert shown(at / commit / "runs") == {}, commit
        assert os.listdir(at / commit / "where") == os.listdir(at / commit / "by-status") == [], commit
    assert os.listdir(at / first / "where") == ["run-1"] and os.listdir(at / last / "where") == ["run-2"]


# --- what is missing ---------------------------------------------------------------------------------------------------


def remove_object(repository, text):
    name = repository.git("rev-parse", text)
    path = repository.top / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o644)
    path.unlink()
    return name


def test_a_missing_file(repository, mount):
    remove_object(repository, "HEAD:runs/baes/run-3/metrics.json")
    mounted = mount(repository.source)
    place = mounted.path / "at" / "HEAD"
    assert error_of(read_bytes, place / "runs" / "baes" / "run-3" / "metrics.json") == errno.EIO
    assert poll(lambda: "at/HEAD" in mounted.log()), mounted.log()
    assert sorted(os.listdir(place / "runs")) == ["baes", "ghspec"]
    assert read_bytes(place / "runs" / "ghspec" / "run-2" / "metrics.json") == read_bytes(repository.source / "ghspec" / "run-2" / "metrics.json")
    # What would have to be guessed is not told.
    assert error_of(os.listdir, place / "by-status") == errno.EIO
    assert error_of(read_bytes, place / "runs_manifest.json") == errno.EIO
    assert os.listdir(mounted.path / "at" / "HEAD~1" / "by-status") == ["verified"]
    assert os.listdir(mounted.path / "by-status") == ["verified"]


def test_a_missing_tree(repository, mount):
    remove_object(repository, "HEAD:runs/baes")
    mounted = mount(repository.source)
    place = mounted.path / "at" / "HEAD"
    assert error_of(os.listdir, place / "runs" / "baes") == errno.EIO
    assert os.listdir(place / "runs" / "ghspec") == ["run-2"]
    assert poll(lambda: "at/HEAD" in mounted.log()), mounted.log()
    assert sorted(os.listdir(mounted.path / "at" / "HEAD~1" / "where")) == ["run-1", "run-2"]


def test_a_missing_commit(repository, mount):
    gone = remove_object(repository, "HEAD~1")
    mounted = mount(repository.source)
    at = mounted.path / "at"
    assert error_of(os.stat, at / "HEAD~1") in (errno.EIO, errno.ENOENT)
    assert error_of(os.stat, at / gone) in (errno.EIO, errno.ENOENT)
    assert {"HEAD", "main"} <= set(os.listdir(at))
    assert sorted(os.listdir(at / "HEAD" / "where")) == ["run-2", "run-3"]


def test_a_damaged_object(repository, mount):
    name = repository.git("rev-parse", "HEAD:runs/baes/run-3/metrics.json")
    path = repository.top / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:40] + os.urandom(30))
    mounted = mount(repository.source)
    assert error_of(read_bytes, mounted.path / "at" / "HEAD" / "runs" / "baes" / "run-3" / "metrics.json") == errno.EIO
    assert os.listdir(mounted.path / "at" / "HEAD~1" / "by-status" / "verified")


def test_many_looks_at_what_is_missing_do_not_fill_the_log(repository, mount):
    remove_object(repository, "HEAD:runs/baes/run-3/metrics.json")
    mounted = mount(repository.source)
    for _ in range(200):
        assert error_of(read_bytes, mounted.path / "at" / "HEAD" / "runs" / "baes" / "run-3" / "metrics.json") == errno.EIO
    assert 1 <= len(mounted.log().splitlines()) < 20, mounted.log()


def test_no_repository_then_one(source, mount, tmp_path):
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    at = mounted.path / "at"
    for _ in range(5):
        assert os.listdir(at) == []
        assert error_of(os.stat, at / "HEAD") == error_of(os.stat, at / "2025-10-16") == errno.ENOENT
    assert len(mounted.log().splitlines()) == 1, mounted.log()
    repository = Repository.create(source, ".")
    repository.prefix = ""
    commit = repository.commit("first")
    assert poll(lambda: (at / "HEAD").exists(), APPEARS_SECONDS)
    assert commit in os.listdir(at)
    assert_right(repository, mounted, tmp_path)
    shutil.rmtree(source / ".git")
    assert poll(lambda: not (at / "HEAD").exists() and not os.listdir(at), APPEARS_SECONDS)
    assert os.listdir(mounted.path / "where") == ["run-1"]


def test_a_repository_that_is_none(source, mount):
    write_run(source, "chatdev", "run-1")
    (source / ".git").write_text("gitdir: /nowhere\n")
    mounted = mount(source)
    assert os.listdir(mounted.path / "at") == []
    assert error_of(os.stat, mounted.path / "at" / "HEAD") == errno.ENOENT
    assert os.listdir(mounted.path / "where") == ["run-1"]


def test_a_repository_that_is_nearer(repository, mount, tmp_path):
    """The nearest `.git` counts, whenever it came; one that is none leaves all as it was."""
    mounted = mount(repository.source)
    at = mounted.path / "at"
    outer = repository.id("HEAD")
    assert outer in os.listdir(at)
    (repository.source / ".git").mkdir()
    assert outer in os.listdir(at) and (at / outer / "where").is_dir()
    (repository.source / ".git").rmdir()
    assert outer in os.listdir(at)
    inner = Repository.create(repository.source, ".")
    inner.prefix = ""
    commit = inner.commit("of its own")
    assert set(os.listdir(at)) == {"HEAD", "main", commit}
    assert_right(inner, mounted, tmp_path)
    shutil.rmtree(repository.source / ".git")
    assert outer in os.listdir(at)


def test_a_source_by_a_link_that_leads_elsewhere_later(repository, mount, tmp_path):
    """The mount shows the directory that was meant when it was made; so do its views of the past."""
    other = Repository.create(tmp_path / "other")
    other.commit_run("chatdev", "other-run")
    link = tmp_path / "link"
    link.symlink_to(repository.source)
    mounted = mount(link)
    link.unlink()
    link.symlink_to(other.source)
    assert_right(repository, mounted, tmp_path)
    repository.git("gc", "-q", "--prune=now")  # it is opened anew
    assert_right(repository, mounted, tmp_path)


@pytest.mark.parametrize("whole", [False, True], ids=["source", "repository"])
def test_a_source_that_is_moved(repository, mount, tmp_path, whole):
    """Within its repository, where each revision has another tree at the new place, and with it."""
    shutil.copytree(repository.source / "ghspec" / "run-2", repository.source / "baes" / "run-2")
    commit = repository.commit("more")
    mounted = mount(repository.source)
    at = mounted.path / "at"
    assert sorted(os.listdir(at / "HEAD" / "where")) == ["run-2.baes", "run-2.ghspec", "run-3"]
    if whole:
        repository.top.rename(tmp_path / "moved")
        repository = Repository(tmp_path / "moved")
        repository.commit_run("baes", "run-7")
        assert "run-7" in os.listdir(at / "HEAD" / "where")
        return
    repository.source.rename(repository.top / "moved")
    assert os.listdir(at / "HEAD" / "where") == []
    assert os.listdir(at / commit / "runs") == []
    repository.prefix, repository.source = "moved", repository.top / "moved"
    commit = repository.commit("moved")
    assert sorted(os.listdir(at / "HEAD" / "where")) == ["run-2.baes", "run-2.ghspec", "run-3"]
    assert_right(repository, mounted, tmp_path, [commit])


# --- read-only ---------------------------------------------------------------------------------------------------------


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def write(path, flags):
    """The kernel may open a file by itself: then the write is refused."""
    descriptor = os.open(path, flags)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def test_nothing_can_be_made(repository, mount):
    at = mount(repository.source).path / "at"
    origin = at / "HEAD" / "runs" / "ghspec" / "run-2" / "metrics.json"
    for directory in ("", "HEAD", "HEAD/runs", "HEAD/runs/ghspec", "HEAD/runs/ghspec/run-2", "HEAD/by-status", "HEAD/by-status/verified",
                      "HEAD/by-status/verified/run-2", "HEAD/where", "HEAD/where/status=verified", "HEAD/where/status=verified/run-2"):
        new = at / directory / "new-one"
        for make, arguments in ((create, ()), (os.mkdir, ()), (os.mknod, ()), (os.mkfifo, ())):
            assert error_of(make, new, *arguments) == errno.EROFS, (directory, make)
        assert error_of(os.symlink, "target", new) == errno.EROFS, directory
        assert error_of(os.link, origin, new) == errno.EROFS, directory
        assert error_of(os.rename, origin, new) == errno.EROFS, directory


def test_nothing_can_be_changed_or_removed(repository, mount):
    mounted = mount(repository.source)
    at = mounted.path / "at"
    before = repository.archived("HEAD")
    directories = ("HEAD", "HEAD/runs", "HEAD/runs/ghspec", "HEAD/runs/ghspec/run-2", "HEAD/by-status", "HEAD/by-status/verified",
                   "HEAD/by-status/verified/run-2", "HEAD/where", "HEAD/where/status=verified")
    files = ("HEAD/runs_manifest.json", "HEAD/runs/ghspec/run-2/metrics.json", "HEAD/by-status/verified/run-2/metrics.json")
    for name in (*directories, *files):
        path = at / name
        is_file = name in files
        for change, arguments in ((os.chmod, (0o777,)), (os.chown, (1, 1)), (os.utime, ((1, 1),)), (os.setxattr, ("user.note", b"x")),
                                  (os.removexattr, ("user.note",)), (os.rename, (path.with_name("new"),)),
                                  (os.unlink if is_file else os.rmdir, ())):
            assert error_of(change, path, *arguments) == errno.EROFS, (name, change)
        if is_file:
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
                assert error_of(write, path, flags) == errno.EROFS, (name, flags)
            assert error_of(os.truncate, path, 0) == errno.EROFS, name
    assert shown(at / "HEAD" / "runs") == before


def test_what_is_changed_in_memory_is_nobody_else_s(repository, mount):
    """The kernel maps files by itself, for writing too: what is refused when it is written is read again."""
    place = mount(repository.source).path / "at" / "HEAD"
    for name in ("runs/ghspec/run-2/metrics.json", "runs_manifest.json"):
        before = read_bytes(place / name)
        descriptor = os.open(place / name, os.O_RDWR)
        with mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
            mapped[0:1] = b"X"
            assert error_of(mapped.flush) == errno.EROFS
        os.close(descriptor)
        assert poll(lambda name=name, before=before: outcome(read_bytes, place / name) == before, 1), name
        descriptor = os.open(place / name, os.O_RDWR)
        mapped = mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        os.close(descriptor)
        mapped[0:1] = b"Y"
        mapped.close()  # nobody waits for the writing
        os.sync()
        assert poll(lambda name=name, before=before: outcome(read_bytes, place / name) == before, 5), name


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return error.errno


def test_nothing_moves_between_the_past_and_the_present(repository, mount):
    mounted = mount(repository.source)
    past, present = mounted.path / "at" / "HEAD" / "runs" / "ghspec" / "run-2", mounted.runs / "baes" / "run-3"
    for origin, target in ((past, mounted.runs / "baes" / "new"), (present, mounted.path / "at" / "HEAD" / "runs" / "baes" / "new"),
                           (present / "metrics.json", past / "metrics.json"), (past / "metrics.json", present / "metrics.json")):
        assert error_of(os.rename, origin, target) in (errno.EROFS, errno.EXDEV), (origin, target)
    assert error_of(os.link, past / "metrics.json", mounted.runs / "baes" / "link") in (errno.EROFS, errno.EXDEV, errno.EPERM)
    assert error_of(os.link, present / "metrics.json", past / "link") in (errno.EROFS, errno.EXDEV)
    assert os.listdir(mounted.runs / "baes") == ["run-3"]


def test_rm_fails_and_loses_nothing(repository, mount):
    mounted = mount(repository.source)
    before, status = shown(mounted.runs), repository.git("status", "--short")
    for name in ("HEAD", "HEAD/runs/ghspec", "HEAD/by-status/verified/run-2"):
        assert subprocess.run(["rm", "-rf", mounted.path / "at" / name], capture_output=True, check=False).returncode == 1
    assert shown(mounted.runs) == before
    assert shown(mounted.path / "at" / "HEAD" / "runs") == repository.archived("HEAD")
    assert repository.git("status", "--short") == status
    repository.git("fsck", "--strict")


def test_looking_changes_nothing_in_the_repository(repository, mount):
    mounted = mount(repository.source)
    mounted.path.joinpath("at", "HEAD").stat()
    before = {path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in (repository.top / ".git").rglob("*")}
    subprocess.run(["grep", "-rq", "nothing has this", mounted.path / "at"], check=False)
    assert {path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_size) for path in (repository.top / ".git").rglob("*")} == before


def test_attributes(repository, mount):
    """Readable like Git's own objects, writable for nobody; extended attributes there are none."""
    place = mount(repository.source).path / "at" / "HEAD"
    info = os.stat(place / "runs" / "ghspec")
    assert stat.S_ISDIR(info.st_mode) and info.st_mtime == info.st_ctime == repository.time_s("HEAD")
    info = os.stat(place / "runs" / "ghspec" / "run-2" / "metrics.json")
    assert stat.S_ISREG(info.st_mode) and not info.st_mode & 0o111 and info.st_nlink == 1
    assert os.listxattr(place / "runs" / "ghspec" / "run-2" / "metrics.json") == []
    assert error_of(os.getxattr, place / "runs", "user.note") == errno.ENODATA


# --- who may look ------------------------------------------------------------------------------------------------------


@needs_root
def test_other_users_see_what_git_lets_them_see(open_tmp, mount):
    """The repository belongs to one user, whose rights are enough; what is root's own is of no concern."""
    repository = fill(Repository.create(open_tmp / "repository"))
    subprocess.run(["chown", "-R", "1234:1234", repository.top], check=True)
    at = mount(repository.source, "allow_other", at=open_tmp / "mount").path / "at"
    for who in ((1234, 1234, []), (2345, 2345, [])):
        assert as_user(*who, os.listdir, at / "HEAD" / "runs") in (["baes", "ghspec"], ["ghspec", "baes"])
        assert as_user(*who, read_bytes, at / "HEAD" / "runs" / "ghspec" / "run-2" / "metrics.json")
        assert as_user(*who, create, at / "HEAD" / "new") in ("EROFS", "EACCES")


@needs_root
def test_objects_closed_to_others_are_closed_here(open_tmp, mount):
    repository = fill(Repository.create(open_tmp / "repository"))
    subprocess.run(["chown", "-R", "1234:1234", repository.top], check=True)
    (repository.top / ".git" / "objects").chmod(0o700)
    mounted = mount(repository.source, "allow_other", at=open_tmp / "mount")
    at = mounted.path / "at"
    owner, other = (1234, 1234, []), (2345, 2345, [])
    assert as_user(*owner, os.listdir, at / "HEAD" / "runs") in (["baes", "ghspec"], ["ghspec", "baes"])
    for path in (at / "HEAD" / "runs", at / "HEAD" / "by-status" / "verified", at / "HEAD" / "runs" / "ghspec"):
        assert as_user(*other, os.listdir, path) == "EACCES", path
    assert as_user(*other, read_bytes, at / "HEAD" / "runs" / "ghspec" / "run-2" / "metrics.json") == "EACCES"
    assert as_user(*other, os.listdir, mounted.path / "by-status") == ["verified"]
