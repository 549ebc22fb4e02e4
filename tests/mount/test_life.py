"""Starting, failing to start, ending; what the daemon may use while it lives."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import threading
import time

import pytest

import mounting
import oracle
from helpers import assert_agree, change_status, poll, read_bytes, write_run


def run(*arguments):
    return subprocess.run([mounting.RUNSFS, *arguments], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture
def point(tmp_path):
    path = tmp_path / "point"
    path.mkdir()
    yield path
    mounting.detach(os.path.realpath(path))


def daemon_at(path):
    """The process that serves a mount point, found by its command line."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(path) in words and words[0].endswith(b"runsfs"):
                return int(entry.name)
    return None


def test_as_a_daemon(source, point):
    write_run(source, "chatdev", "run-1")
    result = run(source, point)
    assert (result.returncode, result.stderr) == (0, "")
    # Mounted and answering when the command returns, with no wait.
    assert mounting.is_mounted(point)
    assert os.listdir(point / "by-status") == ["verified"]
    pid = daemon_at(point)
    assert os.getsid(pid) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    change_status(point / "runs" / "chatdev" / "run-1", "last moment", "in_place")
    assert mounting.fusermount("-u", point).returncode == 0
    assert poll(lambda: not os.path.exists(f"/proc/{pid}"), seconds=mounting.EXIT_SECONDS)
    assert read_bytes(source / "runs_manifest.json") == oracle.manifest_bytes(oracle.expected_manifest(source))


def test_relative_paths(source, point):
    write_run(source, "chatdev", "run-1")
    command = [mounting.RUNSFS, os.path.relpath(source, point.parent), point.name]
    subprocess.run(command, cwd=point.parent, check=True, timeout=60, capture_output=True)
    pid = daemon_at(point.name)
    change_status(source / "chatdev" / "run-1", "other", "in_place")
    assert poll(lambda: os.listdir(point / "by-status") == ["other"])
    mounting.fusermount("-u", point)
    assert poll(lambda: not os.path.exists(f"/proc/{pid}"), seconds=mounting.EXIT_SECONDS)


def failures(source, point):
    """Arguments of starts that must fail."""
    (source / "inner" / "point").mkdir(parents=True)
    (source / "file").touch()
    return {
        "missing source": (point.parent / "missing", point),
        "a file as source": (source / "file", point),
        "missing mount point": (source, point.parent / "missing"),
        "a file as mount point": (source, source / "file"),
        "mount point inside the source": (source, source / "inner" / "point"),
        "unknown option": ("-o", "nonsense", source, point),
        "unknown watch": ("-o", "watch=nonsense", source, point),
        "bad number": ("-o", "poll_ms=soon", source, point),
        "unknown flag": ("--nonsense", source, point),
        "no mount point": (source,),
        "nothing": (),
        "one too many": (source, point, point),
    }


@pytest.mark.parametrize("foreground", [False, True], ids=["daemon", "foreground"])
@pytest.mark.parametrize("case", range(12))
def test_failures_are_told_before_detaching(source, point, case, foreground):
    name, arguments = list(failures(source, point).items())[case]
    result = run(*(["-f"] if foreground else []), *arguments)
    assert result.returncode not in (0, None) and result.returncode > 0, name
    assert len(result.stderr.splitlines()) == 1, (name, result.stderr)
    assert result.stderr.startswith("runsfs: "), (name, result.stderr)
    assert not mounting.is_mounted(point)
    assert not mounting.is_mounted(source / "inner" / "point")
    assert daemon_at(point) is None


