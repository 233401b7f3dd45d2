"""`/metrics` of the shop: golden files, the linters and parsers of others, and what must never appear."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from exporter.keynames import KeyNames
from exporter.meters import Meters
from exporter.snapshot import Board, Enrichment, GroupRate, HotKey, HotKeys, NodeStatus, SamplingState, SamplingTotals
from exporter.views import catalog, cluster_families, families, keyspace, native_families
from exporter.views.exposition import Format
from exporter.views.families import Collect
from exporter.views.metrics import TARGET_INFO, MetricsView
from exporter.views.reading import Moment, read
from tests.views import shop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.config import Config

GOLDEN = Path(__file__).parents[1] / "data" / "expositions"
EVERYTHING = frozenset(Collect)
NODES = EVERYTHING - {Collect.SELF}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def exposition(
    board: Board | None = None,
    *,
    config: Config | None = None,
    names: KeyNames = shop.NAMES,
    now: Moment = shop.NOW,
    form: Format = Format.TEXT,
    collect: frozenset[Collect] = NODES,
    meters: Meters | None = None,
) -> bytes:
    """The exposition of a Board, the shop's if nothing else is said."""
    readings = read(board or shop.shop_board(), config or shop.shop_config(), now)
    return MetricsView().render(readings, names, form, collect, meters.families() if meters else ())


def samples(body: bytes) -> Samples:
    """All samples of a text exposition; a series that stands there twice fails the test."""
    found: Samples = {}
    for family in text_families(body.decode()):
        for sample in family.samples:
            series = (sample.name, tuple(sorted(sample.labels.items())))
            assert series not in found, f"twice: {series}"
            found[series] = sample.value
    return found


def of(body: bytes, name: str, **wanted: str) -> list[float]:
    """The values of one family's samples that have these labels."""
    return [
        value
        for (family, labels), value in samples(body).items()
        if family == name and wanted.items() <= dict(labels).items()
    ]


def names_of(body: bytes) -> set[str]:
    """The names of all samples."""
    return {name for name, _ in samples(body)}


@pytest.mark.parametrize(("form", "file"), [(Format.TEXT, "shop.txt"), (Format.OPENMETRICS, "shop.openmetrics")])
def test_the_exposition_is_the_golden_one(form: Format, file: str) -> None:
    """Every byte is as reviewed; GOLDEN_UPDATE=1 writes the files anew."""
    body = exposition(form=form)
    if os.environ.get("GOLDEN_UPDATE") == "1":
        (GOLDEN / file).write_bytes(body)
    assert body.decode() == (GOLDEN / file).read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say() -> None:
    """Prometheus' own linter is silent about every family, our meters included."""
    meters = Meters("0.1.0")
    with meters.job("enrich"):
        pass
    body = exposition(collect=EVERYTHING, meters=meters)
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False, timeout=60)
    assert done.returncode in {0, 3}
    # The name is redis_exporter's.
    kept = b'redis_key_group_count non-histogram and non-summary metrics should not have "_count" suffix'
    assert (done.stdout, [line for line in done.stderr.splitlines() if line != kept]) == (b"", [])


def test_both_formats_say_the_same() -> None:
    """The OpenMetrics parser reads the same samples as the text parser."""
    meters = Meters("0.1.0")
    with meters.job("enrich"):
        pass
    metrics = list(meters.families())
    readings = read(shop.shop_board(), shop.shop_config(), shop.NOW)
    text, openmetrics = (
        MetricsView().render(readings, shop.NAMES, form, EVERYTHING, metrics)
        for form in (Format.TEXT, Format.OPENMETRICS)
    )
    assert openmetrics.endswith(b"# EOF\n")
    other = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in openmetrics_families(openmetrics.decode())
        for sample in family.samples
    }
    assert other == samples(text)


def test_every_family_of_the_table_is_in_the_shop() -> None:
    """The golden files leave out no family of our own, and no family is defined twice."""
    every = [row.family.name for section in catalog.SECTIONS for row in section.rows]
    assert len(every) == len(set(every))
    own = [
        row.family.name
        for section in (*families.SECTIONS, *cluster_families.SECTIONS, *keyspace.SECTIONS, *native_families.SECTIONS)
        for row in section.rows
    ]
    assert names_of(exposition()) == {*own, TARGET_INFO.name}


def test_target_and_addr_come_first() -> None:
    """Every sample of a node starts with the same two labels, which makes the text easy to read and to compress."""
    for line in exposition().decode().splitlines():
        if not line.startswith(("#", TARGET_INFO.name)):
            assert line.partition("{")[2].startswith('target="')
            assert '",addr="' in line


