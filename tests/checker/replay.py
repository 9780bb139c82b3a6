#!/usr/bin/env python3
"""Replays records of runs against one cache, as docs/advise.md describes it, in the plainest way.

    replay.py RECORDS RULES

RULES is JSON: {"classes": {NAME: [RETENTION_SECONDS, PRIORITY]}, "exclude": [PATTERN], "max_size": BYTES or null,
"grace": SECONDS}. An independent judge of `nanna-cache advise`: it shares no code with it. Prints
{"built_millis": N, "hits": N, "needed": N, "seconds": N}.
"""
import datetime
import json
import re
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    runs = [json.loads(line) for line in file if line.strip()]
rules = json.loads(sys.argv[2])
for run in runs:
    run["at"] = datetime.datetime.fromisoformat(run["start"].replace("Z", "+00:00")).timestamp()
runs.sort(key=lambda run: run["at"])
cache, built, hits, needed = {}, 0, 0, 0
for run in runs:
    now = run["at"]
    for path in [p for p, it in cache.items()
                 if it["renewed"] + rules["classes"][it["class"]][0] < now and it["written"] + rules["grace"] < now]:
        del cache[path]
    for one in run["built"]:
        path = one["outputs"][0]["path"]
        needed += 1
        if path in cache:
            hits += 1
        else:
            built += one["millis"]
        if any(re.search(pattern, path) for pattern in rules["exclude"]):
            continue
        known = cache.get(path, {"written": now})
        cache[path] = {"written": known["written"], "renewed": now, "class": one["class"], "size": one["outputs"][0]["nar"]}
    if rules["max_size"] is not None:
        soft = sorted((p for p, it in cache.items() if it["written"] + rules["grace"] < now),
                      key=lambda p: (rules["classes"][cache[p]["class"]][1], cache[p]["renewed"]))
        while soft and sum(it["size"] for it in cache.values()) > rules["max_size"]:
            del cache[soft.pop(0)]
print(json.dumps({"built_millis": built, "hits": hits, "needed": needed, "seconds": runs[-1]["at"] - runs[0]["at"]}))
