"""Reads figures from standard input with Prometheus' own parser, and holds them to what `promtool check metrics` asks for."""
import re
import sys

from prometheus_client.parser import text_string_to_metric_families

text = sys.stdin.read()
assert text.endswith("\n"), "no line break at the end"
names, seen = [], set()
for family in text_string_to_metric_families(text):
    name = family.name
    assert family.documentation, f"{name} has no help"
    assert family.type in ("gauge", "counter"), f"{name} is a {family.type}"
    assert re.fullmatch(r"nanna_cache_[a-z0-9]+(_[a-z0-9]+)*", name), name
    assert name not in names, f"{name} is there twice"
    assert not re.search(r"_(milliseconds|ms|kb|mb|percent|total_total)$", name), f"{name} is in no base unit"
    names.append(name)
    assert family.samples, f"{name} has no samples"
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in seen, f"{key} is there twice"
        seen.add(key)
        # The parser cuts `_total` from the names of counters.
        assert sample.name == name + ("_total" if family.type == "counter" else ""), sample.name
        assert family.type != "counter" or sample.value >= 0, key
for line in text.splitlines():
    assert line.startswith("#") or re.fullmatch(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\[\\n"])*",?)*\})? \S+', line), line
assert len(names) >= 3, names
