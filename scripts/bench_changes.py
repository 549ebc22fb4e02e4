"""Changes of a run's status through a mount, and the look right after each: at its new view and at the manifest."""
import contextlib
import itertools
import json
import os
import time

STATUSES = ("verified", "failed")
# So many runs change, in turn; few enough that what their files write to the disk is little beside the manifest.
CHANGING_RUNS = 100
# The manifest's head, with the time that moves whenever anything else in it does.
HEAD_BYTES = 256
LOOK_SECONDS = 10


def with_status(content, status):
    """A metrics.json that says so, in the member that counts."""
    metrics = json.loads(content)
    holder = metrics.get("usage_api_reconciliation", metrics)
    holder["verification_status"] = status
    return json.dumps(metrics, indent=2).encode()


class Changer:
    """Rewrites metrics.json of some runs in place; each becomes verified and failed by turns."""

    def __init__(self, place):
        runs = place.path(place.runs)
        self.by_status = place.path("by-status")
        self.manifest = os.path.join(runs, "runs_manifest.json")
        self.contents = dict(itertools.islice(self.prepared(runs), CHANGING_RUNS))
        self.turns = ((run, status) for status in itertools.cycle(STATUSES[::-1]) for run in self.contents)
        for _ in self.contents:
            self.change()

    @staticmethod
    def prepared(runs):
        """Of each run its path and the bytes for either status: of one size, so that one write does it."""
        for framework in sorted(os.listdir(runs)):
            if not os.path.isdir(os.path.join(runs, framework)):
                continue
            with os.scandir(os.path.join(runs, framework)) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError), open(os.path.join(entry.path, "metrics.json"), "rb") as file:
                        content = file.read()
                        texts = [with_status(content, status) for status in STATUSES]
                        size = max(len(content), *map(len, texts))
                        yield entry.path, {status: text.ljust(size) for status, text in zip(STATUSES, texts)}

    def change(self):
        """One more; returns where the run must be now."""
        run, status = next(self.turns)
        descriptor = os.open(os.path.join(run, "metrics.json"), os.O_WRONLY)
        os.write(descriptor, self.contents[run][status])
        os.close(descriptor)
        return os.path.join(self.by_status, status, os.path.basename(run))

    def head(self):
        descriptor = os.open(self.manifest, os.O_RDONLY)
        try:
            os.fstat(descriptor)
            return os.read(descriptor, HEAD_BYTES)
        finally:
            os.close(descriptor)

    def seconds_until_seen(self):
        """From the close of one change to when a view and the manifest both show it."""
        before = self.head()
        expected = self.change()
        began = time.perf_counter()
        while True:
            with contextlib.suppress(FileNotFoundError):
                os.stat(expected)
                if self.head() != before:
                    return time.perf_counter() - began
            if time.perf_counter() - began > LOOK_SECONDS:
                raise TimeoutError(f"{expected} is not there {LOOK_SECONDS} s after the change")
