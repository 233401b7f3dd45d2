"""What the settings of a warming job must be together: the section as it was written in, checked jobs out.

Bad settings are refused here, at `check` and at start, with their place in the file: a job that fails at three in the
morning because of a misspelt column has warmed nothing.
"""

from __future__ import annotations

import csv
import re
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from exporter.config.endpoint import parse as parse_endpoint
from exporter.config.files import read_secret
from exporter.config.queries import Query
from exporter.config.templates import Template
from exporter.config.times import read_cron
from exporter.config.warming import Warming, WarmingJob, WarmingSource, WarmingValue
from exporter.redaction import register_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path as FilePath

    from exporter.config.document import Path
    from exporter.config.settings import Target

SQL_SCHEMES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite")
PYTHON_GROUP = "hotkey_exporter.warming"
NOTHING: Mapping[str, Any] = MappingProxyType({})
SPARE_JOB: Mapping[str, Any] = MappingProxyType({"name": "job", "source": {"type": "snapshot"}})
# Which settings of a source each type has beside `type`, those that it cannot do without first.
_NEEDED = {"sql": ("url", "query"), "http": ("url",), "redis": ("url",), "file": ("path",), "python": ("call",)}
_ALLOWED = {
    "sql": {"url", "query", "password_file", "timeout"},
    "http": {"url", "token_file", "items", "timeout", "retries"},
    "redis": {"url", "match", "password_file", "timeout"},
    "file": {"path", "format", "timeout"},
    "python": {"call", "timeout"},
    "snapshot": {"timeout"},
}
_EXTRAS = {"sql": ("sqlalchemy", "sql"), "http": ("httpx", "http")}
_DRIVERS = {"postgresql": "psycopg", "postgres": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}


class Checker(Protocol):
    """What this needs of the check of the whole document."""

    wrong: set[Path]

    def section(self, model: type[Any], raw: Mapping[str, Any], path: Path, spare: Mapping[str, Any] = NOTHING) -> Any:
        """Read a section without the values that are wrong."""
        ...

    def report(self, path: Path, message: str) -> None:
        """Add a problem."""
        ...

    def readable(self, path: FilePath, place: Path, read: Callable[[FilePath], object]) -> None:
        """Refuse a file that cannot be read now."""
        ...


