"""The details of one key on a terminal: readable at 80 columns, whatever the key is called and whoever calls it."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from exporter.errors import CommandFailed
from exporter.top import Seen
from exporter.top.details import key_screen
from exporter.top.table import View, place
from tests.top.test_table import DOCUMENT, row

PART = {"accesses_per_second": 9_000.4, "share_ratio": 0.75, "share_low": 0.7, "share_high": 0.8}
EXACT = {"accesses_per_second": 3_000.0, "share_ratio": 0.25, "share_low": 0.25, "share_high": 0.25}


def client(port: int, name: str | None, command: str = "get", address: str = "10.0.0.7") -> dict[str, Any]:
    """One caller."""
    return {"client": f"{address}:{port}", **PART, "name": name, "user": "default",
            "commands": [{"command": command, **PART, "share_ratio": 0.75}]}  # fmt: skip


def document(key: str = "user:1", **more: Any) -> dict[str, Any]:
    """The answer of the API."""
    return {
        **row(key, 12_000.4), "low": 11_000.0, "high": 13_000.0, "type": "string", "encoding": "embstr", "slot": None,
        "keys": 1, "source": "monitor", "memory_bytes": 2048, "ttl_seconds": 303.0,
        "history": {"step_seconds": 10, "accesses_per_second": [0.0, 5.0, None, 10.0]},
        "focus": {
            "since": "2026-01-01T12:31:05.000Z", "seconds": 42.0, "observed_seconds": 0.7, "accesses_seen": 1320,
            "commands": [{"command": "get", **PART}, {"command": "set", **EXACT}],
            "clients": [client(40_000, "web-1"), client(40_001, None, "set")],
        },
        **more,
    }  # fmt: skip


def lines(found: dict[str, Any], problem: str = "", width: int = 80, height: int = 24) -> list[str]:
    """The screen."""
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(key_screen(found, problem, width, height))
    return captured.get().splitlines()


def test_what_stands_on_it() -> None:
    """Who calls it and by which commands, rate and interval, size, life, history, and since when that is known."""
    text = "\n".join(lines(document()))
    for piece in (
        "user:1", "cache 10.0.0.1:6379  db 0  string embstr  2.0 KiB  ttl 5m3s",
        "12,000 accesses/s  ±8% (11,000 to 13,000)",
        "last 40s  ▁▅ █  up to 10.0/s", "looking since 12:31:05 UTC: 0.7 s of 42.0 s observed, 1,320 accesses",
        "9,000  75.0%  70% to 80%  get", "3,000  25.0%       exact  set", "10.0.0.7:40000  web-1", "get 75.0%",
        "Esc back",
    ):  # fmt: skip
        assert piece in text, piece


def test_the_beginning_and_other_sources() -> None:
    """Before anything was seen, and where nothing can be."""
    empty = {**document()["focus"], "commands": [], "clients": [], "observed_seconds": 0.0}
    assert "callers: looking since 12:31:05 UTC" in "\n".join(lines(document(focus=empty)))
    other = "\n".join(lines(document(focus=None, source="lfu", history=None, db=None)))
    assert "callers are known from MONITOR only; the source here is lfu" in other
    assert "no history yet" in other
    assert "None" not in "\n".join(lines({"target": "a", "addr": "b", "db": 0, "key": "k"}))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (60, 16)])
@pytest.mark.parametrize("key", ["k", "k" * 128, "\\x00\\x1b[2J" * 10, "[bold red]x[/]", "鍵" * 60, ""])
def test_it_fits(width: int, height: int, key: str) -> None:
    """No line is too wide, and no more of them than the terminal has, with any number of callers."""
    many = document(key)
    many["focus"]["clients"] = [client(n, "n" * 64, address="[2001:db8:0:0:1:2:3:4]") for n in range(20)]
    many["focus"]["commands"] = [{"command": f"command{n}", **PART} for n in range(20)]
    shown = lines(many, "the key is not among the hot keys any more", width, height)
    assert max(Console(width=500).measure(line).maximum for line in shown) <= width
    assert len(shown) <= height
    assert key[:20] in "\n".join(shown)
    assert sum("2001:db8" in line for line in shown) >= (1 if height < 24 else 4)


class Source:
    """Answers, until it is told not to."""

    name = "cache"
    fails = ""

    def read(self, limit: int) -> dict[str, Any]:
        """The figures."""
        return DOCUMENT

    def details(self, where: Any) -> dict[str, Any]:
        """Those of one key."""
        if self.fails:
            raise CommandFailed(self.fails)
        return document(where[3])

    def problem(self) -> str:
        """None."""
        return ""

    def close(self) -> None:
        """Nothing to end."""


def test_enter_asks_at_once_and_a_lost_key_keeps_its_last_figures() -> None:
    """The details are there with the key press; when the key cools down it is said, and the last figures stay."""
    source = Source()
    seen = Seen(View()).renewed(source).after("\r", source, 24)
    assert seen.view.opened == place(DOCUMENT["hotkeys"][0])
    assert seen.details
    assert seen.details["key"] == "user:1"
    source.fails = "the key is not among the hot keys any more"
    lost = seen.renewed(source)
    assert (lost.problem, lost.details) == (source.fails, seen.details)
    back = lost.after("\x1b", source, 24)
    assert (back.view.opened, back.details, back.problem) == (None, None, "")
