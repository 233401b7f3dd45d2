"""Patterns of servers: what they let in and, above all, what they do not."""

from __future__ import annotations

import pytest

from exporter.config.allow import allowed, check
from exporter.config.endpoint import parse

LET_IN = [
    ("redis://cache.example:6379", "cache.example"),
    ("redis://cache.example", "redis://CACHE.example.:6379/3"),
    ("redis://cache.example:6379", "valkey://user:pass@cache.example"),
    ("cache.example:6379", "cache.example:6379"),
    ("cache.example:6379", "rediss://cache.example:6379"),
    ("valkeys://*.cache.example:*", "rediss://a.b.cache.example:7000"),
    ("redis://10.0.*:6379", "10.0.3.4:6379"),
    ("redis://10.0.*", "redis://10.0.3.4:7001"),
    ("redis://127.0.0.1:*", "127.0.0.1:16379"),
    ("redis://127.0.0.1:*/*", "127.0.0.1:16379"),
    ("*", "rediss://any.where:1"),
    ("redis://*:6379", "10.1.1.1"),
    ("redis://[fd00::*]:6379", "redis://[FD00:0:0::5]:6379"),
    ("redis://[::1]:6379", "redis://[0:0:0:0:0:0:0:1]:6379"),
]
KEPT_OUT = [
    ("redis://cache.example:6379", "cache.example:6380"),
    ("redis://cache.example", "cache.example:6380"),
    ("redis://cache.example:6379", "rediss://cache.example:6379"),
    ("rediss://cache.example:6379", "redis://cache.example:6379"),
    ("redis://cache.example:6379", "cache.example.evil.com:6379"),
    ("redis://cache.example:6379", "cachexexample:6379"),
    ("redis://*.cache.example:6379", "evil.com:6379"),
    ("redis://10.0.*:6379", "10.0.evil.com:6379"),
    ("redis://10.0.*:6379", "10.0.1:6379"),
    ("redis://1*:6379", "16843009:6379"),
    ("redis://10.0.*:6379", "110.0.1.1:6379"),
    ("redis://[fd00::*]:6379", "fd00.example:6379"),
    ("*", "unix:///run/redis.sock"),
]
UNREADABLE = ["", "redis://", "http://10.0.0.1:80", "redis://u:secret@host:1", "redis://host:0",
              "redis://host:70000", "redis://host:6379:1", "redis://ho st", "unix:///tmp/x", "redis://host?x=1",
              "redis://host:6379/x/y"]  # fmt: skip


@pytest.mark.parametrize(("pattern", "url"), LET_IN)
def test_what_a_pattern_means(pattern: str, url: str) -> None:
    """Scheme, host and port as they are compared: case, names of the scheme and ways to write an address do not matter.

    Neither do credentials.
    """
    assert allowed(parse(url), ["redis://other:1", pattern])


@pytest.mark.parametrize(("pattern", "url"), KEPT_OUT)
def test_what_a_pattern_does_not_mean(pattern: str, url: str) -> None:
    """Nothing that only looks like it: another port, a longer name, a name that begins like an address, a socket."""
    assert not allowed(parse(url), [pattern])


def test_nothing_is_allowed_by_nothing() -> None:
    """The default."""
    assert not allowed(parse("localhost:6379"), [])


@pytest.mark.parametrize("pattern", UNREADABLE)
def test_an_unreadable_pattern_is_refused_without_being_repeated(pattern: str) -> None:
    """It might hold a password."""
    with pytest.raises(ValueError, match=r"must be|a pattern of URLs has no") as refusal:
        check(pattern)
    assert "secret" not in str(refusal.value)
