#!/usr/bin/env python3
"""Counts, in raw logs of Nix (internal-json), what came from caches and what was built.

    count_log.py STORE_ROOT LOG...

An independent judge of `nanna-cache run`: it shares no code and no method with it. What became of a path is asked of the
file system afterwards. Prints {"hits": N, "needed": N, "failed": N, "bytes": N}.
"""
import json
import os
import re
import sys


def outputs(root, drv):
    with open(root + drv, encoding="utf-8", errors="replace") as file:
        head = file.read().split("],[", 1)[0]
    return re.findall(r'\("[^"]*","([^"]+)"', head)


def nar_size(path):
    """The size of the NAR of a path, by the definition of the format."""
    def text(length):
        return 8 + (length + 7) // 8 * 8

    def node(path):
        size = text(1) + text(1) + text(4)
        if os.path.islink(path):
            return size + text(7) + text(6) + text(len(os.readlink(path)))
        if os.path.isdir(path):
            size += text(9)
            for name in os.listdir(path):
                size += text(5) + text(1) + text(4) + text(len(name)) + text(4)
                size += node(os.path.join(path, name)) + text(1)
            return size
        status = os.lstat(path)
        size += text(7) + text(8) + text(status.st_size)
        if status.st_mode & 0o100:
            size += text(10) + text(0)
        return size
    return text(13) + node(path)


def count(root, log):
    fetched, built = set(), set()
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.startswith("@nix "):
                continue
            event = json.loads(line[5:])
            if event.get("action") != "start":
                continue
            if event["type"] == 108:
                fetched.add(event["fields"][0])
            if event["type"] == 105:
                built.add(event["fields"][0])
    made, failed = set(), 0
    for drv in built:
        paths = outputs(root, drv)
        if all(os.path.lexists(root + path) for path in paths):
            made.update(paths)
        else:
            failed += 1
    hits = {path for path in fetched if os.path.lexists(root + path) and path not in made}
    return hits, hits | made, failed


total = {"hits": 0, "needed": 0, "failed": 0, "bytes": 0}
for log in sys.argv[2:]:
    hits, needed, failed = count(sys.argv[1], log)
    total["hits"] += len(hits)
    total["needed"] += len(needed)
    total["failed"] += failed
    total["bytes"] += sum(nar_size(sys.argv[1] + path) for path in hits)
print(json.dumps(total))
