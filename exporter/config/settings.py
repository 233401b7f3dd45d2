"""Every setting: its name, type, bounds, default and a sentence. Values in, frozen models out.

The models check one value at a time; what concerns several settings is checked in `checks`. Units: durations are
float seconds, sizes int bytes, rates float per second, shares float ratios.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from exporter.config import allow, quantities
from exporter.config.access import Sentinel, Tls
from exporter.config.endpoint import Endpoint, host_and_port, join, parse
from exporter.config.fields import FilePath, Flag, Name, Pattern, Patterns, Section, Word
from exporter.config.warming import Warming


def _url(value: object) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise ValueError("must be a URL such as redis://localhost:6379")
    parse(text, several=True)
    return SecretStr(text)


def _listen(value: object) -> str:
    text = f"0.0.0.0{value}" if isinstance(value, str) and value.startswith(":") else value
    if not isinstance(text, str):
        raise ValueError("must be HOST:PORT, such as 0.0.0.0:9468")
    return join(*host_and_port(text, lowest=0))


def _url_pattern(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a pattern such as redis://10.0.*:6379")
    return allow.check(value)


UrlPattern = Annotated[str, BeforeValidator(_url_pattern)]
KeyRate = Annotated[float, BeforeValidator(quantities.Rate(1 / 3600, 1e8).read)]


class Override(Section):
    """Another threshold, or none, for some keys."""

    match: Pattern = Field(description="A glob over key names.")
    threshold: KeyRate | None = Field(
        default=None, description="The threshold of these keys, instead of the general one."
    )
    ignore: Flag = Field(default=False, description="Whether these keys never count as over the threshold.")


class Sampling(Section):
    """How hot keys are found, and what that may cost the server."""

    source: Annotated[Literal["auto", "monitor", "hotkeys", "lfu", "off"], Word] = Field(
        default="auto",
        description="`auto` uses MONITOR where the server allows it, else what the server itself knows (`hotkeys`, "
        "then `lfu`), and says which and why. The others ask for one by name; `off` uses none.",
    )
    hotkeys_beside: Flag = Field(
        default=False,
        description="Run HOTKEYS sessions (Redis 8.6 and newer) beside MONITOR, too, for CPU time and network bytes of "
        "keys. A server has only one session, which others may want.",
    )
    beside_others: Flag = Field(
        default=False,
        description="Sample a node although another exporter does. Otherwise the first one samples, and the others "
        "stand by and take over when it ends.",
    )
    prefer_replica: Flag = Field(
        default=False,
        description="Sample a replica in the place of each primary of a Sentinel group or a cluster, where one is in "
        "sync. It shows all writes, and no reads but its own: docs/replicas.md.",
    )
    window: Annotated[float, BeforeValidator(quantities.Duration(10, 600, whole=True).read)] = Field(
        default=60.0,
        description="Rates are over the last so many seconds. A minute is short enough to see a key rise and long "
        "enough for narrow error bars.",
    )
    events_per_second: Annotated[int, BeforeValidator(quantities.Whole(100, 1_000_000).read)] = Field(
        default=5000,
        description="How many commands a second one node may have to show us. It decides the share of time that is "
        "observed: everything on a small server, a few percent on a busy one.",
    )
    bytes_per_second: Annotated[int, BeforeValidator(quantities.Size(64 * 1024, 1024**3).read)] = Field(
        default=2 * 1024**2,
        description="How many bytes a second one node may have to show us; large values reach this before the "
        "count of commands.",
    )
    total_events_per_second: Annotated[int, BeforeValidator(quantities.Whole(100, 10_000_000).read)] = Field(
        default=50_000,
        description="What this process reads per second over all nodes together; it bounds our own CPU. The nodes "
        "share it.",
    )
    max_duty: Annotated[float, BeforeValidator(quantities.Ratio(0.001, 1).read)] = Field(
        default=0.02,
        description="The largest share of time with MONITOR on, on a server that has no limit of its own for a client "
        "that stops reading (`client-output-buffer-limit normal` or `maxmemory-clients`). Traffic so small that its "
        "memory could hold 15 minutes of it is exempt.",
    )
    server_limit: Annotated[Literal["warn", "require"], Word] = Field(
        default="warn",
        description="What to do where the server has no such limit: `warn` keeps to `max_duty`, `require` does not "
        "sample.",
    )
    max_keys_per_second: Annotated[int, BeforeValidator(quantities.Whole(100, 1_000_000).read)] | None = Field(
        default=None,
        description="How many different keys of one second are kept. Not set, it equals `events_per_second`, and "
        "nothing is cut.",
    )
    top: Annotated[int, BeforeValidator(quantities.Whole(1, 100).read)] = Field(
        default=20,
        description="How many keys of a node become Prometheus series. Each brings about ten, and twenty keys fill a "
        "screen.",
    )
    max_new_labels_per_hour: Annotated[int, BeforeValidator(quantities.Whole(1, 100_000).read)] = Field(
        default=200,
        description="How many keys that were not shown before a node may bring into Prometheus in an hour. Without a "
        "bound, short-lived keys (sessions) would fill its index.",
    )
    threshold: KeyRate = Field(
        default=1000 / 60, description="A key counts as hot once the lower end of its interval is above this rate."
    )
    threshold_share: Annotated[float, BeforeValidator(quantities.Ratio(0.001, 1).read)] = Field(
        default=0.1,
        description="The share of its node's accesses above which a key counts as dominant, whatever its rate.",
    )
    overrides: tuple[Override, ...] = Field(
        default=(),
        description="Other thresholds for some keys, first match wins: a list of `{match, threshold}` or "
        "`{match, ignore: true}`.",
    )


class Keys(Section):
    """How key names are shown."""

    privacy: Annotated[Literal["clear", "hash", "group"], Word] = Field(
        default="clear",
        description="`clear` shows names, `hash` their group and a hash, `group` only the group (`user:*:cart`).",
    )
    mask: Patterns = Field(
        default=("*sess*", "*token*", "*auth*", "*otp*"),
        description="Names that may be credentials; they are shown as group and hash. An empty list masks nothing.",
    )
    groups: Patterns = Field(
        default=(),
        description="Patterns of key groups that the built-in rule (`user:1234:cart` is `user:*:cart`) does not see, "
        "first match wins.",
    )
    max_label_length: Annotated[int, BeforeValidator(quantities.Whole(16, 1024).read)] = Field(
        default=128,
        description="Longer names are cut to this many characters, the last eight being a hash of the whole name.",
    )
    hash_secret_file: FilePath | None = Field(
        default=None,
        description="A file whose content keys the hashes, so that nobody can find a name by hashing guesses. Not set, "
        "the key is made up at every start, and hashed names change with it.",
    )


class Enrich(Section):
    """Type, size and time to live of the keys that are shown."""

    enabled: Flag = Field(
        default=True,
        description="Look these facts up, with commands that leave LRU and LFU alone; what the server counts "
        "of them as hits is taken out of our hit ratio.",
    )
    interval: Annotated[float, BeforeValidator(quantities.Duration(1, 3600).read)] = Field(
        default=15.0, description="How often they are looked up: as often as Prometheus usually scrapes."
    )


class Keyspace(Section):
    """What the keys of a server are: groups, sizes, remaining lives."""

    enabled: Flag = Field(
        default=True,
        description="Look at the keys with SCAN and MEMORY USAGE, which count as neither hits nor misses and leave LRU "
        "and LFU alone.",
    )
    interval: Annotated[float, BeforeValidator(quantities.Duration(1, 86_400).read)] = Field(
        default=300.0, description="How often a look begins, unless the last one is still under way."
    )
    server_share: Annotated[float, BeforeValidator(quantities.Ratio(0.0001, 0.25).read)] = Field(
        default=0.01,
        description="The share of the server's time that looking may take. At 1 % a million keys take 5 to 17 minutes.",
    )
    step: Annotated[float, BeforeValidator(quantities.Duration(0.00005, 0.01).read)] = Field(
        default=0.0002,
        description="How long one step keeps the server busy, on average: others wait that long, and no longer.",
    )
    max_keys: Annotated[int, BeforeValidator(quantities.Whole(1000, 1_000_000_000).read)] = Field(
        default=2_000_000,
        description="Larger databases are sampled: a look sees this many keys, and the next one goes on where it "
        "stopped. Figures are extrapolated and carry their error.",
    )
    max_groups: Annotated[int, BeforeValidator(quantities.Whole(1, 1000).read)] = Field(
        default=50, description="How many key groups of a node are named; the rest is in the group `other`."
    )
    top: Annotated[int, BeforeValidator(quantities.Whole(1, 100).read)] = Field(
        default=10, description="How many of the largest keys of each type are named."
    )
    ttl_samples: Annotated[int, BeforeValidator(quantities.Whole(0, 1000).read)] = Field(
        default=50,
        description="How many keys of a group are asked for their remaining life in a look. The server counts each as "
        "a hit; they are taken out of our hit ratio. 0 asks none.",
    )


class Stats(Section):
    """What is read from INFO."""

    interval: Annotated[float, BeforeValidator(quantities.Duration(0.2, 60).read)] = Field(
        default=1.0,
        description="How often INFO is read. A second keeps the planning of the next observation fresh; INFO takes "
        "well under a millisecond.",
    )


class Alerts(Section):
    """The thresholds of `/health/redis-alerts`."""

    memory_ratio: Annotated[float, BeforeValidator(quantities.Ratio(0.01, 1).read)] = Field(
        default=0.9,
        description="Alert when a node uses more than this share of its maxmemory; above it, one burst of writes is "
        "enough to evict.",
    )
    latency: Annotated[float, BeforeValidator(quantities.Duration(0.001, 60).read)] = Field(
        default=0.1,
        description="Alert when a node takes longer than this to answer; users notice about a tenth of a second.",
    )


class Web(Section):
    """The HTTP server."""

    listen: Annotated[str, BeforeValidator(_listen)] = Field(
        default="0.0.0.0:9468",
        description="Where to listen, as HOST:PORT. `0.0.0.0` is every interface, which Prometheus on another host "
        "needs; port 0 is any free port.",
    )
    config_file: FilePath | None = Field(
        default=None,
        description="A web configuration file of Prometheus' exporter-toolkit: TLS, client certificates, users, "
        "headers. It and the certificates that it names are read again when they change.",
    )
    scrape_allow: tuple[UrlPattern, ...] = Field(
        default=(),
        description="Patterns of servers, such as `redis://10.0.*:6379`, that `/scrape?target=` may ask for although "
        "they are not configured; each is then watched for five minutes. Empty: none, so that nobody can make this "
        "process connect to where they please.",
    )

    @property
    def host(self) -> str:
        """The host of `listen`, without the brackets of IPv6."""
        return host_and_port(self.listen, lowest=0)[0]

    @property
    def port(self) -> int:
        """The port of `listen`."""
        return host_and_port(self.listen, lowest=0)[1]


class Log(Section):
    """What is logged to standard error, and how."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Word] = Field(
        default="info", description="The least severe level that is logged; `debug` adds tracebacks."
    )
    format: Annotated[Literal["json", "console"], Word] | None = Field(
        default=None, description="`json` or `console`; not set, it is `console` on a terminal and `json` elsewhere."
    )


