"""Each request has an id: the client's or a new one, in every line that is logged for it and in the answer."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.log import setup
from exporter.meters import Meters
from exporter.web.server import application
from tests.views import shop
from tests.web.daemon import FakeDaemon

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Client:
    """A client of the shop's endpoints."""

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """One request."""
        app = application(shop.shop_board(), FakeDaemon(), Meters("0"), clock=lambda: shop.NOW)

        async def request() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as http:
                return await http.get(path, headers=headers)

        return asyncio.run(request())


@pytest.fixture
def client() -> Iterator[Client]:
    """A client, with everything logged."""
    undo = setup("debug", "json", lambda _: None)
    yield Client()
    undo()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What was logged."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_the_clients_id_is_taken_and_returned(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """Its `X-Request-ID` is the correlation of the request's lines, and goes back."""
    reply = client.get("/health", headers={"X-Request-ID": "req-1/a"})
    assert reply.headers["x-request-id"] == "req-1/a"
    [line] = lines(capsys)
    assert (line["event"], line["correlation_id"], line["route"], line["status"]) == (
        "web.request", "req-1/a", "/health", 200,
    )  # fmt: skip


def test_a_trace_is_continued(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an id of its own the trace's is taken; the answer has another place in the same trace."""
    reply = client.get("/-/healthy", headers={"traceparent": PARENT})
    assert reply.headers["traceparent"].startswith(PARENT[:36])
    assert reply.headers["traceparent"] != PARENT
    assert reply.headers["x-request-id"] == PARENT[3:35]
    assert lines(capsys)[0]["correlation_id"] == PARENT[3:35]


@pytest.mark.parametrize("given", [None, "", "x" * 129, 'a"b', "a b", "a\tb"])
def test_otherwise_there_is_a_new_one(client: Client, given: str | None) -> None:
    """What could not be repeated safely is replaced."""
    reply = client.get("/-/healthy", headers={} if given is None else {"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["x-request-id"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", reply.headers["traceparent"])


def test_refusals_have_one_too(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """So that who is refused can ask why; a path that nobody knows is not repeated in the log."""
    reply = client.get("/c4n4ry", headers={"X-Request-ID": "r1"})
    assert (reply.status_code, reply.headers["x-request-id"]) == (404, "r1")
    [line] = lines(capsys)
    assert (line["route"], line["status"]) == ("none", 404)
    assert "c4n4ry" not in str(line)
