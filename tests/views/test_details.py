"""Details of one key: found by its written name only, complete, and nothing that the settings hide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.focus import LASTS_SECONDS, Callers, Client, FocusedKeys, Part
from exporter.keynames import KeyNames
from exporter.snapshot import HotKeys, NativeKey, NativeKeys, Source
from exporter.views.details import Match, Wanted, api, look_closely, matches, text
from exporter.views.hotkeys import api as listing
from exporter.views.reading import Moment, read
from tests.views import shop

if TYPE_CHECKING:
    from exporter.snapshot import Board

WEB, APP = b"10.0.0.7:40000", b"10.0.0.8:40001"
PRICE = b"product:8841:price"


def callers(key: bytes = PRICE) -> FocusedKeys:
    """Two clients of a key: one reads, one writes."""
    parts = [Part(WEB, b"", 9_000.0, 0.75, 0.7, 0.8), Part(APP, b"", 3_000.0, 0.25, 0.2, 0.3)]
    pairs = [replace(one, command=name) for one, name in zip(parts, (b"get", b"set"), strict=True)]
    commands = [replace(one, client=b"") for one in pairs]
    known = Callers(0, key, 12_000.0, 320, 0.7, 42.0, tuple(commands), tuple(parts), tuple(pairs))
    return FocusedKeys((known,), shop.NOW.monotonic - 0.5)


def found(board: Board, key: str, names: KeyNames = shop.NAMES, **where: Any) -> list[Match]:
    """What is called so."""
    return matches(read(board, shop.shop_config(), shop.NOW), names, Wanted(key, **where))


def answer(board: Board, key: str, names: KeyNames = shop.NAMES, now: Moment = shop.NOW) -> dict[str, Any]:
    """The JSON of the only match on the cache."""
    (match,) = found(board, key, names, node=shop.CACHE.addr)
    return api(look_closely(board, match, now), now)


def test_the_first_question_begins_the_focus() -> None:
    """What the window knows is there at once; of the callers only since when somebody looks."""
    board = shop.shop_board()
    first = answer(board, PRICE.decode())
    row = listing(read(board, shop.shop_config(), shop.NOW), shop.NAMES, shop.NOW, 100)["hotkeys"][1]
    assert {name: first[name] for name in row} == row
    assert (first["encoding"], first["slot"], first["keys"]) == ("embstr", None, 1)
    assert first["history"]["step_seconds"] == 10
    assert first["history"]["accesses_per_second"] == [pytest.approx(12_904.25)]
    assert first["history"]["end"] <= first["generated_at"], "the value is of the ten seconds before"
    assert first["focus"] == {
        "since": shop.NOW.iso, "lasts_seconds": LASTS_SECONDS, "seconds": 0.0, "observed_seconds": 0.0,
        "accesses_seen": 0, "commands": [], "clients": [], "other_clients_share_ratio": None,
    }  # fmt: skip
    assert board.focus.wanted(shop.CACHE, shop.NOW.monotonic) == {(0, PRICE)}


def test_then_the_callers_are_known() -> None:
    """Commands and clients with rate, share and interval; names as the server has them; since when."""
    board = shop.shop_board()
    answer(board, PRICE.decode(), now=Moment(shop.NOW.monotonic - 43.0, shop.NOW.wall - 43.0))
    board.publish(shop.CACHE, callers())
    board.focus.introduce(shop.CACHE, {WEB: Client("web-1", "default")})
    focus = answer(board, PRICE.decode())["focus"]
    assert focus["since"] == Moment(0.0, shop.NOW.wall - 43.0).iso
    assert (focus["seconds"], focus["observed_seconds"], focus["accesses_seen"]) == (42.0, 0.7, 320)
    assert focus["commands"][0] == {
        "command": "get", "accesses_per_second": 9_000.0, "share_ratio": 0.75, "share_low": 0.7, "share_high": 0.8,
    }  # fmt: skip
    web, app = focus["clients"]
    assert (web["client"], web["name"], web["user"]) == ("10.0.0.7:40000", "web-1", "default")
    assert (app["client"], app["name"], app["user"]) == ("10.0.0.8:40001", None, None)
    assert [one["command"] for one in app["commands"]] == ["set"]
    assert focus["other_clients_share_ratio"] == 0.0


def test_what_is_too_old_is_withheld() -> None:
    """Callers of a sampler that has stopped are no answer."""
    board = shop.shop_board()
    board.publish(shop.CACHE, replace(callers(), taken_at=shop.NOW.monotonic - 60.0))
    assert answer(board, PRICE.decode())["focus"]["clients"] == []


def test_a_name_that_is_in_several_places() -> None:
    """All of them are found; node and database choose; who does not know it is told where there are any."""
    board = shop.shop_board()
    assert [one.place for one in found(board, "queue:mails")] == [
        "target=queue&node=10.0.0.2:6379&db=0",
        "target=queue&node=10.0.0.2:6379&db=3",
    ]
    (match,) = found(board, "queue:mails", db=3)
    assert match.figures["db"] == 3
    assert found(board, "queue:mails", node="10.0.0.1:6379") == []


@pytest.mark.parametrize("names", [KeyNames(privacy="hash", secret=b"s"), KeyNames(privacy="group")])
def test_hidden_names_are_not_found_by_their_clear_name(names: KeyNames) -> None:
    """Nobody can try whether there is such a key; by what is written in its place it is found."""
    board = shop.shop_board()
    for key, written in ((one.key, names.label(one.key)) for one in shop.hot_keys().keys):
        clear = KeyNames(mask=()).label(key)
        assert written == clear or not found(board, clear, names)
        assert clear not in str(answer(board, written, names)) or written == clear


def test_keys_that_are_written_alike() -> None:
    """One of them is looked at: that which is in focus already, else the most accessed; the answer counts them."""
    board, names = shop.shop_board(), KeyNames(privacy="group")
    shown = answer(board, "product:*:price", names)
    assert (shown["keys"], shown["memory_bytes"]) == (2, None)
    assert board.focus.wanted(shop.CACHE, shop.NOW.monotonic) == {(0, PRICE)}
    keys = tuple(replace(one, rate=99_999.0) if b"1207" in one.key else one for one in shop.hot_keys().keys)
    board.publish(shop.CACHE, replace(shop.hot_keys(), keys=keys))
    answer(board, "product:*:price", names)
    assert board.focus.wanted(shop.CACHE, shop.NOW.monotonic) == {(0, PRICE)}


def test_masked_names_are_found_as_they_are_written() -> None:
    """`session:*~…` is the name of a session; which session it is nobody learns."""
    board = shop.shop_board()
    written = shop.NAMES.label(b"session:0f3a9c1d")
    assert "0f3a9c1d" not in str(answer(board, written))
    assert found(board, "session:0f3a9c1d") == []


def test_a_key_of_another_source_has_no_callers() -> None:
    """Where MONITOR is not allowed, what the server itself says is all that is known."""
    board = shop.shop_board()
    board.withdraw(shop.CACHE, HotKeys)
    keys = (NativeKey(0, b"k", accesses_per_second=7.0, frequency=143),)
    board.publish(shop.CACHE, NativeKeys(Source.LFU, "denied", keys, frozenset(), 1.0, shop.NOW.monotonic))
    shown = answer(board, "k")
    assert (shown["lfu_frequency"], shown["accesses_per_second"], shown["focus"]) == (143, None, None)
    assert board.focus.wanted(shop.CACHE, shop.NOW.monotonic) == frozenset()


def test_what_comes_from_the_stream_is_written_as_text() -> None:
    """Names of commands and addresses: printable, of bounded length."""
    assert text(b"unix:/run/\x1b[2J\xff socket") == "unix:/run/\\x1b[2J\\xff socket"
    assert text("\N{RIGHT-TO-LEFT OVERRIDE}x".encode()) == "\\x202ex"
    assert len(text(b"x" * 1000)) == 64