@pytest.mark.parametrize(
    "options",
    [("-o", "nonsense"), ("--nonsense",), ("-o", "nosymfollow"), ("-o", "x-systemd.automount,relatime,nonsense=1")]
    + [("-o", f"{name}={value}") for name in ("poll_ms", "fds", "max_threads") for value in ("", "0", "-1", "10x", "4294967297")]
    + [("-o", "max_read=1"), ("-o", "max_threads=65"), ("-o", "fds=139")],
    ids=" ".join,
)
def test_a_wrong_command_line_is_2_and_touches_nothing(source, point, options):
    write_run(source, "chatdev", "run-1")
    result = run(*options, source, point)
    assert result.returncode == 2, result
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("runsfs: "), result.stderr
    assert os.listdir(source) == ["chatdev"]


@pytest.mark.parametrize(
    "options",
    ["defaults,relatime", "strictatime,nodiratime,lazytime", "rw,noatime,x-systemd.automount,comment=ours,nofail", "silent,noiversion,_netdev"],
)
def test_what_fstab_has_for_any_filesystem_is_no_error(mount, source, options):
    write_run(source, "chatdev", "run-1")
    assert_agree(mount(source, options))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount.fuse3"), reason="needs root and mount.fuse3")
def test_from_fstab(source, point):
    """By mount(8), and its way of finding the program: /usr/local/sbin, in a mount namespace of its own."""
    write_run(source, "chatdev", "run-1")
    table = point.parent / "fstab"
    options = "defaults,allow_other,relatime,_netdev,nofail,x-systemd.requires=network.target,poll_ms=500"
    table.write_text(f"{source}  {point}  fuse.runsfs  {options}  0  0\n", encoding="utf-8")
    script = """
        set -e
        mount --make-rprivate /
        mount --bind "$1" /usr/local/sbin
        mount -T "$2" "$3"
        ls "$3/by-status"
        grep " $3 " /proc/mounts
        umount "$3"
    """
    command = ["unshare", "-m", "sh", "-c", script, "sh", mounting.RUNSFS.parent, table, point]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.returncode, done.stderr) == (0, ""), done
    shown, table_line = done.stdout.splitlines()
    assert shown == "verified" and table_line.startswith(f"{source} {point} fuse.runsfs rw,") and "allow_other" in table_line
    assert poll(lambda: daemon_at(point) is None, seconds=mounting.EXIT_SECONDS)


@pytest.mark.parametrize("options", ["low_latency=off", "syslog", "max_threads=1,fds=86", "log=error"])
def test_options_that_change_no_answer(mount, source, options):
    write_run(source, "chatdev", "run-1")
    mounted = mount(source, options)
    assert_agree(mounted)
    change_status(mounted.runs / "chatdev" / "run-1", "other", "in_place")
    assert os.listdir(mounted.path / "by-status") == ["other"]
    assert_agree(mounted)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount.fuse3"), reason="needs root and mount.fuse3")
def test_from_fstab(source, point, tmp_path):
    """As mount(8) starts it by a line of /etc/fstab, and umount(8) ends it; in use it stays, and goes on."""
    write_run(source, "chatdev", "run-1")
    table = tmp_path / "fstab"
    # By its path: mount.fuse3 looks for the type fuse.runsfs in the system's own directories.
    table.write_text(f"{mounting.RUNSFS}#{source} {point} fuse3 ro,allow_other,noexec,_netdev,nofail,user,noauto,x-systemd.automount 0 0\n")
    subprocess.run(["mount", "-T", table, point], check=True, timeout=60)
    (line,) = [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if f" {point} " in line]
    assert line.split()[:3] == [str(source), str(point), "fuse.runsfs"]
    assert {"ro", "noexec", "allow_other"} <= set(line.split()[3].split(","))
    pid = daemon_at(point)
    user = subprocess.Popen(["sleep", "60"], cwd=point / "by-status" / "verified")
    try:
        busy = subprocess.run(["umount", point], capture_output=True, text=True, check=False)
        assert busy.returncode != 0 and "busy" in busy.stderr
        assert os.listdir(point / "by-status") == ["verified"]
    finally:
        user.kill()
        user.wait()
    subprocess.run(["umount", point], check=True)
    assert poll(lambda: not os.path.exists(f"/proc/{pid}"), seconds=mounting.EXIT_SECONDS)


