"""The page: complete without JavaScript, harmless whatever the keys are called, and free of anything inline."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.snapshot import Board, GroupRate, HotKey, SamplingState, Source
from exporter.views.alerts import active
from exporter.views.markup import Html, tag
from exporter.views.page.details import opened_key
from exporter.views.page.document import page
from exporter.views.page.filters import Filter
from exporter.views.page.known import Known
from exporter.views.reading import Moment, read
from exporter.views.words import REASONS, quantity, reason, share, size, span
from tests.views import shop

if TYPE_CHECKING:
    from exporter.config import Config

VOID = {"meta", "link", "input"}
ASSETS = {"page.css": "assets/page.css?v=1", "page.js": "assets/page.js?v=2"}


class Document(HTMLParser):
    """Reads a page: its elements, its text, and whether every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Every end belongs to the last start."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the text."""
        self.text += data + "\n"

    def all(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of one kind."""
        return [attributes for tag, attributes in self.elements if tag == name]


def html(
    board: Board | None = None, config: Config | None = None, seconds: float = 0.0, wanted: Filter | None = None
) -> str:
    """The page of a Board."""
    config, now = config or shop.shop_config(), Moment(shop.NOW.monotonic + seconds, shop.NOW.wall)
    board = board or shop.shop_board()
    readings = read(board, config, now)
    alerts = active(readings, config, shop.NAMES)
    wanted = wanted or Filter()
    opened = opened_key(board, readings, shop.NAMES, wanted, now)
    known = Known(readings, alerts, board.warmth.jobs, board.history, shop.NAMES, now, opened)
    return page(known, wanted, "0.1.0", ASSETS).decode()


def test_the_page_is_whole_without_its_script() -> None:
    """Nodes, alerts, keys, groups and cost are all in the first answer, in sections that the script can find."""
    document = Document(html())
    sections = {one.get("id") for one in document.all("section")}
    assert sections == {"nodes", "alerts", "details", "hotkeys", "native", "shards", "groups", "cost", "warming"}
    for text in ("flash-sale:banner", "RedisDown", "product:*:price", "Sampling cost", "131,402", "refused"):
        assert text in document.text
    assert "refresh" in {one.get("http-equiv") for one in document.all("meta")}


def test_nothing_is_inline() -> None:
    """No style, no script and no handler in the document: what the content security policy forbids is not there."""
    document = Document(html())
    assert document.all("style") == []
    assert document.all("script") == [{"src": "assets/page.js?v=2", "type": "module"}]
    for _, attributes in document.elements:
        assert not any(name == "style" or name.startswith("on") for name in attributes)


def test_links_are_relative() -> None:
    """The page works behind a proxy that puts it under a path of its own."""
    for attributes in Document(html()).all("a"):
        assert re.match(r"[a-z?#]", attributes["href"] or "")
        assert "://" not in (attributes["href"] or "")


KEYS = st.one_of(st.binary(min_size=1, max_size=30), st.text("<>&\"'/ script=on`", min_size=1).map(str.encode))


@given(key=KEYS, group=st.text(min_size=1, max_size=20), detail=st.text(max_size=20))
def test_no_name_becomes_markup(key: bytes, group: str, detail: str) -> None:
    """Whatever keys, groups and errors contain, the document has the same elements as with harmless ones."""

    def elements(key: bytes, group: str, detail: str) -> list[str]:
        board = shop.shop_board()
        keys = (HotKey(0, key, 9.0, 8.0, 10.0, 0.5, 9.0, 0.0),)
        board.publish(shop.CACHE, replace(shop.hot_keys(), keys=keys, groups=(GroupRate(0, group, 1.0),)))
        board.publish(shop.SESSIONS, replace(shop.status(), down="auth", detail=f"x{detail}"))
        return [name for name, _ in Document(html(board)).elements]

    assert elements(key, group, detail) == elements(b"harmless", "harmless", "harmless")


def test_a_script_as_a_key_is_text() -> None:
    """It is shown as it is called."""
    text = html()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_interval_is_beside_the_estimate() -> None:
    """Plus and minus half of it; exact where everything was observed."""
    text = Document(html()).text
    assert "± 1,459" in text
    assert "exact" in text


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (SamplingState(Source.NONE, "denied"), "may not run MONITOR"),
        (SamplingState(Source.NONE, "new word"), "new word"),
    ],
)
def test_the_page_says_why_there_is_nothing(state: SamplingState, text: str) -> None:
    """A node without a window shows the reason in a sentence, an unknown one as it is."""
    board = Board((shop.CACHE,))
    board.publish(shop.CACHE, shop.status())
    board.publish(shop.CACHE, state)
    assert text in Document(html(board)).text


def test_an_old_window_is_not_shown() -> None:
    """Keys, groups and the load of a stale window are gone, and the page says that it is stale."""
    text = Document(html(seconds=5)).text
    assert "flash-sale" not in text
    assert "No window is fresh enough" in text
    assert "stale" in text


def test_an_empty_board_makes_a_page() -> None:
    """Before anything is known the page is there, with its nodes starting."""
    assert "starting" in Document(html(Board((shop.CACHE,)))).text
    assert "No window" in Document(html(Board())).text


def test_the_title_says_the_worst() -> None:
    """A tab tells what matters most: nodes that are down, else alerts."""
    assert "<title>1 down · hotkey-exporter</title>" in html()
    quiet = Board((shop.CACHE,))
    quiet.publish(shop.CACHE, shop.status())
    assert "<title>hot keys · hotkey-exporter</title>" in html(quiet)


@given(text=st.text(), attribute=st.text())
def test_text_and_attributes_are_escaped(text: str, attribute: str) -> None:
    """What is not markup already never becomes markup."""
    markup = tag("p.a.b", text, Html("<br/>"), None, at={"title": attribute})
    assert markup.count("<") == 3
    assert markup.startswith('<p class="a b" title="')
    assert isinstance(markup, Html)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (quantity(0.42), "0.42"), (quantity(7.125), "7.1"), (quantity(5.0), "5"), (quantity(38.4), "38"),
        (quantity(12_345.6), "12,346"), (quantity(0.0), "0"),
        (share(0.0), "0 %"), (share(0.00001), "< 0.1 %"), (share(0.0312), "3.1 %"), (share(0.65), "65 %"),
        (share(1.0), "100 %"),
        (size(0), "0 B"), (size(72), "72 B"), (size(1_434), "1.4 KiB"), (size(1_048_576), "1 MiB"),
        (size(943_718_400), "900 MiB"), (size(5 * 2**50), "5120 TiB"),
        (span(0), "0 s"), (span(0.00041), "0.41 ms"), (span(0.21), "210 ms"), (span(9.4), "9 s"),
        (span(252), "4 m 12 s"), (span(3_600), "1 h"), (span(187_200), "2 d 4 h"), (span(0.9999), "1 s"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(shown: str, text: str) -> None:
    """About three figures, with a unit."""
    assert shown == text


def test_every_reason_has_a_sentence() -> None:
    """All reasons of the closed sets are explained; a word that is not known stands for itself."""
    assert all(reason(word).endswith(".") for word in REASONS)
    assert reason("never heard of") == "never heard of"
