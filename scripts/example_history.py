"""The history of an example: a Git repository with the source in runs/, in which every commit is one step of the experiment.

A run is started, completes, is reconciled with the provider's figures once or more often, and may be moved to another framework or
removed. The manifest of each commit is what a correct tool writes. Everything goes to git-fast-import in three parts: the runs'
files, the manifests in a row (it compresses a blob as a difference to the one before it), then the commits that name them.
"""
import bisect
import collections
import copy
import dataclasses
import datetime
import hashlib
import json
import os
import random
import subprocess

from example_runs import FIRST_START, FRAMEWORKS, describe, identifier, lifetime, manifest_entry, reconciliation, timestamp

SOURCE = "runs"
MANIFEST = f"{SOURCE}/runs_manifest.json"
NOTEBOOK = "NOTEBOOK.md"
SECONDS_BETWEEN_RUNS = 20 * 60
STATUSES = ("verified",) * 5 + ("discrepancy", "failed", "pending")
# In groups of steps, each a commit.
SIDE_BRANCH_LENGTH = 12
COMMITS_PER_SIDE_BRANCH = 1000
UNMERGED_COMMITS = 3
TAGS = 8
PERSON = "Experimenter <experimenter@example.org>"
# What its user has set must not show in the repository.
ENVIRONMENT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


class Stream:
    """git-fast-import's input."""

    def __init__(self, file):
        self.file, self.marks = file, 0

    def mark(self):
        self.marks += 1
        return self.marks

    def blob(self, content):
        mark = self.mark()
        self.file.write(b"blob\nmark :%d\ndata %d\n%b\n" % (mark, len(content), content))
        return mark


# --- what happens ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Change:
    """What one step does to a tree: to its files (lines for fast-import), and to the manifest."""

    owner: object
    message: str
    commands: list
    removed: str | None = None  # a run's path
    added: tuple | None = None  # its path, and what it is in the manifest: (sort key, framework, text)


class Run:
    """A run at one point of its life, and the blobs that its directory has."""

    def __init__(self, rng, number):
        self.rng, self.run_id, self.framework = rng, identifier(rng), FRAMEWORKS[rng.randrange(len(FRAMEWORKS))]
        self.start, duration_s = lifetime(rng, number, SECONDS_BETWEEN_RUNS)
        self.end = self.start + datetime.timedelta(seconds=duration_s)
        self.metrics, self.metadata = describe(rng, self.framework, self.run_id, self.start, duration_s)
        self.blobs, self.row, self.notes = {}, None, 0

    @property
    def path(self):
        return f"{self.framework}/{self.run_id}"

    def write(self, stream, what, **files):
        """The change that gives it these files (JSON, or text) and its entry anew."""
        commands = []
        for name, content in files.items():
            name = name.replace("_", ".")
            content = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
            self.blobs[name] = stream.blob(content.encode())
            commands.append(f"M 100644 :{self.blobs[name]} {SOURCE}/{self.path}/{name}")
        metrics = self.metrics if "metrics.json" in self.blobs else None
        entry = manifest_entry(self.framework, self.run_id, metrics, self.metadata)
        text = "    " + json.dumps(entry, indent=2).replace("\n", "\n    ")
        change = Change(self, f"{self.path}: {what.format(**entry)}", commands)
        row = ((entry["start_time"] or "", self.run_id), self.framework, text)
        if row != self.row:
            change.removed, change.added, self.row = self.row and self.path, (self.path, row), row
        return change

    def started(self, stream):
        self.metadata = {**self.metadata, "start_time": timestamp(self.start), "end_time": None}
        return self.write(stream, "started", metadata_json=self.metadata)

    def completed(self, stream):
        if not self.metrics:
            return self.noted(stream)
        self.metadata = {**self.metadata, "end_time": timestamp(self.end), "archive_path": "run.tar.gz",
                         "archive_hash": hashlib.sha256(self.run_id.encode()).hexdigest(),
                         "archive_size_bytes": self.rng.randrange(10**6, 5 * 10**8)}
        self.metrics = {name: value for name, value in self.metrics.items() if name != "usage_api_reconciliation"}
        self.metrics["verification_status"] = "pending"
        return self.write(stream, "{verification_status}, {total_tokens_in} tokens in, {total_tokens_out} out",
                          metadata_json=self.metadata, metrics_json=self.metrics, commit_txt=self.metadata["framework_commit"] + "\n")

    def reconciled(self, stream):
        """The provider's own figures: a status, and often other tokens."""
        if "metrics.json" not in self.blobs or self.rng.random() < 0.1:
            return self.noted(stream)
        self.metrics = copy.deepcopy(self.metrics)
        status, counts = self.rng.choice(STATUSES), []
        for short, long in (("TOK_IN", "total_tokens_in"), ("TOK_OUT", "total_tokens_out")):
            place, name = (self.metrics, long) if long in self.metrics else (self.metrics["aggregate_metrics"], short)
            if self.rng.random() < 0.5:
                place[name] += self.rng.randrange(1, 5000)
            counts.append(place[name])
        self.metrics["usage_api_reconciliation"] = reconciliation(self.rng, status, *counts, self.end)
        return self.write(stream, "{verification_status}, {total_tokens_in} tokens in, {total_tokens_out} out", metrics_json=self.metrics)

    def noted(self, stream):
        """A tracked file that no field comes from."""
        self.notes += 1
        lines = [f"- look {number}: nothing unusual in sprint {number % 6 + 1}\n" for number in range(1, self.notes + 1)]
        return self.write(stream, "notes", notes_md=f"# {self.run_id}\n\n{''.join(lines)}")

    def moved(self, stream):
        """It was filed under the wrong framework."""
        before, old = self.path, self.row
        self.framework = FRAMEWORKS[(FRAMEWORKS.index(self.framework) + 1) % len(FRAMEWORKS)]
        self.metadata = {**self.metadata, "framework": self.framework}
        change = self.write(stream, f"moved here from {before}", metadata_json=self.metadata)
        change.removed = old and before
        change.commands.insert(0, f"R {SOURCE}/{before} {SOURCE}/{self.path}")
        return change

    def removed(self, _stream):
        self.row = None
        return Change(self, f"{self.path}: removed", [f"D {SOURCE}/{self.path}"], removed=self.path)


