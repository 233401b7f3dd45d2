"""What an alert says already: for each inhibition what becomes silent, and what must still be heard beside it."""

from __future__ import annotations

from dataclasses import dataclass

NODE = {"job": "hotkey-exporter", "instance": "e:9468", "target": "cache", "addr": "r:6379"}
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While `source` fires, `silent` are suppressed and `heard` are not."""

    source: Labels
    silent: tuple[Labels, ...]
    heard: tuple[Labels, ...] = ()


def alert(name: str, severity: str = "warning", **more: str) -> Labels:
    """An alert of a node; labels in `more` replace the node's, and an empty one is left out."""
    labels = {"alertname": name, "severity": severity, **NODE, **more}
    return {key: value for key, value in labels.items() if value}


def page(name: str, **more: str) -> Labels:
    """A critical one."""
    return alert(name, "critical", **more)


DOWN = page("RedisDown", component="fleet", master_addr="r:6379")
SATURATED = {"topic": "saturation"}
INHIBITIONS = (
    Inhibition(
        page("HotkeyExporterDown", target="", addr="", component="self"),
        (alert("RedisFragmentation"), page("RedisMasterMissing", addr=""), alert("CacheWarmingFailed", addr="")),
        (
            alert("RedisFragmentation", instance="other:9468"),
            page("HotkeyExporterDown", instance="third:9468", target="", addr=""),
            {"alertname": "Watchdog", "severity": "none"},
        ),
    ),
    Inhibition(
        page("HotkeyExporterAbsent", instance="", target="", addr=""),
        (page("RedisAvailabilityBurn", window="1h"),),
        (page("RedisDown", job="another"), {"alertname": "Watchdog", "severity": "none"}),
    ),
    Inhibition(
        DOWN,
        (
            alert("RedisAccessDenied", reason="auth"),
            page("RedisAvailabilityBurn", window="1h"),
            alert("HotKeySamplingStopped"),
            page("RedisClusterStateNotOk"),
            alert("RedisReplicaLinkDown", addr="replica:1", master_addr="r:6379"),
            alert("RedisReplicaLinkDown", target="copy", addr="replica:1", master_addr="r:6379"),
            alert("CacheWarmingFailed", addr="", component="warming", job_name="products"),
        ),
        (
            alert("RedisSlow", addr="other:1"),
            page("RedisDown", addr="third:1", master_addr="third:1"),
            alert("RedisReplicaLinkDown", addr="replica:2", master_addr="other:1"),
            alert("CacheWarmingFailed", addr="", target="another", component="warming", job_name="products"),
            alert("RedisSlow", target="another"),
        ),
    ),
    Inhibition(DOWN, (), (page("RedisMasterMissing", addr=""),)),
    Inhibition(
        page("RedisMasterMissing", addr=""),
        (
            page("RedisSentinelMasterDown", addr="s:26379", master_name="m"),
            alert("RedisReplicaLinkDown", master_addr="gone:1"),
            alert("CacheWarmingOverdue", addr="", component="warming"),
        ),
        (page("RedisSentinelQuorumLost", addr="s:26379"), page("RedisSentinelMasterDown", target="another")),
    ),
    Inhibition(
        alert("RedisLoadingLong"),
        (
            alert("RedisSlow", **SATURATED),
            alert("RedisLatencyHigh", **SATURATED),
            alert("RedisHitRatioDropped"),
            alert("RedisEvictionStorm"),
            alert("CacheWarmingFailed", addr="", component="warming"),
        ),
        (page("RedisMemoryFull", topic="memory"), alert("RedisSlow", addr="other:1", **SATURATED)),
    ),
    Inhibition(
        page("RedisClusterStateNotOk"),
        (
            page("RedisClusterSlotsFail", addr="other:1", topic="slots"),
            alert("RedisClusterSlotsPfail", topic="slots"),
            page("RedisClusterSlotsUncovered"),
        ),
        (alert("RedisClusterShardHot"), page("RedisClusterSlotsFail", target="another", topic="slots")),
    ),
    Inhibition(
        page("RedisMemoryFull", topic="memory"),
        (alert("RedisMemoryHigh", topic="memory"), alert("RedisMemoryFillsSoon", topic="memory")),
        (
            page("RedisOutOfMemoryErrors", topic="memory"),
            alert("RedisFragmentation"),
            alert("RedisMemoryHigh", topic="memory", addr="other:1"),
            alert("RedisConnectionsHigh", topic="connections"),
        ),
    ),
    Inhibition(
        page("RedisRestartLoop", topic="restart"),
        (alert("RedisRestarted", "info", topic="restart"),),
        (alert("RedisRoleChanged", "info"),),
    ),
    # A critical alert without a topic silences none without a topic.
    Inhibition(page("RedisReplicaGone"), (), (alert("RedisFragmentation"), alert("RedisSwapping"))),
    Inhibition(
        page("RedisErrorsBurn", window="1h"),
        (
            page("RedisErrorsBurn", window="6h"),
            alert("RedisErrorsBurn", window="1d"),
            alert("RedisErrorsBurn", window="3d"),
        ),
        (page("RedisAvailabilityBurn", window="6h"), page("RedisErrorsBurn", window="6h", addr="other:1")),
    ),
    Inhibition(
        page("RedisErrorsBurn", window="6h"),
        (alert("RedisErrorsBurn", window="1d"), alert("RedisErrorsBurn", window="3d")),
    ),
    Inhibition(alert("RedisErrorsBurn", window="1d"), (alert("RedisErrorsBurn", window="3d"),)),
    Inhibition(
        page("RedisHotKeySaturates", db="0", key="sale"),
        (
            alert("RedisHotKey", db="0", key="sale"),
            page("RedisMainThreadSaturated", **SATURATED),
            alert("RedisMainThreadBusy", **SATURATED),
        ),
        (alert("RedisHotKey", db="0", key="other"), alert("RedisHotKey", db="0", key="sale", addr="other:1")),
    ),
    Inhibition(
        alert("HotKeySamplingStopped"),
        (
            alert("RedisHotKey", "info", db="0", key="sale"),
            alert("RedisHotKeyLarge", db="0", key="sale"),
            alert("RedisHotKeyLabelsSuppressed", "info"),
        ),
        (alert("RedisHotKey", addr="other:1", db="0", key="sale"), alert("RedisClusterShardHot")),
    ),
)
