"""A pipeline on a link: every reply in its place, within the time that was given, or the link is closed."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import redis

from exporter.config.settings import Target
from exporter.errors import DownReason, NodeError
from exporter.link import Link, OwnTraffic
from exporter.snapshot import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[socket.socket], None]

OK = b"+OK\r\n"


@pytest.fixture
def link_to() -> Iterator[Callable[[Answer], Link]]:
    """Links to servers that say OK to everything until a PIPE comes, which they answer in their own way."""
    listeners, links = [], []

    def link(answer: Answer) -> Link:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                while b"PIPE" not in (said := client.recv(65536)):
                    if not said:
                        return
                    client.sendall(OK * sum(line.startswith(b"*") for line in said.split(b"\r\n")))
                answer(client)
                while client.recv(65536):
                    client.sendall(OK)

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        target = Target.model_validate({"name": "c", "url": f"redis://127.0.0.1:{port}"})
        links.append(Link(target, Node("c", f"127.0.0.1:{port}"), OwnTraffic()))
        return links[-1]

    yield link
    for one in (*links, *listeners):
        one.close()


def late(seconds: float) -> Answer:
    """Answers the first command at once, and the other two so much later."""

    def answer(client: socket.socket) -> None:
        client.sendall(OK)
        time.sleep(seconds)
        client.sendall(OK * 2)

    return answer


def test_the_time_that_is_given_is_for_every_reply(link_to: Callable[[Answer], Link]) -> None:
    """Longer than the link's own 2 s, and shorter."""
    assert link_to(late(2.5)).pipeline([("PIPE",)] * 3, 10.0) == [b"OK"] * 3
    began = time.monotonic()
    with pytest.raises(NodeError) as caught:
        link_to(late(5.0)).pipeline([("PIPE",)] * 3, 0.3)
    assert caught.value.reason is DownReason.TIMEOUT
    assert time.monotonic() - began < 2.0


def test_an_error_reply_is_a_value_in_its_place(link_to: Callable[[Answer], Link]) -> None:
    """And the link stays open."""
    link = link_to(lambda client: client.sendall(OK + b"-OOM no memory\r\n" + OK))
    first, second, third = link.pipeline([("PIPE",)] * 3)
    assert (first, third) == (b"OK", b"OK")
    assert isinstance(second, redis.ResponseError)
    assert link.is_open


@pytest.mark.parametrize("reply", [b"-MOVED garbage\r\n", b"?junk\r\n", b"-LOADING the data set\r\n"])
def test_what_cannot_be_read_closes_the_link(reply: bytes, link_to: Callable[[Answer], Link]) -> None:
    """Replies behind it would pass for those of later commands."""
    link = link_to(lambda client: client.sendall(OK + reply + b"+STALE\r\n"))
    with pytest.raises(NodeError):
        link.pipeline([("PIPE",)] * 3)
    assert not link.is_open
