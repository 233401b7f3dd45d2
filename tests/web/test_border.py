"""The border of a request: its time limit; what faults become is tested with the endpoints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.responses import PlainTextResponse

from exporter.web.border import ANSWER_SECONDS, LONGEST_ANSWER_SECONDS, Deadline, time_limit

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("10", 9.5), ("1", 0.9), ("0.2", 0.18), ("15.000000", 14.5), ("1e9", LONGEST_ANSWER_SECONDS),
     ("", ANSWER_SECONDS), ("0", ANSWER_SECONDS), ("-3", ANSWER_SECONDS), ("nan", ANSWER_SECONDS),
     ("inf", ANSWER_SECONDS), ("soon", ANSWER_SECONDS)],
)  # fmt: skip
def test_the_time_limit_is_the_scrapers_less_a_margin(said: str, seconds: float) -> None:
    """Half a second is left for the way back, of a short limit a tenth; nonsense counts as not said."""
    headers = [(b"x-prometheus-scrape-timeout-seconds", said.encode())]
    assert time_limit({"headers": headers}) == pytest.approx(seconds)


def test_without_the_header_prometheus_default_holds() -> None:
    """Ten seconds."""
    assert time_limit({"headers": [(b"host", b"x")]}) == ANSWER_SECONDS


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    """503 in one line when the time is over; what was being done is cancelled."""
    ended: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    reply = ask(Deadline(slow))
    assert (reply.status_code, reply.text, ended) == (503, "503: no answer within 0.045 s\n", ["cancelled"])


def test_an_answer_in_time_is_left_alone() -> None:
    """The limit changes nothing of it."""
    reply = ask(Deadline(PlainTextResponse("fine")))
    assert (reply.status_code, reply.text) == (200, "fine")


def ask(app: Deadline) -> httpx.Response:
    """One request with a limit of 50 ms."""

    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://exporter") as client:
            return await client.get("/", headers={"X-Prometheus-Scrape-Timeout-Seconds": "0.05"})

    return asyncio.run(request())