class WarmingCheck:
    """One check of the section `warming`."""

    def __init__(self, check: Checker) -> None:
        self._check = check

    def read(self, raw: Mapping[str, Any], targets: Collection[Target]) -> Warming:
        """Read the section; what is wrong with it becomes problems of the check."""
        path: Path = ("warming",)
        general = {name: value for name, value in raw.items() if name != "jobs"}
        warming: Warming = self._check.section(Warming, general, path)
        jobs: list[WarmingJob] = []
        places: dict[str, int] = {}
        for index, entry in enumerate(raw.get("jobs", [])):
            if not isinstance(entry, dict):
                continue  # reported already
            job = self._job(entry, (*path, "jobs", index), targets, warming)
            if isinstance(entry.get("name"), str) and places.setdefault(entry["name"], index) != index:
                place = (*path, "jobs", index, "name")
                self._check.report(place, f"is the name of warming.jobs[{places[entry['name']]}], too")
            jobs.append(job)
        if warming.state_dir is not None and not warming.state_dir.is_dir():
            self._check.report((*path, "state_dir"), "must be a directory that exists")
        return warming.model_copy(update={"jobs": tuple(jobs)})

    def _job(self, raw: Mapping[str, Any], path: Path, targets: Collection[Target], warming: Warming) -> WarmingJob:
        sections = {"source": raw.get("source"), "value": raw.get("value", {})}
        given = {name: value for name, value in raw.items() if name not in sections}
        spare = {**SPARE_JOB, "name": f"job{path[-1]}"}
        source: WarmingSource | None = None
        if sections["source"] is None:
            self._check.report((*path, "source"), "is required")
        else:
            source = self._check.section(WarmingSource, sections["source"], (*path, "source"), SPARE_JOB["source"])
        value = self._check.section(WarmingValue, sections["value"], (*path, "value"))
        job: WarmingJob = self._check.section(WarmingJob, {**given, "source": spare["source"]}, path, spare)
        job = job.model_copy(update={"source": source or job.source, "value": value})
        if source is None or (*path, "source", "type") in self._check.wrong:
            return job
        self._target(job, path, targets)
        self._times(job, path)
        self._source(source, sections["source"], (*path, "source"))
        self._keys(job, path, warming)
        return job

    def _target(self, job: WarmingJob, path: Path, targets: Collection[Target]) -> None:
        if job.target is None and len(targets) > 1:
            self._check.report((*path, "target"), f"is required, since there are {len(targets)} targets")
        elif job.target is not None and all(job.target != target.name for target in targets):
            self._check.report((*path, "target"), "is not the name of a target")
        source = next((one.sampling.source for one in targets if job.target in {None, one.name}), "auto")
        if job.policy == "fenced" and source not in {"auto", "monitor"}:
            self._check.report((*path, "policy"), f"fenced needs MONITOR, and the target's sampling.source is {source}")

    def _times(self, job: WarmingJob, path: Path) -> None:
        if job.every is not None and job.cron is not None:
            self._check.report((*path, "cron"), "every is set, too; keep one of them")
        if job.cron is not None:
            try:
                read_cron(job.cron)
            except ValueError as error:
                self._check.report((*path, "cron"), str(error))

    def _source(self, source: WarmingSource, raw: Mapping[str, Any], path: Path) -> None:
        for name in _NEEDED.get(source.type, ()):
            if getattr(source, name) is None and (*path, name) not in self._check.wrong:
                self._check.report((*path, name), f"is required for a source of type {source.type}")
        for name in raw:
            if name != "type" and name not in _ALLOWED[source.type] and name in WarmingSource.model_fields:
                self._check.report((*path, name), f"is no setting of a source of type {source.type}")
        if source.type in _EXTRAS and find_spec(_EXTRAS[source.type][0]) is None:
            self._check.report((*path, "type"), _install(_EXTRAS[source.type][1]))
        self._contents(source, path)

    def _contents(self, source: WarmingSource, path: Path) -> None:
        for name in ("password_file", "token_file"):
            if (file := getattr(source, name)) is not None:
                self._check.readable(file, (*path, name), read_secret)
        for name, check in (("url", self._url), ("query", self._query), ("call", self._call), ("path", self._format)):
            if getattr(source, name) is not None and name in _ALLOWED[source.type]:
                try:
                    check(source)
                except ValueError as error:
                    self._check.report((*path, name), str(error))

    def _url(self, source: WarmingSource) -> None:
        assert source.url is not None
        url = source.url.get_secret_value()
        if source.type == "redis":
            password = parse_endpoint(url).password
            register_secret(password.get_secret_value() if password else None)
            return
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("cannot be read as a URL") from None
        register_secret(unquote(parts.password) if parts.password else None)
        scheme = parts.scheme.partition("+")[0]
        if source.type == "http":
            if scheme not in {"http", "https"} or not host:
                raise ValueError("must be an http:// or https:// address")
            Template.parse(url)
        elif scheme not in SQL_SCHEMES:
            raise ValueError(f"the scheme must be one of {', '.join(SQL_SCHEMES)}")
        elif scheme == "sqlite":
            if host or not parts.path.strip("/"):
                raise ValueError(
                    "a SQLite file is written with three slashes, sqlite:///path/to/file, four if absolute"
                )
        elif not host or not parts.path.strip("/"):
            raise ValueError("must have a host and a database, as in postgresql://user@host:5432/database")
        elif find_spec(_DRIVERS[scheme]) is None:
            raise ValueError(_install("sql"))

    def _query(self, source: WarmingSource) -> None:
        assert source.query is not None
        unknown = Query.parse(source.query).parameters - {"limit", "offset"}
        if unknown:
            raise ValueError("has a parameter that nothing fills in; known are :limit and :offset")

    def _call(self, source: WarmingSource) -> None:
        assert source.call is not None
        if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", source.call):
            try:
                found = find_spec(source.call.partition(":")[0]) is not None
            except (ImportError, ValueError):
                found = False
            if not found:
                raise ValueError("the module cannot be found")
        elif not list(entry_points(group=PYTHON_GROUP, name=source.call)):
            raise ValueError(f"must be package.module:function, or an entry point of the group {PYTHON_GROUP}")

    def _format(self, source: WarmingSource) -> None:
        assert source.path is not None
        if source.format is None and source.path.suffix.lower() not in {".csv", ".jsonl", ".ndjson"}:
            raise ValueError("does not end in .csv or .jsonl; set format")

    def _keys(self, job: WarmingJob, path: Path, warming: Warming) -> None:
        """Check what the job writes, and under which names, against what its source has."""
        copies = job.source.type in {"redis", "snapshot"}
        if copies and (job.key is not None or job.value != WarmingValue()):
            name = "key" if job.key is not None else "value"
            self._check.report((*path, name), "is no setting of a copy, which keeps its own names and values")
        if not copies and job.key is None and (*path, "key") not in self._check.wrong:
            self._check.report((*path, "key"), f"is required for a source of type {job.source.type}")
        if job.source.type == "snapshot" and warming.state_dir is None:
            self._check.report((*path, "source", "type"), "needs warming.state_dir, where the hot set is saved")
        if job.key is not None and not job.key.fields:
            self._check.report((*path, "key"), "needs a field such as {id}, or every record would have the same key")
        if job.refresh_ahead and job.source.type in {"snapshot", "file"}:
            self._check.report((*path, "refresh_ahead"), f"cannot reload from a source of type {job.source.type}")
        if not copies:
            self._value(job, path)
            self._fields(job, path)
        if job.source.type == "http" and job.source.url is not None and job.key is not None:
            self._lookup(job, path)

    def _value(self, job: WarmingJob, path: Path) -> None:
        value = job.value
        if value.type == "string" and (value.field is None or value.fields):
            self._check.report((*path, "value"), "of type string needs `field`, and no `fields`")
        if value.type == "hash" and value.field is not None:
            self._check.report((*path, "value", "field"), "is no setting of a hash; use fields")
        if value.type == "json" and value.field is not None and value.fields:
            self._check.report((*path, "value", "fields"), "field is set, too; keep one of them")

    def _fields(self, job: WarmingJob, path: Path) -> None:
        """Refuse a field that the source is known not to have."""
        known = known_fields(job.source)
        if known is None:
            return
        for name, place in _used(job):
            if name not in known:
                what = "query" if job.source.type == "sql" else "file"
                self._check.report((*path, *place), f"the field {name} is not among the columns of the {what}")

    def _lookup(self, job: WarmingJob, path: Path) -> None:
        assert job.source.url is not None
        assert job.key is not None
        try:
            fields = Template.parse(job.source.url.get_secret_value()).fields
        except ValueError:
            return
        for name in fields:
            if name not in {*job.key.fields, "key"}:
                self._check.report((*path, "source", "url"), f"the field {name} is not in the key's template")
        if fields and job.select is None and not job.refresh_ahead:
            self._check.report((*path, "select"), "is required where the source is asked key by key")