def test_only_labelled_keys_become_series() -> None:
    """The label budget decides, not the window: 14 of 17 keys."""
    shown = of(exposition(), "redis_hotkey_accesses_per_second", target="cache")
    assert len(shown) == 14
    assert min(shown) == 61.0


def test_the_same_key_of_two_databases_is_two_series() -> None:
    """The label db holds the plain number."""
    body = exposition()
    assert of(body, "redis_hotkey_accesses_per_second", target="queue", key="queue:mails", db="0") == [40.0]
    assert of(body, "redis_hotkey_accesses_per_second", target="queue", key="queue:mails", db="3") == [20.0]


def test_keys_that_are_written_alike_are_summed() -> None:
    """Under `privacy: group` rates, bounds and shares add up, and what only one key can have is left out."""
    body = exposition(names=KeyNames(privacy="group"))
    raw = {key.key: key for key in shop.hot_keys().keys}
    prices = [raw[b"product:8841:price"], raw[b"product:1207:price"]]
    wanted = {"target": "cache", "key": "product:*:price"}
    for family, field in (("accesses_per_second", "rate"), ("accesses_per_second_low", "low"),
                          ("accesses_per_second_high", "high"), ("share_ratio", "share")):  # fmt: skip
        assert of(body, f"redis_hotkey_{family}", **wanted) == [pytest.approx(sum(getattr(k, field) for k in prices))]
    assert of(body, "redis_hotkey_memory_bytes", **wanted) == []


def test_a_masked_key_shows_nowhere() -> None:
    """A session's identifier is in no label of any family."""
    assert b"0f3a9c1d" not in exposition()
    assert of(exposition(), "redis_hotkey_accesses_per_second", key="session:*~25e1ba11") == [4102.0]


def test_a_life_is_counted_down_to_the_snapshot() -> None:
    """The TTL was probed 3.1 s before now and the window ended 0.6 s before now: 2.5 s less."""
    assert of(exposition(), "redis_hotkey_ttl_seconds", key="config:features") == [pytest.approx(4.5 * 64 - 2.5)]
    assert of(exposition(), "redis_hotkey_ttl_seconds", key="product:8841:price") == []


def test_a_life_never_becomes_negative() -> None:
    """A key whose time has run out since the probe has 0 s to live."""
    assert of(exposition(), "redis_hotkey_ttl_seconds", key="flash-sale:banner") == [pytest.approx(2.0)]
    board = shop.shop_board()
    board.publish(shop.CACHE, replace(shop.hot_keys(), taken_at=shop.NOW.monotonic + 9))
    assert of(exposition(board), "redis_hotkey_ttl_seconds", key="flash-sale:banner") == [0.0]


def test_a_window_that_is_too_old_is_withheld() -> None:
    """After 5 s all figures of keys and groups are gone and sampling is down; configuration and counters stay."""
    late = Moment(shop.hot_keys().taken_at + 5.01, shop.NOW.wall)
    board = shop.shop_board()
    board.publish(shop.CACHE, replace(shop.native(), taken_at=-100.0))
    body = exposition(board, now=late, collect=frozenset({Collect.HOTKEYS}))
    left = {name for name in names_of(body) if name.startswith(("redis_hotkey", "redis_key_group"))}
    assert left == {
        "redis_hotkey_threshold_accesses_per_second", "redis_hotkey_threshold_share_ratio",
        "redis_hotkey_labels_suppressed_total",
    }  # fmt: skip
    assert of(body, "redis_sampling_up") == [0, 0, 0]
    assert of(body, "redis_sampling_duty_ratio") == []
    assert of(body, "redis_sampling_events_total", target="cache") == [81_402_119]
    just = Moment(shop.hot_keys().taken_at + 4.99, shop.NOW.wall)
    assert of(exposition(now=just), "redis_sampling_up", target="cache") == [1]


def test_a_status_that_is_too_old_is_withheld() -> None:
    """After 5 s and the interval a silent node is down by timeout, and only the time of its last success is left."""
    late = Moment(shop.status().taken_at + 6.01, shop.NOW.wall)
    body = exposition(now=late)
    assert of(body, "redis_up") == [0, 0, 0]
    assert of(body, "redis_down_info", target="cache", reason="timeout") == [1]
    assert {"redis_node_info", "redis_keyspace_hit_ratio", "redis_sampling_server_limit_bytes"}.isdisjoint(
        names_of(body)
    )
    assert of(body, "redis_stats_last_success_timestamp_seconds", target="cache") == [shop.status().last_success]


