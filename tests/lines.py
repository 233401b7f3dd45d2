"""MONITOR's lines as the server writes them: a formatter of our own, independent of what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = {
    ord("\\"): b"\\\\", ord('"'): b'\\"', ord("\n"): b"\\n", ord("\r"): b"\\r", ord("\t"): b"\\t", 7: b"\\a", 8: b"\\b",
}  # fmt: skip
_ESCAPES = [_NAMED.get(byte, bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte) for byte in range(256)]

LOCAL = b"127.0.0.1:50000"


def quoted(argument: bytes) -> bytes:
    """Write one argument in the server's quotes (sdscatrepr)."""
    return b'"' + b"".join([_ESCAPES[byte] for byte in argument]) + b'"'


def line(
    argv: Sequence[bytes], db: int = 0, source: bytes = LOCAL, stamp: bytes = b"1795397124.911000", *, raw: bool = True
) -> bytes:
    """Write one line: `raw` as it leaves the server, else as redis-cli prints it."""
    text = b"%s [%d %s] %s" % (stamp, db, source, b" ".join(map(quoted, argv)))
    return b"+" + text + b"\r\n" if raw else text + b"\n"


def words(text: str) -> list[bytes]:
    """Split `text` at its spaces into arguments."""
    return text.encode().split(b" ")
