"""The live page in a real Chromium. Every test also proves: no console error, no request to another host."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from exporter.views.reading import Moment
from tests.browser.site import Site
from tests.servers import wait_for
from tests.views import shop
from tests.views.test_details import callers
from tests.views.test_page_filter import many
from tests.warming.states import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Request

    from exporter.snapshot import Board, HotKey
    from tests.browser.conftest import OpenTab

pytestmark = pytest.mark.live

PATIENCE = 40
"""Seconds for what takes two on an idle machine."""
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2}
HOSTILE = (
    b"<script>window.pwned = 1</script>", b"<img src=x onerror='window.pwned=1'>", b'"><svg/onload=window.pwned=1>',
    b"javascript:window.pwned=1", b"</table></main><h1>gone</h1>", b"' onmouseover='window.pwned=1", b"&lt;b&gt;",
    b"<style>body{display:none}</style>", b"constructor", b"__proto__", b"main",
)  # fmt: skip


@pytest.fixture
def board() -> Board:
    """The shop's, with warming jobs."""
    board = shop.shop_board()
    jobs(board.warmth)
    return board


@pytest.fixture
def site(board: Board) -> Iterator[Site]:
    """Its page."""
    with Site(board, shop.shop_config()) as site:
        yield site


def publish(board: Board, *keys: HotKey) -> None:
    """A new window of the busy cache."""
    board.publish(shop.CACHE, replace(shop.hot_keys(), keys=keys))


def test_what_is_new_shows_within_seconds_and_nothing_flickers(board: Board, site: Site, open_tab: OpenTab) -> None:
    """A flare goes to the top while the same rows stay the same elements, and the focus stays where it was."""
    page = open_tab(site.url)
    page.page.evaluate("document.querySelectorAll('#hotkeys tr').forEach((row) => { row.same = true })")
    link = page.page.locator("#groups a").first
    link.focus()
    name = link.inner_text()
    assert page.keys()[0] == "flash-sale:banner"
    publish(board, shop.hot_key(b"flare", 99_999.0, 148_220.0), *shop.hot_keys().keys)
    wait_for(lambda: page.keys()[0] == "flare", PATIENCE, "the flare to show")
    assert page.page.locator("#hotkeys tbody tr").nth(1).evaluate("(row) => row.same")
    assert page.page.evaluate("document.activeElement.innerText") == name


def test_a_filter_is_in_the_url_and_a_link_leads_back_to_it(site: Site, open_tab: OpenTab) -> None:
    """Typing narrows the table without a reload; the URL is a permanent link; going back takes the filter away."""
    tab = open_tab(site.url)
    tab.page.evaluate("window.not_reloaded = true")
    tab.page.get_by_label("key", exact=True).fill("price")
    wait_for(lambda: tab.keys() == ["product:8841:price", "product:1207:price"], PATIENCE, "the filter")
    assert tab.page.url == f"{site.url}?q=price"
    assert open_tab(tab.page.url).keys() == tab.keys()
    tab.page.get_by_label("target").select_option("queue")
    wait_for(lambda: tab.keys() == [], PATIENCE, "the second filter")
    assert tab.page.url == f"{site.url}?target=queue&q=price"
    tab.page.go_back()
    wait_for(lambda: len(tab.keys()) == 2, PATIENCE, "the way back")
    assert tab.page.evaluate("window.not_reloaded")


def test_a_password_in_the_address_is_no_hindrance(board: Board, site: Site, open_tab: OpenTab) -> None:
    """The page is opened with user and password in its URL, and keeps itself fresh nevertheless."""
    tab = open_tab(site.url)
    tab.page.goto(site.url.replace("://", "://user:password@"))
    publish(board, shop.hot_key(b"later", 99.0, 100.0))
    wait_for(lambda: tab.keys()[0] == "later", PATIENCE, "the page to go on")


