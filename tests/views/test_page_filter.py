"""What the page shows of everything: its URL says so, and every view of it has one."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.snapshot import Board, Membership, Node
from exporter.views.page.drawing import POINTS, sparkline, thinned
from exporter.views.page.filters import LIMITS, THEMES, Filter
from tests.views import shop
from tests.views.test_page import Document, html
from tests.warming.states import jobs

if TYPE_CHECKING:
    from exporter.config import Config

TEXT = st.text(max_size=30)
FILTERS = st.builds(
    Filter,
    target=TEXT, node=TEXT, db=st.none() | st.integers(0, 10**9 - 1), group=TEXT, q=TEXT,
    limit=st.sampled_from(LIMITS), theme=st.sampled_from(("", *THEMES)), pause=st.booleans(),
    key=TEXT, at=TEXT,
)  # fmt: skip


@given(FILTERS)
def test_every_view_has_a_link_that_leads_back_to_it(wanted: Filter) -> None:
    """The URL holds all of the view's state, whatever names are in it, and no name can leave its parameter."""
    link = wanted.link()
    assert link.startswith("?")
    assert Filter.of(dict(parse_qsl(link[1:], keep_blank_values=True))) == wanted


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.sampled_from(["target", "db", "limit", "theme", "pause", "q", "key", "at", "utm_source"]), st.text()
    )
)
def test_no_link_is_wrong(parameters: dict[str, str]) -> None:
    """What means nothing counts as not given: a page for people has no 400."""
    wanted = Filter.of(parameters)
    assert wanted.limit in LIMITS
    assert html(wanted=wanted)


@pytest.mark.parametrize(
    ("wanted", "there", "gone"),
    [
        (Filter(target="queue"), ("queue:mails",), ("flash-sale:banner", "RedisDown")),
        (Filter(node="10.0.0.1:6379"), ("flash-sale:banner",), ("queue:mails", "RedisDown")),
        (Filter(db=3), ("queue:mails",), ("lock:worker", "flash-sale:banner")),
        (Filter(q="PRICE"), ("product:8841:price", "product:1207:price"), ("product:8841:stock", "queue:mails")),
        (Filter(group="product:*:price"), ("product:1207:price",), ("product:8841:stock", "flash-sale:banner")),
        (Filter(target="none such"), ("No window is fresh",), ("flash-sale:banner",)),
        (Filter(q="none such"), ("None of the hot keys",), ("flash-sale:banner",)),
    ],
)
def test_a_filter_leaves_out_the_rest(wanted: Filter, there: tuple[str, ...], gone: tuple[str, ...]) -> None:
    """By target, node, database, group and a part of the name, in the table of keys and in the alerts."""
    page = html(wanted=wanted)
    text = page[page.index('id="alerts"') : page.index('id="nodes"')]
    assert [one for one in there if one not in text] == []
    assert [one for one in gone if one in text] == []


def test_what_is_chosen_stays_in_the_form() -> None:
    """Also where it is not known any more: a filter that is not seen cannot be taken away."""
    text = html(wanted=Filter(target="gone", db=9, group="gone:*", q='a"b'))
    for value in ("gone", "9", "gone:*"):
        assert f'<option value="{value}" selected="selected">' in text
    assert 'value="a&quot;b"' in text
    assert ">clear</a>" in text
    assert ">clear</a>" not in html()


def test_a_pause_is_a_link_and_stops_the_reloading() -> None:
    """Without the script the page reloads itself, unless it was asked not to."""
    assert 'http-equiv="refresh"' in html()
    paused = html(wanted=Filter(pause=True, q="price"))
    assert 'http-equiv="refresh"' not in paused
    assert '<a class="button" id="pause" href="?q=price">Resume</a>' in paused


