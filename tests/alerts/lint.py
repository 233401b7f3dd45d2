"""Lint rules for alerting and recording rules: committed rules come in, findings go out.

They are those of Cloudflare's pint that need no Prometheus, by their names, and some of our own.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import promql_parser as promql

from tests.dashboards.contract import families, family
from tests.dashboards.promql import COMPARISONS, bare, labels, selectors, unguarded, walk
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.alerts.mutants import Rule

PREFIX = re.compile(r"(Redis|HotKey|HotkeyExporter|CacheWarming)[A-Z][A-Za-z]+|RedisHotKey|RedisDown|Watchdog")
RECORD = re.compile(r"(addr|target|job_name):[a-z][a-z0-9_]+:[a-z0-9_]+")
DURATION = re.compile(r"\d+[smhd]")
ANNOTATIONS = {"summary", "description", "runbook_url", "dashboard_url"}
LABELS = {"severity", "component", "topic", "window", "master_addr"}
RATES = {"rate", "increase", "irate"}
SCRAPE_SECONDS = 15
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Counters by what they count, whatever redis_exporter calls them: its names and types are kept.
COUNTING = {
    "redis_slowlog_last_id", "redis_master_repl_offset", "redis_replica_resyncs_full", "redis_aof_delayed_fsync",
}  # fmt: skip
# Has the server saved at all since its start? Here the figure itself is the question.
ITSELF = {"redis_rdb_saves_total"}
# A server has memory, and uses some.
NEVER_ZERO = {"redis_total_system_memory_bytes", "redis_memory_used_bytes"}
# What is not of the exporter's job alone.
SHARED = {"up", "scrape_duration_seconds", "process_start_time_seconds", "process_resident_memory_bytes"}
# Two exporters with one lease: no leader among all of them.
OVER_EXPORTERS = {"CacheWarmingNoLeader"}


def findings(rules: Sequence[Rule], groups: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """All findings, each with the name of its rule."""
    found = [f"{_name(rule)}: {text}" for rule in rules for text in _of_rule(rule)]
    found += [f"{group['name']}: group/interval" for group in groups if "interval" in group]
    return found + list(_duplicates(rules)) + list(_dependencies(rules))


def _name(rule: Rule) -> str:
    return str(rule.get("alert") or rule.get("record"))


def _of_rule(rule: Rule) -> Iterator[str]:
    try:
        tree = promql.parse(rule["expr"])
    except ValueError as error:
        yield f"promql/syntax: {error}"
        return
    yield from _expression(tree)
    if "alert" in rule:
        yield from _alert(rule, tree)
        yield from _texts(rule, tree)
    elif not RECORD.fullmatch(rule["record"]):
        yield "rule/name: level:metric:operations"


def _expression(tree: Any) -> Iterator[str]:
    for divisor in unguarded(tree):
        if divisor.removesuffix("{}") not in NEVER_ZERO:
            yield f"promql/nan: {divisor}"
    for one in walk(tree):
        if isinstance(one, promql.Call):
            yield from _call(one)
        if isinstance(one, promql.AggregateExpr) and "job" not in (one.modifier.labels if one.modifier else ()):
            yield f"promql/aggregate: {one} loses the job"
    ranged = {str(one.vector_selector) for one in walk(tree) if isinstance(one, promql.MatrixSelector)}
    for one in selectors(tree):
        yield from _selector(one, str(one) in ranged)


def _selector(one: Any, ranged: bool) -> Iterator[str]:
    if kind_of(one.name) == "counter" and not ranged and one.name not in ITSELF:
        yield f"promql/counter: {one.name} itself"
    matchers = {matcher.name: matcher for matcher in one.matchers.matchers}
    if one.name in SHARED and "job" not in matchers:
        yield f"promql/selector: {one.name} of any job"
    for matcher in matchers.values():
        pattern = str(matcher.value)
        if str(matcher.op).endswith("Re") and (pattern == re.escape(pattern) or pattern[:1] == "^"):
            yield f"promql/regexp: {pattern}"


@cache
def kind_of(metric: str) -> str:
    """The type of a family of the exporter; empty for what is not the exporter's."""
    return families().get(family(metric), ("", set()))[0]


