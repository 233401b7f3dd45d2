"""The list of hot keys that API, health and page share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.keynames import KeyNames
from exporter.snapshot import Board
from exporter.views.hotkeys import api, listed, shown
from exporter.views.reading import read
from tests.views import shop

ROW = ["rank", "target", "addr", "db", "key", "accesses_per_second", "low", "high", "share_ratio", "reads_per_second",
       "writes_per_second", "type", "memory_bytes", "ttl_seconds"]  # fmt: skip


def test_keys_are_sorted_even_where_the_snapshot_is_not() -> None:
    """Recently hot keys follow the window's top in a snapshot; they are shown at their own place."""
    hotkeys = replace(shop.hot_keys(), keys=shop.hot_keys().keys[::-1])
    rates = [key.rate for key in shown(hotkeys, None, shop.NAMES)]
    assert rates == sorted(rates, reverse=True)


def test_only_the_wanted_keys_are_shown() -> None:
    """A selection keeps everything else out."""
    keys = shown(shop.hot_keys(), None, shop.NAMES, {(0, b"once")})
    assert [key.key for key in keys] == ["once"]


def test_a_key_without_accesses_has_no_write_ratio() -> None:
    """Nothing divided by nothing is unknown."""
    silent = replace(shop.hot_keys(), keys=(shop.hot_key(b"k", 0.0, 1.0),))
    assert shown(silent, None, shop.NAMES)[0].write_ratio is None


def test_groups_add_up() -> None:
    """Keys that are written alike are one line, without the facts of any one of them."""
    names = KeyNames(privacy="group")
    lines = {key.key: key for key in shown(shop.hot_keys(), shop.facts(), names)}
    merged = lines["product:*:price"]
    assert merged.rate == pytest.approx(12_904.25 + 1_406.5)
    assert (merged.facts, merged.ttl_seconds) == (None, None)
    assert lines["config:*"].facts is None or lines["config:*"].facts.type == "hash"


def test_the_answer_has_the_fields_of_the_contract_in_their_order() -> None:
    """Names and order are what scripts rely on."""
    answer = api(read(shop.shop_board(), shop.shop_config(), shop.NOW), shop.NAMES, shop.NOW, 100)
    assert list(answer) == ["generated_at", "window_end", "window_seconds", "targets", "hotkeys"]
    assert answer["generated_at"] == "2026-01-01T00:00:00.250Z"
    assert (answer["window_end"], answer["window_seconds"]) == (1_767_225_600.0, 60.0)
    assert answer["targets"][0] == {
        "target": "cache", "addr": "10.0.0.1:6379", "source": "monitor", "observed_seconds": 1.0213,
        "commands_per_second": 131_402.5, "duty_ratio": 0.017,
    }  # fmt: skip
    assert all(list(row) == ROW for row in answer["hotkeys"])
    assert [row["rank"] for row in answer["hotkeys"]] == list(range(1, 21))


def test_the_limit_is_per_node() -> None:
    """Two of each node, all of them most accessed first."""
    answer = api(read(shop.shop_board(), shop.shop_config(), shop.NOW), shop.NAMES, shop.NOW, 2)
    assert [(row["target"], row["key"], row["db"]) for row in answer["hotkeys"]] == [
        ("cache", "flash-sale:banner", 0), ("cache", "product:8841:price", 0),
        ("queue", "queue:mails", 0), ("queue", "queue:mails", 3),
    ]  # fmt: skip


def test_a_database_can_be_chosen_before_the_limit_counts() -> None:
    """The top key of database 3 is found although database 0 has hotter ones."""
    rows = listed(read(shop.shop_board(), shop.shop_config(), shop.NOW), shop.NAMES, 1, db=3)
    assert [(row.node.target, key.key) for row, key in rows] == [("queue", "queue:mails")]


def test_what_is_unknown_is_null() -> None:
    """A node without a window has no figures, and a key without facts no type, size or life."""
    answer = api(read(shop.shop_board(), shop.shop_config(), shop.NOW), shop.NAMES, shop.NOW, 100)
    sessions = answer["targets"][2]
    assert (sessions["source"], sessions["observed_seconds"], sessions["duty_ratio"]) == ("none", None, None)
    once = next(row for row in answer["hotkeys"] if row["key"] == "once")
    assert (once["type"], once["memory_bytes"], once["ttl_seconds"]) == (None, None, None)


def test_without_any_window_the_configured_one_is_named() -> None:
    """An empty answer still has its shape."""
    answer = api(read(Board((shop.CACHE,)), shop.shop_config(), shop.NOW), shop.NAMES, shop.NOW, 20)
    assert (answer["window_end"], answer["window_seconds"], answer["hotkeys"]) == (None, 60.0, [])