def test_a_pause_keeps_what_is_seen(board: Board, site: Site, open_tab: OpenTab) -> None:
    """By keyboard, too. New figures wait until the page goes on."""
    tab = open_tab(site.url)
    tab.page.locator("#pause").focus()
    tab.page.keyboard.press("Enter")
    wait_for(lambda: tab.page.locator("#pause").inner_text() == "Resume", PATIENCE, "the pause")
    assert tab.page.locator("#state").inner_text() == "paused"
    publish(board, shop.hot_key(b"later", 99.0, 100.0))
    tab.page.wait_for_timeout(2_500)
    assert tab.keys()[0] == "flash-sale:banner"
    tab.page.locator("#pause").click()
    wait_for(lambda: tab.keys()[0] == "later", PATIENCE, "the page to go on")


def test_light_and_dark(site: Site, open_tab: OpenTab) -> None:
    """As the system wants it, unless the link in the page says otherwise; it works on a page that is open."""

    def ground(tab: Any) -> int:
        colour = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.strip("rgb()").split(",")[:3]))

    light, dark = open_tab(site.url), open_tab(site.url, color_scheme="dark")
    assert ground(light) > 600
    assert ground(dark) < 150
    light.page.locator("#theme").click()
    wait_for(lambda: ground(light) < 150, PATIENCE, "the dark theme")
    assert open_tab(light.page.url).page.url.endswith("?theme=dark")


def test_a_phone_shows_all_of_it_without_scrolling_sideways(site: Site, open_tab: OpenTab) -> None:
    """Rows become blocks; nothing of a key is left out."""
    tab = open_tab(site.url, **PHONE)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    row = tab.page.locator("#hotkeys tbody tr").first
    assert "reads/s" in row.locator("td.more").first.evaluate("(cell) => getComputedStyle(cell, '::before').content")
    assert row.bounding_box()["width"] <= 390  # type: ignore[index]


def test_without_javascript_it_is_a_plain_table(site: Site, open_tab: OpenTab) -> None:
    """All rows, the filters by their button, a pause by its link, and new figures by reloading."""
    tab = open_tab(site.url, java_script_enabled=False)
    assert len(tab.keys()) == 20
    tab.page.get_by_label("key", exact=True).fill("price")
    tab.page.get_by_role("button", name="Apply").click()
    assert tab.keys() == ["product:8841:price", "product:1207:price"]
    tab.page.locator("#pause").click()
    assert "pause=1" in tab.page.url
    assert tab.page.locator("#pause").inner_text() == "Resume"


def test_details_of_a_key_by_keyboard(board: Board, site: Site, open_tab: OpenTab) -> None:
    """Enter opens them, Escape closes them; the keyboard goes on inside, and then at the row; they renew themselves."""
    tab = open_tab(site.url)
    tab.page.evaluate("window.not_reloaded = true")
    tab.page.locator("#hotkeys tbody th a").nth(1).focus()
    tab.page.keyboard.press("Enter")
    wait_for(lambda: tab.page.evaluate("document.activeElement.id") == "close", PATIENCE, "the details")
    assert "product:8841:price" in tab.page.locator("#details h2").inner_text()
    board.publish(shop.CACHE, callers())
    wait_for(lambda: tab.page.locator("#details tbody tr").count() == 4, PATIENCE, "the callers")
    assert tab.page.evaluate("document.activeElement.id") == "close"
    assert open_tab(tab.page.url).page.locator("#details tbody tr").count() == 4
    tab.page.keyboard.press("Escape")
    wait_for(lambda: tab.page.locator("#details").inner_text() == "", PATIENCE, "the end of the details")
    assert tab.page.evaluate("document.activeElement.innerText") == "product:8841:price"
    assert tab.page.evaluate("window.not_reloaded")


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_axe_finds_nothing_serious_in_details(
    board: Board, site: Site, open_tab: OpenTab, options: dict[str, Any]
) -> None:
    """Nor does a phone have to scroll sideways; without JavaScript there are the same tables."""
    board.publish(shop.CACHE, callers())
    url = f"{site.url}?key=product%3A8841%3Aprice"
    tab = open_tab(url, **options)
    assert tab.page.locator("#details tbody tr").count() == 4
    found = Axe().run(tab.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}] == []
    assert tab.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert open_tab(url, java_script_enabled=False, **options).page.locator("#details tbody tr").count() == 4


