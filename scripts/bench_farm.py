#!/usr/bin/env python3
"""What one would write instead of views: a farm of symbolic links, by-status/<status>/<run-id>, brought up to what a manifest says.

  bench_farm.py MANIFEST FARM

Reads the whole manifest and lists the whole farm, and changes no more than what differs.
"""
import json
import os
import sys


def main():
    manifest_path, farm = sys.argv[1:]
    source = os.path.dirname(os.path.realpath(manifest_path))
    with open(manifest_path, encoding="utf-8") as file:
        runs = json.load(file)["runs"]
    wanted = {}
    for run in runs:
        wanted.setdefault(run["verification_status"], {})[run["run_id"]] = run["path"]
    top = os.path.join(farm, "by-status")
    os.makedirs(top, exist_ok=True)
    for status in wanted.keys() | set(os.listdir(top)):
        directory, links = os.path.join(top, status), wanted.get(status, {})
        os.makedirs(directory, exist_ok=True)
        present = set(os.listdir(directory))
        for name in present - links.keys():
            os.unlink(os.path.join(directory, name))
        for name in links.keys() - present:
            os.symlink(os.path.join(source, links[name]), os.path.join(directory, name))
        if not links:
            os.rmdir(directory)


if __name__ == "__main__":
    main()
