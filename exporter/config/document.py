"""One YAML document to plain Python values, strictly: what is ambiguous, doubled or oversized is a problem.

In: text, and the variables that `${NAME}` may stand for. Out: dicts, lists, strings, numbers, booleans and None, beside
a list of Problems and the line of each value. Differences to plain PyYAML: the words `yes`, `no`, `on` and `off` stay
words and `1:30` stays text (YAML 1.2), keys are always text, doubled keys are problems, aliases cannot blow up, and no
message repeats the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from exporter.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Path = tuple[str | int, ...]

MAX_VALUES = 50_000  # with all aliases followed: a thousand targets need about 20,000
_TAG = "tag:yaml.org,2002:"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_SCALARS: dict[str, Callable[[str], object]] = {
    "str": str,
    "null": lambda _: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": int,
    "float": float,
}


class _Loader(yaml.SafeLoader):
    """PyYAML's reader with the core schema of YAML 1.2: a key of None means "whatever the first character is"."""

    yaml_implicit_resolvers: dict[Any, list[tuple[str, re.Pattern[str]]]] = {  # noqa: RUF012 - as PyYAML has it
        None: [
            (_TAG + "null", re.compile(r"(~|null|Null|NULL|)\Z")),
            (_TAG + "bool", re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")),
            (_TAG + "int", re.compile(r"[-+]?[0-9]+\Z")),
            (_TAG + "float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")),
            (_TAG + "merge", re.compile(r"<<\Z")),
        ]
    }
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Give up early: PyYAML takes seconds for a megabyte of short values."""
        self.nodes += 1
        if self.nodes > MAX_VALUES:
            raise _TooManyError
        return super().compose_node(parent, index)


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as messages have it: `targets[0].sampling.top`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{safe(part)}" for part in path)
    return text.removeprefix(".")


def safe(name: str) -> str:
    """Cut a key or variable that somebody mistyped where it stops looking like a name.

    `password:hunter2` is one key to YAML, and nobody may read the rest of it in a log.
    """
    match = _NAME.match(name)
    if match is None:
        return "…"
    return name if match.end() == len(name) else f"{match[0]}…"


@dataclass(slots=True)
class Document:
    """The value of a document, None if it is empty, what is wrong with it, and the line of each value in it."""

    value: object = None
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)


def parse(text: str, environ: Mapping[str, str] | None = None) -> Document:
    """Read one document. With `environ`, `${NAME}` inside its texts is replaced.

    Syntax errors are told by line and column only: the snippet that YAML libraries print may hold a password.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        return Document() if node is None else _Reader(environ).document(node)
    except yaml.MarkedYAMLError as error:
        fault = _syntax(error)
    except yaml.YAMLError:
        fault = "not valid YAML: it holds a control character"
    except (RecursionError, _TooManyError):
        fault = "too deeply nested, or too large with all its aliases"
    return Document(problems=[Problem("", fault)])


def _syntax(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    if error.context and "single document" in error.context:
        return "more than one YAML document"
    what = "a tab where only spaces may stand" if "'\\t'" in (error.problem or "") else "not valid YAML"
    return f"{what}, at line {mark.line + 1}, column {mark.column + 1}" if mark else what


class _TooManyError(Exception):
    """The document, with aliases followed, has more than MAX_VALUES values."""


class _Reader:
    """Turns YAML nodes into values and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self._problems: list[Problem] = []
        self._lines: dict[Path, int] = {}
        self._environ = environ
        self._values = 0

    def document(self, node: yaml.Node) -> Document:
        """Read the whole document below its root."""
        value = self._value(node, ())
        return Document(value, self._problems, self._lines)

    def _value(self, node: yaml.Node, path: Path) -> object:
        """Read the value of a node, aliases followed; a problem's value is None."""
        self._values += 1
        if self._values > MAX_VALUES:  # an alias that contains itself ends here, too, or as a RecursionError
            raise _TooManyError
        self._lines.setdefault(path, node.start_mark.line + 1)
        match node:
            case yaml.MappingNode() if node.tag == _TAG + "map":
                return self._mapping(node, path)
            case yaml.SequenceNode() if node.tag == _TAG + "seq":
                return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode() if node.tag.startswith(_TAG):
                return self._scalar(node, path)
        self._problem(node, path, "has a YAML tag that is not allowed here")
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        result: dict[str, object] = {}
        merged: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key, item in node.value:
            if key.tag == _TAG + "merge":
                merged |= self._merge(item, path)
            elif not isinstance(key, yaml.ScalarNode):
                self._problem(key, path, "has a key that is not plain text")
            else:
                line = key.start_mark.line + 1
                if key.value in lines:
                    self._problem(None, (*path, key.value), f"given twice, on lines {lines[key.value]} and {line}")
                lines.setdefault(key.value, line)
                self._lines[*path, key.value] = line
                result[key.value] = self._value(item, (*path, key.value))
        return merged | result

    def _merge(self, node: yaml.Node, path: Path) -> dict[str, object]:
        """Read what `<<: *other` or `<<: [*first, *second]` brings; the first one wins."""
        merged: dict[str, object] = {}
        for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self._value(item, path)
            if isinstance(value, dict):
                merged = value | merged
            else:
                self._problem(item, path, "has a << that is not followed by a mapping")
        return merged

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        text, read = node.value, _SCALARS.get(node.tag.removeprefix(_TAG))
        if read is None:
            self._problem(node, path, "has a YAML tag that is not allowed here")
            return None
        if read is str:
            return text if self._environ is None else self._expand(node, text, path)
        try:
            return read(text)
        except (ValueError, KeyError):
            self._problem(node, path, "is not what its YAML tag says, or far too large")
            return None

    def _expand(self, node: yaml.Node, text: str, path: Path) -> str:
        environ = self._environ or {}

        def replaced(reference: re.Match[str]) -> str:
            if reference[0] == "$${":
                return "${"
            name, closed = reference[1], reference[2]
            if not closed or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                self._problem(node, path, "holds ${ without a variable's name and } ; write $${ for the characters")
            elif name not in environ:
                self._problem(node, path, f"the environment variable {name} is not set")
            return environ.get(name, "")

        return _REFERENCE.sub(replaced, text)

    def _problem(self, node: yaml.Node | None, path: Path, message: str) -> None:
        where = f" (line {node.start_mark.line + 1})" if node else ""
        self._problems.append(Problem(dotted(path), message + where))
