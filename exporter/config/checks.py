"""From a document of the right shape to checked values: what each value must be, and what they must be together.

In: the Overlay of file, environment and arguments. Out: a Config, and the overlay's list of Problems complete. A value
that is wrong is reported and replaced by its default, so that everything else is still checked in the same run.
"""

from __future__ import annotations

import re
from copy import deepcopy
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from exporter.config.access import Sentinel, Tls
from exporter.config.document import Path, dotted
from exporter.config.endpoint import parse
from exporter.config.fields import Section
from exporter.config.files import read_bytes, read_secret
from exporter.config.overlay import Overlay, Shape
from exporter.config.settings import Config, Sampling, Target
from exporter.config.warming_checks import WarmingCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path as FilePath

    from pydantic_core import ErrorDetails

# Prometheus adds or renames the first eight; the others are labels of this exporter's and redis_exporter's families.
RESERVED_LABELS = frozenset({
    "job", "instance", "node", "pod", "namespace", "container", "service", "endpoint",
    "target", "addr", "role", "db", "key", "key_group", "type", "encoding", "slot", "source", "reason", "outcome",
    "window", "cmd", "le", "quantile", "err", "class", "job_name", "result", "shard", "replication_group",
})  # fmt: skip
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MAX_PEM_BYTES = 1024 * 1024
NOTHING: Mapping[str, Any] = MappingProxyType({})
SPARE_TARGET = MappingProxyType({"name": "redis", "url": "redis://localhost:6379"})
WORDS = {
    "missing": "is required",
    "extra_forbidden": "unknown setting",
    "string_type": "must be text (in quotes if it looks like a number)",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
}
S = TypeVar("S", bound=Section)


def shape_of(model: type[BaseModel]) -> Shape:
    """Which settings a model has, for the parts that work on documents that are not checked yet."""
    fields: dict[str, Shape] = {}
    for name, info in model.model_fields.items():
        annotation: Any = info.annotation
        members = [arg for arg in get_args(annotation) if isinstance(arg, type) and issubclass(arg, Section)]
        if isinstance(annotation, type) and issubclass(annotation, Section):
            fields[name] = shape_of(annotation)
        elif members and "name" in members[0].model_fields:
            fields[name] = Shape(shape_of(members[0]).fields, named=True)
        else:
            fields[name] = Shape(structured=get_origin(annotation) in {tuple, dict})
    return Shape(fields)


def checked(overlay: Overlay) -> Config:
    """Read the configuration that a document means; it is only of use if the overlay has no problems after that."""
    check = _Check(overlay)
    sections = {
        name: info.annotation for name, info in Config.model_fields.items() if name not in {"targets", "warming"}
    }
    values: dict[str, Any] = {
        name: check.section(model, overlay.document.get(name, {}), (name,))
        for name, model in sections.items()
        if isinstance(model, type) and issubclass(model, Section)
    }
    targets = tuple(
        check.target(raw, ("targets", index))
        for index, raw in enumerate(overlay.document.get("targets", []))
        if isinstance(raw, dict)
    )
    check.names(overlay.document.get("targets", []))
    values["warming"] = WarmingCheck(check).read(overlay.document.get("warming", {}), targets)
    config = Config(targets=targets, **values)
    check.overrides(config.sampling, ("sampling",))
    if config.keys.hash_secret_file:
        check.readable(config.keys.hash_secret_file, ("keys", "hash_secret_file"), read_secret)
    return config


