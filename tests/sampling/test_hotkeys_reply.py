"""HOTKEYS GET as real servers answer, as documented, and as nobody should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sampling.hotkeys_reply import ValkeyRate, redis_session, valkey_rates

DATA = Path(__file__).parents[1] / "data" / "hotkeys"


def parsed(raw: bytes) -> list[Any]:
    """The replies in a captured stream, as redis-py gives them without decoding."""
    lines = iter(raw.split(b"\r\n"))

    def one() -> Any:
        line = next(lines)
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return next(lines)
        if kind == b":":
            return int(rest)
        if kind == b"%":
            return {one(): one() for _ in range(int(rest))}
        assert kind == b"*", line
        return [one() for _ in range(int(rest))]

    found = []
    while True:
        try:
            found.append(one())
        except (StopIteration, AssertionError):
            return found


@pytest.mark.parametrize("name", ["redis-8.10.2-resp2.bin", "redis-8.10.2-resp3.bin"])
def test_a_session_of_redis(name: str) -> None:
    """What Redis 8.10.2 answered in both protocols: a finished session, ten keys each by CPU time and bytes."""
    session = redis_session(parsed((DATA / name).read_bytes())[-1])
    assert session is not None
    assert (session.active, session.started, session.seconds, session.sample_ratio) == (False, 1795396361982, 0.481, 1)
    assert session.cpu_seconds[b"key:000000000050"] == pytest.approx(253e-6)
    assert session.network_bytes[b"key:000000000078"] == 21175
    assert (len(session.cpu_seconds), len(session.network_bytes)) == (10, 10)


def test_amounts_are_scaled_by_the_sample_ratio() -> None:
    """The server does not multiply what it has sampled, so we do."""
    reply = [[b"sample-ratio", 100, b"collection-start-time-unix-ms", 5, b"by-cpu-time-us", [b"k", 7],
              b"by-net-bytes", [b"k", 3]]]  # fmt: skip
    session = redis_session(reply)
    assert session is not None
    assert (session.cpu_seconds[b"k"], session.network_bytes[b"k"]) == (pytest.approx(700e-6), 300)


@pytest.mark.parametrize("reply", [None, [], [None], [[]], b"", 0, [[b"a"]], {}, [{b"tracking-active": 1}]])
def test_no_session(reply: object) -> None:
    """Without a session Redis answers nil; that, and what describes none, is None."""
    assert redis_session(reply) is None


@pytest.mark.parametrize(
    "reply",
    [
        [[b"key", b"a", b"db", 0, b"qps", 9], [b"key", b"b", b"db", 3, b"qps", 90]],
        [{b"key": b"a", b"db": 0, b"qps": 9}, {b"key": b"b", b"db": 3, b"qps": 90}],
        [[b"a", 0, 9], [b"b", b"3", b"90"]],
    ],
    ids=["resp2", "resp3", "positions"],
)
def test_rates_of_valkey(reply: list[object]) -> None:
    """The documented fields, in either protocol, most accessed first."""
    assert valkey_rates(reply) == [ValkeyRate(3, b"b", 90.0), ValkeyRate(0, b"a", 9.0)]


def test_no_rates_yet() -> None:
    """Before the first window the list is empty; anything else is no list."""
    assert valkey_rates([]) == []
    assert valkey_rates(None) is None


json = st.recursive(
    st.none() | st.integers() | st.binary(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=5), inner, max_size=3),
    max_leaves=10,
)
fields = st.sampled_from([b"key", b"db", b"qps", b"sample-ratio", b"collection-start-time-unix-ms", b"by-net-bytes"])


@given(st.lists(json | st.dictionaries(fields, json) | st.lists(fields | json, max_size=6), max_size=3))
def test_no_reply_raises(reply: list[Any]) -> None:
    """Whatever a server answers, parsing does not fail."""
    redis_session(reply)
    valkey_rates(reply)