def test_the_theme_is_a_link() -> None:
    """Auto, dark, light and round again; the page says to the browser which it is."""
    assert ">Theme: auto</a>" in html()
    dark = html(wanted=Filter(theme="dark"))
    assert '<html lang="en" data-theme="dark">' in dark
    assert 'id="theme" href="?theme=light"' in dark


def test_warming_jobs_show_their_progress() -> None:
    """How far a run is, compared with the last one; how the last run ended, and whether warmed keys were read."""
    board = shop.shop_board()
    jobs(board.warmth)
    page = html(board)
    text = Document(page).text
    for said in ("250 of about 1,000 keys", "running, 12 keys so far", "partial", "1 m ago", "30 of 40", "99 %"):
        assert said in text.replace("\n", " ")
    assert '<progress value="250" max="1000"' in page
    assert ">idle</code>" in page
    assert ">idle</code>" not in html(board, wanted=Filter(target="cache"))


def test_shards_share_the_load() -> None:
    """The share of each shard in its target's accesses, the highest first; nothing where there is only one."""
    board = Board((Node("cluster", "a:1"), Node("cluster", "b:1")))
    config = shop.with_targets(shop.shop_config(), {"name": "cluster", "url": "redis://a:1"})
    for node, rate in zip(board.nodes, (300.0, 900.0), strict=True):
        board.publish(node, shop.status())
        board.publish(node, replace(shop.hot_keys(), accesses_per_second=rate))
        board.publish(node, Membership(f"shard-{node.addr[0]}", ""))
    text = Document(html(board, config)).text.partition("Shards")[2]
    assert text.index("shard-b") < text.index("75 %") < text.index("shard-a") < text.index("25 %")
    assert "Shards" not in html()


def many(targets: int) -> tuple[Board, Config]:
    """A board with so many busy targets, each with keys, groups and a look over its keys."""
    nodes = tuple(Node(f"cache-{number:02}", f"10.0.1.{number}:6379") for number in range(targets))
    board = Board(nodes)
    described = [{"name": node.target, "url": f"redis://{node.addr}"} for node in nodes]
    for number, node in enumerate(nodes):
        board.publish(node, replace(shop.status(), down="refused" if number == 7 else None))
        for value in (shop.hot_keys(), shop.state(), shop.totals(), shop.facts(), shop.keyspace()):
            board.publish(node, value)
    return board, shop.with_targets(shop.shop_config(), *described)


def test_fifty_targets_are_a_light_page() -> None:
    """A table instead of cards, those that are down first; the rows are bounded, and it is written in a moment."""
    board, config = many(50)
    page = html(board, config)
    began = time.process_time()
    page = html(board, config)
    seconds = time.process_time() - began
    print(f"{len(page):,} bytes in {1000 * seconds:.1f} ms")
    assert len(page) < 100_000
    assert seconds < 0.25
    assert page.count("<tr") < 120
    nodes = page[page.index('id="nodes"') :]
    assert nodes.index("cache-07") < nodes.index("cache-00") < nodes.index("cache-49")


@given(st.lists(st.none() | st.floats(0, 1e12), max_size=400))
def test_a_sparkline_is_bounded_and_inside_its_box(values: list[float | None]) -> None:
    """Never more points than it is wide, gaps left open, and no coordinate outside of the picture."""
    drawn = sparkline(tuple(values))
    assert (drawn is None) == all(value is None for value in values)
    if drawn is not None:
        numbers = drawn.split('d="')[1].split('"')[0].replace("M", " ").replace("L", " ").split()
        assert all(0 <= float(x) <= 120 for x in numbers[::2])
        assert all(0 <= float(y) <= 24 for y in numbers[1::2])
        assert len(numbers) <= 4 * POINTS
    assert len(thinned(values)) <= POINTS


def test_peaks_survive_thinning() -> None:
    """A flare of ten seconds is what is looked for; it must not fall between two points."""
    values: list[float | None] = [1.0] * 360
    values[123] = 99.0
    assert max(value for value in thinned(values) if value is not None) == 99.0