def test_a_node_that_is_down_shows_no_figures() -> None:
    """What it said before is history: only up, the reason and the last success."""
    stats = exposition(collect=frozenset({Collect.STATS}))
    assert of(stats, "redis_up", target="sessions") == [0]
    assert of(stats, "redis_down_info", target="sessions", reason="refused") == [1]
    assert of(stats, "redis_node_info", target="sessions") == []
    assert of(stats, "redis_keyspace_hit_ratio", target="sessions") == []


def test_a_node_that_is_up_has_no_down_reason() -> None:
    """`redis_down_info` exists only while a node is down."""
    assert of(exposition(), "redis_down_info", target="cache") == []


def test_a_node_that_nobody_asked_yet_is_starting() -> None:
    """Before the first answer a node is down with the reason starting, and nothing else is claimed."""
    board = Board((shop.CACHE,))
    body = exposition(board)
    assert of(body, "redis_down_info", reason="starting") == [1]
    assert of(body, "redis_sampling_source_info", source="none", reason="starting") == [1]
    assert names_of(body) == {
        "redis_up", "redis_down_info", "redis_target_info", "redis_sampling_up", "redis_sampling_source_info",
        "redis_hotkey_threshold_accesses_per_second", "redis_hotkey_threshold_share_ratio",
    }  # fmt: skip


def test_nodes_of_a_target_that_was_removed_are_not_shown() -> None:
    """The configuration decides; the Board may still hold what was there before a reload."""
    config = shop.shop_config()
    config = config.model_copy(update={"targets": config.targets[1:]})
    assert b"10.0.0.1" not in exposition(config=config)


@pytest.mark.parametrize(
    ("collect", "present", "absent"),
    [
        (Collect.HOTKEYS, "redis_hotkey_info", "redis_up"),
        (Collect.HOTKEYS, "redis_sampling_up", "hotkey_exporter_build_info"),
        (Collect.STATS, "redis_up", "redis_sampling_up"),
        (Collect.STATS, "redis_target_info", "redis_hotkey_info"),
        (Collect.SELF, "hotkey_exporter_build_info", "redis_up"),
    ],
)
def test_collect_chooses_families(collect: Collect, present: str, absent: str) -> None:
    """Each value of `collect[]` has its own families, and no others come along."""
    names = names_of(exposition(collect=frozenset({collect}), meters=Meters("0.1.0")))
    assert present in names
    assert absent not in names


def test_the_parts_of_collect_add_up_to_everything() -> None:
    """No family belongs to two values of `collect[]`, and none to none."""
    parts = [samples(exposition(collect=frozenset({one}))) for one in NODES]
    assert sum(map(len, parts)) == len(samples(exposition()))


def test_a_scrape_of_one_node_has_no_target_and_no_addr() -> None:
    """`/scrape` says of a node what `/metrics` says of it, without the two labels, whatever else its labels hold."""
    board = shop.shop_board()
    forged = shop.hot_key(b'{target="cache",addr="10.0.0.1:6379"} 1', 30.0, 60.0)
    board.publish(shop.CACHE, replace(shop.hot_keys(), keys=(forged,), labelled=frozenset({(0, forged.key)})))
    reading = read(board, shop.shop_config(), shop.NOW)[0]
    alone = MetricsView().scrape(reading, shop.NAMES, Format.TEXT)
    wanted = {
        (name, tuple(pair for pair in labels if pair[0] not in {"target", "addr"})): value
        for (name, labels), value in samples(exposition(board)).items()
        if dict(labels)["target"] == "cache" and name != TARGET_INFO.name
    }
    found = samples(alone)
    assert {series: found[series] for series in wanted} == wanted
    assert all({"target", "addr"}.isdisjoint(dict(labels)) for _, labels in found)
    assert of(alone, "redis_hotkey_accesses_per_second") == [30.0]


def test_a_scrape_may_be_of_some_families() -> None:
    """`collect` chooses on `/scrape` too."""
    reading = read(shop.shop_board(), shop.shop_config(), shop.NOW)[0]
    body = MetricsView().scrape(reading, shop.NAMES, Format.OPENMETRICS, frozenset({Collect.STATS}))
    assert b"redis_up 1\n" in body
    assert b"redis_hotkey" not in body


class CountingNames(KeyNames):
    """Key names that count how often they were asked."""

    asked = 0

    def label(self, key: bytes) -> str:
        """Count and write."""
        self.asked += 1
        return super().label(key)


