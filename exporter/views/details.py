"""Details of one hot key: what was asked for and what is known come in, the key's figures, history and callers go out.

Also the JSON of `/api/v1/hotkeys/KEY`. A key is asked for by its name as it is written here, so nobody learns from this
what the settings hide: neither a name, nor whether there is such a key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exporter.focus import LASTS_SECONDS, FocusedKeys
from exporter.history import SLOT_SECONDS
from exporter.views import native
from exporter.views.hotkeys import ShownKey, row, shown
from exporter.views.reading import STALE_SECONDS, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.focus import Callers, Client, Part
    from exporter.history import Curve
    from exporter.keynames import KeyNames
    from exporter.snapshot import Board, Node
    from exporter.views.reading import Moment, Reading

MOST_CHOICES = 10
MOST_CLIENTS = 20
MOST_COMMANDS = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key by its written name; the node's address and the database are None where it does not matter."""

    key: str
    node: str | None = None
    db: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A client of a key, with what its server says of it, and the commands by which it calls the key."""

    part: Part
    client: Client | None
    commands: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """What is known of a key that is in focus since `since` (seconds since 1970); `callers` None before the first."""

    since: float
    callers: Callers | None
    clients: tuple[Caller, ...]
    of_one: bool


@dataclass(frozen=True, slots=True)
class Details:
    """One hot key; `close` is None where MONITOR is not in use, `curve` its last hour in slots of ten seconds.

    `figures` is its row of `/api/v1/hotkeys`, `key` None where the figures are the server's own.
    """

    reading: Reading
    figures: dict[str, Any]
    key: ShownKey | None
    curve: Curve
    close: Close | None


@dataclass(frozen=True, slots=True)
class Match:
    """A key of a node that is called as was asked for."""

    reading: Reading
    figures: dict[str, Any]
    key: ShownKey | None

    @property
    def place(self) -> str:
        """Where it is, as the parameters that say so."""
        db = self.figures["db"]
        at = f"target={self.reading.node.target}&node={self.reading.node.addr}"
        return at if db is None else f"{at}&db={db}"


def matches(readings: Iterable[Reading], names: KeyNames, wanted: Wanted) -> list[Match]:
    """All keys of that name that the windows know; keys that are written alike are one in each database."""
    found: list[Match] = []
    for reading in readings:
        if wanted.node not in {None, reading.node.addr}:
            continue
        if reading.hotkeys:
            lines = shown(reading.hotkeys, reading.enrichment, names, settings=reading.target.sampling)
            found += [Match(reading, row(reading, one, rank), one) for rank, one in enumerate(lines, 1)
                      if one.key == wanted.key and wanted.db in {None, one.db}]  # fmt: skip
        found += [Match(reading, one, None) for one in native.rows(reading, names, len(reading.native.keys), wanted.db)
                  if one["key"] == wanted.key] if reading.native else []  # fmt: skip
    return found


def look_closely(board: Board, match: Match, now: Moment) -> Details:
    """Put the key into focus, and say what is known of it.

    Of several keys that are written alike one is looked at: that which is in focus already, else the most accessed.
    """
    reading, key = match.reading, match.key
    if key is None:
        return Details(reading, match.figures, None, (), None)
    node = reading.node
    wanted = board.focus.wanted(node, now.monotonic)
    raw = next((one for one in key.raw if (key.db, one) in wanted), key.raw[0])
    since = now.wall - (now.monotonic - board.focus.ask(node, (key.db, raw), now.monotonic))
    known = board.latest(node, FocusedKeys)
    fresh = known is not None and now.monotonic - known.taken_at <= STALE_SECONDS
    callers = known.of(key.db, raw) if known is not None and fresh else None
    clients = _clients(board, node, callers) if callers else ()
    curve = board.history.curve(node, tuple((key.db, one) for one in key.raw), now.monotonic)
    return Details(reading, match.figures, key, curve, Close(since, callers, clients, len(key.raw) == 1))


def _clients(board: Board, node: Node, callers: Callers) -> tuple[Caller, ...]:
    return tuple(
        Caller(
            part,
            board.focus.client(node, part.client),
            tuple(pair for pair in callers.pairs if pair.client == part.client),
        )
        for part in callers.clients
    )


def text(raw: bytes, longest: int = 64) -> str:
    """Write a command or an address that came from the stream: printable, and of bounded length."""
    written = raw.decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in written)[:longest]


# --- JSON ----------------------------------------------------------------------------------------------------------


def api(details: Details, now: Moment) -> dict[str, Any]:
    """Build the answer of `/api/v1/hotkeys/KEY`; what is unknown is None."""
    reading, facts = details.reading, details.key.facts if details.key else None
    hotkeys = reading.hotkeys
    return {
        "generated_at": now.iso,
        "window_end": hotkeys.window_end if hotkeys else None,
        "window_seconds": hotkeys.window_seconds if hotkeys else None,
        "observed_seconds": hotkeys.observed_seconds if hotkeys else None,
        "source": reading.source,
        **details.figures,
        "encoding": facts.encoding if facts else None,
        "slot": facts.slot if facts else None,
        "keys": len(details.key.raw) if details.key else 1,
        "history": _history(details.curve, now),
        "focus": _focus(details.close) if details.close else None,
    }


def _history(curve: Curve, now: Moment) -> dict[str, Any]:
    """The last hour from the first known value on, up to the step under way if it is known; `end` is when that ends."""
    first = next((place for place, value in enumerate(curve) if value is not None), len(curve))
    ends_in = SLOT_SECONDS - now.monotonic % SLOT_SECONDS
    if curve and curve[-1] is None:
        curve, ends_in = curve[:-1], ends_in - SLOT_SECONDS
    return {
        "step_seconds": SLOT_SECONDS,
        "end": iso(now.wall + ends_in),
        "accesses_per_second": list(curve[first:]),
    }


def _focus(close: Close) -> dict[str, Any]:
    callers = close.callers
    listed = close.clients[:MOST_CLIENTS]
    return {
        "since": iso(close.since),
        "lasts_seconds": LASTS_SECONDS,
        "seconds": callers.span if callers else 0.0,
        "observed_seconds": callers.observed if callers else 0.0,
        "accesses_seen": callers.seen if callers else 0,
        "commands": [_part(one) for one in callers.commands[:MOST_COMMANDS]] if callers else [],
        "clients": [_client(one) for one in listed],
        "other_clients_share_ratio": max(0.0, 1.0 - sum(one.part.share for one in listed)) if listed else None,
    }


def _part(part: Part) -> dict[str, Any]:
    """The figures of a client or of a command; the ends are those of the share."""
    return {
        **({"client": text(part.client)} if part.client else {}),
        **({"command": text(part.command)} if part.command else {}),
        "accesses_per_second": part.rate,
        "share_ratio": part.share,
        "share_low": part.low,
        "share_high": part.high,
    }


def _client(caller: Caller) -> dict[str, Any]:
    who = caller.client
    commands = [_part(replace(one, client=b"")) for one in caller.commands[:MOST_COMMANDS]]
    return {
        **_part(caller.part),
        "name": who.name if who and who.name else None,
        "user": who.user if who and who.user else None,
        "commands": commands,
    }
