"""Only MONITOR clients of ours for which the server holds too much are ended; a refusal is taken as an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import redis

from exporter.link import OwnTraffic
from exporter.monitor.reaper import Reaper, stalled
from exporter.snapshot import Node
from tests.monitor.states import STATUS

MEBIBYTE = 1 << 20
CLIENTS = b"""\
id=3 addr=10.0.0.1:50001 name=hotkey-exporter flags=O omem=9437184 cmd=monitor
id=4 addr=10.0.0.1:50002 name=hotkey-exporter flags=O omem=20504 cmd=monitor
id=5 addr=10.0.0.1:50003 name=hotkey-exporter flags=N omem=9437184 cmd=info
id=6 addr=10.0.0.2:50004 name=somebody flags=O omem=94371840 cmd=monitor
id=7 addr=10.0.0.3:50005 name= flags=O omem=94371840 cmd=monitor
"""
HOLDS = replace(STATUS, largest_output_buffer_bytes=9 * MEBIBYTE)


class Asked:
    """Stands for a link: answers CLIENT LIST, and notes what else it is asked."""

    def __init__(self, answer: bytes | Exception = CLIENTS) -> None:
        self.node = Node("cache", "10.0.0.9:6379")
        self.calls: list[tuple[Any, ...]] = []
        self._answer = answer

    def call(self, *command: Any) -> Any:
        """One command."""
        self.calls.append(command)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer if command == ("CLIENT", "LIST") else 1


def reaper_on(link: Asked, own: OwnTraffic) -> Reaper:
    """A reaper that asks `link`."""
    return Reaper(link, own)  # type: ignore[arg-type]


def test_who_is_stalled() -> None:
    """A MONITOR client, with our name, with more than 8 MiB: all three; whatever the reply looks like."""
    assert list(stalled(CLIENTS)) == [(3, 9437184)]
    assert list(stalled(b"\xff\x00 garbage\nid= name=hotkey-exporter flags=O omem=\n")) == []
    assert list(stalled(None)) == []


def test_it_is_ended_and_remembered() -> None:
    """The stalled client is killed, and its thread can tell by whom."""
    link, own = Asked(), OwnTraffic()
    assert reaper_on(link, own).look(HOLDS) == 1
    assert link.calls == [("CLIENT", "LIST"), ("CLIENT", "KILL", "ID", 3)]
    assert own.reaped == {3}


def test_nobody_is_asked_without_need() -> None:
    """While no client holds much, or the node is down, nothing is sent."""
    link = Asked()
    reaper = reaper_on(link, OwnTraffic())
    assert reaper.look(STATUS) == 0
    assert reaper.look(replace(HOLDS, down="timeout")) == 0
    assert link.calls == []


def test_a_refusal_is_an_answer() -> None:
    """A user without the right is asked once, not once a second."""
    link = Asked(redis.ResponseError("NOPERM"))
    reaper = reaper_on(link, OwnTraffic())
    assert reaper.look(HOLDS) == 0
    assert reaper.look(HOLDS) == 0
    assert len(link.calls) == 1
