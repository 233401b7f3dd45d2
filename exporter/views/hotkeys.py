"""Hot keys as they may be shown: raw names come in, written (masked, hashed, cut) ones go out, each once.

Also the JSON of `/api/v1/hotkeys`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from exporter.keynames import write
from exporter.views import native

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    from exporter.config import Sampling
    from exporter.keynames import KeyNames
    from exporter.snapshot import Enrichment, HotKeys, KeyFacts
    from exporter.views.reading import Moment, Reading

MOST_KEYS = 100
"""How many keys of one node the API lists at most."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One line of a table of hot keys; `key` is the written name, rates are per second.

    Keys that are written alike (groups under `privacy: group`) are one line: their rates, bounds and shares add up
    (so the interval errs on the wide side), and `facts` is None, as it would be of any one of them.
    `low_to_threshold` is the lower end over the threshold that applies to the key (of the hottest, if several).
    `raw` are the names as they are, never to be shown.
    """

    db: int
    key: str
    rate: float
    low: float
    high: float
    share: float
    reads: float
    writes: float
    facts: KeyFacts | None
    ttl_seconds: float | None
    low_to_threshold: float | None = None
    raw: tuple[bytes, ...] = ()

    @property
    def write_ratio(self) -> float | None:
        """Writes among the accesses, None without any."""
        accesses = self.reads + self.writes
        return self.writes / accesses if accesses > 0 else None


def shown(
    hotkeys: HotKeys,
    enrichment: Enrichment | None,
    names: KeyNames,
    only: Set[tuple[int, bytes]] | None = None,
    settings: Sampling | None = None,
) -> list[ShownKey]:
    """All keys of a snapshot (or `only` some), most accessed first, one for each database and written name.

    A TTL is counted down from its probe to the time of the snapshot. With `settings` the keys are held against their
    thresholds.
    """
    facts: Mapping[tuple[int, bytes], KeyFacts] = enrichment.facts if enrichment else {}
    lines: dict[tuple[int, str], ShownKey] = {}
    for key in hotkeys.keys:
        if only is not None and (key.db, key.key) not in only:
            continue
        written = names.label(key.key)
        fact = facts.get((key.db, key.key))
        limit = threshold(key.key, settings) if settings else None
        line = ShownKey(
            db=key.db,
            key=written,
            rate=key.rate,
            low=key.low,
            high=key.high,
            share=key.share,
            reads=key.reads,
            writes=key.writes,
            facts=fact,
            ttl_seconds=_remaining(fact, hotkeys.taken_at),
            low_to_threshold=key.low / limit if limit else None,
            raw=(key.key,),
        )
        same = lines.get((key.db, written))
        lines[key.db, written] = line if same is None else _sum(same, line)
    return sorted(lines.values(), key=attrgetter("rate"), reverse=True)


def _remaining(facts: KeyFacts | None, at: float) -> float | None:
    if facts is None or facts.ttl_seconds is None:
        return None
    return max(0.0, facts.ttl_seconds - max(0.0, at - facts.probed_at))


def _sum(one: ShownKey, other: ShownKey) -> ShownKey:
    ratios = [ratio for ratio in (one.low_to_threshold, other.low_to_threshold) if ratio is not None]
    return replace(
        one,
        rate=one.rate + other.rate,
        low=one.low + other.low,
        high=one.high + other.high,
        share=one.share + other.share,
        reads=one.reads + other.reads,
        writes=one.writes + other.writes,
        facts=None,
        ttl_seconds=None,
        low_to_threshold=max(ratios, default=None),
        raw=one.raw + other.raw,
    )


def listed(
    readings: Iterable[Reading], names: KeyNames, limit: int, db: int | None = None
) -> list[tuple[Reading, ShownKey]]:
    """Return up to `limit` keys of each node, all nodes together, most accessed first."""
    rows = [
        (reading, key)
        for reading in readings
        if reading.hotkeys
        for key in [one for one in shown(reading.hotkeys, reading.enrichment, names) if db is None or one.db == db][
            : min(limit, MOST_KEYS)
        ]
    ]
    return sorted(rows, key=lambda row: row[1].rate, reverse=True)


def api(
    readings: tuple[Reading, ...], names: KeyNames, now: Moment, limit: int, db: int | None = None
) -> dict[str, Any]:
    """Build the answer of `/api/v1/hotkeys` (see the contract); what is unknown or withheld is None."""
    rows = [row(reading, key) for reading, key in listed(readings, names, limit, db)]
    for reading in readings:
        rows += native.rows(reading, names, min(limit, MOST_KEYS), db)
    fresh = [reading.hotkeys for reading in readings if reading.hotkeys]
    newest = max(fresh, key=attrgetter("taken_at"), default=None)
    return {
        "generated_at": now.iso,
        "window_end": max((one.window_end for one in fresh), default=None),
        "window_seconds": newest.window_seconds if newest else _configured_window(readings),
        "targets": [_target(reading) for reading in readings],
        "hotkeys": [{**one, "rank": rank} for rank, one in enumerate(rows, start=1)],
    }


def _configured_window(readings: tuple[Reading, ...]) -> float | None:
    return max((reading.target.sampling.window for reading in readings), default=None)


def _target(reading: Reading) -> dict[str, Any]:
    hotkeys = reading.hotkeys
    return {
        "target": reading.node.target,
        "addr": reading.node.addr,
        "source": reading.source,
        "observed_seconds": hotkeys.observed_seconds if hotkeys else None,
        "commands_per_second": hotkeys.commands_per_second if hotkeys else None,
        "duty_ratio": hotkeys.duty_ratio if hotkeys else None,
    }


def row(reading: Reading, key: ShownKey, rank: int = 0) -> dict[str, Any]:
    """The figures of one key, as a row of `/api/v1/hotkeys`."""
    return {
        "rank": rank,
        "target": reading.node.target,
        "addr": reading.node.addr,
        "db": key.db,
        "key": key.key,
        "accesses_per_second": key.rate,
        "low": key.low,
        "high": key.high,
        "share_ratio": key.share,
        "reads_per_second": key.reads,
        "writes_per_second": key.writes,
        "type": key.facts.type if key.facts else None,
        "memory_bytes": key.facts.memory_bytes if key.facts else None,
        "ttl_seconds": key.ttl_seconds,
    }


def threshold(key: bytes, settings: Sampling) -> float | None:
    """Return the threshold of one key: the first override whose glob matches its name, None where it is ignored."""
    if settings.overrides:
        name = write(key)
        for override in settings.overrides:
            if fnmatchcase(name, override.match):
                if override.ignore:
                    return None
                return settings.threshold if override.threshold is None else override.threshold
    return settings.threshold
