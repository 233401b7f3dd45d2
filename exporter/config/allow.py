"""Which servers somebody else may have us connect to: patterns of URLs in, a yes or no for one address out.

A pattern is `redis://HOST:PORT` (`rediss://` for TLS; `valkey` and `valkeys` mean the same; without a scheme it means
both). `*` stands for any characters of the host, or for any port; a host that ends in `*` without a port leaves the
port open, too. A host that is written in digits and dots, such as `10.0.*`, means addresses only: no name like
`10.0.example.com` can slip in.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from exporter.config.endpoint import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config.endpoint import Endpoint

_PATTERN = re.compile(
    r"(?:(?P<scheme>redis|rediss|valkey|valkeys)://)?"
    r"(?P<host>\[[0-9A-Fa-f:.*]+\]|[A-Za-z0-9_*][A-Za-z0-9_.*-]*)(?::(?P<port>\*|[0-9]{1,5}))?(?:/(?:\*|[0-9]{1,9})?)?",
    re.IGNORECASE,
)
_NUMERIC = re.compile(r"[0-9.*]*[0-9][0-9.*]*")


@dataclass(frozen=True, slots=True)
class _Pattern:
    tls: bool | None
    host: re.Pattern[str]
    addresses_only: bool
    port: int | None

    def matches(self, endpoint: Endpoint) -> bool:
        """Whether an address is one of those that are meant."""
        host, is_address = _canonical(endpoint.host)
        return (
            endpoint.path is None
            and self.tls in {None, endpoint.tls}
            and self.port in {None, endpoint.port}
            and (is_address or not self.addresses_only)
            and self.host.fullmatch(host) is not None
        )


def allowed(endpoint: Endpoint, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns means this server; sockets of this machine are never meant."""
    return any(_parse(pattern).matches(endpoint) for pattern in patterns)


def check(pattern: str) -> str:
    """Return a pattern that can be read; raises ValueError that says what is wrong without repeating any of it."""
    _parse(pattern)
    return pattern


@lru_cache(maxsize=256)
def _parse(text: str) -> _Pattern:
    if "@" in text:
        raise ValueError("a pattern of URLs has no user name and no password")
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError("must be a pattern such as redis://10.0.*:6379 or rediss://*.cache.example:*")
    port = found["port"] or ("*" if found["host"].endswith("*") else str(DEFAULT_PORT))
    if port != "*" and not 1 <= int(port) <= 65535:
        raise ValueError("the port must be between 1 and 65535")
    bracketed = found["host"].startswith("[")
    host = _canonical(found["host"].strip("[]"))[0]
    return _Pattern(
        tls=found["scheme"].lower() in {"rediss", "valkeys"} if found["scheme"] else None,
        host=re.compile(".*".join(map(re.escape, host.split("*")))),
        addresses_only=bracketed or _NUMERIC.fullmatch(host) is not None,
        port=None if port == "*" else int(port),
    )


def _canonical(host: str) -> tuple[str, bool]:
    """Write a host in the one way in which it is compared, and say whether it is an address."""
    try:
        return ipaddress.ip_address(host).compressed, True
    except ValueError:
        return host.lower().rstrip("."), False
