"""What servers answer to HOTKEYS GET: raw replies in, `HotkeysSession` or Valkey's rates out (pure).

Redis 8.6 and newer and Valkey 9.2 have a command of this name, with nothing else in common; who asks knows which server
it asked. Replies are read defensively: unknown fields are left out, missing ones are zero, and what has another shape
altogether is None.

Redis: an array of one map (flat in RESP2); `by-cpu-time-us` and `by-net-bytes` are flat lists of keys and amounts,
summed up since the session began and not scaled by its sample ratio. Valkey: an array of maps of `key`, `db`, `qps`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HotkeysSession:
    """One session of Redis: `started` identifies it (milliseconds since 1970 on the server's clock).

    The amounts of each key are scaled by the sample ratio: CPU seconds and network bytes since the start.
    """

    active: bool
    started: int
    seconds: float
    sample_ratio: int
    cpu_seconds: Mapping[bytes, float]
    network_bytes: Mapping[bytes, float]


@dataclass(frozen=True, slots=True)
class ValkeyRate:
    """Accesses per second of one key in Valkey's last window."""

    db: int
    key: bytes
    rate: float


def redis_session(reply: Any) -> HotkeysSession | None:
    """The session that Redis describes; None if there was none, or if this is no description of one."""
    if isinstance(reply, list) and len(reply) == 1:
        reply = reply[0]
    fields = _map(reply)
    if b"collection-start-time-unix-ms" not in fields:
        return None
    ratio = max(1, int(_number(fields.get(b"sample-ratio"))))
    return HotkeysSession(
        active=_number(fields.get(b"tracking-active")) > 0,
        started=int(_number(fields.get(b"collection-start-time-unix-ms"))),
        seconds=_number(fields.get(b"collection-duration-ms")) / 1000,
        sample_ratio=ratio,
        cpu_seconds={key: ratio * amount / 1e6 for key, amount in _amounts(fields.get(b"by-cpu-time-us")).items()},
        network_bytes={key: ratio * amount for key, amount in _amounts(fields.get(b"by-net-bytes")).items()},
    )


def valkey_rates(reply: Any) -> list[ValkeyRate] | None:
    """The keys of Valkey's last window, most accessed first; None if this is no such list."""
    if not isinstance(reply, list):
        return None
    found = []
    for item in reply:
        fields = _map(item)
        if not fields and isinstance(item, list) and len(item) == 3:
            fields = dict(zip((b"key", b"db", b"qps"), item, strict=True))
        if isinstance(key := fields.get(b"key"), bytes):
            found.append(ValkeyRate(int(_number(fields.get(b"db"))), key, _number(fields.get(b"qps"))))
    return sorted(found, key=lambda one: -one.rate)


def _map(reply: Any) -> dict[Any, Any]:
    """A map, or the flat list of names and values that RESP2 makes of one."""
    if isinstance(reply, Mapping):
        return dict(reply)
    if isinstance(reply, list) and len(reply) % 2 == 0 and all(isinstance(name, bytes) for name in reply[::2]):
        return dict(zip(reply[::2], reply[1::2], strict=True))
    return {}


def _amounts(reply: Any) -> dict[bytes, float]:
    return {key: _number(amount) for key, amount in _map(reply).items() if isinstance(key, bytes)}


def _number(value: Any) -> float:
    """A number that is not negative; zero where there is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
