"""What stands between the lines of a MONITOR stream: our own marks, and the replies to commands sent inside it (pure).

Bytes in; places, stamps, refusals and the server's count of commands out. Nothing here reads a socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from exporter.errors import DownReason, MonitorRefused, NodeError

_STAMP = re.compile(rb"(?:^|\n)\+(\d{1,12}\.\d{6}) \[")
_MARK_STAMP = re.compile(rb"\+(\d+\.\d+) \[")
_RESET = re.compile(rb"(?:^|\r\n)\+RESET\r\n")
_ERROR = re.compile(rb"(?:^|\r\n)(-[A-Z][^\r\n]*)\r\n")
_SERVED = re.compile(rb"\ntotal_commands_processed:(\d{1,19})\r")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a mark stands in the bytes: data before `start` is before it, data from `end` on is after it."""

    start: int
    end: int
    time: float


class Marker(StrEnum):
    """The command that a mark is an argument of.

    A server that cannot write its snapshots refuses PING (MISCONF) before MONITOR sees it, but not INFO, which answers
    to a section that it does not know with an empty text.
    """

    PING = "PING"
    INFO = "INFO"


def find_mark(data: bytes, mark: bytes, start: int, marker: Marker = Marker.PING) -> int:
    """Where the mark's command stands. Quotes inside arguments are escaped, so no key or value can look like it."""
    return data.find(b'"%s" "%s"\r\n' % (marker.encode(), mark), start)


def refuses_ping(data: bytes, start: int) -> bool:
    """Whether the server has answered that it refuses PING as long as it cannot write its snapshots."""
    return data.find(b"-MISCONF ", start) == 0 or data.find(b"\n-MISCONF ", start) >= 0


def mark_at(data: bytes, mark: bytes, at: int, marker: Marker = Marker.PING) -> Mark | None:
    """The mark's line together with its reply, or None while that is missing.

    Since 6.2.4 the reply comes first; before that the line did.
    """
    begin = data.rfind(b"\n", 0, at) + 1
    stamp = _MARK_STAMP.match(data, begin, at)
    if stamp is None:
        return None
    end = at + len(mark) + len(marker) + len(b'"" ""\r\n')
    reply = b"$%d\r\n%s\r\n" % (len(mark), mark) if marker is Marker.PING else b"$0\r\n\r\n"
    if data.endswith(reply, 0, begin):
        return Mark(begin - len(reply), end, float(stamp[1]))
    if data.startswith(reply, end):
        return Mark(begin, end + len(reply), float(stamp[1]))
    return None


def last_stamp(data: bytes) -> float | None:
    """The time of the last line that has one, in seconds of the server's clock."""
    stamps = _STAMP.findall(data)
    return float(stamps[-1]) if stamps else None


def split(data: bytes, limit: int) -> list[bytes]:
    """The first `limit` whole replies: strings, errors and integers without their line end, bulks as they are."""
    found: list[bytes] = []
    at = 0
    while len(found) < limit and (end := data.find(b"\r\n", at)) >= 0:
        if data[at : at + 1] == b"$" and data[at + 1 : end].isdigit():
            end += 2 + int(data[at + 1 : end])
            if len(data) < end + 2:
                break
        found.append(data[at:end])
        at = end + 2
    return found


def from_reset(data: bytes, limit: int) -> list[bytes]:
    """`+RESET` and the whole replies behind it, at most `limit` in all; nothing before it has come."""
    found = _RESET.search(data)
    return split(data[found.start() :].lstrip(b"\r\n"), limit) if found else []


def has_error(data: bytes) -> bool:
    """Whether one of the replies is an error."""
    return _ERROR.search(data) is not None


def served(reply: bytes) -> int | None:
    """How many commands the server has run, by its own count, from the reply to `INFO stats`; None if it says not."""
    found = _SERVED.search(reply)
    return int(found[1]) if found else None


def refusal(addr: str, reply: bytes) -> MonitorRefused | NodeError:
    """What an error reply to MONITOR means: the stream is denied, or unsupported, or the node is down."""
    text = reply.decode("ascii", "replace")
    if "NOPERM" in text or "no permissions" in text:
        return MonitorRefused(addr, "denied", "this user may not run MONITOR")
    for sign, reason in (
        ("NOAUTH", DownReason.AUTH),
        ("LOADING", DownReason.LOADING),
        ("max number of clients", DownReason.MAXCLIENTS),
    ):
        if sign in text:
            return NodeError(addr, "MONITOR", reason)
    known = any(sign in text.lower() for sign in ("unknown command", "not supported", "disabled"))
    detail = "no such command here" if known else "MONITOR was answered with an error"
    return MonitorRefused(addr, "unsupported", detail)
