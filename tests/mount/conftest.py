"""Fixtures: a source, mounts of it, and a shared mount for what needs no fresh one."""

import os
import pathlib
import re
import shutil
import tempfile
import types

import pytest

import mounting
from helpers import descriptors, two_places, write_run


@pytest.fixture(autouse=True, scope="session")
def cache_home(tmp_path_factory):
    """Index caches go with the tests, not to whoever runs them. Other users' processes may look for one of their own."""
    path = tmp_path_factory.mktemp("cache-home")
    os.environ["XDG_CACHE_HOME"] = str(path)
    return path


def pytest_collection_modifyitems(items):
    if mounting.NATIVE:
        skip = pytest.mark.skip(reason="RUNSFS_NATIVE=1: only what holds for any directory")
        for item in items:
            if not item.path.name.startswith("test_real") and "both" not in item.fixturenames:
                item.add_marker(skip)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    del call
    report = (yield).get_result()
    if report.failed:
        for mounted in getattr(item, "mounts", []):
            report.sections.append((f"runsfs at {mounted.path}", mounted.log()[-8000:]))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    return path


@pytest.fixture
def mount(request, tmp_path):
    """mount(source, *options, at=None, descriptors=None) starts a runsfs and returns it; all end with the test."""
    mounts = request.node.mounts = []

    def start(source, *options, at=None, descriptors=None):
        if mounting.NATIVE:
            return mounting.Native(source)
        path = pathlib.Path(at) if at else tmp_path / f"mount{len(mounts)}"
        path.mkdir(exist_ok=True)
        # A start that fails leaves nothing to finish but perhaps a mount.
        try:
            mounted = mounting.Mount(source, path, *options, descriptors=descriptors)
        except AssertionError:
            mounting.detach(os.path.realpath(path))
            raise
        mounts.append(mounted)
        return mounted

    yield start
    finish_all(mounts)


def finish_all(mounts):
    failure = None
    for mounted in reversed(mounts):
        try:
            mounted.finish()
        except BaseException as error:  # every mount gets its turn; the first failure counts
            failure = failure or error
    if failure:
        raise failure


@pytest.fixture(scope="module")
def shared_mount(tmp_path_factory):
    base = tmp_path_factory.mktemp("shared")
    (base / "source").mkdir()
    if mounting.NATIVE:
        yield mounting.Native(base / "source")
        return
    (base / "mount").mkdir()
    mounted = mounting.Mount(base / "source", base / "mount")
    yield mounted
    mounted.finish()


@pytest.fixture
def real(request, shared_mount):
    """A fresh directory of a mount that the module shares: `.runs` through the mount, `.source` beside it."""
    if not mounting.NATIVE:
        request.node.mounts = [shared_mount]
    name = request.node.name.replace("/", "_")[:200]
    path = shared_mount.runs / name
    path.mkdir()
    return types.SimpleNamespace(runs=path, source=shared_mount.source / name, mount=shared_mount)


@pytest.fixture(params=["runs"] if mounting.NATIVE else ["runs", "view"])
def both(request, shared_mount):
    """A fresh run of a mount that the module shares, in two places."""
    if not mounting.NATIVE:
        request.node.mounts = [shared_mount]
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:200]
    write_run(shared_mount.runs, "chatdev", name)
    return two_places(shared_mount, name, request.param == "view")


@pytest.fixture
def opened():
    """opened(path, flags, mode) is a descriptor, closed with the test."""
    with descriptors() as start:
        yield start


@pytest.fixture
def open_tmp():
    """A directory that every user may enter (pytest's own are closed to others)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="runsfs-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)
