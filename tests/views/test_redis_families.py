"""redis_exporter's families: what dashboards were built on has the same names, types, labels, values and helps."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from exporter.views.exposition import Format
from exporter.views.families import Collect
from exporter.views.metrics import MetricsView
from exporter.views.reading import Moment, read
from tests.captured import DATA, KINDS, captured_text
from tests.parity import label_names, series
from tests.views import shop
from tests.views.everything import MORE, answered

if TYPE_CHECKING:
    from exporter.serverstats import ServerStats


def everything(kind: str) -> ServerStats:
    """A captured INFO, and an answer to every question."""
    return answered(captured_text(kind) + MORE)


def scrape(stats: ServerStats, form: Format = Format.TEXT) -> bytes:
    """`/scrape` of a node with these statistics."""
    board = shop.shop_board()
    board.publish(shop.CACHE, stats)
    return MetricsView().scrape(read(board, shop.shop_config(), shop.NOW)[0], shop.NAMES, form)


@dataclass(frozen=True, slots=True)
class Theirs:
    """A family of redis_exporter as a real run of it had it, or as its newest source has it."""

    name: str
    type: str
    labels: frozenset[str]
    help: str
    when: str


def theirs() -> list[Theirs]:
    """All of its families that a server's own statistics give."""
    with (DATA / "redis_exporter_metrics.tsv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["name"].startswith("redis_")]
    return [
        Theirs(row["name"], row["type"], frozenset(row["labels"].split(",")) - {"-"}, row["help"], row["when"])
        for row in rows
    ]


HELPS_OF = {"redis_commands_failed_calls_total": "rejected", "redis_commands_rejected_calls_total": "failed"}


@pytest.mark.parametrize("family", theirs(), ids=lambda family: family.name)
def test_every_family_is_here_under_its_name(family: Theirs) -> None:
    """Each of redis_exporter's families is on `/scrape`: type, help and labels are the same."""
    body = scrape(everything("redis-7.0.15"))
    lines = body.decode().splitlines()
    assert f"# TYPE {family.name} {family.type}" in lines
    if family.name not in HELPS_OF:
        assert f"# HELP {family.name} {family.help}" in lines
    assert family.labels in {names - {"le", "quantile"} for names in label_names(body)[family.name]}


def test_the_swapped_helps_are_put_right() -> None:
    """A rejected call fails before it runs, a failed one while it runs; redis_exporter says the opposite."""
    lines = scrape(everything("redis-7.0.15")).decode().splitlines()
    assert (
        "# HELP redis_commands_rejected_calls_total Total number of errors prior command execution per command" in lines
    )
    assert (
        "# HELP redis_commands_failed_calls_total Total number of errors within command execution per command" in lines
    )


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_info(kind: str) -> None:
    """Numbers, `ok`, units and derived sums come out as the server said them."""
    stats = everything(kind)
    found = series(scrape(stats))
    assert found["redis_memory_used_bytes", ()] == float(stats.info["used_memory"])
    assert found["redis_aof_last_write_status", ()] == 1
    assert found["redis_latest_fork_seconds", ()] == float(stats.info["latest_fork_usec"]) / 1e6
    get = (("cmd", "get"),)
    assert found["redis_commands_total", get] == stats.commands["get"].calls
    assert found["redis_commands_duration_seconds_total", get] == pytest.approx(stats.commands["get"].usec / 1e6)
    assert found["redis_db_keys", (("db", "db3"),)] == 1
    assert found["redis_db_keys", (("db", "db15"),)] == 0
    assert ("redis_db_keys", (("db", "db16"),)) not in found
    assert ("redis_db_avg_ttl_seconds", (("db", "db15"),)) not in found
    assert found["redis_sentinel_master_last_ok_ping_reply_seconds", ANYBODY] == 0.25
    assert found["redis_commands_latencies_usec_bucket", (("cmd", "get"), ("le", "+Inf"))] == 7
    assert found["redis_commands_latencies_usec_sum", get] == stats.commands["get"].usec


ANYBODY = (("master_address", "10.0.0.9:6379"), ("master_name", "main"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", Format)
def test_both_formats_are_valid(kind: str, form: Format) -> None:
    """No series stands twice, and the OpenMetrics parser finds nothing to object to."""
    body = scrape(everything(kind), form)
    if form is Format.TEXT:
        assert len(series(body)) > 200
    else:
        assert len(list(openmetrics_families(body.decode()))) > 150


def test_new_servers_tell_more() -> None:
    """What only Redis 8.8 and newer or Valkey say has its families too, with the labels of redis_exporter's newest."""
    redis = label_names(scrape(everything("redis-8.10.2")))
    assert {
        "redis_active_clients", "redis_client_processing_pipeline_length", "redis_slowlog_commands_total",
        "redis_memory_used_hash_templates_bytes", "redis_backup_in_progress", "redis_db_keys_with_expiring_items",
        "redis_acl_access_denied_tls_cert_total", "redis_expired_subkeys_total",
    } <= redis.keys()  # fmt: skip
    assert any("master_replid" in names for names in redis["redis_instance_info"])
    valkey = label_names(scrape(everything("valkey-9.1.2")))
    assert {
        "redis_scripting_engine_info", "redis_tls_certificate_info", "redis_replicas_waiting_psync",
        "redis_active_time_main_thread_seconds_total", "redis_acl_access_denied_db_total",
    } <= valkey.keys()  # fmt: skip
    assert any({"valkey_version", "valkey_release_stage"} <= names for names in valkey["redis_instance_info"])


def test_what_has_no_certificate_has_none_that_ends() -> None:
    """Valkey says 0 seconds where it has no certificate: no sample, or every plain server would look expired."""
    plain, name = captured_text("valkey-9.1.2"), "redis_tls_server_cert_expires_in_seconds"
    assert name not in label_names(scrape(answered(plain)))
    served = plain.replace(b"tls_server_cert_serial:none", b"tls_server_cert_serial:0A1F")
    assert series(scrape(answered(served)))[name, ()] == 0


def test_an_error_is_a_word_and_not_a_text() -> None:
    """`err` is a reason of redis_down_info; the text that redis_exporter puts there holds ports and never repeats."""
    board = shop.shop_board()
    readings = read(board, shop.shop_config(), shop.NOW)
    found = series(MetricsView().scrape(readings[2], shop.NAMES, Format.TEXT))
    assert found["redis_exporter_last_scrape_error", (("err", "refused"),)] == 1
    assert found["redis_up", ()] == 0
    assert ("redis_memory_used_bytes", ()) not in found


def test_statistics_that_miss_three_intervals_are_withheld() -> None:
    """A counter that stands still for longer would look like a server at rest."""
    board = shop.shop_board()
    board.publish(shop.CACHE, replace(everything("redis-7.0.15"), taken_at=shop.NOW.monotonic - 2.9))
    view = MetricsView()

    def shown(later: float) -> bool:
        now = Moment(shop.NOW.monotonic + later, shop.NOW.wall)
        body = view.render(read(board, shop.shop_config(), now), shop.NAMES, Format.TEXT, frozenset({Collect.STATS}))
        return b"redis_commands_processed_total" in body

    assert shown(0.0)
    assert not shown(0.2)
