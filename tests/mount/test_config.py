"""runsfs.json: other layouts, fields and views; Sacred's and W&B's directories as they write them; edits while it is mounted."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import mounting
from helpers import assert_agree, poll, write_run
from mounting import runs_command

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def documented(section):
    """The example in that section of the documentation."""
    text = DOCS.read_text(encoding="utf-8")
    return re.search(r"### " + re.escape(section) + r".*?```json\n(.*?)```", text, re.DOTALL).group(1)


def configure(source, content):
    (source / "runsfs.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def names(mounted, path):
    return sorted(os.listdir(mounted.path / path))


def manifest(mounted):
    return json.loads((mounted.runs / "runs_manifest.json").read_text())


def sacred_run(source, number, status, stop=True, result=None):
    """What sacred.observers.FileStorageObserver leaves: a directory a run, sources and resources beside."""
    run = source / str(number)
    write_json(run / "run.json", {
        "experiment": {"base_dir": "/home/someone", "dependencies": ["numpy==1.26.4"], "mainfile": "train.py", "name": f"experiment-{number % 2}",
                       "repositories": [], "sources": [["train.py", "_sources/train_0123.py"]]},
        "heartbeat": f"2025-10-16T09:{number:02d}:10.000000", "host": {"ENV": {}, "cpu": "Unknown", "hostname": "host"},
        "meta": {"command": "main", "named_configs": [], "options": {"--debug": False}}, "artifacts": [], "resources": [], "captured_out": None,
        "format": "MongoObserver-0.7.0", "command": "main", "result": result, "start_time": f"2025-10-16T08:{number:02d}:59.123456", "status": status,
        **({"stop_time": f"2025-10-16T09:{number:02d}:00.500000"} if stop else {}),
    })
    write_json(run / "config.json", {"seed": 100 + number, "learning_rate": 0.1})
    (run / "cout.txt").write_text("epoch 1\n")
    write_json(run / "metrics.json", {"training.loss": {"steps": [0, 1], "timestamps": ["2025-10-16T08:51:00"], "values": [1.0, 0.5]}})


def test_sacred(mount, source):
    configure(source, documented("Sacred"))
    sacred_run(source, 1, "COMPLETED", result={"tokens_in": 100, "tokens_out": 7})
    sacred_run(source, 2, "FAILED")
    sacred_run(source, 3, "RUNNING", stop=False)
    (source / "_sources").mkdir()
    (source / "_sources" / "train_0123.py").write_text("print()\n")
    mounted = mount(source)
    assert names(mounted, "by-status") == ["COMPLETED", "FAILED", "RUNNING"]
    assert names(mounted, "by-status/COMPLETED") == ["1"] and names(mounted, "where") == ["1", "2", "3"]
    check = mounting.runs_command("-C", source, "check")  # to which _sources is no aborted run
    assert (check.returncode, check.stderr) == (0, ""), check.stdout
    assert names(mounted, "by-experiment/experiment-1") == ["1", "3"]
    assert names(mounted, "where/min_seed=102") == ["2", "3"] and names(mounted, "where/missing=end_time") == ["3"]
    assert names(mounted, "tracked/1") == ["config.json", "run.json"]
    entry = manifest(mounted)["runs"][0]
    assert entry == {"run_id": "1", "framework": source.name, "path": "1", "start_time": "2025-10-16T08:01:59.123456",
                     "end_time": "2025-10-16T09:01:00.500000", "verification_status": "COMPLETED", "total_tokens_in": 100, "total_tokens_out": 7}
    sacred_run(source, 3, "COMPLETED")
    assert poll(lambda: names(mounted, "by-status/COMPLETED") == ["1", "3"])
    sacred_run(mounted.runs, 4, "QUEUED", stop=False)
    assert names(mounted, "by-status/QUEUED") == ["4"]
    (mounted.runs / "4" / "run.json").unlink()  # what is left is no run, whatever metrics.json there is
    assert "QUEUED" not in names(mounted, "by-status")


def wandb_run(source, name, status=None, loss=0.5):
    files = source / name / "files"
    write_json(files / "wandb-metadata.json", {"os": "Linux-6.1", "python": "3.11.2", "startedAt": "2025-10-16T08:50:59.123456Z",
                                               "program": "train.py", "codePath": "train.py", "host": "host", "executable": "/usr/bin/python3"})
    summary = {"loss": loss, "_timestamp": 1760605859.5, "_runtime": 60.2, "_step": 10, "_wandb": {"runtime": 60}, "tokens_in": 12, "tokens_out": 3}
    write_json(files / "wandb-summary.json", {**summary, **({"status": status} if status else {})})
    (files / "config.yaml").write_text("wandb_version: 1\n")
    (files / "output.log").write_text("step 1\n")
    (source / name / f"run-{name[-8:]}.wandb").write_bytes(b"\0" * 100)


def test_wandb(mount, source):
    configure(source, documented("Weights & Biases"))
    wandb_run(source, "offline-run-20251016_085059-abcd1234", "verified")
    wandb_run(source, "offline-run-20251016_085100-abcd1235", loss=0.25)
    (source / "debug.log").write_text("")
    (source / "latest-run").symlink_to("offline-run-20251016_085100-abcd1235")
    mounted = mount(source)
    assert names(mounted, "by-status") == ["pending", "verified"]
    assert names(mounted, "by-status/verified") == ["offline-run-20251016_085059-abcd1234"]
    assert names(mounted, "where/max_loss=0.25") == ["offline-run-20251016_085100-abcd1235"]
    assert names(mounted, "by-program") == ["train.py"]
    assert manifest(mounted)["runs"][0]["end_time"] == "2025-10-16T09:10:59.500000Z"
    for top, other in ((mounted.runs, "failed"), (source, "mended")):
        wandb_run(top, "offline-run-20251016_085100-abcd1235", other)
        assert poll(lambda other=other: names(mounted, f"by-status/{other}") == ["offline-run-20251016_085100-abcd1235"])
        assert other == "mended" or names(mounted, f"by-status/{other}")
    wandb_run(source, "run-20251016_090000-abcd1236", "verified")
    assert poll(lambda: len(names(mounted, "by-status/verified")) == 2)
    shutil.rmtree(source / "run-20251016_090000-abcd1236" / "files")
    assert poll(lambda: len(names(mounted, "where")) == 2)
    os.rename(source / "offline-run-20251016_085059-abcd1234" / "files", source / "offline-run-20251016_085059-abcd1234" / "away")
    assert poll(lambda: len(names(mounted, "where")) == 1)


VIEWS = {"fields": {"model": "metadata.json#/model/name", "cost": {"from": "metrics.json#/costs/0", "type": "number"}},
         "views": {"by-model": "model", "by-day": "day"}}


def write_modelled(source, number, model, cost=1):
    directory = pathlib.Path(write_run(source, "chatdev", f"run-{number}", start=f"2025-10-1{number}T23:30:00-02:00"))
    content = json.loads((directory / "metrics.json").read_text())
    write_json(directory / "metrics.json", {**content, "costs": [cost, 7]})
    if model:
        write_json(directory / "metadata.json", {"model": {"name": model}})


@pytest.fixture
def modelled(mount, source):
    configure(source, VIEWS)
    for number, model in enumerate(("gpt/4", "claude", None, "claude")):
        write_modelled(source, number, model, number * 0.5)
    return mount(source)


def test_views_by_model_and_by_day(modelled):
    assert {"by-status", "by-framework", "by-model", "by-day"} <= set(os.listdir(modelled.path))
    assert names(modelled, "by-model") == ["claude", "gpt%2F4"]
    assert names(modelled, "by-model/claude") == ["run-1", "run-3"]
    assert names(modelled, "by-day") == ["2025-10-11", "2025-10-12", "2025-10-13", "2025-10-14"]
    assert names(modelled, "by-model/claude/max_cost=0.75") == ["run-1"]
    assert names(modelled, "where/model=claude+gpt%2F4") == ["run-0", "run-1", "run-3"]
    assert names(modelled, "where/missing=model") == ["run-2"]
    listed = subprocess.run(["ls", "-U", modelled.path / "where" / "sort=-cost,limit=2"], capture_output=True, check=True, text=True)
    assert listed.stdout.split() == ["run-3", "run-2"]
    write_modelled(modelled.runs, 1, "gpt/4")
    assert names(modelled, "by-model/claude") == ["run-3"] and names(modelled, "by-model/gpt%2F4") == ["run-0", "run-1"]
    write_modelled(modelled.runs, 3, "none")
    assert names(modelled, "by-model") == ["gpt%2F4", "none"]
    assert_agree(modelled)
    status = json.loads((modelled.path / ".runsfs" / "status.json").read_text())
    assert status["views"]["by-model"] == {"gpt%2F4": 2, "none": 1}


def test_an_edit_takes_effect(modelled, source):
    configure(source, {**VIEWS, "views": {"by-cost": "cost"}, "tracked": ["metrics.json", "notes.txt"], "exclude": ["chatdev/run-2"]})
    (source / "chatdev" / "run-1" / "notes.txt").write_text("notes")
    (source / "chatdev" / "run-1" / "README.md").write_text("read me")
    assert poll(lambda: "by-cost" in os.listdir(modelled.path))
    assert "by-model" not in os.listdir(modelled.path) and not (modelled.path / "by-model").exists()
    assert names(modelled, "by-cost") == ["0.0", "0.5", "1.5"]
    assert names(modelled, "where") == ["run-0", "run-1", "run-3"]
    assert names(modelled, "tracked/chatdev") == ["run-0", "run-1", "run-3"]
    assert names(modelled, "tracked/chatdev/run-1") == ["metrics.json", "notes.txt"]
    assert [entry["run_id"] for entry in manifest(modelled)["runs"]] == ["run-0", "run-1", "run-3"]
    (modelled.runs / "runsfs.json").unlink()
    assert set(os.listdir(modelled.path)) == {"runs", "tracked", "where", "at", "by-status", "by-framework"}
    assert names(modelled, "where") == ["run-0", "run-1", "run-2", "run-3"]
    assert names(modelled, "tracked/chatdev/run-1") == ["README.md", "metadata.json", "metrics.json"]
    assert_agree(modelled)


def test_a_broken_edit_keeps_the_last_good_one(modelled, source):
    (modelled.runs / "runsfs.json").write_text('{\n  "views": {"by-model": "modle"}\n}\n')
    assert names(modelled, "by-model") == ["claude", "gpt%2F4"]
    assert "runsfs.json:2:" in modelled.log() and "stays in force" in modelled.log()
    result = subprocess.run([mounting.RUNS, "-C", source, "check"], capture_output=True, check=False, text=True)
    assert result.returncode == 1 and "runsfs.json: line 2, column" in result.stdout
    configure(modelled.runs, VIEWS)
    assert names(modelled, "by-model") == ["claude", "gpt%2F4"]


def test_what_was_added_to_the_manifest_survives_an_edit(modelled, source):
    content = manifest(modelled)
    content["runs"][1]["note"] = "keep"
    (modelled.runs / "runs_manifest.json").write_text(json.dumps(content, indent=2))
    configure(modelled.runs, {**VIEWS, "views": {}})
    assert poll(lambda: manifest(modelled)["runs"][1].get("note") == "keep")
    assert "by-model" not in os.listdir(modelled.path)


def test_a_deeper_layout(mount, source):
    configure(source, {"layout": ["team-*/*/run-*"]})
    for place in ("team-a/x", "team-a/y", "team-b/x", "other/x"):
        write_run(source, place, "run-1", status=place.replace("/", "-"))
    write_run(source, "team-a/x", "aborted")
    mounted = mount(source)
    assert [entry["path"] for entry in manifest(mounted)["runs"]] == ["team-a/x/run-1", "team-b/x/run-1", "team-a/y/run-1"]
    assert manifest(mounted)["frameworks"] == {"x": 2, "y": 1}
    assert names(mounted, "by-framework") == ["x", "y"]
    assert len(names(mounted, "by-framework/x")) == 2 and names(mounted, "by-framework/y") == ["run-1"]
    for run in names(mounted, "by-framework/x"):
        assert (mounted.path / "by-framework" / "x" / run / "metrics.json").exists()
    assert names(mounted, "where/path=team-b%2Fx%2Frun-1") == ["run-1"]
    assert names(mounted, "tracked") == ["runs_manifest.json", "runsfs.json", "team-a", "team-b"]
    assert names(mounted, "tracked/team-a") == ["x", "y"]
    os.rename(source / "team-a" / "y", source / "team-b" / "y")
    assert poll(lambda: [entry["path"] for entry in manifest(mounted)["runs"]] == ["team-a/x/run-1", "team-b/x/run-1", "team-b/y/run-1"])
    shutil.rmtree(mounted.runs / "team-a")
    assert [entry["path"] for entry in manifest(mounted)["runs"]] == ["team-b/x/run-1", "team-b/y/run-1"]
    write_run(source, "team-c/new", "run-7")
    assert poll(lambda: len(names(mounted, "where")) == 3)
    assert poll(lambda: json.loads((source / "runs_manifest.json").read_text())["total_runs"] == 3)


def test_two_layouts(mount, source):
    configure(source, {"layout": ["*/*", "archive/*/*"]})
    write_run(source, "chatdev", "run-1")
    write_run(source, "archive/chatdev", "run-2")
    write_run(source, "archive", "chatdev")  # on the way to runs, and none
    mounted = mount(source)
    assert [entry["path"] for entry in manifest(mounted)["runs"]] == ["chatdev/run-1", "archive/chatdev/run-2"]
    assert names(mounted, "by-framework/chatdev") == ["run-1", "run-2"]


def test_what_is_wrong_is_in_the_errors_too(mount, source):
    """For those who edit it through a mount whose log is somebody else's."""
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    errors = mounted.path / ".runsfs" / "errors"
    assert errors.read_text() == ""
    configure(mounted.runs, '{\n  "layuot": "*",\n  "views": {"by-x": "stats"}\n}')
    lines = errors.read_text().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["runsfs.json:2:3:", "runsfs.json:3:21:"]
    assert 'did you mean "layout"' in lines[0]
    (mounted.runs / "runsfs.json").unlink()
    assert errors.read_text() == ""