def _used(job: WarmingJob) -> Iterator[tuple[str, Path]]:
    """Give all fields that a job needs of each record, and where it says so."""
    for name in job.key.fields if job.key is not None else ():
        yield name, ("key",)
    if job.value.field is not None:
        yield job.value.field, ("value", "field")
    for index, name in enumerate(job.value.fields):
        yield name, ("value", "fields", index)
    if job.ttl_field is not None:
        yield job.ttl_field, ("ttl_field",)


def known_fields(source: WarmingSource) -> Collection[str] | None:
    """Say which fields a source has, or None where only the source itself knows."""
    try:
        if source.type == "sql" and source.query is not None:
            return Query.parse(source.query).columns
        if source.type == "file" and source.path is not None and file_format(source) == "csv":
            with source.path.open(newline="", encoding="utf-8-sig") as file:
                return next(csv.reader(iter(partial(file.readline, 65536), "")), None)
    except (OSError, ValueError, csv.Error):
        pass
    return None


def file_format(source: WarmingSource) -> str:
    """`csv` or `jsonl`, as configured or by the name's ending."""
    by_name = "csv" if source.path is not None and source.path.suffix.lower() == ".csv" else "jsonl"
    return source.format or by_name


def _install(extra: str) -> str:
    return f"needs more packages: pip install 'redis-hotkey-exporter[{extra}]'"
