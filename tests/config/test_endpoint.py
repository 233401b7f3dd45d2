"""URLs: what they mean, and that no message repeats them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.endpoint import Endpoint, host_and_port, parse

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("url", "addr", "tls", "db"),
    [
        ("redis://localhost", "localhost:6379", False, 0),
        ("redis://localhost:6380/3", "localhost:6380", False, 3),
        ("redis://localhost/?db=3", "localhost:6379", False, 3),
        ("redis://localhost/3?db=3", "localhost:6379", False, 3),
        ("rediss://cache.example.com:6380", "cache.example.com:6380", True, 0),
        ("valkey://my_service-1:6379", "my_service-1:6379", False, 0),
        ("VALKEYS://host", "host:6379", True, 0),
        ("redis://[::1]:6380/1", "[::1]:6380", False, 1),
        ("redis://[fe80::1]", "[fe80::1]:6379", False, 0),
        ("localhost:6379", "localhost:6379", False, 0),
        ("localhost", "localhost:6379", False, 0),
        ("[::1]:6379", "[::1]:6379", False, 0),
        ("unix:///run/redis.sock", "unix:/run/redis.sock", False, 0),
        ("unix:///run/redis.sock?db=2", "unix:/run/redis.sock", False, 2),
        ("unix:/run/redis.sock", "unix:/run/redis.sock", False, 0),
        ("unix://bob:pw@/run/my%20redis.sock", "unix:/run/my redis.sock", False, 0),
    ],
)
def test_reads_addresses(url: str, addr: str, tls: bool, db: int) -> None:
    """Every scheme, a bare host and port, IPv6 in brackets and sockets lead to the right place."""
    endpoint = parse(url)

    assert (endpoint.addr, endpoint.tls, endpoint.db) == (addr, tls, db)


@pytest.mark.parametrize(
    ("url", "username", "password"),
    [
        ("redis://localhost", None, None),
        ("redis://:pw@localhost", None, "pw"),
        ("redis://bob:pw@localhost", "bob", "pw"),
        ("redis://bob@localhost", "bob", None),
        ("redis://b%40b:p%2Fw%3F%23%40@localhost", "b@b", "p/w?#@"),
        ("redis://bob:p@ss@localhost", "bob", "p@ss"),
        ("redis://bob:p:w@localhost", "bob", "p:w"),
        ("bob:pw@localhost:6379", "bob", "pw"),
    ],
)
def test_reads_credentials(url: str, username: str | None, password: str | None) -> None:
    """User and password are percent-decoded; what is left out is None."""
    endpoint = parse(url)

    assert endpoint.username == username
    assert (endpoint.password.get_secret_value() if endpoint.password else None) == password


def test_password_has_no_repr() -> None:
    """An endpoint can be printed without telling its password."""
    assert CANARY not in repr(parse(f"redis://bob:{CANARY}@localhost"))


def test_an_unencoded_password_is_explained() -> None:
    """A password with a slash breaks the URL in two, and the message says why."""
    with pytest.raises(ValueError, match="must be percent-encoded"):
        parse(f"redis://:{CANARY}/x@localhost")


BROKEN = [
    "http://{}", "{}://localhost", "redis://", "redis://:{}@", "redis://{}$", "redis://localhost:{}", "redis://h:0",
    "redis://h:65536", "redis://h:-1", "redis://h:٣", "redis://h:", "redis://::1", "redis://[{}]:1", "redis://[::1]{}",
    "redis://h/{}", "redis://h/1?db=2", "redis://h?{}=1", "redis://h?db={}", "redis://h#{}", "redis://h/{} ",
    "redis://a\n{}", "unix://{}/x", "unix://", "unix:/", "", "redis://h/99999999999", "redis://:{}/6379@h",
]  # fmt: skip


@pytest.mark.parametrize("url", BROKEN)
def test_broken_urls_are_refused_without_being_repeated(url: str) -> None:
    """Whatever is wrong with a URL, the message names the fault and holds no part of it."""
    with pytest.raises(ValueError, match=r"[a-z]") as refused:
        parse(url.format(CANARY))

    assert CANARY not in str(refused.value)


@given(st.text())
def test_any_text_is_an_endpoint_or_a_value_error(url: str) -> None:
    """No text makes the parser fail in another way."""
    try:
        endpoint = parse(url)
    except ValueError:
        return
    assert isinstance(endpoint, Endpoint)
    assert endpoint.path or 1 <= endpoint.port <= 65535


def test_listen_addresses() -> None:
    """An address to listen on needs its port, which may be 0."""
    assert host_and_port("0.0.0.0:0", lowest=0) == ("0.0.0.0", 0)
    assert host_and_port("[::]:9468", lowest=0) == ("::", 9468)
    with pytest.raises(ValueError, match="the port is missing"):
        host_and_port("0.0.0.0")
