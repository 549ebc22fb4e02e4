"""The promise of changes made beside the mount: how soon each is seen, and that a storm of them leaves nothing stale."""
import multiprocessing
import os
import random
import shutil
import time

import helpers
from storm import Storm

WITHIN_MS = 20
GIVE_UP_S = 5
STORM_CHANGES = 100_000
FRAMEWORKS = ("baes", "chatdev", "ghspec")
FILES = ("a", "b", "c")


def is_there(path):
    """One look, never by way of what this process remembers."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def names_in(path):
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return ()


def content(path):
    try:
        return helpers.read_bytes(path)
    except FileNotFoundError:
        return b""


def attributes(path):
    info = os.lstat(path)
    return info.st_ino, info.st_mode, info.st_nlink, info.st_size, info.st_mtime_ns


class Beside:
    """Runs in a source, the changes that are made there, and what a look through the mount should find after each.

    Each change is a method that returns (how to make it, {what shows it: look}): each look is taken before the change, too, so that
    the kernel remembers the old state, and is true from the moment at which the change is seen. The places of a run are those in
    runs/ (0), by-status/ (1) and by-framework/ (2).
    """

    def __init__(self, mounted, chance):
        self.source, self.mounted, self.chance = os.fspath(mounted.source), mounted, chance
        self.statuses, self.made = {}, 0

    def new_run(self, framework, run_id, status):
        directory = helpers.write_run(self.source, framework, run_id, status)
        os.makedirs(os.path.join(directory, "workspace", "src"))
        for name in FILES:
            with open(os.path.join(directory, "workspace", "src", name), "wb") as file:
                file.write(name.encode() * 3000)
        os.mkdir(os.path.join(directory, "shelf"))
        with open(os.path.join(directory, "shelf", "kept"), "wb") as file:
            file.write(b"kept")

    def next_run(self):
        self.made += 1
        return self.chance.choice(FRAMEWORKS), f"run-{self.made:05}", self.chance.choice(("verified", "failed", "pending"))

    def populate(self, count):
        for _ in range(count):
            framework, run_id, status = self.next_run()
            self.new_run(framework, run_id, status)
            self.statuses[framework, run_id] = status

    def places(self, framework, run_id):
        """The paths of a run through the mount."""
        status = self.statuses[framework, run_id]
        return [os.path.join(self.mounted.path, *parts, run_id)
                for parts in (("runs", framework), ("by-status", status), ("by-framework", framework))]

    def in_manifest(self, text):
        return lambda: text.encode() in content(self.mounted.runs / "runs_manifest.json")

    def status_looks(self, run_id, old, new):
        view = os.path.join(self.mounted.path, "by-status")
        return {"the new view lists it": lambda: run_id in names_in(os.path.join(view, new)),
                "the new view has it": lambda: is_there(os.path.join(view, new, run_id)),
                "the old view lacks it": lambda: old == new or run_id not in names_in(os.path.join(view, old)),
                "the old view has it not": lambda: old == new or not is_there(os.path.join(view, old, run_id))}

    def edit(self, number):
        framework, run_id = self.chance.choice(list(self.statuses))
        real = os.path.join(self.source, framework, run_id)
        places = self.places(framework, run_id)
        if number % 2:  # of its status
            old, new, tokens = self.statuses[framework, run_id], f"status-{number % 7}", 1_000_000 + number
            how = helpers.CHANGES[number // 2 % 4]
            self.statuses[framework, run_id] = new
            path = os.path.join(places[0], "metrics.json")
            return (lambda: helpers.change_status(real, new, how, tokens=(tokens, 1)),
                    {"data": lambda: str(tokens).encode() in content(path),
                     "attributes": lambda: attributes(path) == attributes(os.path.join(real, "metrics.json")),
                     "the manifest": self.in_manifest(f'"total_tokens_in": {tokens}'),
                     **self.status_looks(run_id, old, new)})
        mark = f"<{number}>".encode()
        below = os.path.join("workspace", "src", self.chance.choice(os.listdir(os.path.join(real, "workspace", "src"))))

        def change():
            with open(os.path.join(real, below), self.chance.choice(("ab", "r+b", "wb")), buffering=0) as file:
                file.write(mark)

        return change, {f"{what} at place {place}": look for place, path in enumerate(places) for what, look in (
            ("data", lambda path=path: mark in content(os.path.join(path, below))),
            ("attributes", lambda path=path: attributes(os.path.join(path, below)) == attributes(os.path.join(real, below))))}

    def rename(self, number):
        framework, run_id = self.chance.choice(list(self.statuses))
        real = os.path.join(self.source, framework, run_id, "workspace", "src")
        places = [os.path.join(path, "workspace", "src") for path in self.places(framework, run_id)]
        old = self.chance.choice(os.listdir(real))
        new = f"renamed-{number}"
        looks = {}
        for place, path in enumerate(places):
            looks |= {f"the new name at place {place}": lambda path=path: is_there(os.path.join(path, new)),
                      f"the old name at place {place}": lambda path=path: not is_there(os.path.join(path, old)),
                      f"the listing at place {place}": lambda path=path: new in (names := names_in(path)) and old not in names}
        return lambda: os.rename(os.path.join(real, old), os.path.join(real, new)), looks

    def new(self, number):
        del number
        framework, run_id, status = self.next_run()
        self.statuses[framework, run_id] = status
        places = self.places(framework, run_id)
        looks = {"the manifest": self.in_manifest(f'"path": "{framework}/{run_id}"')}
        for place, path in enumerate(places):
            looks |= {f"the name at place {place}": lambda path=path: is_there(path),
                      f"the listing at place {place}": lambda path=path: os.path.basename(path) in names_in(os.path.dirname(path)),
                      f"data at place {place}": lambda path=path: content(os.path.join(path, "shelf", "kept")) == b"kept"}
        return lambda: self.new_run(framework, run_id, status), looks

    def remove(self, number):
        del number
        framework, run_id = self.chance.choice(list(self.statuses))
        entry = self.in_manifest(f'"path": "{framework}/{run_id}"')
        looks = {"the manifest": lambda: not entry()}
        for place, path in enumerate(self.places(framework, run_id)):
            looks |= {f"the name at place {place}": lambda path=path: not is_there(path),
                      f"a name below at place {place}": lambda path=path: not is_there(os.path.join(path, "metrics.json")),
                      f"the listing at place {place}": lambda path=path: os.path.basename(path) not in names_in(os.path.dirname(path))}
        del self.statuses[framework, run_id]
        return lambda: shutil.rmtree(os.path.join(self.source, framework, run_id)), looks

    def move(self, number):
        framework, run_id = self.chance.choice(list(self.statuses))
        return self.move_below(framework, run_id, number) if number % 2 else self.move_run(framework, run_id)

    def move_below(self, framework, run_id, number):
        real, new = os.path.join(self.source, framework, run_id), f"shelf-{number}"
        old = next(name for name in os.listdir(real) if name.startswith("shelf"))
        looks = {}
        for place, path in enumerate(self.places(framework, run_id)):
            looks |= {f"the old name at place {place}": lambda path=path: not is_there(os.path.join(path, old, "kept")),
                      f"data at place {place}": lambda path=path: content(os.path.join(path, new, "kept")) == b"kept",
                      f"the listing at place {place}": lambda path=path: new in (names := names_in(path)) and old not in names}
        return lambda: os.rename(os.path.join(real, old), os.path.join(real, new)), looks

    def move_run(self, framework, run_id):
        """To another framework."""
        other = self.chance.choice([name for name in FRAMEWORKS if name != framework])
        before = self.places(framework, run_id)
        self.statuses[other, run_id] = self.statuses.pop((framework, run_id))
        after = self.places(other, run_id)
        looks = {"the manifest": self.in_manifest(f'"path": "{other}/{run_id}"')}
        for place in (0, 2):  # it stays in its status
            old, new = before[place], after[place]
            looks |= {f"the old name at place {place}": lambda old=old: not is_there(old),
                      f"data at place {place}": lambda new=new: b"verification_status" in content(os.path.join(new, "metrics.json")),
                      f"the listing at place {place}": lambda new=new: run_id in names_in(os.path.dirname(new))}
        return lambda: os.rename(os.path.join(self.source, framework, run_id), os.path.join(self.source, other, run_id)), looks


def seen_after(change, looks):
    """Makes a change; {what shows it: seconds from its return to the first look that did}."""
    for look in looks.values():
        look()
    change()
    began, pending, seen = time.monotonic(), dict(looks), {}
    while pending and time.monotonic() - began < GIVE_UP_S:
        for what in list(pending):
            if pending[what]():
                seen[what] = time.monotonic() - began
                del pending[what]
    return seen | dict.fromkeys(pending, float("inf"))


def figures(latencies_s):
    """Median, 99th percentile and maximum, in ms."""
    ordered = sorted(latencies_s)
    return [ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e3 for part in (0.5, 0.99, 1)]


def measure(mounted, changes, count):
    """The 99th percentile in ms over all changes; prints the figures of each kind, and what was seen last."""
    kinds = {"edit": changes.edit, "rename": changes.rename, "new run": changes.new, "rm -r": changes.remove, "move": changes.move}
    latencies, slowest = {kind: [] for kind in kinds}, []
    for number in range(count):
        kind = list(kinds)[number % len(kinds)]
        change, looks = kinds[kind](number)
        seen = seen_after(change, looks)
        what, latency = max(seen.items(), key=lambda item: item[1])
        latencies[kind].append(latency)
        slowest.append((latency, f"change {number}, {kind}: {what}"))
        # At every distance from the daemon's own work on the change before.
        time.sleep(changes.chance.choice((0, 0.001, 0.005, 0.03)))
    everything = [latency for kind in kinds for latency in latencies[kind]]
    for kind, values in (*latencies.items(), ("all", everything)):
        if values:
            print("  {:8} {:5} changes: median {:6.2f} ms, 99 % {:6.2f} ms, longest {:6.2f} ms".format(kind, len(values), *figures(values)))
    for latency, what in sorted(slowest, reverse=True)[:8]:
        print(f"    {latency * 1e3:6.2f} ms: {what}")
    helpers.assert_agree(mounted)
    return figures(everything)


# --- the storm ---------------------------------------------------------------------------------------------------------


def one_storm(source, number):
    """One that shares no framework with others, so that each is whole when it is made."""
    return Storm(source, number, [f"storm-{number}-{top}" for top in range(3)], [f"run-{number}-{run}" for run in range(40)],
                 helpers.CHANGES)


def storm(scratch, mounted):
    """Raises an AssertionError that says what differs at rest; changes a second, entries at the end, seconds until all was compared."""
    processes = [multiprocessing.Process(target=one_storm(mounted.source, number).blow_until, args=(STORM_CHANGES // 2,), daemon=True)
                 for number in range(2)]
    # A reader leaves the kernel something to remember; nice, so that it does not hold up the changes.
    scratch.background(f"while :; do nice find '{mounted.path}' -type f -exec cat {{}} +; done")
    began = time.monotonic()
    for process in processes:
        process.start()
        scratch.exits.callback(process.kill)
    for process in processes:
        process.join()
    took_s = time.monotonic() - began
    agreed = time.monotonic()
    helpers.assert_agree_everywhere(mounted, seconds=60, entries_seconds=10)
    return STORM_CHANGES / took_s, len(helpers.tree(mounted.source)), time.monotonic() - agreed


def beside(scratch, options):
    source = scratch.path / "source"
    source.mkdir()
    mounted = scratch.mount(source)
    changes = Beside(mounted, random.Random(5))
    changes.populate(60)
    helpers.assert_agree(mounted)
    median, percentile, longest = measure(mounted, changes, options.count or 2000)
    figure = f"median {median:.2f} ms, 99 % {percentile:.2f} ms, longest {longest:.2f} ms"
    try:
        rate, entries, compared_s = storm(scratch, mounted)
    except AssertionError as error:
        print(f"  after the storm: {str(error)[:3000]}")
        return False, f"{figure}; after the storm mount and disk differ"
    return (percentile <= WITHIN_MS,
            f"{figure}; {STORM_CHANGES} changes at {rate:.0f} a second, {entries} entries agree everywhere {compared_s:.1f} s later")
