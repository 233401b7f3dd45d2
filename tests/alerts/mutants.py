"""Faults put into rules on purpose, one at a time. A rule comes in, its mutants go out. Pure.

A threshold is ten times as high or a fifth lower, a comparison turned, `for` dropped, the severity changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Rule = dict[str, Any]
TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}
CHANGED = {"critical": "warning", "warning": "info", "info": "warning", "none": "info"}
SELECTORS = re.compile(r"\{[^}]*\}|\"[^\"]*\"|\[[^]]*\]")
COMPARISON = re.compile(r"(==|!=|<=|>=|<|>)\s*(?:on \([^)]*\) )?(?:group_(?:left|right) \([^)]*\) )?")
ZERO = re.compile(r"0(?![.\d])")


@dataclass(frozen=True, slots=True)
class Mutant:
    """`name` is that of its alert, `fault` says what was done; `rules` are the alert and what it is made of."""

    name: str
    fault: str
    rules: tuple[Rule, ...]


def mutants(alert: Rule, recordings: Sequence[Rule], prefix: str, *, small: bool) -> Iterator[Mutant]:
    """All mutants of an alert and of the recordings that it is made of; names begin with `prefix`.

    With `small` also those whose thresholds are a fifth lower.
    """
    faults: list[tuple[str, int, Rule]] = []
    for place, rule in enumerate((*recordings, alert)):
        faults += [(fault, place, {**rule, "expr": expr}) for fault, expr in _compared(rule["expr"], small)]
    last = len(recordings)
    if "for" in alert:
        faults.append(("no for", last, {key: value for key, value in alert.items() if key != "for"}))
    severity = alert["labels"]["severity"]
    labels = {**alert["labels"], "severity": CHANGED[severity]}
    faults.append((f"severity {CHANGED[severity]}", last, {**alert, "labels": labels}))
    for number, (fault, place, changed) in enumerate(faults):
        name = f"{prefix}{number}"
        rules = [*recordings, alert]
        rules[place] = changed
        yield Mutant(name, fault, tuple(_renamed(rules, f"_{name}", name)))


def _compared(expr: str, small: bool) -> Iterator[tuple[str, str]]:
    """Every comparison turned, and its right side ten times as large and a fifth smaller."""
    bare = SELECTORS.sub(lambda found: "_" * len(found[0]), expr)
    for found in COMPARISON.finditer(bare):
        start, end = found.span(1)
        yield f"{expr[start:]!r} turned", expr[:start] + TURNED[found[1]] + expr[end:]
        after = found.end()
        zero = ZERO.match(bare, after)
        tenfold = "10" + expr[zero.end() :] if zero else "10 * " + expr[after:]
        yield f"{expr[start:]!r} tenfold", expr[:after] + tenfold
        if small and not zero:
            yield f"{expr[start:]!r} a fifth lower", expr[:after] + "0.8 * " + expr[after:]


def _renamed(rules: Sequence[Rule], suffix: str, name: str) -> Iterator[Rule]:
    records = [rule["record"] for rule in rules if "record" in rule]
    names = re.compile("|".join(re.escape(record) + r"\b" for record in records) or r"(?!)")
    for rule in rules:
        expr = names.sub(lambda found: found[0] + suffix, rule["expr"])
        yield {**rule, "expr": expr, **({"record": rule["record"] + suffix} if "record" in rule else {"alert": name})}
