"""Health of the process and of Redis."""

from __future__ import annotations

from exporter.snapshot import Board
from exporter.views.health import down_targets, process, redis
from exporter.views.reading import read
from tests.views import shop


def test_the_process_is_well_while_all_parts_run() -> None:
    """One part that ended makes it fail, and is named."""
    assert process({"a": True}, "1.0", 2.0)["status"] == "ok"
    assert process({}, "1.0", 2.0)["status"] == "ok"
    body = process({"a": True, "sampler": False}, "1.0", 2.00049)
    assert body == {
        "status": "failing", "version": "1.0", "uptime_seconds": 2.0,
        "parts": [{"name": "a", "alive": True}, {"name": "sampler", "alive": False}],
    }  # fmt: skip


def test_a_target_is_down_when_none_of_its_nodes_is_up() -> None:
    """Also a target that has no node at all; of one target if asked so."""
    config = shop.shop_config()
    assert down_targets(read(shop.shop_board(), config, shop.NOW), config) == ["sessions"]
    assert down_targets(read(shop.shop_board(), config, shop.NOW), config, "cache") == []
    assert down_targets((), config) == ["cache", "queue", "sessions"]


def test_a_node_that_is_up_shows_its_state_and_ten_keys() -> None:
    """Role, latency, memory, hit ratio, sampling, and the hottest keys as they may be written."""
    readings = read(shop.shop_board(), shop.shop_config(), shop.NOW)
    cache = redis(readings, shop.NAMES, shop.NOW, ["sessions"])["nodes"][0]
    assert (cache["status"], cache["reason"], cache["role"], cache["latency_seconds"]) == (
        "up",
        None,
        "master",
        0.00041,
    )
    assert cache["memory"] == {
        "used_bytes": 3_650_722_201, "maxmemory_bytes": 4_294_967_296, "policy": "allkeys-lru",
    }  # fmt: skip
    assert cache["hit_ratio"] == {"1m": 0.9731, "5m": 0.9688}
    assert cache["sampling"]["up"]
    assert [key["rank"] for key in cache["hotkeys"]] == list(range(1, 11))
    assert cache["hotkeys"][4]["key"] == "session:*~25e1ba11"


def test_a_node_that_is_down_shows_why_and_no_old_figures() -> None:
    """What it said before it went down is not repeated."""
    readings = read(shop.shop_board(), shop.shop_config(), shop.NOW)
    body = redis(readings, shop.NAMES, shop.NOW, ["sessions"])
    node = body["nodes"][2]
    assert (body["status"], body["down"]) == ("down", ["sessions"])
    assert (node["status"], node["reason"], node["detail"]) == ("down", "refused", "10.0.0.3:6380: connect: refused")
    assert (node["latency_seconds"], node["memory"], node["hit_ratio"], node["hotkeys"]) == (None, None, None, [])


def test_a_node_that_nobody_asked_yet_has_the_same_shape() -> None:
    """Every field is there from the start."""
    config = shop.shop_config()
    full = redis(read(shop.shop_board(), config, shop.NOW), shop.NAMES, shop.NOW, [])["nodes"][0]
    empty = redis(read(Board((shop.CACHE,)), config, shop.NOW), shop.NAMES, shop.NOW, ["cache"])["nodes"][0]
    assert list(empty) == list(full)
    assert empty["reason"] == "starting"
