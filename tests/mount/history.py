"""Git repositories for tests of at/, and what a revision of one must look like, by git-archive and the oracle."""

import io
import os
import pathlib
import stat
import subprocess
import tarfile

import oracle
from helpers import write_run

def git(directory, *arguments, at=None, given=None, check=True):
    """What git prints, as text without the last newline. at: the date of what it commits; given: its input (bytes)."""
    settings = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "safe.directory=*", "-c", "protocol.file.allow=always"]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    if at is not None:
        environment["GIT_AUTHOR_DATE"] = environment["GIT_COMMITTER_DATE"] = str(at)
    command = ["git", *settings, *map(os.fspath, arguments)]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, input=given, check=False)
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(map(str, arguments))}: {done.stderr.decode()}")
    return os.fsdecode(done.stdout).removesuffix("\n")


class Repository:
    """A repository, and the source in it at `prefix`."""

    def __init__(self, top, prefix="runs"):
        self.top, self.prefix = pathlib.Path(top), prefix
        self.source = self.top / prefix

    @classmethod
    def create(cls, top, prefix="runs"):
        repository = cls(top, prefix)
        repository.source.mkdir(parents=True, exist_ok=True)
        repository.git("init", "-q", "--template=", "-b", "main")
        return repository

    def git(self, *arguments, **options):
        return git(self.top, *arguments, **options)

    def id(self, text):
        return self.git("rev-parse", "--verify", "-q", f"{text}^{{commit}}")

    def ids(self, *arguments):
        return self.git("rev-list", *(arguments or ["--all"])).split()

    def commit(self, message, at=None):
        """All that there is; the new commit's id."""
        # A mount may be writing the manifest, and git gives up where a file that it has seen is gone.
        for tries_left in reversed(range(50)):
            try:
                self.git("add", "-A", "-f")
                break
            except AssertionError:
                if not tries_left:
                    raise
        self.git("commit", "-q", "--allow-empty", "-m", message, at=at)
        return self.id("HEAD")

    def commit_run(self, framework, run_id, *arguments, at=None, **options):
        write_run(self.source, framework, run_id, *arguments, **options)
        return self.commit(f"{framework}/{run_id}", at)

    def time_s(self, commit):
        return int(self.git("log", "-1", "--format=%ct", commit))

    def tree(self, commit):
        """The id of the source's tree, or None where the revision has no such directory."""
        return self.git("rev-parse", "-q", "--verify", f"{commit}:{self.prefix}", check=False) or None

    def archived(self, commit):
        """{path below the source: what it is} of a revision: (kind, may be executed, content or target)."""
        tree = self.tree(commit)
        if not tree:
            return {}
        command = ["git", "-c", "safe.directory=*", "archive", tree]
        done = subprocess.run(command, cwd=self.top, capture_output=True, check=True)
        found = {}
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            for member in archive:
                if member.isdir():
                    what = ("directory", None, None)
                elif member.issym():
                    what = ("link", None, member.linkname)
                else:
                    what = ("file", bool(member.mode & 0o100), archive.extractfile(member).read())
                found[member.name.rstrip("/")] = what
        return found

    def check_out(self, commit, directory):
        """Makes the source of a revision a directory by itself."""
        directory = pathlib.Path(directory)
        directory.mkdir()
        for path, (kind, executable, content) in sorted(self.archived(commit).items()):
            if kind == "directory":
                (directory / path).mkdir(parents=True, exist_ok=True)
            elif kind == "link":
                (directory / path).symlink_to(content)
            else:
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (directory / path).write_bytes(content)
                (directory / path).chmod(0o755 if executable else 0o644)
        return directory


def shown(top, times=None):
    """The same as archived, of a directory; the modification times of all go to the set times."""
    found, pending = {}, [""]
    times = set() if times is None else times
    times.add(os.lstat(top).st_mtime_ns)
    while pending:
        relative = pending.pop()
        for name in os.listdir(os.path.join(top, relative)):
            path = os.path.join(relative, name)
            full = os.path.join(top, path)
            info = os.lstat(full)
            times.add(info.st_mtime_ns)
            if stat.S_ISDIR(info.st_mode):
                found[path] = ("directory", None, None)
                pending.append(path)
            elif stat.S_ISLNK(info.st_mode):
                found[path] = ("link", None, os.readlink(full))
                assert info.st_size == len(os.fsencode(found[path][2])), path
            else:
                with open(full, "rb") as file:
                    content = file.read()
                assert info.st_size == len(content), path
                found[path] = ("file", bool(info.st_mode & 0o100), content)
    return found


def differing(a, b, keys=None):
    """Some of what two dictionaries disagree in, shortened."""
    keys = sorted(key for key in (keys or a.keys() | b.keys()) if a.get(key) != b.get(key))
    return {key: (str(a.get(key))[:300], str(b.get(key))[:300]) for key in keys[:5]}


def below(files, path):
    return {name[len(path) + 1:]: what for name, what in files.items() if name.startswith(path + "/")}


def find_differences(repository, commit, place, scratch):
    """None where the directory at/<revision> is that commit, else what is not, in words. scratch is a new directory's path."""
    files, time_s, times = repository.archived(commit), repository.time_s(commit), set()
    seen = shown(place / "runs", times)
    if seen != files:
        return f"runs/: {differing(seen, files)}"
    if times != {time_s * 10**9}:
        return f"times: {times}, the commit's is {time_s}"
    checkout = repository.check_out(commit, scratch)
    wanted = oracle.expected_manifest(checkout)
    name = os.path.basename(oracle.manifest_path(checkout))
    manifest = (place / name).read_bytes()
    if manifest != oracle.manifest_bytes(wanted):
        return f"{name}:\n{manifest[:3000]!r}\nby the files:\n{oracle.manifest_bytes(wanted)[:3000]!r}"
    if os.stat(place / name).st_size != len(manifest) or os.stat(place / name).st_mtime_ns != time_s * 10**9:
        return f"{name}: {os.stat(place / name)}"
    views = oracle.expected_views(checkout)
    for view, values in views.items():
        stands = {value: set(os.listdir(place / view / value)) for value in os.listdir(place / view)}
        if stands != (names := {value: set(runs) for value, runs in values.items()}):
            return f"{view} lists\n{stands}\nby the files:\n{names}"
    for value, runs in views["by-status"].items():
        for run, path in runs.items():
            if (seen := shown(place / "by-status" / value / run, times := set())) != (files_of_run := below(files, path)):
                return f"by-status/{value}/{run}: {differing(seen, files_of_run)}"
            if times != {time_s * 10**9}:
                return f"by-status/{value}/{run}: times {times}"
    entries = wanted["runs"]
    for predicates, holds in QUERIES.items():
        names = set(oracle.named([entry for entry in entries if holds(entry)]))
        if (listed := set(os.listdir(place / "where" / predicates))) != names:
            return f"where/{predicates} lists\n{listed}\nby the files:\n{names}"
    listed, names = set(os.listdir(place / "where")), set(oracle.named(entries))
    return None if listed == names else f"where lists\n{listed}\nby the files:\n{names}"


QUERIES = {
    "status=verified": lambda run: run["verification_status"] == "verified",
    "framework=chatdev+baes,not_status=pending": lambda run: run["framework"] in ("chatdev", "baes") and run["verification_status"] != "pending",
    "min_tokens=100000": lambda run: run["total_tokens_in"] + run["total_tokens_out"] >= 100_000,
    "has=end_time/max_tokens_in=60000": lambda run: run["end_time"] is not None and run["total_tokens_in"] <= 60_000,
    "missing=end_time": lambda run: run["end_time"] is None,
}
