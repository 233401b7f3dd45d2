"""Cases become promtool's unit tests: series and expectations in, what failed out.

Each case has a rule file of its own: the committed alert, the recordings that it is made of, and its mutants, which
share the series and must not share the verdict.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from alerts.families import FAMILIES
from tests.alerts.cases.policy import POLICY
from tests.alerts.mutants import Mutant, mutants
from tests.servers import ROOT, program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from alerts.rule import Alert
    from tests.alerts.cases.case import Case
    from tests.alerts.mutants import Rule

RULES = ROOT / "alerts" / "rules"
NODE = {"job": "hotkey-exporter", "instance": "e:9468", "target": "cache", "addr": "r:6379"}
EXPORTER = {name: NODE[name] for name in ("job", "instance")}
MINUTES = {"m": 1, "h": 60, "d": 1440}
ALERTS = tuple(alert for family in FAMILIES for alert in family.alerts)
# One thread and a lazy collector: 40 % less CPU over many small tests.
LEAN = {"GOMAXPROCS": "1", "GOGC": "400"}


def committed() -> tuple[Rule, ...]:
    """All rules of the committed files; recordings come before what is made of them."""
    groups = [group for path in sorted(RULES.iterdir()) for group in yaml.safe_load(path.read_text())["groups"]]
    return tuple(sorted((rule for group in groups for rule in group["rules"]), key=lambda rule: "alert" in rule))


@dataclass(frozen=True, slots=True)
class Written:
    """A case as files: promtool's test, and the mutants that it must find out."""

    test: Path
    mutants: tuple[Mutant, ...]


def series(given: Mapping[str, float | tuple[float, float] | str], samples: int) -> list[dict[str, str]]:
    """Series in promtool's notation; a string stays as it is."""
    return [{"series": selector(name), "values": _values(value, samples)} for name, value in given.items()]


def selector(name: str) -> str:
    """Add the labels of a node, or of the exporter alone where the name begins with `{}`."""
    labels = EXPORTER if name.startswith("{}") else NODE
    bare, _, more = name.removeprefix("{}").partition("{")
    own = dict(re.findall(r'(\w+)="([^"]*)"', more))
    if bare.startswith("redis_cache_warming"):
        labels = {key: value for key, value in labels.items() if key != "addr"}
    return bare + "{" + ",".join(f'{key}="{value}"' for key, value in {**labels, **own}.items()) + "}"


def _values(value: float | tuple[float, float] | str, samples: int) -> str:
    if isinstance(value, str):
        return value
    first, step = value if isinstance(value, tuple) else (value, 0)
    return f"{first:f}{step:+f}x{samples}"


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


def key(alert: Alert) -> str:
    """The name of an alert; where there are several of that name, with what tells them apart."""
    several = sum(one.name == alert.name for one in ALERTS) > 1
    return f"{alert.name} {alert.extra.get('window', alert.severity)}" if several else alert.name


def rules_of(alert: Alert, rules: Sequence[Rule]) -> tuple[Rule, list[Rule]]:
    """The committed rule of an alert, and the recordings that it is made of, in the order of their evaluation."""
    labels = {"severity": alert.severity, **alert.extra}
    [rule] = [one for one in rules if one.get("alert") == alert.name and labels.items() <= one["labels"].items()]
    recordings = [one for one in rules if "record" in one]
    wanted, text = [], rule["expr"]
    for one in reversed(recordings):
        if re.search(re.escape(one["record"]) + r"(?![\w])", text):
            wanted.insert(0, one)
            text += " " + one["expr"]
    return rule, wanted


def write(directory: Path, number: int, case: Case, rules: Sequence[Rule], *, small: bool) -> Written:
    """Write the rules and the tests of one case; with `small` faults among its mutants."""
    alert = alert_of(case)
    rule, recordings = rules_of(alert, rules)
    made = tuple(mutants(rule, recordings, f"Mutant{number}x", small=small))
    groups = [{"name": "a", "rules": [*recordings, rule]}]
    groups += [{"name": "m" + one.name, "rules": list(one.rules)} for one in made]
    path = directory / f"{number:03}-{case.alert}"
    path.with_suffix(".rules").write_text(yaml.safe_dump({"groups": groups}))
    document = {
        "rule_files": [str(path.with_suffix(".rules"))],
        "evaluation_interval": f"{case.step}m",
        "tests": list(_tests(case, alert, [rule["alert"], *(one.name for one in made)])),
    }
    path.with_suffix(".yaml").write_text(yaml.safe_dump(document))
    return Written(path.with_suffix(".yaml"), made)


def _tests(case: Case, alert: Alert, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Fires when it must and a step earlier is pending; every quiet set of series never makes it fire."""
    severity, wait = POLICY[key(alert)]
    chosen = f'severity="{severity}"' + (f',window="{case.window}"' if case.window else "")
    named = "".join(f',{label}!=""' for label in alert.labels)
    due = case.first + minutes(wait)
    late = max(case.late, due + 5 * case.step, 30)
    samples = late // case.step + 1
    expected: list[dict[str, Any]] = []
    for name in names:
        query = f'count by (alertstate) (ALERTS{{alertname="{name}",{chosen}{named}}})'
        expected.append(_expect(query, due, {"firing": 1}))
        if wait:
            expected.append(_expect(query, due - case.step, {"pending": 1}))
    yield _test(series({**case.common, **case.fires}, samples), expected, case.step)
    for quiet in case.quiet:
        silent = [
            _expect(f'count by (alertstate) (ALERTS{{alertname="{name}"}})', at, {})
            for name in names
            for at in (due, late)
        ]
        yield _test(series({**case.common, **quiet}, samples), silent, case.step)


def _test(inputs: list[dict[str, str]], expected: list[dict[str, Any]], step: int) -> dict[str, Any]:
    return {"interval": f"{step}m", "input_series": inputs, "promql_expr_test": expected}


def _expect(query: str, at: int, states: Mapping[str, int]) -> dict[str, Any]:
    samples = [{"labels": f'{{alertstate="{state}"}}', "value": count} for state, count in states.items()]
    return {"expr": query, "eval_time": f"{max(at, 0)}m", "exp_samples": samples}


def failing(files: Iterable[Path], seconds: float = 230) -> tuple[set[str], str]:
    """Run promtool: the names of the alerts that did not do what was expected, and all that it said."""
    command = [program("promtool", "prometheus"), "test", "rules", *map(str, files)]
    env = {**os.environ, **LEAN}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env=env)
    said = done.stdout + done.stderr
    names = set(re.findall(r"alertname=\\*\"(\w+)", said))
    assert done.returncode == 0 or names, said[-4000:]
    return names, said