def _call(call: Any) -> Iterator[str]:
    name = call.func.name
    ranges = [one for one in walk(call) if isinstance(one, promql.MatrixSelector)]
    if any(one.range.total_seconds() < 4 * SCRAPE_SECONDS for one in ranges):
        yield f"promql/rate: {call} is shorter than four scrapes"
    if name in RATES:
        metric = str(ranges[0].vector_selector.name)
        if kind_of(metric) not in {"counter", "histogram", ""} and metric not in COUNTING:
            yield f"promql/rate: {metric} is a {kind_of(metric)}"


def _alert(rule: Rule, tree: Any) -> Iterator[str]:
    severity, wait = rule["labels"].get("severity"), rule.get("for", "0s")
    if not PREFIX.fullmatch(rule["alert"]):
        yield "rule/name"
    if severity not in {"critical", "warning", "info", "none"} or not {*rule["labels"]} <= LABELS:
        yield f"rule/label: {rule['labels']}"
    if not DURATION.fullmatch(wait):
        yield f"alerts/for: {wait}"
    elif severity in {"critical", "warning"} and _seconds(wait) < 2 * SCRAPE_SECONDS:
        yield "rule/for: fires on one bad scrape"
    yield from _condition(rule["alert"], tree)


def _condition(name: str, tree: Any) -> Iterator[str]:
    calls = {one.func.name for one in walk(tree) if isinstance(one, promql.Call)}
    compared = any(isinstance(one, promql.BinaryExpr) and str(one.op) in COMPARISONS for one in walk(tree))
    if not compared and "absent" not in calls and name != "Watchdog":
        yield "alerts/comparison: always fires"
    if _always(bare(tree)):
        yield "alerts/comparison: `bool` always fires"
    if any(isinstance(one, promql.AggregateExpr) and str(one.op) in {"topk", "bottomk"} for one in walk(tree)):
        yield "promql/fragile: topk"
    left = labels(tree)
    if left is None or name == "Watchdog" or "absent" in calls:
        return
    if "job" not in left:
        yield "promql/aggregate: the alert has no job"
    elif "instance" not in left and name not in OVER_EXPORTERS:
        yield "promql/aggregate: the alert has no instance"


def _always(tree: Any) -> bool:
    """Whether the comparison at the top gives 0 or 1, and so always a result."""
    compares = isinstance(tree, promql.BinaryExpr) and str(tree.op) in COMPARISONS
    return bool(compares and tree.modifier and tree.modifier.return_bool)


def _texts(rule: Rule, tree: Any) -> Iterator[str]:
    texts = rule["annotations"]
    if {*texts} != ANNOTATIONS:
        yield f"alerts/annotation: {ANNOTATIONS ^ {*texts}}"
    if not re.fullmatch(r"[A-Z][^{}]*\.", texts.get("summary", "")):
        yield "alerts/annotation: the summary is a sentence that never changes"
    if any("$value" in str(text) for text in rule["labels"].values()):
        yield "alerts/template: $value in a label makes an alert of every value"
    left = labels(tree)
    for text in (*texts.values(), *rule["labels"].values()):
        for name in re.findall(r"\$labels\.(\w+)", text):
            if left is not None and name not in left:
                yield f"alerts/template: {name} is gone"
        if text.count("{{") != text.count("}}"):
            yield f"alerts/template: {text}"
    page = texts.get("runbook_url", "").rpartition("/")[2]
    if page != f"{rule['alert']}.md" or not (ROOT / "docs" / "runbooks" / page).is_file():
        yield f"rule/link: {page}"


def _seconds(text: str) -> int:
    return int(text[:-1]) * SECONDS[text[-1]]


def _duplicates(rules: Sequence[Rule]) -> Iterator[str]:
    ids = Counter((_name(rule), tuple(sorted(rule.get("labels", {}).items()))) for rule in rules)
    exprs = Counter(rule["expr"] for rule in rules)
    yield from (f"{name}: rule/duplicate" for (name, _), count in ids.items() if count > 1)
    yield from (f"{_name(rule)}: rule/duplicate expression" for rule in rules if exprs[rule["expr"]] > 1)


def _dependencies(rules: Sequence[Rule]) -> Iterator[str]:
    records = {rule["record"] for rule in rules if "record" in rule}
    used = {name for rule in rules for name in re.findall(r"\b[a-z_]+:[\w:]+", re.sub(r"\"[^\"]*\"", "", rule["expr"]))}
    yield from (f"{name}: rule/dependency, nothing records it" for name in sorted(used - records))
