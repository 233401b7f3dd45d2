"""Alerts by the exporter's own thresholds: each fires when it should, and not where it would teach to be ignored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.keynames import KeyNames
from exporter.snapshot import Board, SamplingState, Source
from exporter.views.alerts import Alert, active, answer
from exporter.views.reading import Moment, read
from tests.views import shop

if TYPE_CHECKING:
    from exporter.config import Config


def alerts(
    board: Board | None = None, *, config: Config | None = None, names: KeyNames = shop.NAMES, seconds: float = 0.0
) -> tuple[Alert, ...]:
    """What is active on a Board, so many seconds after NOW."""
    config = config or shop.shop_config()
    now = Moment(shop.NOW.monotonic + seconds, shop.NOW.wall)
    return active(read(board or shop.shop_board(), config, now), config, names)


def found(name: str, *args: Any, **options: Any) -> list[tuple[str, str]]:
    """Severity and target of all active alerts of one name."""
    return [(one.severity, one.target) for one in alerts(*args, **options) if one.name == name]


def with_status(**changes: Any) -> Board:
    """The cache alone, with a status that differs."""
    board = Board((shop.CACHE,))
    board.publish(shop.CACHE, replace(shop.status(), **changes))
    return board


def with_sampling(**changes: Any) -> Config:
    """The cache alone, with sampling settings that differ."""
    return shop.with_targets(shop.shop_config(), {"name": "cache", "url": "redis://10.0.0.1", "sampling": changes})


def test_the_most_severe_come_first() -> None:
    """Critical, warning, info."""
    order = [one.severity for one in alerts()]
    assert order == sorted(order, key=["critical", "warning", "info"].index)


def test_a_node_that_is_down_is_one_alert() -> None:
    """Critical with the reason, and none of the alerts that follow from it."""
    [alert] = [one for one in alerts() if one.target == "sessions"]
    assert (alert.name, alert.severity, alert.reason) == ("RedisDown", "critical", "refused")


def test_a_node_that_is_starting_is_no_alert() -> None:
    """A restart of the exporter does not page anybody."""
    assert alerts(Board((shop.CACHE,))) == ()


def test_silence_is_an_alert() -> None:
    """A node that has not answered lately is down by timeout."""
    assert [one.reason for one in alerts(seconds=10) if one.target == "cache"] == ["timeout"]


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({"used_memory_bytes": 91, "maxmemory_bytes": 100, "maxmemory_policy": "noeviction"}, True),
        ({"used_memory_bytes": 90, "maxmemory_bytes": 100, "maxmemory_policy": "noeviction"}, False),
        ({"used_memory_bytes": 100, "maxmemory_bytes": 100, "maxmemory_policy": "allkeys-lru"}, False),
        ({"used_memory_bytes": 91, "maxmemory_bytes": 0, "total_memory_bytes": 100}, True),
        ({"used_memory_bytes": 91, "maxmemory_bytes": 0, "total_memory_bytes": None}, False),
        ({"used_memory_bytes": None, "maxmemory_bytes": 100, "maxmemory_policy": "noeviction"}, False),
    ],
)
def test_memory_is_high_where_nothing_gives_way(changes: dict[str, Any], fires: bool) -> None:
    """A cache that evicts lives at its maxmemory; one that does not, or a host that is full, is an alert."""
    assert found("RedisMemoryHigh", with_status(**changes)) == ([("warning", "cache")] if fires else [])


@pytest.mark.parametrize(("latency", "fires"), [(0.11, True), (0.1, False), (None, False)])
def test_a_slow_node_is_an_alert(latency: float | None, fires: bool) -> None:
    """Above the configured latency."""
    assert found("RedisSlow", with_status(latency_seconds=latency)) == ([("warning", "cache")] if fires else [])


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (SamplingState(Source.NONE, "denied"), "denied"),
        (SamplingState(Source.NONE, "replica"), None),
        (SamplingState(Source.NONE, "off"), None),
        (SamplingState(Source.MONITOR, "budget"), None),
        (None, None),
    ],
)
def test_sampling_that_never_began_says_why(state: SamplingState | None, reason: str | None) -> None:
    """Refused is an alert with its reason; a replica, a kill switch, or a sampler that has only just begun is none."""
    board = with_status()
    if state:
        board.publish(shop.CACHE, state)
    assert [one.reason for one in alerts(board)] == ([reason] if reason else [])


def test_sampling_that_stopped_is_an_alert() -> None:
    """A window that went stale fires, whatever the sampler last said of itself."""
    board = with_status(taken_at=shop.NOW.monotonic + 6)
    board.publish(shop.CACHE, shop.hot_keys())
    board.publish(shop.CACHE, shop.state())
    assert [(one.name, one.reason) for one in alerts(board, seconds=6)] == [("HotKeySamplingStopped", "stale")]


def test_sampling_that_is_switched_off_is_no_alert() -> None:
    """Nobody is told of what they chose."""
    board = with_status()
    board.publish(shop.CACHE, SamplingState(Source.NONE, "off"))
    assert alerts(board, config=with_sampling(source="off")) == ()


def test_a_hot_key_is_judged_by_its_low_end() -> None:
    """An estimate above the threshold whose interval reaches below it is no alert."""
    board = with_status()
    keys = (shop.hot_key(b"sure", 18.0, 1e6, error=0.05), shop.hot_key(b"unsure", 18.0, 1e6, error=0.1))
    board.publish(shop.CACHE, replace(shop.hot_keys(), keys=keys))
    assert [(one.key, one.severity) for one in alerts(board)] == [("sure", "info")]


def test_a_dominant_key_is_a_warning() -> None:
    """Above the share as well as the rate."""
    severity = {one.key: one.severity for one in alerts() if one.target == "cache"}
    assert severity["flash-sale:banner"] == "warning"
    assert severity["product:8841:price"] == "info"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([{"match": "product:*", "ignore": True}], set()),
        ([{"match": "product:*", "threshold": "20000/s"}], set()),
        ([{"match": "*:stock", "threshold": "20000/s"}, {"match": "product:*", "ignore": True}], set()),
        ([{"match": "*:price", "threshold": "2000/s"}], {"product:8841:price", "product:8841:stock"}),
        ([{"match": "*:PRICE", "ignore": True}], {"product:8841:price", "product:8841:stock", "product:1207:price"}),
        ([{"match": "*:price", "threshold": "1/s"}, {"match": "*", "ignore": True}],
         {"product:8841:price", "product:1207:price"}),
    ],
)  # fmt: skip
def test_the_first_override_that_matches_decides(overrides: list[dict[str, Any]], expected: set[str]) -> None:
    """A glob over the key's own name gives another threshold, or none."""
    shown = {one.key for one in alerts(config=with_sampling(overrides=overrides))}
    assert {key for key in shown if key and key.startswith("product:") and len(key) < 30} == expected


def test_overrides_match_the_name_and_not_what_is_shown() -> None:
    """A masked key is matched by its real name, and still shown masked."""
    config = with_sampling(overrides=[{"match": "session:0f3a*", "ignore": True}])
    assert not any(one.key and one.key.startswith("session") for one in alerts(config=config))


def test_keys_that_are_written_alike_are_one_alert() -> None:
    """Under `privacy: group` the hottest key of a group stands for it."""
    keys = [one.key for one in alerts(names=KeyNames(privacy="group")) if one.target == "cache"]
    assert len(keys) == len(set(keys))
    assert "product:*:price" in keys


def test_the_answer_has_a_fixed_shape() -> None:
    """Every alert has the same fields, null where they do not apply."""
    body = answer(alerts(), shop.NOW)
    assert body["generated_at"] == "2026-01-01T00:00:00.250Z"
    assert {tuple(one) for one in body["alerts"]} == {
        ("alert", "severity", "target", "addr", "db", "key", "reason", "value", "threshold", "summary")
    }
