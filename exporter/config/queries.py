"""What a SELECT says about itself: its text in, its columns, parameters and limit out, as far as they can be read.

This reads enough of SQL to refuse a mistake at `check`, without a connection; the database has the last word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<quoted>"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<cast>::)
      | (?P<bind>:[A-Za-z_]\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<number>\d[\w.]*)
      | (?P<mark>\S)""",
    re.VERBOSE | re.DOTALL,
)
_ENDS = frozenset({"from", "where", "union", "except", "intersect", "order", "group", "having", "limit", "offset"})


@dataclass(frozen=True, slots=True)
class Query:
    r"""One SELECT: its text without the semicolon at the end, and what is known of it.

    `statement` is the text for SQLAlchemy, where a colon that begins no parameter is written `\:`.
    `columns` is None where only the database knows them (a `*`, an expression without a name). `limited` says whether
    it ends in a LIMIT, OFFSET or FETCH of its own.
    """

    text: str
    statement: str
    columns: tuple[str, ...] | None
    parameters: frozenset[str]
    limited: bool

    @classmethod
    def parse(cls, text: str) -> Query:
        """Read a query. Raises ValueError that repeats none of it."""
        tokens = [found for found in _TOKEN.finditer(text) if found.lastgroup != "comment"]
        while tokens and tokens[-1][0] == ";":
            tokens.pop()
        if not tokens or tokens[0][0].lower() not in {"select", "with"}:
            raise ValueError("must be one SELECT")
        if any(token[0] == ";" for token in tokens):
            raise ValueError("must be one SELECT, without others behind a semicolon")
        top = _top_level(tokens)
        words = {token[0].lower() for token in top if token.lastgroup == "word"}
        if "select" not in words or "into" in words:
            raise ValueError("must be one SELECT that changes nothing")
        return cls(
            text=text[tokens[0].start() : tokens[-1].end()],
            statement=_escaped(tokens),
            columns=_columns(top, text),
            parameters=frozenset(token[0][1:] for token in tokens if token.lastgroup == "bind"),
            limited=bool(words & {"limit", "offset", "fetch"}),
        )


def _escaped(tokens: list[re.Match[str]]) -> str:
    """Write the query with its comments left out, and with the colons inside its texts and names escaped."""
    pieces, end = [], tokens[0].start()
    for token in tokens:
        pieces.append(" " if token.start() > end else "")
        literal = token.lastgroup not in {"bind", "cast", "word", "number"}
        pieces.append(token[0].replace(":", "\\:") if literal else token[0])
        end = token.end()
    return "".join(pieces)


def _top_level(tokens: list[re.Match[str]]) -> list[re.Match[str]]:
    """Leave out everything between parentheses; of these the outer ones stay, as marks."""
    depth, top = 0, []
    for token in tokens:
        if token[0] == ")":
            depth -= 1
        if depth == 0:
            top.append(token)
        if token[0] == "(":
            depth += 1
    return top


def _columns(top: list[re.Match[str]], text: str) -> tuple[str, ...] | None:
    start = next(at for at, token in enumerate(top) if token[0].lower() == "select" and token.lastgroup == "word") + 1
    if start < len(top) and top[start][0].lower() in {"distinct", "all"}:
        start += 1
    found: list[str] = []
    item: list[re.Match[str]] = []
    for token in [*top[start:], None]:
        ends = token is None or (token.lastgroup == "word" and token[0].lower() in _ENDS)
        if not ends and token is not None and token[0] != ",":
            item.append(token)
            continue
        name = _name(item, text)
        if name is None:
            return None
        found.append(name)
        item = []
        if ends:
            break
    return tuple(found)


def _name(item: list[re.Match[str]], text: str) -> str | None:
    """Say how a database will call one column of the list, or None where that is its own business."""
    if not item or item[-1].lastgroup not in {"word", "quoted"}:
        return None
    name = item[-1][0]
    if item[-1].lastgroup == "quoted":
        name = name[1:-1]
    if len(item) == 1:
        return name
    before = item[-2]
    if before[0] == ".":
        path = all(token.lastgroup in {"word", "quoted"} or token[0] == "." for token in item)
        return name if path else None
    # `expression AS name`, `expression name`; not `price::numeric`, `a + b` or `case … end`.
    aliased = before[0].lower() == "as" or (
        name.lower() != "end" and (before.lastgroup in {"word", "quoted", "text", "number"} or before[0] == ")")
    )
    return name if aliased and text[before.end() : item[-1].start()] != "" else None
