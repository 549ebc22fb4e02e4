"""The promise of changes made beside the mount: how soon each is seen, and that a storm of them leaves nothing stale."""
import contextlib
import multiprocessing
import os
import random
import shutil
import time

import helpers
import oracle

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

    Each change is a method that returns (how to make it, {what shows it: look}): a look is false before the change, and is
    taken before it, so that the kernel remembers the old state; true from the moment at which the change is seen.
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
        name, mark = self.chance.choice(FILES), f"<{number}>".encode()
        below = os.path.join("workspace", "src", name)

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
                      f"data at place {place}": lambda path=path: len(content(os.path.join(path, "workspace", "src", "c"))) == 3000}
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
        if number % 2:  # a directory in a run
            real = os.path.join(self.source, framework, run_id)
            name = next(name for name in os.listdir(real) if os.path.isdir(os.path.join(real, name)))
            looks, new = {}, f"moved-{number}"
            if name != "workspace":
                new = "workspace"
            for place, path in enumerate(self.places(framework, run_id)):
                looks |= {f"the old name at place {place}": lambda path=path: not is_there(os.path.join(path, name, "src")),
                          f"names below at place {place}": lambda path=path: names_in(os.path.join(path, new, "src")) != (),
                          f"the listing at place {place}": lambda path=path: new in (names := names_in(path)) and name not in names}
            change = lambda: os.rename(os.path.join(real, name), os.path.join(real, new))
            if new == "workspace":
                return change, looks

            def there_and_back():
                change()

            self.restore = (os.path.join(real, new), os.path.join(real, name))
            return there_and_back, looks
        other = self.chance.choice([name for name in FRAMEWORKS if name != framework])
        self.statuses[other, run_id] = self.statuses[framework, run_id]
        before, after = self.places(framework, run_id), self.places(other, run_id)
        del self.statuses[framework, run_id]
        status_place = after.pop(1)
        before.pop(1)
        looks = {"the manifest": self.in_manifest(f'"path": "{other}/{run_id}"')}
        for place, (old, new) in enumerate(zip(before, after)):
            looks |= {f"the old name at place {place}": lambda old=old: not is_there(old),
                      f"data at place {place}": lambda new=new: content(os.path.join(new, "workspace", "src", "b")) != b"",
                      f"the listing at place {place}": lambda new=new: run_id in names_in(os.path.dirname(new))}
        del status_place
        return lambda: os.rename(os.path.join(self.source, framework, run_id), os.path.join(self.source, other, run_id)), looks