@pytest.mark.parametrize("flag", ["-d", "-odebug"])
def test_debug_prints_requests(source, point, flag):
    """In the foreground, without -f."""
    write_run(source, "chatdev", "run-1")
    with subprocess.Popen([mounting.RUNSFS, flag, source, point], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert poll(lambda: mounting.is_mounted(point) and mounting.answers(point), seconds=mounting.START_SECONDS)
        assert os.listdir(point / "by-status") == ["verified"]
        assert process.poll() is None and mounting.fusermount("-u", point).returncode == 0
        log = process.stderr.read()
    assert process.returncode == 0
    assert "LOOKUP" in log and "READDIR" in log


def test_one_thread(source, point):
    write_run(source, "chatdev", "run-1")
    assert run("-s", source, point).returncode == 0
    pid = daemon_at(point)
    names = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        names.append((task / "comm").read_text().strip())
    change_status(point / "runs" / "chatdev" / "run-1", "other", "in_place")
    assert os.listdir(point / "by-status") == ["other"]
    assert sum(name.startswith("worker") for name in names) <= 1, names
    assert mounting.fusermount("-u", point).returncode == 0
    assert poll(lambda: not os.path.exists(f"/proc/{pid}"), seconds=mounting.EXIT_SECONDS)


def test_max_read(mount, source):
    write_run(source, "chatdev", "run-1")
    content = os.urandom(300_000)
    (source / "chatdev" / "run-1" / "log").write_bytes(content)
    mounted = mount(source, "max_read=65536")
    assert read_bytes(mounted.runs / "chatdev" / "run-1" / "log") == content
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert "max_read=65536" in next(line for line in file if f" {mounted.path} " in line)


def test_fewer_open_files_than_it_needs(source, point):
    """The soft limit it raises by itself; the hard one it can't."""
    write_run(source, "chatdev", "run-1")

    def start(limits, *options):
        command = [mounting.RUNSFS, *options, source, point]
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits)  # noqa: E731
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=limit)

    refused = start((200, 200))
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1, refused
    assert "256 open files are needed" in refused.stderr and "fds=" in refused.stderr
    assert os.listdir(source) == ["chatdev"] and not mounting.is_mounted(point)
    assert start((100, 1000)).returncode == 0
    pid = daemon_at(point)
    assert os.listdir(point / "by-status") == ["verified"]
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    assert next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3] == "256"
    mounting.fusermount("-u", point)
    assert poll(lambda: not os.path.exists(f"/proc/{pid}"), seconds=mounting.EXIT_SECONDS)


def test_a_mount_of_runsfs_is_no_source(mount, source, point):
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    for place in (mounted.path, mounted.runs, mounted.path / "by-status", mounted.runs / "chatdev"):
        result = run(place, point)
        assert result.returncode > 0
        assert len(result.stderr.splitlines()) == 1
        assert not mounting.is_mounted(point)
    assert_agree(mounted)


def test_help_and_version():
    for flags in (("-h",), ("--help",)):
        result = run(*flags)
        assert result.returncode == 0
        assert "SOURCE" in result.stdout and "MOUNTPOINT" in result.stdout and "watch=" in result.stdout
    for flags in (("-V",), ("--version",)):
        result = run(*flags)
        assert result.returncode == 0
        assert "runsfs" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(mount, source, number):
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    assert_agree(mounted)
    change_status(mounted.runs / "chatdev" / "run-1", "last moment", "in_place")
    mounted.signal(number)
    assert mounted.wait() == 0, mounted.log()
    assert not mounting.mounts_at(mounted.path)
    assert read_bytes(source / "runs_manifest.json") == oracle.manifest_bytes(oracle.expected_manifest(source))


