"""Queries and views while runs come, change and are removed through them, and the configuration changes."""

import json
import os
import random
import subprocess

import pytest

from helpers import assert_agree, change_status, replace, together, write_run
from mounting import LONG

QUERIES = ["where/sort=-tokens,limit=3", "where/status=failed", "where/status=rare/not_framework=baes", "by-status/verified/sort=run_id", "by-framework/chatdev/limit=4",
           "by-model/a/status=verified", "where/model=a+b", "where"]


@pytest.mark.threads
def test_nothing_breaks(mount, source):
    fields = {"fields": {"model": {"from": ["metrics.json#/model"]}}, "views": {"by-model": "model"}}
    configurations = [fields, {}, {**fields, "exclude": ["chatdev/run-03"]}, {"views": {"by-day": "day"}}]
    for number in range(12):
        write_run(source, ("chatdev", "baes")[number % 2], f"run-{number:02d}", ("verified", "failed", "rare")[number % 3], tokens=(number, 0))
    mounted = mount(source)

    def look():
        way = mounted.path / random.choice(QUERIES)
        try:
            for name in os.listdir(way):
                os.listdir(way / name)
                (way / name / "metrics.json").read_bytes()
        except OSError as error:
            assert error.errno in (2, 116, 20), error

    def ask():
        try:
            json.loads((mounted.path / ".runsfs" / "find" / random.choice(["status=failed", "limit=2", "model=a,sort=-model"])).read_bytes())
        except FileNotFoundError:
            pass
        json.loads((mounted.path / ".runsfs" / "status.json").read_bytes())
        (mounted.path / ".runsfs" / "errors").read_text()

    def change():
        run = mounted.runs / "chatdev" / f"run-{random.randrange(0, 12, 2):02d}"
        if run.exists():
            change_status(run, random.choice(["verified", "failed", "rare"]), "rename")

    def remove():
        number = random.randrange(1, 12, 2)
        name, way = f"run-{number:02d}", mounted.path / random.choice(QUERIES[:-1])
        write_run(mounted.runs, "baes", name, random.choice(["verified", "failed", "rare"]), tokens=(number, 1))
        (mounted.runs / "baes" / name / "metadata.json").write_text("{}")
        subprocess.run(["rm", "-rf", way / name], check=False, capture_output=True)

    def configure():
        replace(mounted.runs / "runsfs.json", json.dumps(random.choice(configurations)).encode())

    together(look, look, ask, change, remove, configure, seconds=60 if LONG else 5)
    replace(mounted.runs / "runsfs.json", b"{}")
    for number in range(1, 12, 2):
        if (mounted.runs / "baes" / f"run-{number:02d}").exists():
            write_run(mounted.runs, "baes", f"run-{number:02d}")
    assert_agree(mounted)
