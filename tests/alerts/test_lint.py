"""The rules keep to pint's checks, and each check finds the mistake that it is there for."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.alerts.lint import findings
from tests.alerts.promtool import RULES, committed

GOOD: dict[str, Any] = {
    "alert": "RedisSlow",
    "expr": "redis_ping_latency_seconds > 1",
    "for": "1m",
    "labels": {"severity": "warning", "component": "redis"},
    "annotations": {
        "summary": "It is slow.",
        "description": "{{ $labels.addr }} is slow.",
        "runbook_url": "https://git.example.com/RedisSlow.md",
        "dashboard_url": "https://grafana.example.com",
    },
}
PLANTED = {
    "promql/syntax": {"expr": "redis_up >"},
    "promql/nan": {"expr": "redis_connected_clients / redis_config_maxclients > 1"},
    "promql/rate: redis_connected_clients": {"expr": "rate(redis_connected_clients[5m]) > 1"},
    "promql/rate: rate(redis_evicted": {"expr": "rate(redis_evicted_keys_total[30s]) > 1"},
    "promql/counter": {"expr": "redis_evicted_keys_total > 1"},
    "promql/selector": {"expr": "up == 0"},
    "promql/regexp": {"expr": 'redis_up{target=~"cache"} == 0'},
    "promql/fragile": {"expr": "topk by (job, instance) (3, redis_ping_latency_seconds) > 1"},
    "promql/aggregate: max": {"expr": "max(redis_ping_latency_seconds) > 1"},
    "promql/aggregate: the alert has no instance": {"expr": "max by (job, addr) (redis_ping_latency_seconds) > 1"},
    "alerts/comparison: always": {"expr": "redis_ping_latency_seconds"},
    "alerts/comparison: `bool`": {"expr": "redis_ping_latency_seconds > bool 1"},
    "alerts/for": {"for": "1 minute"},
    "rule/for": {"for": "5s"},
    "rule/name": {"alert": "redisSlow"},
    "rule/label": {"labels": {"severity": "page"}},
    "rule/link": {"annotations": {**GOOD["annotations"], "runbook_url": "https://git.example.com/RedisSlower.md"}},
    "alerts/annotation: {": {"annotations": {"summary": "It is slow.", "runbook_url": "/RedisSlow.md"}},
    "alerts/annotation: the summary": {"annotations": {**GOOD["annotations"], "summary": "{{ $value }}"}},
    "alerts/template: $value": {"labels": {**GOOD["labels"], "topic": "{{ $value }}"}},
    "alerts/template: addr": {"expr": "max by (job, instance) (redis_ping_latency_seconds) > 1"},
    "rule/dependency": {"expr": "addr:redis_nothing:rate5m > 1"},
}


def test_nothing_is_found() -> None:
    """No finding in any committed rule."""
    groups = [group for path in sorted(RULES.iterdir()) for group in yaml.safe_load(path.read_text())["groups"]]
    assert findings(committed(), groups) == []


@pytest.mark.parametrize("check", PLANTED)
def test_each_check_finds_its_mistake(check: str) -> None:
    """A rule without a mistake has no finding; with one, the check of that name finds it."""
    assert findings([GOOD]) == []
    assert any(check in text for text in findings([{**GOOD, **PLANTED[check]}]))


def test_twins_and_names_of_records_are_found() -> None:
    """Two rules of one name, or of one expression; a record that is not called level:metric:operations; an interval."""
    assert any("rule/duplicate" in text for text in findings([GOOD, GOOD]))
    assert any("rule/duplicate expression" in text for text in findings([GOOD, {**GOOD, "alert": "RedisSlower"}]))
    assert any("rule/name" in text for text in findings([{"record": "redis_slow", "expr": "redis_up"}]))
    assert findings([], [{"name": "g", "interval": "1h"}]) == ["g: group/interval"]
