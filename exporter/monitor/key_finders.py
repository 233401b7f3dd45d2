"""Keys that no key specification can name, because they depend on how a command's options read.

Each finder takes an argument list and returns positions in it with whether the key there may be written. They do what
the servers do when they execute the command, which is sometimes more right than what they say in COMMAND GETKEYS.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Position = tuple[int, bool]


def _sort(argv: Sequence[bytes]) -> list[Position]:
    """`SORT key [BY p] [LIMIT o n] [GET p]… [STORE destination]`: the last STORE wins; BY and GET name patterns."""
    skip = {b"limit": 2, b"get": 1, b"by": 1}
    stored, place = 0, 2
    while place < len(argv):
        word = argv[place].lower()
        if word == b"store" and place + 1 < len(argv):
            stored = place = place + 1
        place += 1 + skip.get(word, 0)
    return _present(argv, [(1, False)]) + ([(stored, True)] if stored else [])


def _georadius(options: int, argv: Sequence[bytes]) -> list[Position]:
    """`GEORADIUS[BYMEMBER] key … [STORE key | STOREDIST key]`: the last one wins; `options` is where they begin."""
    stored, place = 0, options
    while place < len(argv) - 1:
        if argv[place].lower() in {b"store", b"storedist"}:
            stored = place = place + 1
        place += 1
    return _present(argv, [(1, False)]) + ([(stored, True)] if stored else [])


def _migrate(argv: Sequence[bytes]) -> list[Position]:
    """`MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p] [AUTH2 u p] [KEYS key…]`."""
    skip = {b"auth": 1, b"auth2": 2}
    place = 6
    while place < len(argv):
        word = argv[place].lower()
        if word == b"keys":
            return [] if argv[3] else [(key, True) for key in range(place + 1, len(argv))]
        place += 1 + skip.get(word, 0)
    return _present(argv, [(3, True)])


def _bitfield(argv: Sequence[bytes]) -> list[Position]:
    """`BITFIELD key [GET type offset | SET type offset value | INCRBY … | OVERFLOW o]…`: GET alone does not write."""
    length = {b"get": 3, b"overflow": 2}
    place = 2
    while place < len(argv) and argv[place].lower() in length:
        place += length[argv[place].lower()]
    return _present(argv, [(1, place != len(argv))])


def _xread(argv: Sequence[bytes]) -> list[Position]:
    """`XREAD [options] STREAMS key… id…`, where groups, consumers and keys may be called STREAMS too."""
    skip = {b"block": 1, b"count": 1, b"claim": 1, b"group": 2, b"noack": 0}
    place = 1
    while place < len(argv) and (word := argv[place].lower()) in skip:
        place += 1 + skip[word]
    if place >= len(argv) or argv[place].lower() != b"streams":
        return []
    keys, odd = divmod(len(argv) - place - 1, 2)
    return [] if odd else [(key, False) for key in range(place + 1, place + 1 + keys)]


def _stralgo(argv: Sequence[bytes]) -> list[Position]:
    """`STRALGO LCS KEYS a b` of 6.x (with STRINGS there are no keys)."""
    for place in range(1, len(argv)):
        word = argv[place].lower()
        if word == b"keys" and place + 2 < len(argv):
            return [(place + 1, False), (place + 2, False)]
        if word == b"strings":
            break
    return []


def _present(argv: Sequence[bytes], positions: list[Position]) -> list[Position]:
    return [(place, write) for place, write in positions if place < len(argv)]


FINDERS: Mapping[bytes, Callable[[Sequence[bytes]], list[Position]]] = {
    b"sort": _sort,
    b"georadius": partial(_georadius, 6),
    b"georadiusbymember": partial(_georadius, 5),
    b"migrate": _migrate,
    b"bitfield": _bitfield,
    b"xread": _xread,
    b"xreadgroup": _xread,
    b"stralgo": _stralgo,
}