@pytest.mark.parametrize("attempt", range(3))
def test_a_signal_ends_it_while_directories_are_made_beside(mount, source, attempt):
    """What the watch tells between the last look and the end is settled as well, and the end is in order."""
    mounted = mount(source)
    maker = subprocess.Popen(["bash", "-c", 'for i in {1..3000}; do mkdir -p "$0/f$((i % 7))/$i"; done', source])
    time.sleep(0.05 * (attempt + 1))
    mounted.signal(signal.SIGTERM)
    assert mounted.wait() == 0, mounted.log()
    maker.kill()
    maker.wait()


def test_unmounting_flushes_the_manifest(mount, source):
    write_run(source, "chatdev", "run-1")
    for number in range(5):
        mounted = mount(source)
        change_status((mounted.runs, source)[number % 2] / "chatdev" / "run-1", f"status-{number}", "rename")
        write_run(mounted.runs, "chatdev", f"new-{number}")
        mounted.unmount()
        assert read_bytes(source / "runs_manifest.json") == oracle.manifest_bytes(oracle.expected_manifest(source))


def test_a_busy_mount_stays(mount, source):
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    with open(mounted.runs / "chatdev" / "run-1" / "metrics.json", "rb"):
        assert mounting.fusermount("-u", mounted.path).returncode != 0
        assert os.listdir(mounted.path / "by-status") == ["verified"]


def test_mount_table(mount, source):
    mounted = mount(source, "noexec,nodev")
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        line = next(line for line in file if f" {mounted.path} " in line)
    assert "fuse.runsfs" in line and "noexec" in line and "nodev" in line


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Sampler(threading.Thread):
    """How many descriptors the daemon had at most, looked at all the time."""

    def __init__(self, pid):
        super().__init__()
        self.pid, self.most, self.ended = pid, 0, False

    def run(self):
        while not self.ended:
            self.most = max(self.most, descriptors(self.pid))
            time.sleep(0.001)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.join()


@pytest.fixture
def wide(source):
    """5,000 entries, 1,000 of them directories."""
    for number in range(100):
        directory = write_run(source, ("chatdev", "ghspec")[number % 2], f"run-{number}")
        for inner in range(9):
            deep = os.path.join(directory, f"sprint_{inner}", *["deeper"] * (inner % 3))
            os.makedirs(deep)
            for name in range(4):
                pathlib.Path(deep, f"file-{name}").write_text(str(name))
    return source


def test_descriptors_are_bounded(mount, wide):
    mounted = mount(wide, descriptors=256)
    assert_agree(mounted)
    with Sampler(mounted.pid) as sampler:
        for _ in range(2):
            results = [subprocess.run(["find", ".", "-ls"], cwd=top, capture_output=True, check=True) for top in (wide, mounted.runs)]
            counts = [len(result.stdout.splitlines()) for result in results]
            assert counts[0] == counts[1] > 5000
            assert results[1].stderr == b""
            subprocess.run(["find", mounted.path, "-type", "f", "-exec", "cat", "{}", "+"], stdout=subprocess.DEVNULL, check=True)
        subprocess.run(["rm", "-r", mounted.runs / "ghspec"], check=True)
    assert 0 < sampler.most <= 256
    assert_agree(mounted)


def test_files_that_clients_hold_open_cost_no_descriptors(mount, wide):
    mounted = mount(wide, descriptors=256)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if hard != resource.RLIM_INFINITY else 4096, hard))
    held = []
    try:
        with Sampler(mounted.pid) as sampler:
            for directory, _, names in os.walk(mounted.runs):
                held += [os.open(os.path.join(directory, name), os.O_RDWR) for name in names if len(held) < 1000]
            assert len(held) >= 1000
            for fd in held:
                assert os.pread(fd, 1, 0)
                os.pwrite(fd, b"{", 0)
            subprocess.run(["find", mounted.runs, "-ls"], stdout=subprocess.DEVNULL, check=True)
        assert sampler.most <= 256
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