def test_a_second_start_reads_nothing_again(mount, source, tmp_path):
    configure(source, VIEWS)
    for number in range(4):
        write_modelled(source, number, "claude", number)
        for name in ("metrics.json", "metadata.json"):
            os.utime(source / "chatdev" / f"run-{number}" / name, (1, 1))
    mounted = mount(source, f"index_cache={tmp_path}/cache")
    before = names(mounted, "by-model/claude")
    mounted.unmount()
    mounted.start()
    assert names(mounted, "by-model/claude") == before and names(mounted, "where/min_cost=2") == ["run-2", "run-3"]
    configure(source, {**VIEWS, "fields": {**VIEWS["fields"], "model": "metadata.json#/model"}})
    assert poll(lambda: names(mounted, "by-model") == [])


def test_the_manifest_may_have_another_name(mount, source):
    configure(source, {"manifest": "index.json"})
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    assert json.loads((mounted.runs / "index.json").read_text())["total_runs"] == 1
    assert poll(lambda: (source / "index.json").exists())
    assert not (source / "runs_manifest.json").exists()
    assert names(mounted, "tracked") == ["chatdev", "index.json", "runsfs.json"]


@pytest.mark.parametrize("first, then", [({}, {"manifest": "index.json"}), ({"manifest": "index.json"}, {})])
def test_another_manifest_waits_for_the_next_start(mount, source, first, then):
    """Whether the edit names it, or takes the name away."""
    configure(source, first)
    write_run(source, "chatdev", "run-1")
    mounted = mount(source)
    name = first.get("manifest", "runs_manifest.json")
    configure(mounted.runs, {**then, "views": {"by-day": "day"}})
    assert "by-day" in os.listdir(mounted.path)
    assert f"the manifest is called {name} until the next start" in mounted.log()
    assert names(mounted, "tracked") == ["chatdev", *sorted([name, "runsfs.json"])]
    configure(mounted.runs, {**first, "views": {"by-run": "run_id"}})
    assert "by-run" in os.listdir(mounted.path)
    assert mounted.log().count("until the next start") == 1


