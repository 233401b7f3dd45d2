"""`/health/redis-alerts` and the rules judge alike: the same Board goes to both, with the same thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from exporter.config import load
from exporter.meters import Meters
from exporter.snapshot import Board, HotKeys, NodeStatus, SamplingState, Source
from exporter.views.alerts import active
from exporter.views.reading import Moment, read
from tests.alerts.promtool import RULES, failing
from tests.captured import stats_of
from tests.views import shop
from tests.views.test_metrics import EVERYTHING, exposition, samples

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from exporter.config import Config

BOTH = ("RedisDown", "RedisMemoryHigh", "RedisSlow", "HotKeySamplingStopped", "RedisHotKey")
ALERTS = {"memory_ratio": "80%", "latency": "50ms"}
"""Other thresholds than the defaults: both sides must take them from the configuration."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is on the Board of one exporter with one target, so many seconds ago, and its sampling settings."""

    published: tuple[Any, ...]
    sampling: dict[str, Any]
    seconds: float = 0.0

    @property
    def config(self) -> Config:
        """The configuration that both judge by."""
        config = shop.with_targets(
            load(None, environ={}), {"name": "cache", "url": "redis://10.0.0.1:6379", "sampling": self.sampling}
        )
        return config.model_copy(update={"alerts": type(config.alerts).model_validate(ALERTS)})

    @property
    def board(self) -> Board:
        """The Board."""
        board = Board((shop.CACHE,))
        for value in self.published:
            board.publish(shop.CACHE, value)
        return board


def server(state: SamplingState | None = None, keys: HotKeys | None = None, **changes: Any) -> tuple[Any, ...]:
    """A server that is up: its status, INFO of the same, sampling that works if nothing else is said."""
    calm = {"used_memory_bytes": 10, "maxmemory_bytes": 100, "maxmemory_policy": "noeviction", "latency_seconds": 0.001}
    status = replace(shop.status(), **{**calm, **changes})
    state = state or SamplingState(Source.MONITOR, "full")
    quiet = replace(shop.hot_keys(), keys=(), labelled=frozenset(), groups=(), over_threshold=0)
    working = state.source is not Source.NONE
    return (status, _info(status), state, *([keys or quiet] if working else []))


def _info(status: NodeStatus) -> Any:
    fields = {
        "redis_version": status.version,
        "used_memory": status.used_memory_bytes,
        "maxmemory": status.maxmemory_bytes,
        "maxmemory_policy": status.maxmemory_policy,
        "total_system_memory": status.total_memory_bytes,
        "role": "master",
    }
    text = "".join(f"{name}:{value}\r\n" for name, value in fields.items())
    return stats_of(text.encode(), taken_at=status.taken_at)


def hot(*keys: tuple[bytes, float]) -> HotKeys:
    """A window of a thousand accesses a second with these keys and rates, exact."""
    found = tuple(shop.hot_key(key, rate, 1000.0, error=0.0) for key, rate in keys)
    return replace(shop.hot_keys(), keys=found, labelled=frozenset((0, key) for key, _ in keys), groups=())


def refused(reason: str) -> tuple[Any, ...]:
    """A server that is up, and not sampled for this reason."""
    return server(SamplingState(Source.NONE, reason))


SCENES = {
    "healthy": Scene(server(), {}),
    "down": Scene((replace(shop.status(), down="refused"), SamplingState(Source.NONE, "down")), {}),
    "starting": Scene((), {}),
    "silent": Scene(server(), {}, 20.0),
    "memory just below": Scene(server(used_memory_bytes=80), {}),
    "memory just above": Scene(server(used_memory_bytes=81), {}),
    "a cache that is full": Scene(server(used_memory_bytes=100, maxmemory_policy="allkeys-lru"), {}),
    "no limit, host just below": Scene(server(used_memory_bytes=80, maxmemory_bytes=0, total_memory_bytes=100), {}),
    "no limit, host just above": Scene(server(used_memory_bytes=81, maxmemory_bytes=0, total_memory_bytes=100), {}),
    "as fast as it must be": Scene(server(latency_seconds=0.05), {}),
    "slow": Scene(server(latency_seconds=0.051), {}),
    "MONITOR denied": Scene(refused("denied"), {}),
    "MONITOR too much": Scene(refused("memory"), {}),
    "a replica": Scene(refused("replica"), {}),
    "switched off for a while": Scene(refused("off"), {}),
    "off": Scene(refused("off"), {"source": "off"}),
    "the server itself, instead": Scene((*refused("denied"), replace(shop.native(), reason="denied")), {}),
    "keys": Scene(server(keys=hot((b"much", 100.1), (b"most", 400.0), (b"some", 99.0), (b"little", 16.0))), {}),
    "a threshold of one's own": Scene(server(keys=hot((b"much", 150.0), (b"some", 60.0))), {"threshold": "100/s"}),
    "a share of one's own": Scene(server(keys=hot((b"much", 150.0), (b"some", 60.0))), {"threshold_share": "5%"}),
    "excused": Scene(
        server(keys=hot((b"much", 150.0), (b"some", 60.0))), {"overrides": [{"match": "much", "ignore": True}]}
    ),
}


@pytest.mark.timeout(240)
def test_both_judge_alike(tmp_path: Path) -> None:
    """Each alert that the view has is one that the rules fire, with the same severity and key, and the other way round."""
    inputs, expected = [], []
    for number, (name, scene) in enumerate(SCENES.items()):
        moment = Moment(shop.NOW.monotonic + scene.seconds, shop.NOW.wall)
        inputs += series(f"{number}", scene, moment)
        for one in active(read(scene.board, scene.config, moment), scene.config, shop.NAMES):
            assert one.name in BOTH, name
            labels = {"alertname": one.name, "severity": one.severity, "instance": f"{number}", "key": one.key or ""}
            expected.append({"labels": _braces(labels.items()), "value": 1})
    assert {line["labels"].split('"')[1] for line in expected} == {*BOTH}
    query = f'ALERTS{{alertstate="firing",alertname=~"{"|".join(BOTH)}"}}'
    test = {"expr": f"count by (alertname, severity, instance, key) ({query})", "eval_time": "9m"}
    document = {
        "rule_files": [str(path) for path in sorted(RULES.iterdir())],
        "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": [{**test, "exp_samples": expected}]}],
    }
    path = tmp_path / "agreement.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    names, said = failing([path])
    assert not names, (dict(enumerate(SCENES)), said)


def series(instance: str, scene: Scene, moment: Moment) -> list[dict[str, str]]:
    """What this exporter would serve at every scrape."""
    meters = Meters("1.0")
    meters.alert_thresholds(scene.config.alerts.memory_ratio, scene.config.alerts.latency)
    body = exposition(scene.board, config=scene.config, now=moment, collect=EVERYTHING, meters=meters)
    return [
        {
            "series": name + _braces((*labels, ("job", "hotkey-exporter"), ("instance", instance))),
            "values": f"{value}x9",
        }
        for (name, labels), value in samples(body).items()
        if name.startswith(("redis_", "hotkey_exporter_alert"))
    ]


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels if value) + "}"
