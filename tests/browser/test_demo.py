"""The demo as a newcomer sees it: in a real browser, from the first moment on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import wait_for

if TYPE_CHECKING:
    from tests.browser.conftest import OpenTab
    from tests.program import StartExporter


@pytest.mark.live
@pytest.mark.slow
def test_the_flare_of_the_demo_is_seen_to_rise(start_exporter: StartExporter, open_tab: OpenTab) -> None:
    """Without a touch a product goes to the top, with curves, types and sizes; no error on the way."""
    demo = start_exporter(command="demo")
    tab = open_tab(f"{demo.url}/")
    wait_for(lambda: any(key.startswith("product:") for key in tab.keys()[:1]), 60, "the flare at the top")
    wait_for(lambda: tab.page.locator("#hotkeys .spark").count() > 10, 60, "the curves")
    wait_for(lambda: "string" in tab.page.locator("#hotkeys tbody").inner_text(), 60, "the types")
    assert "source monitor" in tab.page.locator("#nodes").inner_text()
    assert tab.page.locator("#groups a").count() > 3
