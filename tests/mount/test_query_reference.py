"""Random queries, answered by runsfs in every way and by a reference of a few lines: no difference.

RUNSFS_QUERIES says how many are compared without a mount.
"""

import errno
import os
import random
import subprocess

import pytest

import oracle
import reference_query
from helpers import assert_agree, write_run
from mounting import BUILD, RUNS

QUERIES = int(os.environ.get("RUNSFS_QUERIES", "5000"))
SEED = int(os.environ.get("RUNSFS_SEED", "1"))
STATUSES = ("verified", "verified", "failed", "pending", "odd/one, two+three 100%", "", "Verified", "a*b[c]", "é", "x\ty", "x\0y", "\ud800")
STARTS = (None, "2025-10-15T08:50:59Z", "2025-10-16", "2025-10-16T00:00:00.5", "2025-10-16T01:30:00+02:00", "2025-10-16 01:30-0530",
          "2025-10", "never", "2025-10-15T23:59:60Z", "2024-02-29T12:00:00.123456789Z")
COUNTS = (0, 1, 7, 1000, 99999, 100000, 287761, 2**53)
NAMES = ("0a1b", "0a2c", "run", "Run", "r*n", "a,b", "50%", "a+b", "é", os.fsdecode(b"\xff\xfe"), "two words", "[x]", "a\\b", "0")


@pytest.fixture
def filled(source):
    """Two frameworks have the same names."""
    chosen = random.Random(7)
    for framework in ("chatdev", "baes", "ghspec+"):
        for name in NAMES:
            if framework == "baes" or chosen.random() < 0.7:
                write_run(source, framework, name, chosen.choice(STATUSES), (chosen.choice(COUNTS), chosen.choice(COUNTS)),
                          start=chosen.choice(STARTS), end=chosen.choice(STARTS))
    return source


def runs_of(source):
    return [reference_query.Run(entry) for entry in oracle.expected_runs(source)]


def answers(source, queries):
    """What the code behind every way of asking says: [an error's name, or paths]."""
    result = subprocess.run([BUILD / "answer_queries", source], input=b"".join(query + b"\n" for query in queries), capture_output=True, check=True)
    assert not result.stderr, result.stderr
    lines = [line.split(b"\0") for line in result.stdout.split(b"\n")[:-1]]
    return [line[1:] if line[0] == b"ok" else line[0].decode() for line in lines]


def wanted(runs, query):
    found = reference_query.answer(runs, query)
    return found if isinstance(found, str) else [run.path for run in found]


def test_random_queries(filled):
    runs, generator = runs_of(filled), random.Random(SEED)
    kinds = {}
    for _ in range(0, QUERIES, 5000):
        queries = [reference_query.random_query(generator, runs) for _ in range(5000)]
        for query, given in zip(queries, answers(filled, queries), strict=True):
            expected = wanted(runs, query)
            assert given == expected, f"{query}: {given}, not {expected}"
            kind = expected if isinstance(expected, str) else min(len(expected), 2)
            kinds[kind] = kinds.get(kind, 0) + 1
    # All kinds of answers came up, or the questions are not worth much.
    assert min(kinds.get(kind, 0) for kind in ("ENOENT", "EINVAL", 0, 1, 2)) > QUERIES / 50, kinds


def listing_or_error(path):
    try:
        return os.listdir(path)
    except OSError as error:
        return errno.errorcode[error.errno]


def wanted_below(runs, query):
    """What listing a directory of that name gives: what has no operator is the name of a run, if of anything."""
    names = query.split(b"/")
    for number, name in enumerate(names, 1):
        if not set(b"=~") & set(name):
            return "ENOENT"
        found = reference_query.answer(runs, b"/".join(names[:number]))
        if isinstance(found, str):
            return found
    return reference_query.view_names(found)


def is_path(query):
    return all(0 < len(name) <= 255 and name not in (b".", b"..") for name in query.split(b"/"))


def test_random_queries_as_paths(filled, mount):
    mounted = mount(filled)
    assert_agree(mounted)
    runs, generator = runs_of(filled), random.Random(SEED)
    within = {"where": runs}
    for view, name in (("by-framework", "framework"), ("by-status", "verification_status")):
        for value in os.listdir(mounted.path / view):
            text = reference_query.unescaped(os.fsencode(value))
            within[f"{view}/{value}"] = [run for run in runs if run.value(name)[0] == text]
    assert len(within) > 8
    for _ in range(600):
        query, (top, chosen) = reference_query.random_query(generator, runs), generator.choice(list(within.items()))
        if generator.random() < 0.5:
            top, chosen = "where", runs
        if is_path(query):
            listed = listing_or_error(os.path.join(os.fsencode(mounted.path), top.encode(), query))
            assert listed == wanted_below(chosen, query), f"{top} {query}"


@pytest.mark.parametrize("mounted", [False, True])
def test_random_queries_of_the_command(filled, mount, mounted):
    if mounted:
        assert_agree(mount(filled))
    runs, generator = runs_of(filled), random.Random(SEED + mounted)
    for _ in range(150):
        query = reference_query.random_query(generator, runs)
        parts = query.split(b"/") if generator.random() < 0.5 else [query]
        result = subprocess.run([RUNS, "-C", filled, "find", "-0", "--", *parts], capture_output=True, check=False)
        expected = wanted(runs, query)
        if isinstance(expected, str):
            assert (result.returncode, result.stdout) == (2, b"") and result.stderr, query
        else:
            assert (result.returncode, result.stderr) == (0 if expected else 1, b""), query
            assert result.stdout.split(b"\0")[:-1] == expected, query
