"""What redis_exporter says of itself, on `/scrape` only: about collecting the node's statistics, not about the node.

Its error label carries the raw text of the error; here it is one of the reasons of `redis_down_info`.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from exporter import __version__
from exporter.views.exposition import Family, label, labels
from exporter.views.families import Collect, Row, Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.serverstats import Collection
    from exporter.views.exposition import Kind
    from exporter.views.families import Samples, Sheet

_DURATIONS = "Durations of scrapes by the exporter"
_BUILD = labels(
    (
        ("version", __version__),
        ("commit_sha", ""),
        ("build_date", ""),
        ("golang_version", f"none, Python {platform.python_version()}"),
    )
)


def _collection(value: Callable[[Collection], float]) -> Callable[[Sheet], Samples]:
    return lambda sheet: (("", value(sheet.reading.stats.collection)),) if sheet.reading.stats else ()


def _last_look(sheet: Sheet) -> Samples:
    """Looks go on in the background: how long the last finished one took, 0 while there is none."""
    return (("", 1e3 * sheet.reading.keyspace.seconds if sheet.reading.keyspace else 0.0),)


def _error(sheet: Sheet) -> Samples:
    down = sheet.reading.down
    return ((label("err", down or ""), 1.0 if down else 0.0),)


def _row(name: str, text: str, samples: Callable[[Sheet], Samples], kind: Kind = "gauge", of: str = "") -> Row:
    return Row(
        Family(f"redis_{name}", kind, text, of=of and f"redis_{of}", first=not of or name == f"{of}_sum"), samples
    )


SECTIONS = (
    Section(
        Collect.STATS,
        lambda reading: (reading.stats, reading.down, reading.keyspace),
        (
            _row("exporter_build_info", "redis exporter build_info", lambda _sheet: ((_BUILD, 1.0),)),
            _row("exporter_last_scrape_error", "The last scrape error status.", _error),
            _row(
                "exporter_last_scrape_connect_time_seconds",
                "exporter_last_scrape_connect_time_seconds metric",
                _collection(lambda one: one.connect_seconds),
            ),
            _row(
                "exporter_last_scrape_duration_seconds",
                "exporter_last_scrape_duration_seconds metric",
                _collection(lambda one: one.last_seconds),
            ),
            _row(
                "exporter_scrape_duration_seconds_sum",
                _DURATIONS,
                _collection(lambda one: one.seconds),
                "summary",
                of="exporter_scrape_duration_seconds",
            ),
            _row(
                "exporter_scrape_duration_seconds_count",
                _DURATIONS,
                _collection(lambda one: one.count),
                "summary",
                of="exporter_scrape_duration_seconds",
            ),
            _row(
                "exporter_scrapes_total",
                "Current total redis scrapes.",
                _collection(lambda one: one.count),
                "counter",
            ),
            _row(
                "target_scrape_request_errors_total",
                "Errors in requests to the exporter",
                lambda _sheet: (("", 0.0),),
                "counter",
            ),
            _row(
                "last_key_groups_scrape_duration_milliseconds",
                "Duration of the last key group metrics scrape in milliseconds",
                _last_look,
            ),
        ),
        scrape_only=True,
    ),
)
