"""Cases become promtool's unit tests: series and expectations in, what failed out."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from alerts.families import FAMILIES
from tests.servers import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from alerts.rule import Alert
    from tests.alerts.cases.case import Case

NODE = {"job": "hotkey-exporter", "instance": "e:9468", "target": "cache", "addr": "r:6379"}
EXPORTER = {name: NODE[name] for name in ("job", "instance")}
LONGEST = 1000
MINUTES = {"m": 1, "h": 60, "d": 1440}
ALERTS = tuple(alert for family in FAMILIES for alert in family.alerts)
# Recording rules of another family that some alerts are made of.
BORROWED = {"hotkeys": ("performance",), "performance": ("memory",)}


def series(given: Mapping[str, float | tuple[float, float] | str]) -> list[dict[str, str]]:
    """Series in promtool's notation; a string stays as it is."""
    return [{"series": selector(name), "values": _values(value)} for name, value in given.items()]


def selector(name: str) -> str:
    """Add the labels of a node, or of the exporter alone where the name begins with `{}`."""
    labels = EXPORTER if name.startswith("{}") else NODE
    bare, _, more = name.removeprefix("{}").partition("{")
    own = dict(re.findall(r'(\w+)="([^"]*)"', more))
    if bare.startswith("redis_cache_warming"):
        labels = {key: value for key, value in labels.items() if key != "addr"}
    return bare + "{" + ",".join(f'{key}="{value}"' for key, value in {**labels, **own}.items()) + "}"


def _values(value: float | tuple[float, float] | str) -> str:
    if isinstance(value, str):
        return value
    first, step = value if isinstance(value, tuple) else (value, 0)
    return f"{first:f}{step:+f}x{LONGEST}"


def minutes(wait: str) -> int:
    """A `for` in minutes."""
    return int(wait[:-1]) * MINUTES[wait[-1]] if wait else 0


def alert_of(case: Case) -> Alert:
    """The alert that a case is about."""
    [found] = [
        one
        for one in ALERTS
        if one.name == case.alert
        and case.severity in {"", one.severity}
        and case.window in {"", one.extra.get("window")}
    ]
    return found


def written(case: Case, rules: Path) -> dict[str, Any]:
    """One test file: fires when it must and not a minute earlier; every quiet one never does."""
    alert = alert_of(case)
    family = next(one.name for one in FAMILIES if alert in one.alerts)
    chosen = f'alertname="{alert.name}",severity="{alert.severity}"' + (
        f',window="{case.window}"' if case.window else ""
    )
    named = "".join(f',{label}!=""' for label in alert.labels)
    due = case.first + minutes(alert.wait)
    query = f"count by (alertstate) (ALERTS{{{chosen}{named}}})"
    expected = [_expect(query, due, {"firing": 1})]
    if alert.wait:
        expected.append(_expect(query, due - case.step, {"pending": 1}))
    tests = [_test(series({**case.common, **case.fires}), expected, case.step)]
    late = max(due + 5 * case.step, 30)
    for quiet in case.quiet:
        silent = [_expect(f"count by (alertstate) (ALERTS{{{chosen}}})", at, {}) for at in (due, late)]
        tests.append(_test(series({**case.common, **quiet}), silent, case.step))
    names = (*BORROWED.get(family, ()), family)
    return {
        "rule_files": [str(rules / f"{name}.yaml") for name in names],
        # What is borrowed is recorded first; groups go in any order else, and a case would be a step early or late.
        "group_eval_order": [f"hotkey-exporter-{name}" for name in names],
        "evaluation_interval": f"{case.step}m",
        "tests": tests,
    }


def _test(inputs: list[dict[str, str]], expected: list[dict[str, Any]], step: int) -> dict[str, Any]:
    return {"interval": f"{step}m", "input_series": inputs, "promql_expr_test": expected}


def _expect(query: str, at: int, states: Mapping[str, int]) -> dict[str, Any]:
    samples = [{"labels": f'{{alertstate="{state}"}}', "value": count} for state, count in states.items()]
    return {"expr": query, "eval_time": f"{max(at, 0)}m", "exp_samples": samples}


def failing(files: Iterable[Path]) -> dict[str, str]:
    """Run promtool; what it says about each test file that fails, by its stem."""
    command = [program("promtool", "prometheus"), "test", "rules", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    said = re.split(r"^Unit Testing:\s+", done.stdout + done.stderr, flags=re.MULTILINE)
    # Failures are written to the one stream and names to the other: each in order.
    parts = re.split(r"^Unit Testing:\s+(\S+)\n", done.stdout, flags=re.MULTILINE)[1:] or said
    names, verdicts = parts[0::2], parts[1::2]
    bad = [name for name, verdict in zip(names, verdicts, strict=True) if "SUCCESS" not in verdict]
    return {name.rpartition("/")[2].removesuffix(".yaml"): done.stderr[-4000:] for name in bad}


def write(path: Path, document: Mapping[str, Any]) -> Path:
    """Write one test file."""
    path.write_text(yaml.safe_dump(dict(document)), encoding="utf-8")
    return path