def test_commands_follow_it(source):
    configure(source, documented("Sacred"))
    sacred_run(source, 1, "COMPLETED")
    sacred_run(source, 2, "FAILED")
    (source / "3").mkdir()
    listed = subprocess.run([mounting.RUNS, "-C", source, "list", "--paths"], capture_output=True, check=True, text=True)
    assert listed.stdout.split() == ["1", "2"]
    checked = subprocess.run([mounting.RUNS, "-C", source, "check"], capture_output=True, check=False, text=True)
    assert "3: no run: it has neither run.json nor config.json" in checked.stdout
    shown = subprocess.run([mounting.RUNS, "-C", source, "show", "2"], capture_output=True, check=True, text=True)
    assert "FAILED" in shown.stdout and "run.json" in shown.stdout


def test_commands_find_a_source_by_its_configuration(source):
    """The manifest's name may be any: what is above is not to be taken for the source, nor its manifest missed."""
    write_run(source, "chatdev", "run-1")
    (source.parent / "runs_manifest.json").write_text('{"version": "1.0", "runs": []}')
    configure(source, {"manifest": "index.json"})

    def runs(*arguments):
        command = [mounting.RUNS, *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True, cwd=source / "chatdev" / "run-1").stdout

    assert runs("rebuild") == "index.json: 1 run, written anew\n"
    assert runs("rebuild") == "index.json: 1 run, true already, left as it was\n"
    assert runs("list", "--paths") == "chatdev/run-1\n"
    assert (source.parent / "runs_manifest.json").read_text() == '{"version": "1.0", "runs": []}'


