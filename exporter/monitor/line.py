r"""One line of MONITOR, read exactly: bytes in, database, source and arguments out.

    ["+"] seconds "." micros " [" db " " source "] " argument *(" " argument) [CR] LF

An argument stands in double quotes, with `\\ \" \n \r \t \a \b` and `\xNN`. The source is raw: a unix socket's path may
hold spaces and brackets, so the header ends at the first `] "`. Only as many arguments are read as keys can hide in;
of the rest it is only asked that the line ends in a quote, so that a value costs nothing but its bytes passing by.
"""

from __future__ import annotations

import re
from codecs import escape_decode
from typing import TYPE_CHECKING, NamedTuple

from exporter.keynames import KEPT_BYTES, LongKey, long_hash
from exporter.monitor.keys import Kind

if TYPE_CHECKING:
    from exporter.monitor.keys import CommandTable

LONG = 65_536  # bytes from which on a line is read piece by piece

# From 2001 to 2286 a stamp has 17 characters. Its digits are not looked at: that would cost a tenth of the speed.
HEADER = re.compile(rb'\+?([^\n]{17}|\d{1,12}\.\d{1,6}) \[(\d{1,9}) ([^\n]{0,1024}?)\] "')
TEXT = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'  # an argument between its quotes
_NAME = re.compile(rb"(" + TEXT + rb')"')
_ONE_MORE = re.compile(rb' "(' + TEXT + rb')"')
_ALL_MORE = re.compile(rb'(?: "' + TEXT + rb'")*+')
_ARGUMENT = re.compile(rb'"(' + TEXT + rb')"')
_VALID = re.compile(rb'(?:[^\\]|\\(?:[\\"nrtab]|x[0-9a-f]{2}))*+')
_ESCAPE = re.compile(rb'\\(?:[\\"nrtab]|x[0-9a-f]{2})')
_SPECIAL = re.compile(rb'[^ -~]|["\\]')
_WRITTEN = {b'"': rb"\"", b"\\": rb"\\", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t", b"\a": rb"\a", b"\b": rb"\b"}
_CUT_ESCAPE = re.compile(rb"\\(?:x[0-9a-f]?)?\Z")

_NONE, _FIRST = Kind.NONE, Kind.FIRST  # reading them off the class each time is slow


class Line(NamedTuple):
    """A command as MONITOR shows it; `argv` holds the name and, at least, everything that can be a key."""

    stamp: bytes
    db: int
    source: bytes
    argv: list[bytes]


def unescape(text: bytes) -> bytes:
    """Undo the server's escapes; a backslash that starts none stays as it is."""
    if text.find(b"\\") < 0:  # far faster than `in`, which tries bytes as a number first
        return text
    if _VALID.fullmatch(text):
        return escape_decode(text)[0]
    return _ESCAPE.sub(lambda match: escape_decode(match[0])[0], text)


def escape(text: bytes) -> bytes:
    """Write bytes as the server does between the quotes of an argument: what `unescape` undoes."""
    return _SPECIAL.sub(lambda match: _WRITTEN.get(match[0]) or b"\\x%02x" % match[0][0], text)


def read(line: bytes, table: CommandTable, *, cut: bool = False) -> Line | None:
    """Read one line without its newline; None if it is none of MONITOR's, or broken where a key could be.

    With `cut` the line may end anywhere behind its last key, where that is known.
    """
    header = HEADER.match(line)
    if header is None:
        return None
    end = len(line) - line.endswith(b"\r")
    cut = cut and end == len(line)
    if not cut and not line.endswith(b'"', header.end(), end):
        return None
    argv = arguments(line[header.end() : end], table, cut=cut)
    return _line(header, argv) if argv else None


def _line(header: re.Match[bytes], argv: list[bytes]) -> Line:
    return Line(header[1], int(header[2]), header[3], argv)


def arguments(text: bytes, table: CommandTable, *, cut: bool = False) -> list[bytes] | None:
    """Read what follows the first quote, as far as keys can stand; None if it is broken there."""
    name = _NAME.match(text)
    if name is None:
        return None
    argv = [unescape(name[1])]
    kind = table.plan(argv[0]).kind
    if kind is _NONE:
        return argv
    if kind is _FIRST:
        if name.end() == len(text) and not cut:
            return argv
        key = _ONE_MORE.match(text, name.end())
        return [*argv, unescape(key[1])] if key else None
    if cut or not _ALL_MORE.fullmatch(text, name.end()):
        return None
    return argv + [unescape(argument) for argument in _ARGUMENT.findall(text, name.end())]


class LongLine:
    """One line too long to hold: fed in pieces, it keeps of every argument no more than a stored key has.

    `start` begins with the line's first LONG bytes or more, so a header is in it or the line is none of MONITOR's.
    """

    def __init__(self, start: bytes, table: CommandTable) -> None:
        self._table = table
        self._header = HEADER.match(start)
        self._argv: list[bytes] = []
        self._argument = _Argument()
        self._held = b""
        self._ending = b""  # the last two bytes, to see how the line ends
        self._state = self._read_argument if self._header else self._skip
        self._broken = self._header is None
        self.feed(start[self._header.end() :] if self._header else start)

    def feed(self, piece: bytes) -> None:
        """Read on; `piece` holds no newline."""
        self._ending = (self._ending + piece[-2:])[-2:]
        data = self._held + piece
        self._held = b""
        while data:
            data = self._state(data)

    def end(self, *, cut: bool = False) -> Line | None:
        """Give the line as `read` would."""
        ending = self._ending.removesuffix(b"\r")
        cut = cut and ending == self._ending
        if self._broken or self._header is None or not self._argv:
            return None
        kind = self._table.plan(self._argv[0]).kind
        needed = {_NONE: 1, _FIRST: 2}.get(kind)
        if cut:
            whole = needed is not None and len(self._argv) >= needed
        else:
            whole = ending.endswith(b'"') and self._state != self._read_argument and not self._held.strip(b"\r")
        return _line(self._header, self._argv) if whole else None

    def _read_argument(self, data: bytes) -> bytes:
        """Inside an argument: take it up to its closing quote, or all there is."""
        match = _NAME.match(data)
        if match is None:
            cut = _open_escape(data)
            self._held = data[cut:]
            self._argument.add(unescape(data[:cut]))
            return b""
        self._argument.add(unescape(match[1]))
        self._argv.append(self._argument.stored())
        self._argument = _Argument()
        kind = self._table.plan(self._argv[0]).kind
        enough = kind is _NONE or (kind is _FIRST and len(self._argv) == 2)
        self._state = self._skip if enough else self._between
        return data[match.end() :]

    def _between(self, data: bytes) -> bytes:
        """Behind an argument: another one follows, or nothing but the end of the line."""
        if data.startswith(b' "'):
            self._state = self._read_argument
            return data[2:]
        if data in {b" ", b"\r"}:
            self._held = data
        else:
            self._broken = True
            self._state = self._skip
        return b""

    def _skip(self, data: bytes) -> bytes:
        del data
        return b""


def _open_escape(data: bytes) -> int:
    """Return where an escape begins that the end of `data` cuts, or its length."""
    match = _CUT_ESCAPE.search(data, max(0, len(data) - 3))
    if match is None:
        return len(data)
    before = data[: match.start()]
    backslashes = len(before) - len(before.rstrip(b"\\"))
    if backslashes % 2 == 0:
        return match.start()
    return len(data)


class _Argument:
    """An argument that arrives in parts: its first bytes, and a hash of all once it is longer than a stored key."""

    def __init__(self) -> None:
        self._start = bytearray()
        self._hash = long_hash()
        self._length = 0

    def add(self, part: bytes) -> None:
        """Append bytes, without escapes."""
        self._length += len(part)
        self._start += part[: KEPT_BYTES + 1 - len(self._start)]
        self._hash.update(part)

    def stored(self) -> bytes:
        """Give what `keynames.stored` would make of the whole."""
        if self._length <= KEPT_BYTES:
            return bytes(self._start)
        return LongKey(bytes(self._start[:KEPT_BYTES]) + self._hash.hexdigest().encode())
