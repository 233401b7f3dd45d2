"""`docs/metrics.md`, written from the tables of families, so that it cannot drift from them.

Names, types and helps are the tables'; labels are those of the samples that a node with everything makes; what bounds
their number is said here, for each label once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.meters import Meters
from exporter.views import catalog, certificates, families, slot_families, warming
from exporter.views.exposition import Format
from exporter.views.metrics import TARGET_INFO, MetricsView
from exporter.views.reading import read
from exporter.views.redis_families import commands, info_fields, one_scrape, replication, server
from tests.parity import label_names
from tests.views import shop
from tests.views.everything import everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.views.exposition import Family
    from exporter.views.families import Section

HEAD = """\
# Metrics

<!-- Written by `make docs` from the tables in exporter/views; edit those, or tests/views/reference.py. -->

`/metrics` has all families but those of [one scrape](#one-scrape), each sample of a node with the labels `target` (its
name in the configuration) and `addr` (`host:port`). `/scrape?target=` has those of one node, without these two labels:
exactly the label sets of redis_exporter, plus what it does not have. The tables leave `target` and `addr` out.

* **Types.** In OpenMetrics a counter's family is called without `_total`. Families that OpenMetrics has no form for
  (counters without `_total`, quantiles above 1) are of type unknown there; in Prometheus' text format they are what the
  table says.
* **What is not known is absent**, never 0. A reading that is older than three intervals is withheld, and while a node
  is down all there is of it is `redis_up 0` and the reason.
* **Series** says how many a node has at most, or what bounds their number. *Keys shown* are the top of the window
  (`sampling.top`) and of its last 3 s, and no more than `sampling.max_new_labels_per_hour` new ones an hour.

"""
DIFFERENCES = """\
## Where this differs from redis_exporter

Names, labels and help are those of redis_exporter 1.45.0 and of its newest source, except:

* Counters are read in the background, at a fixed phase a moment before the scrapes, once a second while that costs the
  server no more than 0.1 % of its time. What changes rarely (CONFIG, SLOWLOG, LATENCY, CLUSTER, SENTINEL) is asked for
  every 5 s. redis_exporter asks while it is scraped: there a slow server makes the scrape slow.
* `redis_exporter_last_scrape_error{err}` is one of the reasons of `redis_down_info`. There it is the error's text, with
  the client's port in it: a new series at every failure.
* The helps of `redis_commands_rejected_calls_total` and `redis_commands_failed_calls_total` are not swapped.
* `redis_start_time_seconds` stays what it is while the server runs, instead of wavering by a second.
* `redis_sentinel_master_ckquorum_status{message}` has CKQUORUM's words, but CKQUORUM is not sent: its negative answer
  would count as an error on the Sentinel.
* `redis_instance_info` has `master_replid` where the server is newer than redis_exporter 1.45.0: from Redis 8 on, and
  on Valkey. On older servers it has that version's labels.
* `redis_commands_latencies_usec_sum` is the command's own time; a command whose name begins another's does not get that
  one's time too.
* `redis_last_key_groups_scrape_duration_milliseconds` is how long the last finished look over the keys took, which goes
  on in the background and is paced: minutes are usual where there are many keys.
* `redis_exporter_scrapes_total` and `redis_exporter_scrape_duration_seconds` count readings since the start. There they
  are always of one scrape. `golang_version` says that there is none.
* CONFIG is asked for a few settings by name, never for all: no password crosses the wire.
* Not here: what redis_exporter only has behind options (single keys and streams, client lists, Lua scripts, modules,
  search indexes), KeyDB and Tile38, and its own process (`go_*`).