@pytest.mark.parametrize("options", [(), ("ro",)], ids=["to write", "to read"])
def test_a_broken_one_is_not_started_with(mount, source, options):
    """By the built-in rules the manifest would lose every run that only the configuration makes one."""
    sacred_run(source, 1, "COMPLETED")
    (source / "runs_manifest.json").write_text('{"version": "1.0", "runs": [{"path": "1", "note": "keep"}]}')
    configure(source, documented("Sacred").replace('"layout"', '"layuot"'))
    with pytest.raises(AssertionError) as caught:
        mount(source, *options)
    assert "runsfs.json:2:" in str(caught.value) and "did you mean" in str(caught.value) and "not mounted" in str(caught.value)
    assert "keep" in (source / "runs_manifest.json").read_text()
    for command in (["list"], ["rebuild"], ["check", "--fix"], ["find", "status=COMPLETED"]):
        result = subprocess.run([mounting.RUNS, *command, "-C", source], capture_output=True, check=False, text=True)
        assert result.returncode == 2 and "runsfs.json:2:" in result.stderr, command
    assert "keep" in (source / "runs_manifest.json").read_text()
    configure(source, documented("Sacred"))
    assert names(mount(source, *options, at=source.parent / "again"), "by-status") == ["COMPLETED"]


def test_a_command_in_the_mount_has_the_name_of_the_source(mount, source):
    """Runs that stand in the source itself have its name for their framework; what is shown of it is called runs."""
    (source / "runsfs.json").write_text('{"layout": ["*"]}')
    for name in ("1", "2"):
        (source / name).mkdir()
        (source / name / "metrics.json").write_text("{}")
    mounted = mount(source)
    assert poll(lambda: f'"framework": "{source.name}"' in (source / "runs_manifest.json").read_text())
    before = (source / "runs_manifest.json").read_bytes()
    result = runs_command("-C", mounted.runs, "check")
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert json.loads(runs_command("-C", mounted.runs, "show", "1", "--json").stdout)["framework"] == source.name
    assert runs_command("-C", mounted.runs, "rebuild").returncode == 0
    assert (source / "runs_manifest.json").read_bytes() == before
