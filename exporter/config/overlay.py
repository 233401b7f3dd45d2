"""The shape of the configuration, and what is laid over a document of that shape: the environment and arguments.

A Shape says which names exist where. An Overlay compares a document with it and puts the variables
HOTKEY_EXPORTER_SECTION__FIELD into place; what does not fit is taken out and becomes a Problem.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.config.document import Path, dotted, parse, safe
from exporter.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX = "HOTKEY_EXPORTER_"


@dataclass(frozen=True, slots=True)
class Shape:
    """A setting (no `fields`; `structured` if its value is a list or a mapping), a section, or a list of named ones."""

    fields: Mapping[str, Shape] = field(default_factory=dict)
    named: bool = False
    structured: bool = False


def _misplaced(section: dict[str, Any], shape: Shape, path: Path) -> Iterator[tuple[Path, str]]:
    """Take out of a section, and tell, what does not fit its shape; None means "not given" and goes quietly."""
    for key in list(section):
        known, value, here = shape.fields.get(key), section[key], (*path, key)
        if known is None:
            yield here, "unknown setting" + _did_you_mean(safe(key).rstrip("…"), shape.fields)
        elif value is not None:
            if not known.fields:
                continue
            if known.named and isinstance(value, list):
                yield from _misplaced_entries(value, known, here)
                continue
            if not known.named and isinstance(value, dict):
                yield from _misplaced(value, known, here)
                continue
            wanted = "a list of entries, each with a name" if known.named else "a mapping of settings"
            yield here, f"must be {wanted}"
        del section[key]


def _misplaced_entries(entries: list[Any], shape: Shape, path: Path) -> Iterator[tuple[Path, str]]:
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield from _misplaced(entry, shape, (*path, index))
        else:
            yield (*path, index), "must be a mapping of settings"


def _did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    by_spelling = {spelled.lower(): spelled for spelled in known}
    close = difflib.get_close_matches(name.lower().replace("-", "_"), by_spelling, n=1, cutoff=0.7)
    return f"; did you mean {prefix}{by_spelling[close[0]]}?" if close else ""


@dataclass(slots=True)
class Overlay:
    """A document, what was put over it, and the problems of both; `origins` says where a value was written."""

    document: dict[str, Any]
    shape: Shape
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: Path, message: str) -> None:
        """Add a problem, with the line or the variable that the value, or what is around it, comes from."""
        origin = next((self.origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.origins), None)
        self.problems.append(Problem(dotted(path), f"{message} ({origin})" if origin else message))

    def check_keys(self) -> None:
        """Take out of the document, and report, what does not fit the shape."""
        for path, message in _misplaced(self.document, self.shape, ()):
            self.report(path, message)

    def put(self, path: Path, value: object, origin: str) -> None:
        """Set one value of the document, making the sections on the way; `origin` is an argument or a variable."""
        place: Any = self.document
        for part in path[:-1]:
            place = place[part] if isinstance(part, int) else place.setdefault(part, {})
        place[path[-1]] = value
        # The lines of what stood here before mean nothing any more.
        self.origins = {old: text for old, text in self.origins.items() if old[: len(path)] != path}
        self.origins[path] = f"from {origin}"

    def environment(self, environ: Mapping[str, str]) -> None:
        """Put every variable HOTKEY_EXPORTER_SECTION__FIELD into its place; an empty one counts as not set."""
        for variable in sorted(environ):
            name = variable.upper().removeprefix(PREFIX)
            if variable.upper().startswith(PREFIX) and "__" in name:
                self._variable(variable, name, environ[variable])

    def _variable(self, variable: str, name: str, text: str) -> None:
        known = self._in_new_entry(name) | self._known()
        places = known.get(name, [])
        if not places:
            guess = _did_you_mean(safe(name).rstrip("…"), known, PREFIX)
            self.problems.append(Problem(safe(variable), "unknown setting" + guess))
        elif len(places) > 1:
            self.problems.append(Problem(safe(variable), "several names in the file are written like this one"))
        elif text:
            place = places[0]
            value: object = text
            if place.shape.structured or place.shape.fields:
                document = parse(text)
                self.problems += [Problem(safe(variable), str(problem)) for problem in document.problems]
                value = document.value
            if place.new_entry:
                self.document.setdefault(str(place.path[0]), []).append({"name": place.new_entry})
                self.origins[place.path[:2]] = f"from {safe(variable)}"
            self.put(place.path, value, safe(variable))

    def _known(self) -> dict[str, list[_Place]]:
        """All names that a variable may have after the prefix, with the places that each means."""
        known: dict[str, list[_Place]] = {}
        for section, shape in self.shape.fields.items():
            entries = self.document.get(section, []) if shape.named else []
            for index, entry in enumerate(entries):
                written = f"{section}__{entry.get('name')}" if isinstance(entry, dict) else section
                for name, path, inner in _names(shape, (section, index), entry):
                    known.setdefault(_as_variable(f"{written}__{name}"), []).append(_Place(path, inner))
            for name, path, inner in () if shape.named else _names(shape, (section,), self.document.get(section)):
                known[_as_variable(f"{section}__{name}")] = [_Place(path, inner)]
        return known

    def _in_new_entry(self, name: str) -> dict[str, list[_Place]]:
        """All names that a variable may have in an entry which is not there yet, if `name` is about one."""
        section, _, rest = name.lower().partition("__")
        entry, _, _ = rest.partition("__")
        shape = self.shape.fields.get(section, Shape())
        if not shape.named or not entry:
            return {}
        index = len(self.document.get(section, []))
        return {
            _as_variable(f"{section}__{entry}__{inner}"): [_Place(path, leaf, entry)]
            for inner, path, leaf in _names(shape, (section, index))
        }


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a variable's value goes; `new_entry` names the list entry that has to be made for it."""

    path: Path
    shape: Shape
    new_entry: str = ""


def _as_variable(name: str) -> str:
    """Write a name as a variable's name has it, where dots and dashes cannot stand."""
    return re.sub(r"[-.]", "_", name).upper()


def _names(shape: Shape, path: Path, document: object = None) -> Iterator[tuple[str, Path, Shape]]:
    """Every setting and section inside a section, as `tls__ca_file`, with its path and its shape.

    Of a list inside the section, the entries that `document` has are addressed by their names.
    """
    for key, inner in shape.fields.items():
        here = document.get(key) if isinstance(document, dict) else None
        yield key, (*path, key), inner
        if not inner.named:
            for name, place, leaf in _names(inner, (*path, key), here):
                yield f"{key}__{name}", place, leaf
        for index, entry in enumerate(here if inner.named and isinstance(here, list) else ()):
            for name, place, leaf in _names(inner, (*path, key, index), entry):
                yield f"{key}__{entry.get('name')}__{name}", place, leaf
