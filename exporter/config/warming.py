"""The settings of cache warming: where values come from, under which keys they are written, and at what pace.

What a single value must be stands here; what a job's values must be together is checked in `warming_checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from exporter.config import quantities
from exporter.config.fields import FilePath, Flag, Name, Pattern, Section, Word
from exporter.config.templates import Template

_duration, _whole, _size = quantities.Duration, quantities.Whole, quantities.Size
SOURCE_TYPES = ("sql", "http", "redis", "file", "python", "snapshot")


def _secret(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be a URL")
    return SecretStr(value)


def _template(value: object) -> Template:
    return value if isinstance(value, Template) else Template.parse(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text")
    return value


KeyTemplate = Annotated[Template, BeforeValidator(_template)]
Text = Annotated[str, BeforeValidator(_text)]
Fields = tuple[Text, ...]


class WarmingSource(Section):
    """Where the values of a job come from. Each setting belongs to the types that its sentence names."""

    type: Annotated[Literal["sql", "http", "redis", "file", "python", "snapshot"], Word] = Field(
        description="`sql` a database, `http` an API, `redis` another Redis or a replica, `file` JSONL or CSV, "
        "`python` a function, `snapshot` the hot set that this exporter saved itself."
    )
    url: Annotated[SecretStr, BeforeValidator(_secret)] | None = Field(
        default=None,
        description="sql: `postgresql://`, `mysql://`, `mariadb://` or `sqlite:///path`. http: an address; with a "
        "field such as `{id}` in it, it is asked once per key. redis: as the `url` of a target.",
    )
    password_file: FilePath | None = Field(
        default=None, description="sql, redis: a file with the password, where the URL has none; read at every connect."
    )
    token_file: FilePath | None = Field(
        default=None, description="http: a file with a token that is sent as `Authorization: Bearer`."
    )
    query: Text | None = Field(
        default=None,
        description="sql: a SELECT. `:limit` and `:offset` in it are filled in, otherwise they are appended; its order "
        "is the order of warming.",
    )
    path: FilePath | None = Field(default=None, description="file: what to read.")
    format: Annotated[Literal["jsonl", "csv"], Word] | None = Field(
        default=None, description="file: `jsonl` or `csv` (with a header line); not set, the name's ending decides."
    )
    match: Pattern | None = Field(default=None, description="redis: a glob over the key names to copy; not set, all.")
    items: Text | None = Field(
        default=None,
        description="http: the path of the list (or of the object) in the JSON answer, such as `data.sessions`.",
    )
    call: Text | None = Field(
        default=None,
        description="python: `package.module:function` or the name of an entry point of the group "
        "`hotkey_exporter.warming`; called as `function(limit)`, or `function(keys)` where keys are selected.",
    )
    timeout: Annotated[float, BeforeValidator(_duration(0.05, 3600).read)] = Field(
        default=30.0, description="How long the source may be silent, per batch or per key, before it has failed."
    )
    retries: Annotated[int, BeforeValidator(_whole(0, 10).read)] = Field(
        default=2, description="http: how often a request is tried again after a fault that may pass."
    )


class WarmingValue(Section):
    """How a record becomes a value. Copies from Redis and from the snapshot keep their own type."""

    type: Annotated[Literal["string", "json", "hash"], Word] = Field(
        default="json", description="`string` one field as it is, `json` an object as text, `hash` a Redis hash."
    )
    field: Text | None = Field(
        default=None, description="string: the field whose text is the value. json: the field that is written alone."
    )
    fields: Fields = Field(default=(), description="json, hash: which fields are written; empty: all of them.")


class WarmingJob(Section):
    """One warming job."""

    name: Name = Field(description="The `job_name` label of its metrics, and its name on the command line.")
    target: Name | None = Field(default=None, description="Which target is warmed; may be left out where there is one.")
    every: Annotated[float, BeforeValidator(_duration(1, 30 * 86400).read)] | None = Field(
        default=None, description="Run again after this time."
    )
    cron: Text | None = Field(
        default=None, description="Run at these times (UTC), as in crontab: `minute hour day month weekday`."
    )
    on_start: Flag = Field(default=True, description="Run when the exporter starts.")
    on_failover: Flag = Field(
        default=True, description="Run when the target has a new primary, was restarted, or was emptied."
    )
    source: WarmingSource = Field(description="Where the values come from.")
    select: Annotated[Literal["hot", "missed", "all"], Word] | None = Field(
        default=None,
        description="`hot` warms the window's hot keys (after a start the saved ones), `missed` those that were asked "
        "for in vain, `all` both and then what the source lists. Not set: what the source lists.",
    )
    refresh_ahead: Flag = Field(
        default=False, description="Reload hot keys shortly before they expire, as long as somebody reads them."
    )
    key: KeyTemplate | None = Field(
        default=None, description="The name of the key, with fields of the record in braces: `session:{id}`."
    )
    value: WarmingValue = Field(default_factory=WarmingValue, description="How a record becomes a value.")
    ttl: Annotated[float | None, BeforeValidator(quantities.Lifetime(1, 365 * 86400).read)] = Field(
        default=3600.0, description="How long a key lives; `none` writes keys without an end, and is never assumed."
    )
    ttl_field: Text | None = Field(
        default=None, description="A field with the remaining seconds of this record, instead of `ttl`."
    )
    jitter: Annotated[float, BeforeValidator(quantities.Ratio(0, 0.5).read)] = Field(
        default=0.1,
        description="Lives are shortened by up to this share, always by the same for the same key: what is written "
        "together does not expire together.",
    )
    policy: Annotated[Literal["nx", "xx", "always", "fenced"], Word] = Field(
        default="nx",
        description="`nx` writes only keys that are not there, `xx` only keys that are, `always` overwrites; `fenced` "
        "is `nx` that takes back what was invalidated meanwhile, at the pace that `sampling`'s budgets leave.",
    )
    max_keys: Annotated[int, BeforeValidator(_whole(1, 100_000_000).read)] = Field(
        default=100_000, description="How many keys a run warms at most."
    )
    max_bytes: Annotated[int, BeforeValidator(_size(1024, 1024**4).read)] = Field(
        default=1024**3, description="How many bytes of keys and values a run writes at most."
    )
    max_value_bytes: Annotated[int, BeforeValidator(_size(1, 512 * 1024**2).read)] = Field(
        default=1024**2, description="Larger values are skipped: one of them would block the server for all others."
    )
    batch: Annotated[int, BeforeValidator(_whole(1, 5000).read)] = Field(
        default=100,
        description="How many records are read, and noted as done, at once; they are written in smaller pieces.",
    )
    rate_limit: Annotated[float, BeforeValidator(quantities.Rate(1 / 60, 10_000_000).read)] = Field(
        default=20_000.0, description="How many keys a second are written at most."
    )
    bytes_per_second: Annotated[int, BeforeValidator(_size(1024, 1024**4).read)] = Field(
        default=64 * 1024**2, description="How many bytes a second are written at most."
    )
    concurrency: Annotated[int, BeforeValidator(_whole(1, 64).read)] = Field(
        default=4, description="How many keys are asked for at the same time, where the source is asked key by key."
    )
    timeout: Annotated[float, BeforeValidator(_duration(1, 86400).read)] = Field(
        default=600.0, description="How long a run may take before it is ended."
    )
    max_memory: Annotated[float, BeforeValidator(quantities.Ratio(0.01, 1).read)] = Field(
        default=0.8,
        description="End the run where the server uses more than this share of its maxmemory: warming must not evict "
        "what is in use.",
    )
    max_evictions: Annotated[int, BeforeValidator(_whole(0, 1_000_000_000).read)] = Field(
        default=0, description="End the run when the server has evicted more keys than this since it began."
    )
    max_source_errors: Annotated[float, BeforeValidator(quantities.Ratio(0, 1).read)] = Field(
        default=0.1, description="End the run when more than this share of what was asked for could not be read."
    )


class Warming(Section):
    """Keys that are written before somebody misses them."""

    jobs: tuple[WarmingJob, ...] = Field(
        default=(), description="The warming jobs; docs/cache-warming.md has examples."
    )
    state_dir: FilePath | None = Field(
        default=None,
        description="A directory for the saved hot set, so that a start warms what was hot before. Not set, nothing is "
        "kept on disk.",
    )
    save_every: Annotated[float, BeforeValidator(_duration(1, 86400).read)] = Field(
        default=60.0, description="How often the hot set is saved."
    )
    lease: Annotated[float, BeforeValidator(_duration(1, 3600).read)] = Field(
        default=15.0,
        description="Of several exporters with the same job one warms; when it falls silent for this long, another "
        "takes over.",
    )
    ready_timeout: Annotated[float, BeforeValidator(_duration(0, 3600).read)] = Field(
        default=0.0,
        description="How long `/-/ready` waits at most for the first runs of jobs with `on_start`; 0 does not wait.",
    )