def _collector(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+(?:/[A-Za-z0-9._/-]*)?", value):
        raise ValueError("must be an address such as http://localhost:4318, without credentials")
    return value


class Tracing(Section):
    """Traces of what this process does, sent with OTLP over HTTP; needs the packages of the extra `otel`."""

    enabled: Flag = Field(
        default=False,
        description="Whether to trace. While it is off, OpenTelemetry is not even imported. A change takes effect at "
        "the next start.",
    )
    endpoint: Annotated[str, BeforeValidator(_collector)] | None = Field(
        default=None,
        description="The collector; spans go to `/v1/traces` there. Not set, OpenTelemetry's own variables "
        "(`OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS`) or http://localhost:4318 are used.",
    )
    sample_ratio: Annotated[float, BeforeValidator(quantities.Ratio(0, 1).read)] = Field(
        default=1.0,
        description="The share of traces that are recorded; who asks with a `traceparent` header decides for its own.",
    )


class Target(Section):
    """One Redis or Valkey deployment."""

    name: Name = Field(description="The `target` label of its metrics, and its name in environment variables.")
    url: Annotated[SecretStr, BeforeValidator(_url)] | None = Field(
        default=None,
        description="`redis://`, `rediss://` (TLS), `valkey://`, `valkeys://` (TLS) or `unix://`, with "
        "`user:password@` and `/db` where needed. Required, but where Sentinels know the address. Of a cluster one "
        "node is enough, several are better: `redis://node-1:6379,node-2:6379`.",
    )
    topology: Annotated[Literal["auto", "standalone", "sentinel", "cluster"], Word] = Field(
        default="auto",
        description="`standalone` is the one server that the URL leads to, `sentinel` what Sentinels say, `cluster` "
        "all nodes of the cluster that the URL leads to. `auto` is `sentinel` where that section is given, `cluster` "
        "where the server says that it is a node of one, else `standalone`.",
    )
    nodes: Annotated[Literal["all", "primaries"], Word] = Field(
        default="all", description="Which of the deployment's nodes are watched."
    )
    username: str | None = Field(default=None, description="The ACL user, where the URL has none.")
    password: SecretStr | None = Field(
        default=None,
        description="The password, where the URL has none. Better use `password_file`, or `${VARIABLE}` here.",
    )
    password_file: FilePath | None = Field(
        default=None,
        description="A file with the password. It is read again at every connect, so that it can be rotated.",
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of this target's `redis_target_info`, to select and join by."
    )
    tls: Tls = Field(
        default_factory=Tls,
        description="TLS of this target. Where Sentinels give the addresses, any setting here switches it on.",
    )
    sentinel: Sentinel = Field(default_factory=Sentinel, description="The Sentinels that know this target.")
    sampling: Sampling = Field(
        default_factory=Sampling, description="Any of the `sampling` settings, for this target only."
    )
    stats: Stats = Field(default_factory=Stats, description="Any of the `stats` settings, for this target only.")

    @property
    def by_sentinel(self) -> bool:
        """Whether Sentinels say where the servers are."""
        return self.topology == "sentinel" or (self.topology == "auto" and self.sentinel.master is not None)

    @property
    def by_cluster(self) -> bool:
        """Whether the nodes of a cluster say where the others are."""
        return self.topology == "cluster" or len(self.seeds) > 1

    @property
    def seeds(self) -> tuple[str, ...]:
        """The addresses (`host:port`) of the URL."""
        return tuple(dict.fromkeys((self.endpoint.addr, *self.endpoint.others)))

    @cached_property
    def endpoint(self) -> Endpoint:
        """The parsed URL, with `username` and `password` of this section where the URL has none.

        Without a URL there is no address in it, but how to get in at any address that the Sentinels give.
        """
        if self.url is None:
            return Endpoint(self.tls != Tls(), "", 0, None, self.username, self.password, 0)
        parsed = parse(self.url.get_secret_value(), several=True)
        return replace(parsed, username=parsed.username or self.username, password=parsed.password or self.password)


class Config(Section):
    """Everything that can be configured."""

    targets: tuple[Target, ...] = Field(default=(), description="The deployments to watch.")
    sampling: Sampling = Field(default_factory=Sampling, description="How hot keys are found.")
    keys: Keys = Field(default_factory=Keys, description="How key names are shown.")
    enrich: Enrich = Field(default_factory=Enrich, description="Facts of the keys that are shown.")
    keyspace: Keyspace = Field(
        default_factory=Keyspace, description="What the keys of a server are: groups, sizes, remaining lives."
    )
    stats: Stats = Field(default_factory=Stats, description="What is read from INFO.")
    alerts: Alerts = Field(default_factory=Alerts, description="Thresholds of `/health/redis-alerts`.")
    warming: Warming = Field(default_factory=Warming, description="Keys that are written before somebody misses them.")
    web: Web = Field(default_factory=Web, description="The HTTP server.")
    log: Log = Field(default_factory=Log, description="Logging.")
    tracing: Tracing = Field(default_factory=Tracing, description="Traces with OpenTelemetry.")