def test_names_of_keys_never_run(board: Board, site: Site, open_tab: OpenTab) -> None:
    """Whatever they look like they are text: when the page is loaded and when they come later."""
    keys = [shop.hot_key(name, 1000.0 - place, 9_000.0) for place, name in enumerate(HOSTILE)]
    publish(board, *keys[::2])
    tab = open_tab(site.url)
    wanted = [name.decode() for name in HOSTILE]
    assert set(wanted[::2]) <= set(tab.keys())
    publish(board, *keys)
    wait_for(lambda: set(wanted) <= set(tab.keys()), PATIENCE, "the names that came later")
    publish(board, *reversed(keys))
    tab.page.wait_for_timeout(1_500)
    assert tab.page.evaluate("window.pwned") is None
    assert tab.page.locator("h1").count() == 1
    assert tab.page.locator("main script, main img, main style").count() == 0


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_axe_finds_nothing_serious(site: Site, open_tab: OpenTab, options: dict[str, Any]) -> None:
    """No serious or critical finding of axe-core's, with all panels and in both themes."""
    tab = open_tab(site.url, **options)
    found = Axe().run(tab.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}] == []


def test_the_keyboard_reaches_everything(site: Site, open_tab: OpenTab) -> None:
    """In the order in which it is read: to the keys, pause, theme, the filters, and then what is in the panels."""
    tab = open_tab(site.url)
    reached = []
    for _ in range(9):
        tab.page.keyboard.press("Tab")
        reached.append(tab.page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached[:8] == [
        "skip", "pause", "theme", "filter-target", "filter-node", "filter-db", "filter-group", "filter-q"
    ]  # fmt: skip


def test_it_is_light(open_tab: OpenTab) -> None:
    """At most 100 kB on the wire for everything, also with fifty targets; painted within a moment (0.5 s when idle)."""
    board, config = many(50)
    with Site(board, config) as site:
        tab = open_tab("about:blank#")
        finished: dict[str, Request] = {}
        tab.problems.clear()
        tab.page.on("requestfinished", lambda request: finished.setdefault(request.url.partition("?")[0], request))
        tab.origin = site.url
        tab.page.goto(site.url)
        wait_for(lambda: tab.page.evaluate("document.body.className") == "watching", PATIENCE, "the script")
        wait_for(lambda: tab.page.evaluate("1") and len(finished) >= 4, PATIENCE, "document, style and both scripts")
        size = sum(request.sizes()["responseBodySize"] for request in finished.values())
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        painted = wait_for(lambda: tab.page.evaluate(paint), PATIENCE, "the first paint")
        print(f"{size:,} bytes on the wire, painted after {painted:.0f} ms")
        assert 5_000 < size <= 100_000
        assert painted <= 15_000
        assert tab.page.locator("#nodes tbody tr").count() == 50


def test_an_exporter_that_is_gone_is_seen_at_once(board: Board, open_tab: OpenTab) -> None:
    """What is shown is marked as old, and comes back by itself."""
    began = time.monotonic()
    clock = lambda: Moment(shop.NOW.monotonic, shop.NOW.wall + time.monotonic() - began)  # noqa: E731
    with Site(board, shop.shop_config(), clock) as site:
        tab = open_tab(site.url)
        wait_for(lambda: tab.page.locator("#clock").inner_text() != "00:00:00 UTC", PATIENCE, "the clock")
    wait_for(lambda: tab.page.evaluate("document.body.className") == "lost", PATIENCE, "the loss to be seen")
    assert "unreachable" in tab.page.locator("#state").inner_text()
    # Chromium itself logs each fetch that fails.
    tab.problems[:] = [one for one in tab.problems if "ERR_CONNECTION_REFUSED" not in one]
