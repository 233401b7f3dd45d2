"""Expositions compared: which families and label sets one has and another lacks, and which values differ."""

from __future__ import annotations

import re
from collections import defaultdict

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)",?')
_PARTS = re.compile(r"_(?:bucket|sum|count)$")
Labels = tuple[tuple[str, str], ...]
Series = dict[tuple[str, Labels], float]


def series(exposition: bytes) -> Series:
    """Every series of a text exposition, by name and sorted labels, as written there; one that stands twice fails.

    Not by a client library's parser, which renames the counters that do not end in `_total`.
    """
    found: Series = {}
    for line in exposition.decode().splitlines():
        if line and not line.startswith("#"):
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            key = sample[1], tuple(sorted(_LABEL.findall(sample[2] or "")))
            assert key not in found, f"twice: {line}"
            found[key] = float(sample[3])
    return found


def families(exposition: bytes) -> dict[str, str]:
    """The type of each family."""
    lines = exposition.decode().splitlines()
    return {words[2]: words[3] for words in (line.split() for line in lines) if words[:2] == ["#", "TYPE"]}


def label_names(exposition: bytes) -> dict[str, set[frozenset[str]]]:
    """The sets of label names of each family, `le` and `quantile` included."""
    known = families(exposition)
    found: dict[str, set[frozenset[str]]] = defaultdict(set)
    for name, labels in series(exposition):
        family = name if name in known else _PARTS.sub("", name)
        found[family].add(frozenset(label for label, _ in labels))
    return found


def lacking(theirs: bytes, ours: bytes) -> list[str]:
    """What `theirs` has and `ours` lacks: families, types, and sets of label names; only `redis_*`."""
    their_names, our_names = label_names(theirs), label_names(ours)
    their_types, our_types = families(theirs), families(ours)
    problems: list[str] = []
    for family in sorted(name for name in their_names if name.startswith("redis_")):
        if family not in our_names:
            problems.append(f"{family}: missing")
            continue
        if their_types[family] != our_types[family]:
            problems.append(f"{family}: {our_types[family]} instead of {their_types[family]}")
        problems += [
            f"{family}: no series with the labels {', '.join(sorted(names)) or 'none'}"
            for names in their_names[family] - our_names[family]
        ]
    return problems


def differing(theirs: Series, ours: Series, ignored: re.Pattern[str]) -> list[str]:
    """The series of `theirs` whose value ours has not, but for the families that `ignored` matches."""
    return [
        f"{name}{dict(labels)}: {ours.get((name, labels))} instead of {value}"
        for (name, labels), value in theirs.items()
        if name.startswith("redis_") and not ignored.fullmatch(name) and ours.get((name, labels)) != value
    ]
