"""What a server itself says of its hot keys, as it is shown: null where nothing is known, masked like all names."""

from __future__ import annotations

from dataclasses import replace

from exporter.keynames import KeyNames
from exporter.snapshot import Board, NativeKey, NativeKeys, SamplingState, Source
from exporter.views.hotkeys import api
from exporter.views.native import shown
from exporter.views.reading import Moment, Reading, read
from tests.views import shop


def readings(native: NativeKeys, state: SamplingState | None = None, now: Moment = shop.NOW) -> tuple[Reading, ...]:
    """The cache without a window of MONITOR."""
    board = Board((shop.CACHE,))
    board.publish(shop.CACHE, shop.status())
    board.publish(shop.CACHE, native)
    if state:
        board.publish(shop.CACHE, state)
    return read(board, shop.shop_config(), now)


def test_it_stands_in_for_monitor_and_says_why() -> None:
    """While MONITOR is denied the source is the other one; while MONITOR is in use it is not."""
    native = replace(shop.native(), reason="denied")
    [reading] = readings(native, SamplingState(Source.NONE, "denied"))
    assert (reading.source, reading.reason, reading.stands_in) == ("hotkeys", "denied", True)
    [reading] = readings(native, SamplingState(Source.MONITOR, "full"))
    assert (reading.source, reading.reason, reading.stands_in) == ("monitor", "full", False)
    [reading] = readings(shop.native(), SamplingState(Source.NONE, "loading"))
    assert (reading.source, reading.reason) == ("none", "loading")


def test_old_figures_are_withheld() -> None:
    """After 20 s without news the server's figures are gone, and the source is none again."""
    late = Moment(shop.native().taken_at + 20.1, shop.NOW.wall)
    [reading] = readings(replace(shop.native(), reason="denied"), SamplingState(Source.NONE, "denied"), late)
    assert reading.native is None
    assert (reading.source, reading.reason) == ("none", "denied")


def test_rates_are_null_where_there_are_none() -> None:
    """The rows have the contract's fields, with null for every rate of ours, and what the server says beside them."""
    answer = api(readings(replace(shop.native(), reason="denied")), KeyNames(), shop.NOW, 10)
    first = answer["hotkeys"][0]
    assert (first["rank"], first["db"], first["key"]) == (1, None, "product:8841:price")
    assert first["accesses_per_second"] is first["low"] is first["high"] is first["share_ratio"] is None
    assert first["cpu_seconds_per_second"] == 0.021
    assert [row["rank"] for row in answer["hotkeys"]] == [1, 2, 3, 4]
    contract = list(api(read(shop.shop_board(), shop.shop_config(), shop.NOW), KeyNames(), shop.NOW, 1)["hotkeys"][0])
    assert list(first)[: len(contract)] == contract


def test_names_are_masked_and_added_up() -> None:
    """No credential is shown; keys that are written alike add up, of their counters the highest stands."""
    assert not any("0f3a9c1d" in key.key for key in shown(shop.native(), KeyNames()))
    keys = tuple(NativeKey(0, b"user:%d" % n, network_bytes_per_second=10.0, frequency=n) for n in (3, 9))
    native = replace(shop.native(), keys=keys)
    [one] = shown(native, KeyNames(privacy="group"))
    assert (one.key, one.network_bytes_per_second, one.frequency) == ("user:*", 20.0, 9)
