"""The page's details of one key: in the URL, complete without JavaScript, harmless whoever calls."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl

from exporter.focus import Client
from exporter.snapshot import HotKeys, NativeKey, NativeKeys, Source
from exporter.views.page.filters import Filter
from tests.views import shop
from tests.views.test_details import APP, PRICE, WEB, callers
from tests.views.test_page import Document, html

PRICE_AT = Filter(key=PRICE.decode(), at="cache 10.0.0.1:6379 0")


def test_every_row_leads_to_its_details() -> None:
    """By a link that keeps the rest of the view; the panel has a way back."""
    rows = Document(html(wanted=Filter(limit=100, theme="dark")))
    links = [str(one["href"]) for one in rows.all("a") if "&at=" in str(one.get("href"))]
    assert len(links) == 20
    for link in links:
        wanted = Filter.of(dict(parse_qsl(link[1:])))
        assert (wanted.limit, wanted.theme) == (100, "dark")
        shown = Document(html(wanted=wanted))
        assert "Callers are looked for since" in shown.text
        (close,) = [one for one in shown.all("a") if one.get("id") == "close"]
        assert close["href"] == "?limit=100&theme=dark"
        assert wanted.key in shown.text


def test_callers_are_two_tables() -> None:
    """Commands and clients with rate, share, interval and name."""
    board = shop.shop_board()
    board.publish(shop.CACHE, callers())
    assert html(board, wanted=PRICE_AT)
    board.focus.introduce(shop.CACHE, {WEB: Client("<b>web</b>", "default"), APP: Client("", "shop")})
    shown = Document(html(board, wanted=PRICE_AT))
    for piece in ("get", "set", "10.0.0.7:40000", "<b>web</b>", "shop", "75 %", "70 % to 80 %", "get 75 %", "embstr"):
        assert f"{piece}\n" in shown.text
    assert "700 ms of 42 s observed, 320 accesses read" in shown.text
    assert "clients that call this key" in shown.text
    assert board.focus.wanted(shop.CACHE, shop.NOW.monotonic) == {(0, PRICE)}


def test_what_there_is_not() -> None:
    """No key, one that has left, one in another place, one of another source: said, and nothing is put into focus."""
    board = shop.shop_board()
    assert 'id="details"></section>' in html(board)
    for wanted in (Filter(key="nobody"), replace(PRICE_AT, at="cache 10.0.0.1:6379 1")):
        assert "It is not among the hot keys now." in html(board, wanted=wanted)
    assert board.focus.wanted(shop.CACHE, shop.NOW.monotonic) == frozenset()
    board.withdraw(shop.CACHE, HotKeys)
    keys = (NativeKey(None, b"k", frequency=143),)
    board.publish(shop.CACHE, NativeKeys(Source.LFU, "denied", keys, frozenset(), 1.0, shop.NOW.monotonic))
    assert "Callers are known from MONITOR only." in html(board, wanted=Filter(key="k"))
