"""A storm: random changes of runs, frameworks and what is in them, of which many fail, as they would for anybody."""

import os
import random
import shutil

from helpers import CHANGES, change_status, write_run

NAMES = [f"name-{number}" for number in range(4)]
STATUSES = ("verified", "failed", "pending", "odd/one", ".hidden")
# The ways in which a status can change while others change that run: who maps a file that is cut short is killed.
CHANGES_AT_ODDS = CHANGES[:3]


class Storm:
    """Changes below some frameworks of one top, a source or MNT/runs.

    Several storms may share their frameworks, each at odds with the others; one that has frameworks of its own changes each
    status in any way, and leaves all that it wrote whole.
    """

    def __init__(self, top, seed, frameworks=("chatdev", "ghspec", "baes"), run_ids=tuple(f"run-{number}" for number in range(6)),
                 changes=CHANGES_AT_ODDS):
        self.top, self.frameworks, self.run_ids, self.changes = os.fspath(top), frameworks, run_ids, changes
        self.chance = random.Random(seed)
        self.operations = [self.make_run, self.change, self.write_file, self.make_directory] * 3 + [
            self.remove_run, self.rename_run, self.rename_framework, self.rename_below, self.rename_below, self.remove_below,
            self.link, self.symlink, self.attributes, self.truncate]

    def framework(self):
        return os.path.join(self.top, self.chance.choice(self.frameworks))

    def run(self):
        return os.path.join(self.framework(), self.chance.choice(self.run_ids))

    def below(self):
        return os.path.join(self.run(), *(self.chance.choice(NAMES) for _ in range(self.chance.randrange(1, 4))))

    def make_run(self):
        framework, run_id = os.path.split(self.run())
        write_run(self.top, os.path.basename(framework), run_id, self.chance.choice(STATUSES))

    def change(self):
        status, how = self.chance.choice(STATUSES), self.chance.choice(self.changes)
        change_status(self.run(), status, how, tokens=(self.chance.randrange(10**6), 5))

    def remove_run(self):
        shutil.rmtree(self.run())

    def rename_run(self):
        os.rename(self.run(), self.run())

    def rename_framework(self):
        os.rename(self.framework(), self.framework())

    def write_file(self):
        with open(self.below(), self.chance.choice(("wb", "ab", "r+b")), buffering=0) as file:
            file.write(self.chance.randbytes(self.chance.randrange(1, 9000)))

    def make_directory(self):
        os.makedirs(self.below())

    def rename_below(self):
        os.rename(self.below(), self.below())

    def remove_below(self):
        path = self.below()
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def link(self):
        os.link(self.below(), self.below())

    def symlink(self):
        os.symlink(self.chance.choice(NAMES), self.below())

    def attributes(self):
        path = self.below()
        os.chmod(path, self.chance.choice((0o600, 0o644, 0o755, 0o700)))
        os.utime(path, ns=(0, self.chance.randrange(10**18)))

    def truncate(self):
        os.truncate(self.below(), self.chance.randrange(8000))

    def look(self):
        """A reader, who leaves the kernel something to remember."""
        path = self.chance.choice((self.below, self.run, self.framework))()
        if os.path.isdir(path):
            for name in os.listdir(path):
                os.lstat(os.path.join(path, name))
        else:
            with open(path, "rb") as file:
                file.read()

    def attempt(self, operations):
        """Did one of them, chosen at random, succeed?"""
        try:
            self.chance.choice(operations)()
        except OSError:
            return False
        return True

    def blow(self, attempts):
        """So many changes and looks, whether they succeed or not."""
        for _ in range(attempts):
            self.attempt([*self.operations, self.look, self.look, self.look])

    def blow_until(self, changes):
        """Until so many changes succeeded."""
        while changes:
            changes -= self.attempt(self.operations)