class Notebook:
    """What is in the repository beside the runs."""

    def __init__(self):
        self.lines = ["# Notebook\n\n"]

    def begun(self, stream):
        script = stream.blob(b"#!/bin/sh\nexec python3 -m experiment --runs runs \"$@\"\n")
        change = self.written(stream)
        return dataclasses.replace(change, message="The experiment's repository", commands=[
            *change.commands, f"M 100755 :{script} run-experiment.sh", "M 120000 inline latest-report\ndata 11\nNOTEBOOK.md"])

    def written(self, stream):
        self.lines.append(f"{len(self.lines)}. Quota and keys checked.\n")
        return Change(self, f"Notebook, entry {len(self.lines) - 1}", [f"M 100644 :{stream.blob(''.join(self.lines).encode())} {NOTEBOOK}"])


def plan(rng, run_count, step_count):
    """At least so many steps, as (moment, what happens to whom: a run's number or None)."""
    steps = []
    for number in range(run_count):
        begun = FIRST_START + datetime.timedelta(seconds=number * SECONDS_BETWEEN_RUNS + 90)
        ended = begun + datetime.timedelta(seconds=2400)
        steps += [(begun, "started", number), (ended, "completed", number),
                  (ended + datetime.timedelta(minutes=rng.randrange(30, 360)), "reconciled", number)]
        for what, one_in in (("moved", 40), ("removed", 30)):
            if number % one_in == one_in // 3:
                steps.append((ended + datetime.timedelta(hours=rng.randrange(1, 100)), what, number))
    last = max((moment for moment, _, _ in steps), default=FIRST_START)
    span_s = int((last - FIRST_START).total_seconds())
    for _ in range(max(step_count // 50, 0 if run_count else step_count)):
        steps.append((FIRST_START + datetime.timedelta(seconds=rng.randrange(span_s + 60)), "written", None))
    while len(steps) < step_count:
        number = rng.randrange(run_count)
        moment = FIRST_START + datetime.timedelta(seconds=number * SECONDS_BETWEEN_RUNS + 3600 + rng.randrange(5 * 86400))
        steps.append((moment, "reconciled", number))
    return sorted(steps, key=lambda step: (step[0], step[2] or 0))


def happen(rng, stream, steps, run_count):
    """(moment, change) for each: what comes too late for a run that is gone stands in the notebook."""
    runs, notebook = [Run(rng, number) for number in range(run_count)], Notebook()
    changes = [(FIRST_START, notebook.begun(stream))]
    for moment, what, number in steps:
        run = None if number is None else runs[number]
        gone = run is None or (run.row is None and what != "started")
        changes.append((moment, notebook.written(stream) if gone else getattr(run, what)(stream)))
    return changes, runs


# --- trees and commits -------------------------------------------------------------------------------------------------


class Tree:
    """The runs on one branch, and the text of their manifest."""

    def __init__(self):
        self.keys, self.texts, self.rows, self.counts = [], [], {}, {}
        self.manifest = None  # a mark

    def copy(self):
        other = Tree()
        other.keys, other.texts, other.rows, other.counts = self.keys[:], self.texts[:], dict(self.rows), dict(self.counts)
        other.manifest = self.manifest
        return other

    def apply(self, change):
        """Is it another manifest now?"""
        if change.removed and (row := self.rows.pop(change.removed, None)):
            position = bisect.bisect_left(self.keys, row[0])
            del self.keys[position], self.texts[position]
            self.counts[row[1]] -= 1
        if change.added:
            path, row = change.added
            self.rows[path] = row
            position = bisect.bisect_left(self.keys, row[0])
            self.keys.insert(position, row[0])
            self.texts.insert(position, row[2])
            self.counts[row[1]] = self.counts.get(row[1], 0) + 1
        return bool(change.removed or change.added)

    def manifest_text(self, moment):
        head = json.dumps({"version": "1.0", "last_updated": moment.isoformat(timespec="seconds") + "Z", "total_runs": len(self.keys),
                           "frameworks": self.counts, "runs": []}, indent=2)
        return head[:-len("[]\n}")] + ("[\n" + ",\n".join(self.texts) + "\n  ]\n}" if self.texts else "[]\n}")


class History:
    """Commits in the order of their time, as text for fast-import. Manifests go out at once, the commits in the end."""

    def __init__(self, stream):
        self.stream, self.commits, self.last = stream, [], FIRST_START

    def commit(self, branch, tree, moment, changes, message=None, begins_at=None, merges=None):
        """Returns the commit's mark. begins_at: of a new branch; merges: of the commit that is merged."""
        self.last = moment = max(moment.replace(microsecond=0), self.last + datetime.timedelta(seconds=1))
        # Each is applied, whatever the one before it did.
        if any([tree.apply(change) for change in changes]):
            tree.manifest = self.stream.blob(tree.manifest_text(moment).encode())
        if message is None:
            messages = [change.message for change in changes]
            message = messages[0] if len(messages) == 1 else f"{len(messages)} steps\n\n" + "\n".join(messages)
        mark, when = self.stream.mark(), self.when(moment)
        lines = [f"commit refs/heads/{branch}", f"mark :{mark}", f"author {PERSON} {when}", f"committer {PERSON} {when}", data(message)]
        if begins_at:
            lines.append(f"from :{begins_at}")
        if merges:
            lines.append(f"merge :{merges}")
        lines += [command for change in changes for command in change.commands]
        if tree.manifest:
            lines.append(f"M 100644 :{tree.manifest} {MANIFEST}")
        self.commits.append("\n".join(lines) + "\n\n")
        return mark

    def tag(self, name, mark, message=None):
        if message is None:
            self.commits.append(f"reset refs/tags/{name}\nfrom :{mark}\n\n")
        else:
            self.commits.append(f"tag {name}\nfrom :{mark}\ntagger {PERSON} {self.when(self.last)}\n{data(message)}\n")

    @staticmethod
    def when(moment):
        return f"{int(moment.replace(tzinfo=datetime.timezone.utc).timestamp())} +0000"


def data(text):
    return f"data {len(text.encode()) + 1}\n{text}\n"


def grouped(rng, changes, count):
    """The changes in so many groups, each of what followed another, as (moment of the last, changes)."""
    cuts = sorted(rng.sample(range(2, len(changes)), count - 2)) if count > 2 else []
    bounds = [0, *([1] if count > 1 else []), *cuts, len(changes)]
    return [(changes[end - 1][0], [change for _, change in changes[begin:end]]) for begin, end in zip(bounds, bounds[1:])]


def beside(groups):
    """Which of these groups may be on a side branch while the others are on the main one: none is of a run of the others'."""
    def owners(index):
        return {id(change.owner) for change in groups[index][1]}

    numbers = {}
    for index in range(len(groups)):
        for owner in sorted(owners(index), key=[id(change.owner) for change in groups[index][1]].index):
            numbers.setdefault(owner, len(numbers))
    side = {index for index in range(len(groups)) if all(numbers[owner] % 2 for owner in owners(index))
            and not any(isinstance(change.owner, Notebook) for change in groups[index][1])}
    while True:
        on_main = set().union(*(owners(index) for index in range(len(groups)) if index not in side))
        left = {index for index in side if not owners(index) & on_main}
        if left == side:
            return side
        side = left


def write_main(history, groups, side_branches):
    """All groups, with these many side branches; returns the main branch's tree, its last mark, and the branches to delete."""
    tree, tip, passing = Tree(), None, []
    begin_at = {len(groups) * (number + 1) // (side_branches + 1): number for number in range(side_branches)}
    tag_at = {len(groups) * (number + 1) // (TAGS + 1): number for number in range(TAGS)}
    index = 0
    while index < len(groups):
        if index in tag_at and tip:
            number = tag_at[index] + 1
            history.tag(f"batch-{number:02}", tip, f"Batch {number} is done\n\nIts runs are reconciled." if number % 2 else None)
        if index not in begin_at:
            moment, changes = groups[index]
            tip = history.commit("main", tree, moment, changes)
            index += 1
            continue
        number, trip = begin_at[index] + 1, groups[index:index + SIDE_BRANCH_LENGTH]
        branch, branch_tree, branch_tip, side = f"reconcile/batch-{number:02}", tree.copy(), None, beside(trip)
        fork, taken = tip, []
        for position, (moment, changes) in enumerate(trip):
            if position in side:
                branch_tip = history.commit(branch, branch_tree, moment, changes, begins_at=None if branch_tip else fork)
                taken += changes
            else:
                tip = history.commit("main", tree, moment, changes)
            index += 1
        # The number of commits was promised: where nothing could stand beside, another entry is made in the merge's place.
        tip = history.commit("main", tree, history.last, taken, f"Merge branch '{branch}'" if branch_tip else "Nothing to reconcile", merges=branch_tip)
        if branch_tip and number % 2 == 0:
            passing.append(branch)
    return tree, tip, passing


def write_unmerged(history, stream, tree, tip, runs):
    """A branch that goes on from the end of the main one."""
    standing = [run for run in runs if run.row]
    tree = tree.copy()
    for number, run in enumerate(standing[-UNMERGED_COMMITS:]):
        change = run.noted(stream) if "metrics.json" not in run.blobs else run.reconciled(stream)
        history.commit("experiment/recount", tree, history.last + datetime.timedelta(minutes=7), [change], begins_at=None if number else tip)


def write(stream, run_count, commit_count, seed):
    """Everything, to fast-import; returns the branches that were merged and are to be deleted."""
    rng = random.Random(f"history {seed}")
    side_branches = (2 if commit_count >= 100 else 0) + commit_count // COMMITS_PER_SIDE_BRANCH
    unmerged = min(UNMERGED_COMMITS, run_count // 10) if commit_count >= 20 else 0
    group_count = commit_count - side_branches - unmerged
    changes, runs = happen(rng, stream, plan(rng, run_count, group_count), run_count)
    history = History(stream)
    tree, tip, passing = write_main(history, grouped(rng, changes, group_count), side_branches)
    if unmerged:
        write_unmerged(history, stream, tree, tip, runs)
    history.tag("published", tip)
    stream.file.write("".join(history.commits).encode())
    return passing


def make(run_count, commit_count, seed):
    """Makes the repository in the current directory, which is empty; returns what it made, in words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | ENVIRONMENT

    def git(*arguments):
        return subprocess.run(("git", *arguments), env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    git("init", "-q", "--template=", "-b", "main")
    if commit_count:
        with subprocess.Popen(("git", "fast-import", "--quiet"), stdin=subprocess.PIPE, env=environment, bufsize=1 << 20) as importer:
            passing = write(Stream(importer.stdin), run_count, commit_count, seed)
        if importer.returncode:
            raise subprocess.CalledProcessError(importer.returncode, importer.args)
        for branch in passing:
            git("update-ref", "-d", f"refs/heads/{branch}")
        git("reset", "-q", "--hard")
    commits = int(git("rev-list", "--all", "--count"))
    branches, tags = (len(git("for-each-ref", "--format=%(refname)", f"refs/{kind}").split()) for kind in ("heads", "tags"))
    packed = sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(".git/objects") for name in names)
    standing = collections.Counter(path.count("/") for path in git("ls-tree", "-r", "-d", "--name-only", "HEAD").split())[2] if commits else 0
    return f"{commits:,} commits on {branches} branches with {tags} tags, {standing:,} runs at the end, {packed / 1e6:,.1f} MB of objects"