def test_a_snapshot_is_rendered_once() -> None:
    """A second scrape of the same snapshots, in the other format, renders nothing; a new snapshot only its own node."""
    board, config, names, view = shop.shop_board(), shop.shop_config(), CountingNames(), MetricsView()

    def scrape(form: Format, now: Moment = shop.NOW) -> bytes:
        return view.render(read(board, config, now), names, form, NODES)

    first = scrape(Format.TEXT)
    keys = names.asked
    assert keys == 14 + 3 + 3 + 3  # labelled keys of two nodes, the largest keys, the server's own
    assert scrape(Format.TEXT) == first
    scrape(Format.OPENMETRICS)
    assert names.asked == keys
    board.publish(shop.QUEUE, shop.quiet_keys())
    scrape(Format.TEXT)
    assert names.asked == keys + 3
    assert b"redis_hotkey_accesses" not in scrape(Format.TEXT, Moment(shop.NOW.monotonic + 60, shop.NOW.wall))


def test_what_was_rendered_for_a_node_that_is_gone_is_forgotten() -> None:
    """The cache holds one entry for each node and section, and only for nodes that still exist."""
    board, config, view = shop.shop_board(), shop.shop_config(), MetricsView()
    readings = read(board, config, shop.NOW)
    view.render(readings, shop.NAMES, Format.TEXT, NODES)
    sections = [section for section in catalog.SECTIONS if not section.scrape_only]
    assert len(view) == 3 * len(sections)
    view.forget(readings[:1])
    assert len(view) == len(sections)


hot_keys = st.builds(
    HotKey,
    db=st.integers(0, 2),
    key=st.one_of(st.binary(max_size=12), st.sampled_from([b"user:1", b"user:2", b"a" * 700, b"a" * 701])),
    rate=st.floats(0, 1e6),
    low=st.floats(0, 1e6),
    high=st.floats(0, 1e6),
    share=st.floats(0, 1),
    reads=st.floats(0, 1e6),
    writes=st.floats(0, 1e6),
)
groups = st.builds(
    GroupRate, db=st.integers(0, 1), group=st.sampled_from(["a:*", "b:*", "other"]), rate=st.floats(0, 9)
)


@given(
    keys=st.lists(hot_keys, max_size=12, unique_by=lambda key: (key.db, key.key)),
    rates=st.lists(groups, max_size=6),
    privacy=st.sampled_from(["clear", "hash", "group"]),
    length=st.sampled_from([16, 128]),
)
def test_no_series_stands_twice(keys: list[HotKey], rates: list[GroupRate], privacy: str, length: int) -> None:
    """Whatever the keys are and however they are hidden or cut, each series is there once, so Prometheus takes it."""
    board = shop.shop_board()
    labelled = frozenset((key.db, key.key) for key in keys)
    board.publish(shop.CACHE, replace(shop.hot_keys(), keys=tuple(keys), labelled=labelled, groups=tuple(rates)))
    names = KeyNames(privacy=privacy, max_label_length=length)  # type: ignore[arg-type]
    shown = of(exposition(board, names=names), "redis_hotkey_accesses_per_second", target="cache")
    assert sum(shown) == pytest.approx(sum(key.rate for key in keys))


def test_every_kind_of_snapshot_may_be_missing() -> None:
    """Any subset of the snapshots of a node gives a valid exposition."""
    kinds: Iterable[type] = (NodeStatus, HotKeys, SamplingState, SamplingTotals, Enrichment)
    full = shop.shop_board()
    for missing in kinds:
        board = Board((shop.CACHE,))
        for kind in kinds:
            if kind is not missing:
                board.publish(shop.CACHE, full.latest(shop.CACHE, kind))
        assert of(exposition(board), "redis_up") == [0 if missing is NodeStatus else 1]


def test_each_key_is_held_against_its_own_threshold() -> None:
    """An override's threshold counts, an ignored key has no ratio, every other key is measured by the general one."""
    overrides = [{"match": "flash-sale:*", "ignore": True}, {"match": "product:*", "threshold": "100/s"}]
    target = {"name": "cache", "url": "redis://10.0.0.1", "sampling": {"threshold": "50/s", "overrides": overrides}}
    config = shop.with_targets(shop.shop_config(), target)
    readings = read(shop.shop_board(), config, shop.NOW)
    found = samples(MetricsView().render(readings, shop.NAMES, Format.TEXT, NODES))
    lows = {labels: value for (name, labels), value in found.items() if name == "redis_hotkey_accesses_per_second_low"}
    ratios = {labels: value for (name, labels), value in found.items() if name == "redis_hotkey_low_to_threshold_ratio"}
    limits = {labels: 100 if dict(labels)["key"].startswith("product:") else 50 for labels in lows}
    assert any(limit == 100 for limit in limits.values())
    kept = {labels for labels in lows if not dict(labels)["key"].startswith("flash-sale:")}
    assert kept < lows.keys()
    assert ratios == {labels: pytest.approx(lows[labels] / limits[labels]) for labels in kept}