class _Check:
    """One check of one document, whose problems grow."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        # A variable that is not set, say, is one problem and not two.
        self._reported = {problem.path for problem in overlay.problems}
        self.wrong: set[Path] = set()

    def section(
        self, model: type[S], raw: Mapping[str, Any], path: Path, spare: Mapping[str, Any] = NOTHING,
        inherited: Collection[Path] = (),
    ) -> S:  # fmt: skip
        """Read a section without the values that are wrong.

        `spare` stands in for wrong values that have no default; problems below an `inherited` path are known already.
        """
        values = deepcopy(dict(raw))
        while True:
            try:
                return model.model_validate(values)
            except ValidationError as error:
                for fault in error.errors(include_url=False, include_input=False):
                    place = (*path, *fault["loc"])
                    if not any(place[: len(known)] == known for known in inherited):
                        self.report(place, words(fault))
                    self._take_out(model, values, path, fault["loc"], spare)

    def target(self, raw: Mapping[str, Any], path: Path) -> Target:
        """Read one target, with the general `sampling` and `stats` under its own keys of these sections."""
        merged, inherited = dict(raw), []
        for name in ("sampling", "stats"):
            general, own = self._overlay.document.get(name, {}), raw.get(name, {})
            merged[name] = {**general, **own}
            inherited += [(*path, name, key) for key in general if key not in own]
        target = self.section(Target, merged, path, SPARE_TARGET, inherited)
        if "total_events_per_second" in raw.get("sampling", {}):
            place = (*path, "sampling", "total_events_per_second")
            self.report(place, "is one budget for all targets; it belongs in the general sampling section")
        if "overrides" in raw.get("sampling", {}):
            self.overrides(target.sampling, (*path, "sampling"))
        self._place(target, path)
        self._credentials(target, path)
        plain = target.url is not None and not target.endpoint.tls
        if plain and target.tls != Tls() and not self._is_wrong(path, "url"):
            self.report((*path, "tls"), "has settings, but the url does not use TLS (rediss:// or valkeys://)")
        self._tls(target.tls, (*path, "tls"))
        self._labels(raw.get("labels"), (*path, "labels"))
        return target

    def names(self, targets: list[Any]) -> None:
        """Refuse a second target of the same name."""
        first: dict[str, int] = {}
        for index, raw in enumerate(targets):
            name = raw.get("name") if isinstance(raw, dict) else None
            if isinstance(name, str) and first.setdefault(name, index) != index:
                self.report(("targets", index, "name"), f"is the name of targets[{first[name]}], too")

    def overrides(self, sampling: Sampling, path: Path) -> None:
        """Refuse an override that says nothing."""
        for index, override in enumerate(sampling.overrides):
            if override.threshold is None and not override.ignore:
                self.report((*path, "overrides", index), "needs a threshold, or ignore: true")

    def readable(self, path: FilePath, place: Path, read: Callable[[FilePath], object]) -> None:
        """Refuse a file that is needed later and cannot be read now."""
        try:
            read(path)
        except OSError as error:
            self.report(place, f"the file {error.strerror}")

    def _is_wrong(self, path: Path, *names: str) -> bool:
        return any((*path, name) in self.wrong for name in names)

    def _place(self, target: Target, path: Path) -> None:
        """Either a URL or Sentinels say where the servers are."""
        self._url_of(target, path)
        sentinel, place = target.sentinel, (*path, "sentinel")
        if not target.by_sentinel:
            if target.url is None and not self._is_wrong(path, "url", "topology"):
                self.report((*path, "url"), "is required")
            if sentinel != Sentinel() and not self._is_wrong(path, "topology") and not self._is_wrong(place, "master"):
                words = "has settings, but no master" if target.topology == "auto" else "does not go with this topology"
                self.report(place, words)
            return
        if target.url is not None and not self._is_wrong(path, "url"):
            self.report((*path, "url"), "is what the Sentinels say; leave it out")
        for name in ("master", "nodes"):
            if not getattr(sentinel, name) and not self._is_wrong(place, name):
                self.report((*place, name), "is required")
        if sentinel.password_file is not None:
            self.readable(sentinel.password_file, (*place, "password_file"), read_secret)
        self._tls(sentinel.tls, (*place, "tls"))

    def _url_of(self, target: Target, path: Path) -> None:
        """The addresses of the URL must fit what they lead to."""
        if target.url is None or self._is_wrong(path, "url", "topology"):
            return
        if target.topology == "standalone" and len(target.seeds) > 1:
            self.report((*path, "url"), "has several addresses, which goes with topology cluster")
        if target.by_cluster and target.endpoint.path:
            self.report((*path, "url"), "is a Unix socket, and the nodes of a cluster are reached over TCP")

    def _credentials(self, target: Target, path: Path) -> None:
        url = parse(target.url.get_secret_value() if target.url else SPARE_TARGET["url"], several=True)
        if url.username and target.username:
            self.report((*path, "username"), "the url has a user name, too; keep one of them")
        for name in ("password", "password_file"):
            if url.password and getattr(target, name) is not None:
                self.report((*path, name), "the url has a password, too; keep one of them")
        if target.password is not None and target.password_file is not None:
            self.report((*path, "password_file"), "password is set, too; keep one of them")
        if target.password_file is not None:
            self.readable(target.password_file, (*path, "password_file"), read_secret)

    def _tls(self, tls: Tls, path: Path) -> None:
        for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
            if getattr(tls, name) and not getattr(tls, other) and (*path, other) not in self.wrong:
                self.report((*path, name), f"needs {other} beside it")
        for name in ("ca_file", "cert_file", "key_file"):
            if (file := getattr(tls, name)) is not None:
                self.readable(file, (*path, name), partial(read_bytes, most_bytes=MAX_PEM_BYTES))

    def _labels(self, labels: object, path: Path) -> None:
        for name in labels if isinstance(labels, dict) else ():
            if not LABEL_NAME.fullmatch(name):
                self.report((*path, name), "is not a label name: letters, digits and underscores")
            elif name in RESERVED_LABELS or name.startswith("__"):
                self.report((*path, name), "is a label that Prometheus or this exporter uses itself")

    def report(self, path: Path, message: str) -> None:
        """Add a problem, unless this place has one already."""
        if dotted(path) not in self._reported:
            self._overlay.report(path, message)

    def _take_out(
        self, model: type[BaseModel], values: dict[str, Any], path: Path, place: Path, spare: Mapping[str, Any]
    ) -> None:
        """Remove the setting that holds the wrong value at `place`."""
        key = str(place[0])
        inner = model.model_fields[key].annotation
        if isinstance(inner, type) and issubclass(inner, Section) and len(place) > 1:
            self._take_out(inner, values[key], (*path, key), place[1:], {})
            return
        self.wrong.add((*path, key))
        values.pop(key, None)
        values |= {key: spare[key]} if key in spare else {}


def words(fault: ErrorDetails) -> str:
    """Say what is wrong with one value in our words: those of pydantic may repeat it."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", "")
    return WORDS.get(kind, "is not valid")
