"""The table of `top`: what is chosen, how it is written, and what a key press changes."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from exporter.top import screen
from exporter.top.keyboard import split
from exporter.top.table import SORTS, View, chosen, deviation, life, number, place, size


def row(key: str, rate: float | None, **more: Any) -> dict[str, Any]:
    """One key of the document."""
    return {"rank": 1, "target": "cache", "addr": "10.0.0.1:6379", "db": 0, "key": key, "accesses_per_second": rate,
            "low": rate, "high": rate, "share_ratio": 0.1, "reads_per_second": rate, "writes_per_second": 0.0,
            "type": None, "memory_bytes": None, "ttl_seconds": None, **more}  # fmt: skip


DOCUMENT = {
    "targets": [{"target": "cache", "addr": "10.0.0.1:6379", "source": "monitor", "observed_seconds": 58.2,
                 "commands_per_second": 123456.0, "duty_ratio": 0.021}],
    "hotkeys": [row("user:1", 900.0, memory_bytes=2048, ttl_seconds=90061.0), row("cart:2", 50.0, memory_bytes=64),
                row("user:3", 5.0), row("lfu-only", None)],
}  # fmt: skip


def shown(view: View, width: int = 120, height: int = 24, document: dict[str, Any] = DOCUMENT) -> list[str]:
    """The lines of one screen."""
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(screen(document, "cache", "", view, width, height))
    return captured.get().splitlines()


def names(view: View) -> list[str]:
    """The chosen keys in order."""
    return [one["key"] for one in chosen(DOCUMENT, view)]


def test_order_and_filter() -> None:
    """Figures descend, names ascend, `reverse` turns that round, what is unknown comes last; filters ignore case."""
    assert names(View()) == ["user:1", "cart:2", "user:3", "lfu-only"]
    assert names(View(reverse=True)) == ["user:3", "cart:2", "user:1", "lfu-only"]
    assert names(View(sort="key")) == ["cart:2", "lfu-only", "user:1", "user:3"]
    assert names(View(sort="size"))[:2] == ["user:1", "cart:2"]
    assert names(View(filter="USER")) == ["user:1", "user:3"]
    assert names(View(rows=1)) == ["user:1"]


def test_key_presses() -> None:
    """Each key does what the foot says; while the filter is typed they are letters."""
    view = View()
    for _ in SORTS:
        view = view.after("s")
    assert view == View(), "sorting goes round"
    assert View().after("p").paused
    assert View().after("p").after("p") == View()
    typed = View().after("/")
    for key in "ps\x7f\r":
        typed = typed.after(key)
    assert typed == View(filter="p")
    assert typed.after("/").after("\x1b") == View()
    assert View().after("x") == View()
    assert View(rows=100).after("+").rows == 100
    assert View(rows=5).after("-").rows == 5


def test_a_row_is_pointed_at_and_opened() -> None:
    """Arrows point at keys, which keep the mark when the order changes; Enter opens it, Esc leads back."""
    rows = chosen(DOCUMENT, View())
    view = View().after("down", rows).after("down", rows)
    assert view.marked == place(rows[1])
    assert view.after("up", rows).marked == view.after("up", rows).after("up", rows).marked == place(rows[0])
    assert view.after("end", rows).marked == view.after("end", rows).after("down", rows).marked == place(rows[-1])
    assert view.after("down", rows[::-1]).marked == place(rows[0]), "it is the key that is marked, not the line"
    opened = view.after("\r", rows)
    assert opened.opened == view.marked
    assert opened.after("s", rows) == opened.after("down", rows) == opened, "what is not on this screen does nothing"
    assert opened.after("p", rows).paused
    assert opened.after("\x1b", rows) == view
    assert View().after("\r", rows).opened == place(rows[0]), "the first one if none is pointed at"
    assert View().after("\r", ()) == View().after("up", ()) == View()


def test_keys_of_a_terminal() -> None:
    """Arrows are sequences that begin with Escape, which is a key by itself, too; several may come at once."""
    assert split("q\x1b[A\x1bOB\x1b\r\x1b[5~é") == ["q", "up", "down", "\x1b", "\r", "other", "é"]
    typing = View(typing=True).after("up").after("other").after("é")
    assert typing.filter == "é"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 10)])
def test_a_screen_fits(width: int, height: int) -> None:
    """No line is wider than the terminal and there are no more of them, however long a key is."""
    document = {**DOCUMENT, "hotkeys": [row(f"{n}:" + "k" * 128, 10.0) for n in range(100)]}
    lines = shown(View(rows=100), width, height, document)
    assert max(map(len, lines)) <= width
    assert len(lines) <= height


def test_what_stands_on_it() -> None:
    """The headline says source and cost, a row says rate, error, size and life."""
    text = "\n".join(shown(View()))
    for piece in ("123,456 commands/s", "2.1%", "monitor", "900", "exact", "2.0 KiB", "1d1h", "user:1", "q quit"):
        assert piece in text
    assert "PAUSED" in "\n".join(shown(View(paused=True)))
    assert not [line for line in shown(View(), document={"targets": [], "hotkeys": []}) if "None" in line]


def test_markup_in_a_key_is_text() -> None:
    """A key name is never taken for markup or for control of the terminal (the API has escaped that)."""
    document = {**DOCUMENT, "hotkeys": [row("[bold red]x[/] \\x1b[2J", 10.0)]}
    assert any("[bold red]x[/] \\x1b[2J" in line for line in shown(View(), document=document))


def test_figures_for_people() -> None:
    """Three digits, binary units, two units of time, a dash for what is unknown."""
    assert [number(value) for value in (None, 0.123, 12.34, 1234567.0)] == ["-", "0.12", "12.3", "1,234,567"]
    assert [size(value) for value in (None, 12, 2048, 5 << 20, 3 << 40)] == [
        "-",
        "12 B",
        "2.0 KiB",
        "5.0 MiB",
        "3072 GiB",
    ]
    assert [life(value) for value in (None, 5.4, 65, 7260, 90061)] == ["-", "5s", "1m5s", "2h1m", "1d1h"]
    spread = {"accesses_per_second": 100.0, "low": 90.0, "high": 115.0}
    rows = (row("k", 1.0), spread, {**spread, "low": 99.9, "high": 100.1}, row("k", None))
    assert [deviation(one) for one in rows] == ["exact", "15%", "<1%", "-"]