"""
TITLES = (
    (families.SECTIONS, "Hot keys, sampling and nodes"),
    (info_fields.SECTIONS, "INFO, field by field"),
    (commands.SECTIONS, "Commands, errors, latencies and logs"),
    (server.SECTIONS, "The server: identity, databases, limits"),
    (replication.SECTIONS, "Replication and Sentinel"),
    (slot_families.SECTIONS, "Slots of a cluster node"),
    (one_scrape.SECTIONS, "One scrape"),
)
PROCESS = "This process"
NONE = "\N{EN DASH}"
TIMES = " \N{MULTIPLICATION SIGN} "
# What bounds the number of values of a label.
BOUNDS = {
    "key": "keys shown",
    "key_group": "groups",
    "window": "2",
    "source": "1",
    "reason": "reasons: a closed set",
    "outcome": "outcomes: a closed set",
    "role": "1",
    "cmd": "commands that the server has run, at most 1,000",
    "err": "errors that it has answered, at most 128",
    "quantile": "percentiles configured, usually 3",
    "le": "buckets in use, at most 65",
    "event_name": "events, at most 64",
    "slave_ip": "replicas, at most 256",
    "master_host": "masters: 1",
    "master_name": "masters watched, at most 128",
    "class": "3 classes",
    "limit": "1 or 2 limits",
    "certificate": "3",
    "engine": "engines, at most 16",
    "thread": "I/O threads",
    "slot": "slots that lead, 10 by each of 5 numbers: at most 50",
    "job_name": "jobs",
    "level": "5",
    "result": "results: a closed set",
    "team": "targets",
}
"""Labels that are not listed are said by another label of theirs, or have one value."""


def metrics_md() -> str:
    """Write the page."""
    return "".join(_page())


def _page() -> Iterator[str]:
    yield HEAD
    known = _labels()
    titles = {id(section): title for sections, title in TITLES for section in sections}
    last = ""
    for section in catalog.SECTIONS:
        if section in certificates.SECTIONS:
            continue
        title = titles.get(id(section)) or section.collect.value.capitalize()
        if title != last:
            yield f"\n## {title}\n\n" if last else f"## {title}\n\n"
            yield from _heading(title)
        last = title
        yield from _rows(section, known)
    yield "\n## TLS\n\n"
    yield from _heading("TLS")
    yield from _tls()
    yield f"\n## {PROCESS}\n\n"
    yield from _heading(PROCESS)
    yield _line(
        TARGET_INFO.name, TARGET_INFO.kind, "`target`, and the target's own labels", "targets", TARGET_INFO.help
    )
    yield from _process()
    yield "\n## Warming\n\n"
    yield from _heading("Warming")
    yield from _warming()
    yield "\n" + DIFFERENCES


def _heading(title: str) -> Iterator[str]:
    if title == "INFO, field by field":
        yield "| family | type | field | help |\n|---|---|---|---|\n"
    else:
        yield "| family | type | labels | series | help |\n|---|---|---|---|---|\n"


def _rows(section: Section, known: dict[str, set[frozenset[str]]]) -> Iterator[str]:
    for row in section.rows:
        family = row.family
        if not family.first:
            continue
        name = family.of or family.name
        if section in info_fields.SECTIONS:
            yield f"| `{name}` | {family.kind} | `{_fields()[name]}` | {_cell(family.help)} |\n"
        else:
            yield _line(name, family.kind, *_labelled(name, known), family.help)


def _fields() -> dict[str, str]:
    tables = (*info_fields.GAUGES, *info_fields.COUNTERS, *info_fields.CLUSTER, *info_fields.BUS)
    return {f"redis_{field.name}": field.field for field in tables}


def _labelled(name: str, known: dict[str, set[frozenset[str]]]) -> tuple[str, str]:
    """The labels of a family, and what bounds the number of its series."""
    names = sorted(set().union(*known[name]) - {"target", "addr"}, key=_order)
    bounds = [BOUNDS[one] for one in names if one in BOUNDS and not (one == "slot" and "key" in names)]
    if "db" in names and "key" not in names and "key_group" not in names:
        bounds.insert(0, "databases, at most 1,024")
    return ", ".join(f"`{one}`" for one in names) or NONE, TIMES.join(one for one in bounds if one != "1") or "1"


def _order(label: str) -> tuple[bool, str]:
    return label in {"le", "quantile"}, label


def _process() -> Iterator[str]:
    meters = Meters("0")
    with meters.job("enrich"):
        pass
    for metric in meters.families():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        labels = sorted({label for sample in metric.samples for label in sample.labels}, key=_order)
        bounds = [BOUNDS[one] for one in labels if one in BOUNDS]
        written = ", ".join(f"`{one}`" for one in labels) or NONE
        yield _line(name, metric.type, written, TIMES.join(bounds) or "1", metric.documentation)


def _tls() -> Iterator[str]:
    more = {
        certificates.NOT_AFTER: ("`role`", "4"), certificates.UNVERIFIED: (NONE, "1"),
        certificates.CONNECTION: ("`version`, `cipher`", "1"),
    }  # fmt: skip
    for family, (written, series) in more.items():
        yield _line(family.name, family.kind, written, series, family.help)
    for section in certificates.SECTIONS:
        for row in section.rows:
            yield _line(row.family.name, row.family.kind, "`reason`", BOUNDS["reason"], row.family.help)


def _warming() -> Iterator[str]:
    more = {warming.RUNS: "outcome", warming.KEYS: "result", warming.SECONDS: "le"}
    for family in warming.FAMILIES:
        names = ["target", "job_name", *([more[family]] if family in more else [])]
        bounds = [BOUNDS[one] for one in names if one in BOUNDS]
        yield _line(family.name, family.kind, ", ".join(f"`{one}`" for one in names), TIMES.join(bounds), family.help)


def _line(name: str, kind: str, labels: str, series: str, text: str) -> str:
    return f"| `{name}` | {kind} | {labels} | {series} | {_cell(text)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _labels() -> dict[str, set[frozenset[str]]]:
    """The label sets of every family, from `/scrape` of the shop's nodes and of one that has everything."""
    config, view = shop.shop_config(), MetricsView()
    board = shop.shop_board()
    board.publish(shop.QUEUE, everything())
    found: dict[str, set[frozenset[str]]] = {}
    for reading in read(board, config, shop.NOW):
        for name, sets in label_names(view.scrape(reading, shop.NAMES, Format.TEXT)).items():
            found.setdefault(name, set()).update(sets)
    return found


def family_names() -> set[str]:
    """The names of all families, as the text format's headers have them."""
    listed: list[Family] = [row.family for section in catalog.SECTIONS for row in section.rows]
    return {family.of or family.name for family in listed}
